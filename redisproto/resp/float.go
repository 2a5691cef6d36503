package resp

import (
	"math"
	"strconv"
	"strings"
)

// FormatFloat writes f as Redis 7 writes a double in a reply: the shortest text
// that reads back as f, exponents without padding, "inf", "-inf" and "nan".
func FormatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e17:
		if f == 0 && math.Signbit(f) {
			return "-0"
		}
		return strconv.FormatInt(int64(f), 10)
	}
	return shortExponent(strconv.FormatFloat(f, 'g', 17, 64), f)
}

// shortExponent returns the shortest 'g' text of f that reads back as f,
// falling back to the 17 digits of long.
func shortExponent(long string, f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if back, err := strconv.ParseFloat(s, 64); err != nil || back != f {
		s = long
	}
	return strings.Replace(s, "e-0", "e-", 1)
}
