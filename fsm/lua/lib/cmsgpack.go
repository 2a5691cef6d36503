package lib

import (
	"encoding/binary"
	"math"

	"phonond/fsm/lua/vm"
)

// CMsgpack returns the library cmsgpack.
func CMsgpack() *vm.Table {
	t := vm.NewShared()
	define(t, map[string]native{
		"pack":   msgpackPack,
		"unpack": func(st *vm.State, args []vm.Value) []vm.Value { return msgpackUnpack(st, args, 0, 0) },
		"unpack_one": func(st *vm.State, args []vm.Value) []vm.Value {
			return msgpackUnpack(st, args, 1, optInteger(st, args, 2, 0))
		},
		"unpack_limit": func(st *vm.State, args []vm.Value) []vm.Value {
			return msgpackUnpack(st, args, integer(st, args, 2), optInteger(st, args, 3, 0))
		},
	})
	t.Define("_NAME", vm.Const("cmsgpack"))
	t.Define("_VERSION", vm.Const("lua-cmsgpack 0.4.0"))
	t.Define("_COPYRIGHT", vm.Const("Copyright (C) 2012, Salvatore Sanfilippo"))
	t.Define("_DESCRIPTION", vm.Const("MessagePack C implementation for Lua"))
	return t
}

const (
	// maxPackDepth is how deep tables are packed; what is deeper becomes nil.
	maxPackDepth = 16
	// maxUnpackDepth bounds the recursion of unpacking.
	maxUnpackDepth = 3000
)

type msgpackEncoder struct{ buffer }

func msgpackPack(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) == 0 {
		st.ArgError(0, "MessagePack pack needs input.")
	}
	e := msgpackEncoder{buffer{st: st}}
	for _, v := range args {
		e.encode(v, 0)
	}
	return st.Return(e.value())
}

// put adds a lead byte and a big-endian number of so many bytes.
func (e *msgpackEncoder) put(lead byte, n uint64, size int) {
	e.grow(1 + size)
	e.b = append(e.b, lead)
	for i := size - 1; i >= 0; i-- {
		e.b = append(e.b, byte(n>>(8*i)))
	}
}

func (e *msgpackEncoder) encode(v vm.Value, depth int) {
	e.st.Spend(1)
	switch v.Type() {
	case "string":
		s, _ := v.Text()
		switch n := uint64(len(s)); {
		case n < 32:
			e.put(0xa0|byte(n), 0, 0)
		case n <= math.MaxUint8:
			e.put(0xd9, n, 1)
		case n <= math.MaxUint16:
			e.put(0xda, n, 2)
		default:
			e.put(0xdb, n, 4)
		}
		e.add(s)
	case "boolean":
		if v.Truth() {
			e.put(0xc3, 0, 0)
		} else {
			e.put(0xc2, 0, 0)
		}
	case "number":
		e.number(v)
	case "table":
		if depth == maxPackDepth {
			e.put(0xc0, 0, 0)
			return
		}
		e.table(v.Table(), depth)
	default:
		e.put(0xc0, 0, 0)
	}
}

func (e *msgpackEncoder) number(v vm.Value) {
	f, _ := v.Number()
	n := vm.ToInt64(f)
	switch {
	case float64(n) != f:
		if float64(float32(f)) == f {
			e.put(0xca, uint64(math.Float32bits(float32(f))), 4)
		} else {
			e.put(0xcb, float64Bits(f), 8)
		}
	case n >= 0:
		switch {
		case n <= math.MaxInt8:
			e.put(byte(n), 0, 0)
		case n <= math.MaxUint8:
			e.put(0xcc, uint64(n), 1)
		case n <= math.MaxUint16:
			e.put(0xcd, uint64(n), 2)
		case n <= math.MaxUint32:
			e.put(0xce, uint64(n), 4)
		default:
			e.put(0xcf, uint64(n), 8)
		}
	case n >= -32:
		e.put(byte(n), 0, 0)
	case n >= math.MinInt8:
		e.put(0xd0, uint64(n), 1)
	case n >= math.MinInt16:
		e.put(0xd1, uint64(n), 2)
	case n >= math.MinInt32:
		e.put(0xd2, uint64(n), 4)
	default:
		e.put(0xd3, uint64(n), 8)
	}
}

func (e *msgpackEncoder) table(t *vm.Table, depth int) {
	most, count, list := 0.0, 0, true
	for k, _, _ := t.Next(vm.Nil); !k.IsNil(); k, _, _ = t.Next(k) {
		e.st.Spend(1)
		f, ok := k.Number()
		list = list && ok && f > 0 && f == math.Floor(f)
		most = max(most, f)
		count++
	}
	if list && most == float64(count) {
		e.size(0x90, 0xdc, count)
		for i := 1; i <= count; i++ {
			e.encode(t.GetInt(i), depth+1)
		}
		return
	}
	e.size(0x80, 0xde, count)
	for k, v, _ := t.Next(vm.Nil); !k.IsNil(); k, v, _ = t.Next(k) {
		e.encode(k, depth+1)
		e.encode(v, depth+1)
	}
}

// size adds the head of a list or a map: short, or with 16 or 32 bits.
func (e *msgpackEncoder) size(short, long byte, n int) {
	switch {
	case n <= 15:
		e.put(short|byte(n), 0, 0)
	case n <= math.MaxUint16:
		e.put(long, uint64(n), 2)
	default:
		e.put(long+1, uint64(n), 4)
	}
}

type msgpackDecoder struct {
	st    *vm.State
	s     string
	depth int
}

func msgpackUnpack(st *vm.State, args []vm.Value, limit, offset int64) []vm.Value {
	s := text(st, args, 1)
	all := limit == 0 && offset == 0
	switch {
	case offset < 0 || limit < 0:
		st.Errorf("Invalid request to unpack with offset of %d and limit of %d.", int32(offset), len(s))
	case offset > int64(len(s)):
		st.Errorf("Start offset %d greater than input length %d.", int32(offset), len(s))
	}
	if all {
		limit = math.MaxInt32
	}
	d := msgpackDecoder{st: st, s: s[offset:]}
	var vs []vm.Value
	if !all {
		vs = append(vs, vm.Nil)
	}
	for n := int64(0); d.s != "" && n < limit; n++ {
		if len(vs) >= maxUnpacked-len(args) {
			st.Errorf("stack overflow (in function mp_unpack_full)")
		}
		v := d.value()
		st.Hold(v)
		vs = append(vs, v)
	}
	if !all {
		vs[0] = vm.Num(-1)
		if d.s != "" {
			vs[0] = vm.Int(len(s) - len(d.s))
		}
	}
	return st.ReturnAll(vs)
}

// take returns the next n bytes.
func (d *msgpackDecoder) take(n int) string {
	if n > len(d.s) {
		d.st.Errorf("Missing bytes in input.")
	}
	s := d.s[:n]
	d.s = d.s[n:]
	return s
}

// uint reads a big-endian number of n bytes.
func (d *msgpackDecoder) uint(n int) uint64 {
	var b [8]byte
	copy(b[8-n:], d.take(n))
	return binary.BigEndian.Uint64(b[:])
}

func (d *msgpackDecoder) value() vm.Value {
	d.st.Spend(1)
	c := d.take(1)[0]
	switch {
	case c < 0x80 || c >= 0xe0:
		return vm.Int(int(int8(c)))
	case c < 0x90:
		return d.fields(int(c & 15))
	case c < 0xa0:
		return d.list(int(c & 15))
	case c < 0xc0:
		return d.text(int(c & 31))
	}
	switch c {
	case 0xc0:
		return vm.Nil
	case 0xc2, 0xc3:
		return vm.Bool(c == 0xc3)
	case 0xca:
		return vm.Num(float64(math.Float32frombits(uint32(d.uint(4)))))
	case 0xcb:
		return vm.Num(math.Float64frombits(d.uint(8)))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return vm.Num(float64(d.uint(1 << (c - 0xcc))))
	case 0xd0:
		return vm.Int(int(int8(d.uint(1))))
	case 0xd1:
		return vm.Int(int(int16(d.uint(2))))
	case 0xd2:
		return vm.Int(int(int32(d.uint(4))))
	case 0xd3:
		return vm.Int(int(d.uint(8)))
	case 0xd9, 0xda, 0xdb:
		return d.text(int(d.uint(1 << (c - 0xd9))))
	case 0xdc, 0xdd:
		return d.list(int(d.uint(2 << (c - 0xdc))))
	case 0xde, 0xdf:
		return d.fields(int(d.uint(2 << (c - 0xde))))
	}
	d.st.Errorf("Bad data format in input.")
	return vm.Nil
}

func (d *msgpackDecoder) text(n int) vm.Value { return d.st.NewString(d.take(n)) }

// open makes a table that is reachable while it is filled.
func (d *msgpackDecoder) open() (t *vm.Table, done func()) {
	if d.depth++; d.depth > maxUnpackDepth {
		d.st.Errorf("stack overflow (in function mp_decode_to_lua_type)")
	}
	t = d.st.NewTable(0, 0)
	m := d.st.Hold(vm.TableValue(t))
	return t, func() {
		d.st.Release(m)
		d.depth--
	}
}

func (d *msgpackDecoder) list(n int) vm.Value {
	t, done := d.open()
	for i := 1; i <= n; i++ {
		if v := d.value(); !v.IsNil() {
			d.st.SetInt(t, i, v)
		}
	}
	done()
	return vm.TableValue(t)
}

func (d *msgpackDecoder) fields(n int) vm.Value {
	t, done := d.open()
	for range n {
		k := d.value()
		d.st.Hold(k)
		d.st.RawSet(t, k, d.value())
	}
	done()
	return vm.TableValue(t)
}
