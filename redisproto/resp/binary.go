package resp

import (
	"encoding/binary"
	"errors"
)

// ErrBadValue is returned when bytes are not a value that [Value.AppendBinary]
// wrote.
var ErrBadValue = errors.New("resp: malformed binary value")

// MaxDepth bounds the nesting of a decoded value. No command nests deeper than five,
// but scripts do as they like.
const MaxDepth = 8000

// maxAhead is how many elements are allocated on the word of a count alone.
const maxAhead = 1024

// AppendBinary appends v in the form in which nodes and snapshots keep replies:
// a byte for the kind, then a varint, or a length and bytes, or a count and
// elements. Unlike RESP it keeps every kind, whatever the reader's protocol.
func (v Value) AppendBinary(b []byte) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case Integer, Bool:
		b = binary.AppendVarint(b, v.Int)
	case Simple, Error, Bulk, Double, BigNumber, Verbatim:
		b = binary.AppendUvarint(b, uint64(len(v.Str)))
		b = append(b, v.Str...)
	case Array, Map, Set, Push, Tuples:
		b = binary.AppendUvarint(b, uint64(len(v.Elems)))
		for _, e := range v.Elems {
			b = e.AppendBinary(b)
		}
	}
	return b
}

// DecodeBinary reads one value from b and returns the bytes after it. It
// returns [ErrBadValue] for anything that AppendBinary did not write, and never
// allocates more than the input's length warrants.
func DecodeBinary(b []byte) (Value, []byte, error) { return decode(b, MaxDepth) }

func decode(b []byte, depth int) (Value, []byte, error) {
	if len(b) == 0 || depth == 0 {
		return Value{}, nil, ErrBadValue
	}
	v := Value{Kind: Kind(b[0])}
	b = b[1:]
	switch v.Kind {
	case None, Nil, NilArray:
		return v, b, nil
	case Integer, Bool:
		n, used := binary.Varint(b)
		if !shortest(b, used) {
			return Value{}, nil, ErrBadValue
		}
		v.Int = n
		return v, b[used:], nil
	case Simple, Error, Bulk, Double, BigNumber, Verbatim:
		n, used := binary.Uvarint(b)
		if !shortest(b, used) || n > uint64(len(b)-used) {
			return Value{}, nil, ErrBadValue
		}
		b = b[used:]
		v.Str = string(b[:n])
		return v, b[n:], nil
	case Array, Map, Set, Push, Tuples:
		twos := v.Kind == Map || v.Kind == Tuples
		n, used := binary.Uvarint(b)
		if !shortest(b, used) || n > uint64(len(b)-used) || twos && n%2 != 0 {
			return Value{}, nil, ErrBadValue
		}
		b = b[used:]
		if n > 0 {
			v.Elems = make([]Value, 0, min(n, maxAhead))
		}
		for range n {
			e, rest, err := decode(b, depth-1)
			if err != nil {
				return Value{}, nil, err
			}
			v.Elems = append(v.Elems, e)
			b = rest
		}
		return v, b, nil
	}
	return Value{}, nil, ErrBadValue
}

// shortest reports whether a number was read, of so many bytes, that could not have
// been written in fewer.
func shortest(b []byte, used int) bool { return used == 1 || used > 1 && b[used-1] != 0 }
