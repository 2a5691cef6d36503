package lib

import (
	"strings"
	"unicode/utf8"

	"phonond/fsm/lua/vm"
)

// jsonToken has the name of its kind in the texts of errors.
type jsonToken struct {
	kind  string
	at    int
	value vm.Value
	fault string // what is wrong with a token of the kind T_ERROR
}

type jsonDecoder struct {
	st    *vm.State
	s     string
	at    int
	depth int
	tok   jsonToken
	*cjsonSettings
}

func jsonDecode(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) != 1 {
		st.ArgError(1, "expected 1 argument")
	}
	s := text(st, args, 1)
	if len(s) >= 2 && (s[0] == 0 || s[1] == 0) {
		st.Errorf("JSON parser does not support UTF-16 or UTF-32")
	}
	d := jsonDecoder{st: st, s: s, cjsonSettings: &settings(st).cjson}
	d.next()
	v := d.value()
	d.next()
	if d.tok.kind != "T_END" {
		d.expected("the end")
	}
	return st.Return(v)
}

func (d *jsonDecoder) expected(what string) {
	found := d.tok.kind
	if found == "T_ERROR" {
		found = d.tok.fault
	}
	d.st.Errorf("Expected %s but found %s at character %d", what, found, d.tok.at+1)
}

func (d *jsonDecoder) byteAt(i int) byte {
	if i < len(d.s) {
		return d.s[i]
	}
	return 0
}

var jsonPunctuation = map[byte]string{
	'{': "T_OBJ_BEGIN", '}': "T_OBJ_END", '[': "T_ARR_BEGIN", ']': "T_ARR_END", ',': "T_COMMA", ':': "T_COLON", 0: "T_END",
}

func (d *jsonDecoder) next() {
	d.st.Spend(1)
	for c := d.byteAt(d.at); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = d.byteAt(d.at) {
		d.at++
	}
	c := d.byteAt(d.at)
	d.tok = jsonToken{at: d.at}
	if kind, ok := jsonPunctuation[c]; ok {
		d.tok.kind = kind
		if c != 0 {
			d.at++
		}
		return
	}
	rest := d.s[d.at:]
	switch {
	case c == '"':
		d.text()
	case c == '-' || isDigit(c):
		if !d.decodeInvalid && invalidNumber(rest) {
			d.bad("invalid number")
			return
		}
		d.number()
	case strings.HasPrefix(rest, "true"):
		d.word("T_BOOLEAN", vm.Bool(true), 4)
	case strings.HasPrefix(rest, "false"):
		d.word("T_BOOLEAN", vm.Bool(false), 5)
	case strings.HasPrefix(rest, "null"):
		d.word("T_NULL", vm.UserdataValue(null), 4)
	case d.decodeInvalid && invalidNumber(rest):
		d.number()
	default:
		d.bad("invalid token")
	}
}

func (d *jsonDecoder) word(kind string, v vm.Value, size int) {
	d.tok.kind, d.tok.value = kind, v
	d.at += size
}

// bad makes the token an error at the place that has been reached.
func (d *jsonDecoder) bad(fault string) { d.tok = jsonToken{kind: "T_ERROR", at: d.at, fault: fault} }

func (d *jsonDecoder) number() {
	f, n := vm.Strtod(d.s[d.at:])
	if n == 0 {
		d.bad("invalid number")
		return
	}
	d.word("T_NUMBER", vm.Num(f), n)
}

// invalidNumber reports whether s begins like a number that JSON does not know:
// hexadecimal, with zeros in front, infinite.
func invalidNumber(s string) bool {
	if s[0] == '+' {
		return true
	}
	s = strings.TrimPrefix(s, "-")
	switch {
	case s == "":
		return false
	case s[0] == '0':
		return len(s) > 1 && (s[1]|0x20 == 'x' || isDigit(s[1]))
	case s[0] <= '9' || len(s) < 3:
		return false
	}
	return strings.EqualFold(s[:3], "inf") || strings.EqualFold(s[:3], "nan")
}

func (d *jsonDecoder) text() {
	b := buffer{st: d.st}
	d.at++
	for {
		from := d.at
		for d.at < len(d.s) && d.s[d.at] != '"' && d.s[d.at] != '\\' && d.s[d.at] != 0 {
			d.at++
		}
		b.add(d.s[from:d.at])
		d.st.Spend((d.at - from) / 16)
		switch d.byteAt(d.at) {
		case '"':
			d.at++
			d.tok.kind, d.tok.value = "T_STRING", b.value()
			return
		case 0:
			d.bad("unexpected end of string")
			return
		}
		c := d.byteAt(d.at + 1)
		if c == 'u' {
			r, size := d.unicode()
			if size == 0 {
				d.bad("invalid unicode escape code")
				return
			}
			b.add(string(utf8.AppendRune(nil, r)))
			d.at += size
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 || c == 0 {
			d.bad("invalid escape code")
			return
		}
		b.addByte("\"\\/\b\f\n\r\t"[i])
		d.at += 2
	}
}

// unicode reads \uXXXX, or two of them that make one character; size 0 if that is
// none.
func (d *jsonDecoder) unicode() (r rune, size int) {
	r = d.hex4(d.at + 2)
	if r < 0 || r&0xFC00 == 0xDC00 {
		return 0, 0
	}
	if r&0xF800 != 0xD800 {
		return r, 6
	}
	if d.byteAt(d.at+6) != '\\' || d.byteAt(d.at+7) != 'u' {
		return 0, 0
	}
	low := d.hex4(d.at + 8)
	if low < 0 || low&0xFC00 != 0xDC00 {
		return 0, 0
	}
	return (r&0x3FF)<<10 + low&0x3FF + 0x10000, 12
}

func (d *jsonDecoder) hex4(at int) rune {
	n := rune(0)
	for i := range 4 {
		digit := digitOf(d.byteAt(at + i))
		if digit > 15 {
			return -1
		}
		n = n<<4 | rune(digit)
	}
	return n
}

func (d *jsonDecoder) value() vm.Value {
	switch d.tok.kind {
	case "T_STRING", "T_NUMBER", "T_BOOLEAN", "T_NULL":
		return d.tok.value
	case "T_OBJ_BEGIN":
		return d.object()
	case "T_ARR_BEGIN":
		return d.array()
	}
	d.expected("value")
	return vm.Nil
}

func (d *jsonDecoder) object() vm.Value {
	return d.table("T_OBJ_END", "comma or object end", "object key string", func(t *vm.Table, _ int) {
		if d.tok.kind != "T_STRING" {
			d.expected("object key string")
		}
		key := d.tok.value
		d.next()
		if d.tok.kind != "T_COLON" {
			d.expected("colon")
		}
		d.next()
		d.st.RawSet(t, key, d.value())
	})
}

func (d *jsonDecoder) array() vm.Value {
	return d.table("T_ARR_END", "comma or array end", "value", func(t *vm.Table, i int) {
		d.st.SetInt(t, i, d.value())
	})
}

// table reads what is between brackets: element reads one of it, of which the current
// token is the first, and end is the token that closes it. The other two are what is
// missing where there is no comma, and where there is nothing behind one.
func (d *jsonDecoder) table(end, comma, more string, element func(t *vm.Table, i int)) vm.Value {
	if d.depth++; d.depth > min(d.decodeDepth, maxJSONDepth) {
		d.st.Errorf("Found too many nested data structures (%d) at character %d", d.depth, d.at)
	}
	t := d.st.NewTable(0, 0)
	m := d.st.Hold(vm.TableValue(t))
	d.next()
	for i := 1; d.tok.kind != end; i++ {
		element(t, i)
		d.next()
		if d.tok.kind == end {
			break
		}
		if d.tok.kind != "T_COMMA" {
			d.expected(comma)
		}
		if d.next(); d.tok.kind == end {
			d.expected(more)
		}
	}
	d.st.Release(m)
	d.depth--
	return vm.TableValue(t)
}
