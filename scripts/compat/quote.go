package main

import (
	"fmt"
	"strconv"
	"strings"
)

// unquote reads the inside of a string in double quotes as redis-cli does: \xhh is a
// byte, \n \r \t \b \a are what they are in C, and any other \c is c.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", fmt.Errorf("a backslash at the end of %q", s)
		}
		if s[i] == 'x' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		if at := strings.IndexByte("nrtba", s[i]); at >= 0 {
			b.WriteByte("\n\r\t\b\a"[at])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
}
