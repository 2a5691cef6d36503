package fsm

import (
	"bytes"
	"math"

	"phonond/redisproto/resp"
)

// bitfieldOp is one operation of BITFIELD on the integer at a position.
type bitfieldOp struct {
	kind     bitfieldKind
	overflow overflowRule
	integer  bitInteger
	value    int64 // what is set or added
}

type bitfieldKind byte

const (
	bitfieldGet bitfieldKind = iota
	bitfieldSet
	bitfieldIncrBy
)

// overflowRule is what becomes of a value that does not fit.
type overflowRule byte

const (
	overflowWrap overflowRule = iota
	overflowSaturate
	overflowFail
)

// bitInteger is where an integer is in a string, and how wide.
type bitInteger struct {
	signed bool
	bits   uint
	offset int64
}

// end returns the number of bytes that a string with the integer has at least.
func (n bitInteger) end() int64 { return (n.offset+int64(n.bits)-1)>>3 + 1 }

func bitfieldCmd(t *Tx, args [][]byte) resp.Value {
	ops, size, fault := parseBitfield(args[2:])
	if fault.IsError() {
		return fault
	}
	s, _, ok := getString(&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if size == 0 {
		return readBitfield(s, ops)
	}
	// The string grows to its new size even when no operation changes a bit.
	b := grown(s, int(size))
	replies := make([]resp.Value, len(ops))
	written := false
	for i, op := range ops {
		replies[i] = op.apply(b)
		written = written || op.kind != bitfieldGet && replies[i].Kind != resp.Nil
	}
	if string(b) != s {
		t.growString(args[1], string(b))
	}
	if string(b) != s && written {
		t.notify(EventString, "setbit", args[1])
	}
	return resp.List(replies...)
}

// bitfieldRefuse answers a BITFIELD that only reads.
func bitfieldRefuse(v *View, args [][]byte) (resp.Value, bool) {
	ops, size, fault := parseBitfield(args[2:])
	switch {
	case fault.IsError():
		return fault, true
	case size > 0:
		return resp.Value{}, false
	}
	return v.readBitfield(args[1], ops), true
}

func bitfieldROCmd(v *View, args [][]byte) resp.Value {
	ops, size, fault := parseBitfield(args[2:])
	switch {
	case fault.IsError():
		return fault
	case size > 0:
		return resp.Err("ERR BITFIELD_RO only supports the GET subcommand")
	}
	return v.readBitfield(args[1], ops)
}

func (v *View) readBitfield(key []byte, ops []bitfieldOp) resp.Value {
	s, _, ok := getString(v, key)
	if !ok {
		return resp.ErrWrongType
	}
	return readBitfield(s, ops)
}

func readBitfield(s string, ops []bitfieldOp) resp.Value {
	replies := make([]resp.Value, len(ops))
	for i, op := range ops {
		replies[i] = resp.Int64(op.integer.extend(getBits(s, op.integer)))
	}
	return resp.List(replies...)
}

// parseBitfield reads the operations of BITFIELD, and returns the size that the
// string has at least after them, 0 if all of them read.
func parseBitfield(args [][]byte) (ops []bitfieldOp, size int64, fault resp.Value) {
	rule := overflowWrap
	for len(args) > 0 {
		op, n := bitfieldOp{overflow: rule}, 4
		switch a, left := args[0], len(args)-1; {
		case is(a, "GET") && left >= 2:
			n = 3
		case is(a, "SET") && left >= 3:
			op.kind = bitfieldSet
		case is(a, "INCRBY") && left >= 3:
			op.kind = bitfieldIncrBy
		case is(a, "OVERFLOW") && left >= 1:
			var ok bool
			if rule, ok = parseOverflow(args[1]); !ok {
				return nil, 0, resp.Err("ERR Invalid OVERFLOW type specified")
			}
			args = args[2:]
			continue
		default:
			return nil, 0, resp.ErrSyntax
		}
		if op.integer, fault = parseBitInteger(args[1], args[2]); fault.IsError() {
			return nil, 0, fault
		}
		if op.kind != bitfieldGet {
			var ok bool
			if op.value, ok = parseInt(args[3]); !ok {
				return nil, 0, resp.ErrNotInteger
			}
			size = max(size, op.integer.end())
		}
		ops = append(ops, op)
		args = args[n:]
	}
	return ops, size, fault
}

func parseOverflow(arg []byte) (rule overflowRule, ok bool) {
	switch {
	case is(arg, "WRAP"):
		return overflowWrap, true
	case is(arg, "SAT"):
		return overflowSaturate, true
	case is(arg, "FAIL"):
		return overflowFail, true
	}
	return 0, false
}

var errBitfieldType = resp.Err("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")

// parseBitInteger reads a type such as i16 or u8, and an offset in bits or, with #
// in front, in integers of that type.
func parseBitInteger(kind, at []byte) (n bitInteger, fault resp.Value) {
	if len(kind) == 0 || kind[0] != 'i' && kind[0] != 'u' {
		return n, errBitfieldType
	}
	n.signed = kind[0] == 'i'
	digits, _, _ := bytes.Cut(kind[1:], []byte{0}) // for Redis it is a string of C
	width, ok := parseInt(digits)
	if !ok || width < 1 || width > 64 || width == 64 && !n.signed {
		return n, errBitfieldType
	}
	n.bits = uint(width)
	hash := bytes.HasPrefix(at, []byte("#"))
	n.offset, ok = parseInt(bytes.TrimPrefix(at, []byte("#")))
	if hash {
		n.offset *= width // what overflows is out of range, or as Redis has it
	}
	if !ok || n.offset < 0 || n.offset>>3 >= MaxString || n.end() > MaxString {
		return n, errBitOffset
	}
	return n, fault
}

// getBits reads an integer's bits; beyond the end of s they are 0.
func getBits[T string | []byte](s T, n bitInteger) (value uint64) {
	for at := n.offset; at < n.offset+int64(n.bits); at++ {
		value <<= 1
		if i := int(at >> 3); i < len(s) && s[i]&bitMask(at) != 0 {
			value |= 1
		}
	}
	return value
}

// setBits writes an integer's bits.
func setBits(b []byte, n bitInteger, value uint64) {
	for i := range n.bits {
		at := n.offset + int64(i)
		b[at>>3] &^= bitMask(at)
		if value>>(n.bits-1-i)&1 != 0 {
			b[at>>3] |= bitMask(at)
		}
	}
}

// extend turns bits into the integer that they stand for.
func (n bitInteger) extend(value uint64) int64 {
	if n.signed {
		unused := 64 - n.bits
		return int64(value<<unused) >> unused
	}
	return int64(value)
}

// limits returns the least and the greatest value that fits.
func (n bitInteger) limits() (least, greatest int64) {
	if n.signed {
		greatest = math.MaxInt64 >> (64 - n.bits)
		return -greatest - 1, greatest
	}
	return 0, math.MaxInt64 >> (63 - n.bits)
}

// apply executes the operation on b, which is long enough if it writes.
func (op bitfieldOp) apply(b []byte) resp.Value {
	old := op.integer.extend(getBits(b, op.integer))
	if op.kind == bitfieldGet {
		return resp.Int64(old)
	}
	value, fits := op.result(old)
	if !fits && op.overflow == overflowFail {
		return resp.Null
	}
	setBits(b, op.integer, uint64(value))
	if op.kind == bitfieldSet {
		return resp.Int64(old)
	}
	return resp.Int64(value)
}

// result returns the new value, brought into the limits as the rule says, and
// whether it was in them.
func (op bitfieldOp) result(old int64) (value int64, fits bool) {
	least, greatest := op.integer.limits()
	over, under := false, false
	if op.kind == bitfieldSet {
		value = op.value
		// To Redis a negative number is far above all that have no sign.
		over = value > greatest || value < 0 && !op.integer.signed
		under = value < least && !over
	} else {
		value = old + op.value
		over = op.value > 0 && old > greatest-op.value
		under = op.value < 0 && old <= least-(op.value+1)
	}
	switch {
	case !over && !under:
		return value, true
	case op.overflow == overflowSaturate && over:
		return greatest, false
	case op.overflow == overflowSaturate:
		return least, false
	}
	return op.integer.extend(uint64(value) << (64 - op.integer.bits) >> (64 - op.integer.bits)), false
}
