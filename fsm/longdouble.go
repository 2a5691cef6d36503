package fsm

import (
	"math/big"
	"strings"
)

// INCRBYFLOAT and HINCRBYFLOAT compute with C's long double, which on the
// machines that Redis runs on has 64 bits of mantissa and 15 of exponent. A
// big.Float of that precision gives the same results, so that 0.1 and 0.2 make
// 0.3, and gives them on every processor.
const (
	longDoubleBits = 64
	longDoubleMax  = 16384  // exponent of the greatest
	longDoubleMin  = -16444 // exponent of the least above 0
	// longDoubleChars is the greatest length of a number, in and out.
	longDoubleChars = 5 * 1024
)

// parseLongDouble reads a number as strtold does. Infinity is a number, what is
// out of range is not.
func parseLongDouble[T string | []byte](arg T) (*big.Float, bool) {
	s := string(arg)
	if s == "" || len(s) >= longDoubleChars {
		return nil, false
	}
	d, _, ok := strtod(s)
	if !ok || d != d {
		return nil, false
	}
	switch strings.ToLower(strings.TrimLeft(s, "+-"))[0] {
	case 'i':
		return new(big.Float).SetInf(s[0] == '-'), true
	}
	f, _, err := big.ParseFloat(s, 0, longDoubleBits, big.ToNearestEven)
	if err != nil || f.IsInf() || f.MantExp(nil) > longDoubleMax || f.Sign() != 0 && f.MantExp(nil) < longDoubleMin {
		return nil, false
	}
	return f, f.Sign() != 0 || !hasMantissa(strings.TrimLeft(s, "+-"))
}

// addLongDouble returns the sum, ok false if it is not finite.
func addLongDouble(a, b *big.Float) (sum *big.Float, ok bool) {
	if a.IsInf() || b.IsInf() {
		return nil, false
	}
	sum = new(big.Float).SetPrec(longDoubleBits).Add(a, b)
	return sum, sum.MantExp(nil) <= longDoubleMax
}

// formatLongDouble writes a number as Redis does: 17 decimals, less the zeros at
// the end.
func formatLongDouble(f *big.Float) string {
	s := strings.TrimSuffix(strings.TrimRight(f.Text('f', 17), "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}
