package vm

import (
	"math"
	"strconv"
	"strings"
)

// FormatNumber writes a number as %.14g of C does.
func FormatNumber(f float64) string { return FormatG(f, 14) }

// FormatG writes a number as %.{prec}g of C does.
func FormatG(f float64, prec int) string {
	if n := int64(f); f == float64(n) && n > -1e14 && n < 1e14 && prec >= 14 && (n != 0 || !math.Signbit(f)) {
		return strconv.FormatInt(n, 10)
	}
	return string(AppendFloat(nil, f, 'g', prec))
}

// AppendFloat appends a number in one of C's formats e, f and g, whose infinities
// and not-a-numbers differ from Go's.
func AppendFloat(b []byte, f float64, format byte, prec int) []byte {
	switch {
	case f != f && math.Signbit(f):
		return append(b, "-nan"...)
	case f != f:
		return append(b, "nan"...)
	case f > math.MaxFloat64:
		return append(b, "inf"...)
	case f < -math.MaxFloat64:
		return append(b, "-inf"...)
	}
	if format == 'g' && prec == 0 {
		prec = 1
	}
	return strconv.AppendFloat(b, f, format, prec, 64)
}

// ParseNumber reads a string that is a numeral with white space around it, as
// strtod of C does: decimal, hexadecimal, inf and nan. It ends at the first zero byte.
func ParseNumber(s string) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.Trim(s, " \t\n\v\f\r")
	if s == "" {
		return 0, false
	}
	f, used := Strtod(s)
	return f, used > 0 && used == len(s)
}

// Strtod reads the longest numeral at the start of s, and returns how many bytes
// it has; 0 if there is none. It does not skip white space.
func Strtod(s string) (f float64, used int) {
	i := 0
	negative := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		negative = s[i] == '-'
		i++
	}
	signed := func(f float64, used int) (float64, int) {
		if negative {
			f = math.Copysign(f, -1)
		}
		return f, used
	}
	switch rest := s[i:]; {
	case hasFold(rest, "infinity"):
		return signed(math.Inf(1), i+8)
	case hasFold(rest, "inf"):
		return signed(math.Inf(1), i+3)
	case hasFold(rest, "nan"):
		return signed(math.Copysign(math.NaN(), 1), i+3+nanTail(rest[3:]))
	case hasFold(rest, "0x"):
		if n := numeral(rest[2:], isHex, 'p'); n > 0 {
			text := "0x" + rest[2:2+n]
			if !strings.ContainsAny(text, "pP") {
				text += "p0"
			}
			f, _ = strconv.ParseFloat(text, 64)
			return signed(f, i+2+n)
		}
		return signed(0, i+1)
	default:
		n := numeral(rest, isDigit, 'e')
		if n == 0 {
			return 0, 0
		}
		f, _ = strconv.ParseFloat(rest[:n], 64)
		return signed(f, i+n)
	}
}

// numeral is the length of digits with a point and an exponent, 0 if there is no digit.
func numeral(s string, digit func(byte) bool, exponent byte) int {
	i, digits := 0, 0
	for point := false; i < len(s); i++ {
		if digit(s[i]) {
			digits++
		} else if s[i] == '.' && !point {
			point = true
		} else {
			break
		}
	}
	if digits == 0 {
		return 0
	}
	if i < len(s) && s[i]|0x20 == exponent {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			for j < len(s) && isDigit(s[j]) {
				j++
			}
			i = j
		}
	}
	return i
}

// nanTail is the length of "(characters)" after nan.
func nanTail(s string) int {
	if s == "" || s[0] != '(' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		if s[i] == ')' {
			return i + 1
		}
		if !isAlnum(s[i]) && s[i] != '_' {
			break
		}
	}
	return 0
}

func hasFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }
