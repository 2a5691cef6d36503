package fsm

import (
	"bytes"
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

var scanCommands = group("generic",
	read("keys", 2, 0, keysCmd, "pattern", "The names of all keys that match a pattern.").
		scatter(command.AllGroups).since("1.0.0"),
	read("scan", -2, 0, scanCmd, "cursor [MATCH pattern] [COUNT count] [TYPE type]", "Some names of keys, and the cursor to go on with.").
		scatter(command.AllGroups).since("2.8.0"),
)

func keysCmd(v *View, args [][]byte) resp.Value {
	pattern := string(args[1])
	all := glob.All(pattern)
	var names []resp.Value
	v.m.ks[v.db].keys.each(func(key string, e entry) bool {
		if !v.m.expired(&e) && (all || glob.Match(pattern, key)) {
			names = append(names, resp.Str(key))
		}
		return true
	})
	return resp.List(names...)
}

func scanCmd(v *View, args [][]byte) resp.Value {
	cursor, ok := ParseCursor(args[1])
	if !ok {
		return resp.ErrInvalidCursor
	}
	o, fault := parseScanOptions(args[2:], true)
	if fault.IsError() {
		return fault
	}
	var names []resp.Value
	next := v.m.ks[v.db].keys.scan(cursor, o.count, func(key string, e entry) {
		if !v.m.expired(&e) && o.matches(key) && (o.kind == "" || e.kind().String() == o.kind) {
			names = append(names, resp.Str(key))
		}
	})
	return scanReply(next, names)
}

func scanReply(next uint64, elems []resp.Value) resp.Value {
	return resp.List(resp.Str(strconv.FormatUint(next, 10)), resp.List(elems...))
}

// ParseCursor reads a cursor as the C library's strtoul does: up to a zero byte.
func ParseCursor(arg []byte) (uint64, bool) {
	arg, _, _ = bytes.Cut(arg, []byte{0})
	if len(arg) == 0 {
		return 0, true
	}
	negative := arg[0] == '-'
	if negative || arg[0] == '+' {
		arg = arg[1:]
	}
	n, err := strconv.ParseUint(string(arg), 10, 64)
	if negative {
		n = -n
	}
	return n, err == nil
}

// scanOptions are the options of SCAN and its like.
type scanOptions struct {
	count   int
	match   bool
	pattern string
	kind    string // SCAN only: the type, "" for any
}

func (o *scanOptions) matches(s string) bool { return !o.match || glob.Match(o.pattern, s) }

func parseScanOptions(args [][]byte, keys bool) (o scanOptions, fault resp.Value) {
	o.count = 10
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return o, resp.ErrSyntax
		}
		switch name, arg := args[i], args[i+1]; {
		case is(name, "COUNT"):
			n, ok := parseInt(arg)
			if !ok {
				return o, resp.ErrNotInteger
			}
			if n < 1 {
				return o, resp.ErrSyntax
			}
			o.count = int(n)
		case is(name, "MATCH"):
			o.pattern = string(arg)
			o.match = !glob.All(o.pattern)
		case is(name, "TYPE") && keys:
			o.kind = string(appendLower(nil, arg))
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, resp.Value{}
}

// wholeScan is the size up to which a collection is scanned in one step, as
// Redis does with those that it keeps packed.
const wholeScan = 512

// scanElements answers HSCAN, SSCAN and ZSCAN of a dict, which is nil if there
// is no such key. emit appends what the reply shows of an element. What is scanned in
// one step comes in the given order; see [dict.listed].
func scanElements[V any](d *dict[V], args [][]byte, order func(a, b *node[V]) int,
	emit func(elems []resp.Value, name string, val V) []resp.Value) resp.Value {
	cursor, ok := ParseCursor(args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	if d == nil {
		return scanReply(0, nil)
	}
	o, fault := parseScanOptions(args[3:], false)
	if fault.IsError() {
		return fault
	}
	var elems []resp.Value
	show := func(name string, val V) {
		if o.matches(name) {
			elems = emit(elems, name, val)
		}
	}
	if cursor == 0 && d.len() <= wholeScan {
		for _, n := range d.listed(order) {
			show(n.key, n.val)
		}
		return scanReply(0, elems)
	}
	return scanReply(d.scan(cursor, o.count, show), elems)
}

// scanWrongType is the reply of HSCAN, SSCAN and ZSCAN to a key of another type.
func scanWrongType(args [][]byte) resp.Value {
	if _, ok := ParseCursor(args[2]); !ok {
		return resp.ErrInvalidCursor
	}
	return resp.ErrWrongType
}
