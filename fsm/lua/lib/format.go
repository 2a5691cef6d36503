package lib

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"phonond/fsm/lua/vm"
)

// spec is one conversion of string.format.
type spec struct {
	flags     string
	width     int
	precision int // -1 if there is none
	verb      byte
}

func (sp *spec) has(flag byte) bool { return strings.IndexByte(sp.flags, flag) >= 0 }

func stringFormat(st *vm.State, args []vm.Value) []vm.Value {
	f := text(st, args, 1)
	b := buffer{st: st}
	n := 1
	for i := 0; i < len(f); {
		if f[i] != '%' {
			next := strings.IndexByte(f[i:], '%')
			if next < 0 {
				next = len(f) - i
			}
			b.add(f[i : i+next])
			i += next
			continue
		}
		i++
		if i < len(f) && f[i] == '%' {
			b.addByte('%')
			i++
			continue
		}
		if n++; n > len(args) {
			st.ArgError(n, "no value")
		}
		var sp spec
		sp, i = parseSpec(st, f, i)
		sp.append(st, &b, args, n)
	}
	return st.Return(b.value())
}

// parseSpec reads what follows a percent sign.
func parseSpec(st *vm.State, f string, i int) (spec, int) {
	sp := spec{precision: -1}
	start := i
	for i < len(f) && strings.IndexByte("-+ #0", f[i]) >= 0 {
		i++
	}
	sp.flags = f[start:i]
	if len(sp.flags) >= 6 {
		st.Errorf("invalid format (repeated flags)")
	}
	digits := func() int {
		n := 0
		for k := 0; k < 2 && i < len(f) && isDigit(f[i]); k++ {
			n = 10*n + int(f[i]-'0')
			i++
		}
		return n
	}
	sp.width = digits()
	if i < len(f) && f[i] == '.' {
		i++
		sp.precision = digits()
	}
	if i < len(f) && isDigit(f[i]) {
		st.Errorf("invalid format (width or precision too long)")
	}
	if i < len(f) {
		sp.verb = f[i]
	}
	return sp, i + 1
}

func (sp *spec) append(st *vm.State, b *buffer, args []vm.Value, n int) {
	switch sp.verb {
	case 'c':
		s := string([]byte{byte(vm.ToInt64(number(st, args, n)))})
		if s == "\x00" { // the reference's buffer ends there
			s = strings.Repeat(" ", max(sp.width-1, 0))
			if sp.has('-') {
				s = ""
			}
			b.add(s)
			return
		}
		b.add(sp.pad("", s, false))
	case 'd', 'i':
		v := vm.ToInt64(number(st, args, n))
		sign, magnitude := "", uint64(v)
		switch {
		case v < 0:
			sign, magnitude = "-", -uint64(v)
		case sp.has('+'):
			sign = "+"
		case sp.has(' '):
			sign = " "
		}
		b.add(sp.integer(sign, strconv.FormatUint(magnitude, 10)))
	case 'u', 'o', 'x', 'X':
		b.add(sp.unsigned(toUint64(number(st, args, n))))
	case 'e', 'E', 'f', 'g', 'G':
		b.add(sp.float(number(st, args, n)))
	case 'q':
		quote(b, text(st, args, n))
	case 's':
		s := text(st, args, n)
		if sp.precision < 0 && len(s) >= 100 {
			b.add(s)
			return
		}
		s, _, _ = strings.Cut(s, "\x00")
		if sp.precision >= 0 {
			s = s[:min(len(s), sp.precision)]
		}
		b.add(sp.pad("", s, false))
	default:
		verb := string([]byte{sp.verb})
		if sp.verb == 0 {
			verb = ""
		}
		st.Errorf("invalid option '%%%s' to 'format'", verb)
	}
}

// toUint64 converts as C does on amd64.
func toUint64(f float64) uint64 {
	if f >= 1<<63 {
		return uint64(vm.ToInt64(f-1<<63)) ^ 1<<63
	}
	return uint64(vm.ToInt64(f))
}

func (sp *spec) unsigned(v uint64) string {
	base, prefix := 10, ""
	switch sp.verb {
	case 'o':
		base = 8
	case 'x', 'X':
		base = 16
		if sp.has('#') && v != 0 {
			prefix = "0x"
		}
	}
	digits := strconv.FormatUint(v, base)
	if sp.verb == 'o' && sp.has('#') && digits[0] != '0' && sp.precision <= len(digits) {
		digits = "0" + digits
	}
	s := sp.integer(prefix, digits)
	if sp.verb == 'X' {
		s = strings.ToUpper(s)
	}
	return s
}

// integer adds the zeros of a precision, and pads.
func (sp *spec) integer(prefix, digits string) string {
	if sp.precision == 0 && digits == "0" {
		digits = ""
	}
	if zeros := sp.precision - len(digits); zeros > 0 {
		digits = strings.Repeat("0", zeros) + digits
	}
	return sp.pad(prefix, digits, sp.precision < 0)
}

// pad fills up to the width: with zeros behind the prefix if flags and zeros say so.
func (sp *spec) pad(prefix, s string, zeros bool) string {
	fill := sp.width - len(prefix) - len(s)
	switch {
	case fill <= 0:
		return prefix + s
	case sp.has('-'):
		return prefix + s + strings.Repeat(" ", fill)
	case zeros && sp.has('0'):
		return prefix + strings.Repeat("0", fill) + s
	}
	return strings.Repeat(" ", fill) + prefix + s
}

func (sp *spec) float(f float64) string {
	precision := sp.precision
	if precision < 0 {
		precision = 6
	}
	verb := sp.verb | 0x20
	finite := !math.IsNaN(f) && !math.IsInf(f, 0)
	var s string
	switch {
	case finite && sp.has('#'):
		if verb == 'g' {
			precision = max(precision, 1)
		}
		s = fmt.Sprintf("%#."+strconv.Itoa(precision)+string(verb), f)
	default:
		s = string(vm.AppendFloat(nil, f, verb, precision))
	}
	sign := ""
	switch {
	case s[0] == '-':
		sign, s = "-", s[1:]
	case sp.has('+'):
		sign = "+"
	case sp.has(' '):
		sign = " "
	}
	s = sp.pad(sign, s, finite)
	if sp.verb < 'a' {
		s = strings.ToUpper(s)
	}
	return s
}

// quote writes a string as the parser reads it.
func quote(b *buffer, s string) {
	b.addByte('"')
	b.st.Spend(len(s) / 16)
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.addByte('\\')
			b.addByte(c)
		case '\r':
			b.add(`\r`)
		case 0:
			b.add(`\000`)
		default:
			b.addByte(c)
		}
	}
	b.addByte('"')
}
