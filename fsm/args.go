package fsm

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// The bounds of what one command may make or answer.
const (
	// MaxString is the greatest length in bytes that a command may bring a string to that
	// is longer than its arguments. Replicas must agree on it, so no setting changes it.
	MaxString = 16 << 20
	// maxRandom is how many members a command such as SRANDMEMBER with a
	// negative count returns at most: the count is not bounded by what is there.
	maxRandom = 1 << 20
	// maxRandomBytes bounds the sum of their lengths.
	maxRandomBytes = 64 << 20
)

// is reports whether an argument is the given option, written in upper case, in
// any letter case.
func is(arg []byte, option string) bool {
	if len(arg) != len(option) {
		return false
	}
	for i, c := range arg {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != option[i] {
			return false
		}
	}
	return true
}

// parseInt reads an integer as Redis does: no spaces, no plus sign, no zeros in
// front, nothing but 64 bits.
func parseInt[T string | []byte](s T) (int64, bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	if len(s) == 1 && s[0] == '0' {
		return 0, true
	}
	i, limit := 0, uint64(math.MaxInt64)
	negative := s[0] == '-'
	if negative {
		i, limit = 1, 1<<63
	}
	if i == len(s) || s[i] < '1' || s[i] > '9' {
		return 0, false
	}
	n := uint64(0)
	for ; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 || n > (limit-uint64(c))/10 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}

// parseCount reads an integer that must not be negative; any other argument is
// answered with [resp.ErrNotPositive].
func parseCount(s []byte) (int64, bool) {
	n, ok := parseInt(s)
	return n, ok && n >= 0
}

// countOption reads [COUNT n], which bounds nothing if it is not there.
func countOption(args [][]byte) (count int64, fault resp.Value) {
	switch {
	case len(args) == 0:
		return math.MaxInt64, fault
	case len(args) != 2 || !is(args[0], "COUNT"):
		return 0, resp.ErrSyntax
	}
	count, ok := parseCount(args[1])
	if !ok {
		return 0, resp.ErrNotInteger
	}
	return count, fault
}

// parseRange reads two positions such as those of LRANGE.
func parseRange(from, to []byte) (start, stop int64, ok bool) {
	start, ok1 := parseInt(from)
	stop, ok2 := parseInt(to)
	return start, stop, ok1 && ok2
}

// clampRange turns positions that may be negative, counted from the end, into
// those of a list of n elements. An empty range has start > stop.
func clampRange(start, stop int64, n int) (int, int) {
	size := int64(n)
	if start < 0 {
		start = max(start+size, 0)
	}
	if stop < 0 {
		stop += size
	}
	stop = min(stop, size-1)
	if start > stop {
		return 1, 0
	}
	return int(start), int(stop)
}

// parseFloat reads a number as the C library's strtod does, the whole argument,
// no spaces in front. Infinity is a number; what is too large or too small for
// 64 bits is not, and neither is NaN.
func parseFloat[T string | []byte](arg T) (float64, bool) {
	f, inRange, ok := strtod(string(arg))
	return f, ok && inRange && !math.IsNaN(f)
}

// parseBound reads the number of a range such as that of ZRANGEBYSCORE, which
// may have spaces in front, be empty (0), or too large (infinity). It ends with a
// zero byte, as all that strtod reads.
func parseBound(arg []byte) (float64, bool) {
	arg, _, _ = bytes.Cut(arg, []byte{0})
	s := strings.TrimLeft(string(arg), " \t\n\v\f\r")
	if s == "" {
		return 0, len(arg) == 0
	}
	f, _, ok := strtod(s)
	return f, ok && !math.IsNaN(f)
}

// strtod reads what the C library's function of that name accepts.
func strtod(s string) (f float64, inRange, ok bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.Contains(s, "_") {
		return 0, false, false
	}
	if hex := strings.ToLower(digits); strings.HasPrefix(hex, "0x") && !strings.Contains(hex, "p") {
		s += "p0" // an exponent that C does not ask for
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && err.(*strconv.NumError).Err == strconv.ErrSyntax {
		return 0, false, false
	}
	return f, err == nil && !(f == 0 && hasMantissa(digits)), true
}

// hasMantissa reports whether a number has a digit other than 0 before its
// exponent.
func hasMantissa(s string) bool {
	exponent := "eE"
	if len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x' {
		s, exponent = s[2:], "pP"
	}
	if i := strings.IndexAny(s, exponent); i >= 0 {
		s = s[:i]
	}
	return strings.Trim(s, "0.") != ""
}

// errAtLeast is the reply to an argument that has to be a positive number.
func errAtLeast(what string) resp.Value { return resp.Err("ERR " + what + " should be greater than 0") }

// parseLuaNumber reads a number as Lua does when a string takes part in
// arithmetic: spaces around it, decimal or hexadecimal.
func parseLuaNumber(arg []byte) (float64, bool) {
	f, _, ok := strtod(strings.Trim(string(arg), " \t\n\v\f\r"))
	return f, ok
}
