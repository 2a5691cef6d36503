// Package resp holds the replies of the Redis protocol: their values, their
// bytes in RESP2 and RESP3, and the error texts that Redis clients know by
// heart. It is a leaf: the state machine makes values, the server writes them,
// and everything between passes them on untouched.
package resp

import "strconv"

// Kind tells what a [Value] is. The zero Kind is no reply at all.
type Kind byte

// The kinds of RESP3. RESP2 clients see the nearest older kind: a map and a
// set become an array, a double and a verbatim string a bulk string, a boolean
// an integer.
const (
	None      Kind = iota
	Simple         // +OK
	Error          // -ERR text
	Integer        // :1
	Bulk           // $3 foo
	Nil            // $-1 in RESP2, _ in RESP3
	NilArray       // *-1 in RESP2, _ in RESP3
	Array          // *2 ...
	Map            // Elems is key, value, key, value, ...
	Set            // ~2 ...
	Double         // Str is the number as Redis prints it
	Bool           // Int is 0 or 1
	BigNumber      // Str is the decimal number
	Verbatim       // Str is the text; its format is always "txt"
	Push           // >2 ..., RESP3 only
	Tuples         // Elems is a, b, a, b, ...: flat in RESP2, a list of pairs in RESP3
)

// Value is one reply. It is immutable once made: replicas keep replies to
// answer retries, and share their strings with the state.
type Value struct {
	Kind  Kind
	Int   int64
	Str   string
	Elems []Value
}

// OK is the reply of a command that has nothing else to say.
var OK = Value{Kind: Simple, Str: "OK"}

// Null is the reply for a value that is not there.
var Null = Value{Kind: Nil}

// NullArray is the reply for a list of values that is not there.
var NullArray = Value{Kind: NilArray}

// EmptyArray is an array without elements.
var EmptyArray = Value{Kind: Array}

// Int returns an integer reply.
func Int(n int) Value { return Value{Kind: Integer, Int: int64(n)} }

// Int64 returns an integer reply.
func Int64(n int64) Value { return Value{Kind: Integer, Int: n} }

// Flag returns the integer reply 1 for true and 0 for false.
func Flag(b bool) Value {
	if b {
		return Value{Kind: Integer, Int: 1}
	}
	return Value{Kind: Integer}
}

// Str returns a bulk string reply.
func Str(s string) Value { return Value{Kind: Bulk, Str: s} }

// Status returns a simple string reply.
func Status(s string) Value { return Value{Kind: Simple, Str: s} }

// List returns an array reply.
func List(elems ...Value) Value { return Value{Kind: Array, Elems: elems} }

// Strs returns an array of bulk strings.
func Strs(ss ...string) Value {
	elems := make([]Value, len(ss))
	for i, s := range ss {
		elems[i] = Str(s)
	}
	return Value{Kind: Array, Elems: elems}
}

// Pairs returns a map reply of alternating keys and values. RESP2 clients see
// a flat array.
func Pairs(elems ...Value) Value { return Value{Kind: Map, Elems: elems} }

// Twos returns elements that come in twos, such as members with their scores.
// RESP2 clients see a flat array.
func Twos(elems ...Value) Value { return Value{Kind: Tuples, Elems: elems} }

// IsError reports whether v is an error reply.
func (v Value) IsError() bool { return v.Kind == Error }

// Size is about how many bytes v takes on the wire.
func (v Value) Size() int64 {
	n := int64(len(v.Str)) + 16
	for _, e := range v.Elems {
		n += e.Size()
	}
	return n
}

// Append appends the bytes of v in the given protocol version (2 or 3).
func (v Value) Append(b []byte, proto int) []byte {
	switch v.Kind {
	case Simple:
		return appendLine(b, '+', v.Str)
	case Error:
		return appendLine(b, '-', v.Str)
	case Integer:
		return appendInt(b, ':', v.Int)
	case Bulk:
		return appendBulk(b, v.Str)
	case Nil, NilArray, None:
		switch {
		case proto >= 3:
			return append(b, "_\r\n"...)
		case v.Kind == NilArray:
			return append(b, "*-1\r\n"...)
		}
		return append(b, "$-1\r\n"...)
	case Array:
		return appendElems(appendInt(b, '*', int64(len(v.Elems))), v.Elems, proto)
	case Map:
		if proto >= 3 {
			return appendElems(appendInt(b, '%', int64(len(v.Elems)/2)), v.Elems, proto)
		}
		return appendElems(appendInt(b, '*', int64(len(v.Elems))), v.Elems, proto)
	case Set, Push:
		lead := byte('*')
		if proto >= 3 {
			lead = '~'
			if v.Kind == Push {
				lead = '>'
			}
		}
		return appendElems(appendInt(b, lead, int64(len(v.Elems))), v.Elems, proto)
	case Tuples:
		if proto < 3 {
			return appendElems(appendInt(b, '*', int64(len(v.Elems))), v.Elems, proto)
		}
		b = appendInt(b, '*', int64(len(v.Elems)/2))
		for i := 0; i+1 < len(v.Elems); i += 2 {
			b = appendElems(append(b, "*2\r\n"...), v.Elems[i:i+2], proto)
		}
		return b
	case Double:
		if proto >= 3 {
			return appendLine(b, ',', v.Str)
		}
		return appendBulk(b, v.Str)
	case Bool:
		if proto >= 3 {
			if v.Int != 0 {
				return append(b, "#t\r\n"...)
			}
			return append(b, "#f\r\n"...)
		}
		return appendInt(b, ':', v.Int)
	case BigNumber:
		if proto >= 3 {
			return appendLine(b, '(', v.Str)
		}
		return appendBulk(b, v.Str)
	case Verbatim:
		if proto >= 3 {
			b = appendInt(b, '=', int64(len(v.Str)+4))
			b = append(b, "txt:"...)
			b = append(b, v.Str...)
			return append(b, '\r', '\n')
		}
		return appendBulk(b, v.Str)
	}
	panic("resp: unknown kind " + strconv.Itoa(int(v.Kind)))
}

func appendLine(b []byte, lead byte, s string) []byte {
	b = append(b, lead)
	b = append(b, s...)
	return append(b, '\r', '\n')
}

func appendInt(b []byte, lead byte, n int64) []byte {
	b = append(b, lead)
	b = strconv.AppendInt(b, n, 10)
	return append(b, '\r', '\n')
}

func appendBulk(b []byte, s string) []byte {
	b = appendInt(b, '$', int64(len(s)))
	b = append(b, s...)
	return append(b, '\r', '\n')
}

func appendElems(b []byte, elems []Value, proto int) []byte {
	for _, e := range elems {
		b = e.Append(b, proto)
	}
	return b
}
