package lib

import (
	"math"
	"strconv"

	"phonond/fsm/lua/vm"
)

// cjsonSettings are what scripts can set of cjson, for themselves.
type cjsonSettings struct {
	convert       bool // sparse arrays become objects
	ratio, safe   int
	encodeDepth   int
	decodeDepth   int
	precision     int
	encodeInvalid string // what becomes of not-a-number: off, on, null
	decodeInvalid bool
	keepBuffer    bool
}

var cjsonDefaults = cjsonSettings{
	ratio: 2, safe: 10, encodeDepth: 1000, decodeDepth: 1000, precision: 14,
	encodeInvalid: "off", decodeInvalid: true, keepBuffer: true,
}

// null stands for null in JSON.
var null = &vm.Userdata{Name: "null"}

// CJSON returns the library cjson.
func CJSON() *vm.Table {
	t := vm.NewShared()
	define(t, map[string]native{
		"encode":                  jsonEncode,
		"decode":                  jsonDecode,
		"new":                     func(st *vm.State, _ []vm.Value) []vm.Value { return st.Return(vm.TableValue(t)) },
		"encode_sparse_array":     sparseOption,
		"encode_max_depth":        integerOption(func(s *cjsonSettings) *int { return &s.encodeDepth }, 1, math.MaxInt32),
		"decode_max_depth":        integerOption(func(s *cjsonSettings) *int { return &s.decodeDepth }, 1, math.MaxInt32),
		"encode_number_precision": integerOption(func(s *cjsonSettings) *int { return &s.precision }, 1, 14),
		"encode_keep_buffer":      boolOption(func(s *cjsonSettings) *bool { return &s.keepBuffer }),
		"decode_invalid_numbers":  boolOption(func(s *cjsonSettings) *bool { return &s.decodeInvalid }),
		"encode_invalid_numbers":  invalidOption,
	})
	t.Define("null", vm.UserdataValue(null))
	t.Define("_NAME", vm.Const("cjson"))
	t.Define("_VERSION", vm.Const("2.1.0"))
	return t
}

func tooMany(st *vm.State, args []vm.Value, most int) {
	if len(args) > most {
		st.ArgError(most+1, "found too many arguments")
	}
}

// setInteger sets a number from an argument, if there is one.
func setInteger(st *vm.State, args []vm.Value, n int, p *int, least, most int) {
	if arg(args, n).IsNil() {
		return
	}
	v := integer(st, args, n)
	if v < int64(least) || v > int64(most) {
		st.ArgError(n, "expected integer between "+strconv.Itoa(least)+" and "+strconv.Itoa(most))
	}
	*p = int(v)
}

func integerOption(field func(*cjsonSettings) *int, least, most int) native {
	return func(st *vm.State, args []vm.Value) []vm.Value {
		tooMany(st, args, 1)
		p := field(&settings(st).cjson)
		setInteger(st, args, 1, p, least, most)
		return st.Return(vm.Int(*p))
	}
}

func boolOption(field func(*cjsonSettings) *bool) native {
	return func(st *vm.State, args []vm.Value) []vm.Value {
		tooMany(st, args, 1)
		p := field(&settings(st).cjson)
		*p = switchArg(st, args, 1, strconv.FormatBool(*p)) == "on"
		return st.Return(vm.Bool(*p))
	}
}

// switchArg reads a boolean or one of words.
func switchArg(st *vm.State, args []vm.Value, n int, otherwise string, words ...string) string {
	v := arg(args, n)
	if b, ok := v.Bool(); ok {
		otherwise = strconv.FormatBool(b)
	} else if !v.IsNil() {
		s := text(st, args, n)
		for _, w := range append(words, "off", "on") {
			if s == w {
				return s
			}
		}
		st.ArgError(n, "invalid option '"+s+"'")
	}
	switch otherwise {
	case "true":
		return "on"
	case "false":
		return "off"
	}
	return otherwise
}

func invalidOption(st *vm.State, args []vm.Value) []vm.Value {
	tooMany(st, args, 1)
	s := &settings(st).cjson
	s.encodeInvalid = switchArg(st, args, 1, s.encodeInvalid, "null")
	if s.encodeInvalid == "null" {
		return st.Return(vm.Const("null"))
	}
	return st.Return(vm.Bool(s.encodeInvalid == "on"))
}

func sparseOption(st *vm.State, args []vm.Value) []vm.Value {
	tooMany(st, args, 3)
	s := &settings(st).cjson
	s.convert = switchArg(st, args, 1, strconv.FormatBool(s.convert)) == "on"
	setInteger(st, args, 2, &s.ratio, 0, math.MaxInt32)
	setInteger(st, args, 3, &s.safe, 0, math.MaxInt32)
	return st.Return(vm.Bool(s.convert), vm.Int(s.ratio), vm.Int(s.safe))
}

// maxJSONDepth bounds the recursion whatever a script sets.
const maxJSONDepth = 8000

// jsonEncoder writes JSON.
type jsonEncoder struct {
	buffer
	*cjsonSettings
}

func jsonEncode(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) != 1 {
		st.ArgError(1, "expected 1 argument")
	}
	e := jsonEncoder{buffer{st: st}, &settings(st).cjson}
	e.encode(args[0], 0)
	return st.Return(e.value())
}

func (e *jsonEncoder) fail(v vm.Value, reason string) {
	e.st.Errorf("Cannot serialise %s: %s", v.Type(), reason)
}

func (e *jsonEncoder) encode(v vm.Value, depth int) {
	e.st.Spend(1)
	switch v.Type() {
	case "string":
		s, _ := v.Text()
		e.text(s)
	case "number":
		e.number(v)
	case "boolean":
		e.add(strconv.FormatBool(v.Truth()))
	case "nil":
		e.add("null")
	case "table":
		if depth++; depth > min(e.encodeDepth, maxJSONDepth) {
			e.st.Errorf("Cannot serialise, excessive nesting (%d)", depth)
		}
		if n := e.arrayLen(v); n > 0 {
			e.array(v.Table(), n, depth)
		} else {
			e.object(v.Table(), depth)
		}
	default:
		if v.Userdata() != null {
			e.fail(v, "type not supported")
		}
		e.add("null")
	}
}

func (e *jsonEncoder) number(v vm.Value) {
	f, _ := v.Number()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		switch e.encodeInvalid {
		case "off":
			e.fail(v, "must not be NaN or Inf")
		case "null":
			e.add("null")
			return
		}
		if math.IsNaN(f) {
			e.add("nan")
			return
		}
	}
	e.add(vm.FormatG(f, e.precision))
}

// arrayLen is the length of a table whose keys are all positive integers, -1 for
// others.
func (e *jsonEncoder) arrayLen(v vm.Value) int {
	t := v.Table()
	most, items := 0.0, 0
	for k, _, _ := t.Next(vm.Nil); !k.IsNil(); k, _, _ = t.Next(k) {
		e.st.Spend(1)
		f, ok := k.Number()
		if !ok || f < 1 || f != math.Floor(f) {
			return -1
		}
		most = max(most, f)
		items++
	}
	if e.ratio > 0 && most > float64(items)*float64(e.ratio) && most > float64(e.safe) {
		if !e.convert {
			e.fail(v, "excessively sparse array")
		}
		return -1
	}
	return int(most)
}

func (e *jsonEncoder) array(t *vm.Table, n, depth int) {
	e.addByte('[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.addByte(',')
		}
		e.encode(t.GetInt(i), depth)
	}
	e.addByte(']')
}

func (e *jsonEncoder) object(t *vm.Table, depth int) {
	e.addByte('{')
	first := true
	for k, v, _ := t.Next(vm.Nil); !k.IsNil(); k, v, _ = t.Next(k) {
		if !first {
			e.addByte(',')
		}
		first = false
		switch s, ok := k.Text(); {
		case ok:
			e.text(s)
		case k.Type() == "number":
			e.addByte('"')
			e.number(k)
			e.addByte('"')
		default:
			e.fail(k, "table key must be a number or string")
		}
		e.addByte(':')
		e.encode(v, depth)
	}
	e.addByte('}')
}

const hexDigits = "0123456789abcdef"

func (e *jsonEncoder) text(s string) {
	e.grow(len(s) + 2)
	e.st.Spend(len(s) / 16)
	e.addByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '/':
			e.addByte('\\')
			e.addByte(c)
		case '\b':
			e.add(`\b`)
		case '\t':
			e.add(`\t`)
		case '\n':
			e.add(`\n`)
		case '\f':
			e.add(`\f`)
		case '\r':
			e.add(`\r`)
		default:
			if c >= ' ' && c != 127 {
				e.addByte(c)
				continue
			}
			e.add(`\u00`)
			e.addByte(hexDigits[c>>4])
			e.addByte(hexDigits[c&15])
		}
	}
	e.addByte('"')
}
