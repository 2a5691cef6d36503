package vm

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Names of metamethods.
var (
	metaIndex     = constant("__index")
	metaNewIndex  = constant("__newindex")
	metaCall      = constant("__call")
	metaConcat    = constant("__concat")
	metaEq        = constant("__eq")
	metaLt        = constant("__lt")
	metaLe        = constant("__le")
	metaUnm       = constant("__unm")
	metaToString  = constant("__tostring")
	metaMetatable = constant("__metatable")
)

// maxMetaChain is how many __index in a row are followed.
const maxMetaChain = 100

func (st *State) metafield(v Value, name *String) Value {
	switch x := v.ref.(type) {
	case *Table:
		if x.meta != nil {
			return x.meta.getString(name)
		}
	case *String:
		return st.Strings.getString(name)
	}
	return Nil
}

// Metatable returns the metatable of v or nil.
func (st *State) Metatable(v Value) *Table {
	switch x := v.ref.(type) {
	case *Table:
		return x.meta
	case *String:
		return st.Strings
	}
	return nil
}

// call1 calls a metamethod for one result.
func (st *State) call1(f Value, args ...Value) Value {
	if rets := st.Call(f, args...); len(rets) > 0 {
		return rets[0]
	}
	return Nil
}

// Index is v[key].
func (st *State) Index(v, key Value) Value { return st.index(v, key, nil) }

func (st *State) index(v, key Value, at *site) Value {
	for range maxMetaChain {
		var meta Value
		if t, ok := v.ref.(*Table); ok {
			if r := t.Get(key); !r.IsNil() || t.meta == nil {
				return r
			}
			if meta = t.meta.getString(metaIndex); meta.IsNil() {
				return Nil
			}
		} else if meta = st.metafield(v, metaIndex); meta.IsNil() {
			st.typeError("index", v, at)
		}
		if meta.IsFunction() {
			return st.call1(meta, v, key)
		}
		v, at = meta, nil
	}
	st.fail("loop in gettable")
	return Nil
}

func (st *State) setIndex(v, key, val Value, at *site) {
	for range maxMetaChain {
		var meta Value
		if t, ok := v.ref.(*Table); ok {
			if t.locked {
				st.fail("Attempt to modify a readonly table")
			}
			p := t.slot(key)
			if p != nil && !p.IsNil() || t.meta == nil {
				st.store(t, key, val, p)
				return
			}
			if meta = t.meta.getString(metaNewIndex); meta.IsNil() {
				st.store(t, key, val, p)
				return
			}
		} else if meta = st.metafield(v, metaNewIndex); meta.IsNil() {
			st.typeError("index", v, at)
		}
		if meta.IsFunction() {
			st.Call(meta, v, key, val)
			return
		}
		v, at = meta, nil
	}
	st.fail("loop in settable")
}

func (st *State) store(t *Table, key, val Value, place *Value) {
	if place != nil {
		*place = val
		return
	}
	switch key.ref.(type) {
	case nil:
		st.fail("table index is nil")
	case number:
		if key.num != key.num {
			st.fail("table index is NaN")
		}
	}
	t.insert(st, key, val)
}

// RawSet sets a field without metamethods.
func (st *State) RawSet(t *Table, key, val Value) {
	if t.locked {
		st.Throw(st.NewString("Attempt to modify a readonly table"))
	}
	st.store(t, key, val, t.slot(key))
}

// SetMetatable gives t a metatable, or none.
func (st *State) SetMetatable(t, meta *Table) {
	if t.locked {
		st.Throw(st.NewString("Attempt to modify a readonly table"))
	}
	t.meta = meta
}

// SetInt sets t[i] of a table that a library has made.
func (st *State) SetInt(t *Table, i int, v Value) { t.put(st, Int(i), v) }

// SetField sets a field, whose name must be a constant, of a table that a library has
// made.
func (st *State) SetField(t *Table, name, v Value) { t.put(st, name, v) }

type arithOp struct {
	meta *String
	fn   func(a, b float64) float64
}

var (
	opAdd = &arithOp{constant("__add"), func(a, b float64) float64 { return a + b }}
	opSub = &arithOp{constant("__sub"), func(a, b float64) float64 { return a - b }}
	opMul = &arithOp{constant("__mul"), func(a, b float64) float64 { return a * b }}
	opDiv = &arithOp{constant("__div"), divide}
	opMod = &arithOp{constant("__mod"), modulo}
	opPow = &arithOp{constant("__pow"), math.Pow}
)

// divide makes the not-a-number of 0/0 negative, as amd64 does.
func divide(a, b float64) float64 {
	if r := a / b; r == r || a != a || b != b {
		return r
	}
	return math.Copysign(math.NaN(), -1)
}

func modulo(a, b float64) float64 {
	if b == 0 || math.IsInf(a, 0) {
		return math.Copysign(math.NaN(), -1)
	}
	return a - float64(math.Floor(a/b)*b)
}

// arith is what the closures of the compiler do not do at once: strings that are
// numerals, metamethods, errors.
func (st *State) arith(op *arithOp, a, b Value, left, right *site) Value {
	x, okx := a.ToNumber()
	y, oky := b.ToNumber()
	if okx && oky {
		return Num(op.fn(x, y))
	}
	meta := st.metafield(a, op.meta)
	if meta.IsNil() {
		meta = st.metafield(b, op.meta)
	}
	if meta.IsNil() {
		if okx {
			a, left = b, right
		}
		st.typeError("perform arithmetic on", a, left)
	}
	return st.call1(meta, a, b)
}

func (st *State) negate(v Value, at *site) Value {
	if f, ok := v.ToNumber(); ok {
		return Num(-f)
	}
	meta := st.metafield(v, metaUnm)
	if meta.IsNil() {
		st.typeError("perform arithmetic on", v, at)
	}
	return st.call1(meta, v, v)
}

func (st *State) length(v Value, at *site) Value {
	switch x := v.ref.(type) {
	case *String:
		return Int(len(x.s))
	case *Table:
		return Int(x.Len())
	}
	st.typeError("get length of", v, at)
	return Nil
}

func (st *State) equal(a, b Value) bool {
	x, okx := a.ref.(*Table)
	y, oky := b.ref.(*Table)
	if !okx || !oky || x == y || x.meta == nil || y.meta == nil {
		return Equal(a, b)
	}
	meta := x.meta.getString(metaEq)
	if meta.IsNil() || x.meta != y.meta && !Equal(meta, y.meta.getString(metaEq)) {
		return false
	}
	return st.call1(meta, a, b).Truth()
}

// Less is a < b.
func (st *State) Less(a, b Value) bool {
	switch x := a.ref.(type) {
	case number:
		if _, ok := b.ref.(number); ok {
			return a.num < b.num
		}
	case *String:
		if y, ok := b.ref.(*String); ok {
			st.Spend(min(len(x.s), len(y.s)) / 64)
			return x.s < y.s
		}
	}
	r, ok := st.compare(metaLt, a, b)
	if !ok {
		st.compareError(a, b)
	}
	return r
}

func (st *State) lessEqual(a, b Value) bool {
	switch x := a.ref.(type) {
	case number:
		if _, ok := b.ref.(number); ok {
			return a.num <= b.num
		}
	case *String:
		if y, ok := b.ref.(*String); ok {
			st.Spend(min(len(x.s), len(y.s)) / 64)
			return x.s <= y.s
		}
	}
	r, ok := st.compare(metaLe, a, b)
	if !ok {
		if r, ok = st.compare(metaLt, b, a); !ok {
			st.compareError(a, b)
		}
		r = !r
	}
	return r
}

// compare asks a metamethod that both values have.
func (st *State) compare(name *String, a, b Value) (r, ok bool) {
	if a.Type() != b.Type() {
		return false, false
	}
	meta := st.metafield(a, name)
	if meta.IsNil() || !Equal(meta, st.metafield(b, name)) {
		return false, false
	}
	return st.call1(meta, a, b).Truth(), true
}

// concat joins values from the right. They are part of the stack.
func (st *State) concat(vs []Value, at []*site) Value {
	for n := len(vs); ; {
		// As many as are strings or numbers are joined at once.
		from, size := n, 0
		var buf [4]string
		texts := buf[:0]
		for from > 0 {
			s, ok := vs[from-1].ToText()
			if !ok {
				break
			}
			from--
			size += len(s)
			texts = append(texts, s)
		}
		if n-from >= 2 {
			st.Charge(stringBytes + size)
			st.Spend(size / 64)
			var b strings.Builder
			b.Grow(size)
			for i := len(texts) - 1; i >= 0; i-- {
				b.WriteString(texts[i])
			}
			vs[from] = Value{ref: &String{s: b.String()}}
			n = from + 1
		} else {
			a, b := vs[n-2], vs[n-1]
			meta := st.metafield(a, metaConcat)
			if meta.IsNil() {
				meta = st.metafield(b, metaConcat)
			}
			if meta.IsNil() {
				culprit := n - 2
				if _, ok := a.ToText(); ok {
					culprit = n - 1
				}
				st.typeError("concatenate", vs[culprit], at[culprit])
			}
			vs[n-2] = st.call1(meta, a, b)
			n--
		}
		if n == 1 {
			return vs[0]
		}
	}
}

// ToString is what the function tostring returns.
func (st *State) ToString(v Value) Value {
	if meta := st.metafield(v, metaToString); !meta.IsNil() {
		return st.call1(meta, v)
	}
	switch x := v.ref.(type) {
	case *String:
		return v
	case number:
		return st.NewString(FormatNumber(v.num))
	case boolean:
		return Const(strconv.FormatBool(bool(x)))
	case nil:
		return Const("nil")
	case *Table:
		return st.NewString(address("table", x.id))
	case *Closure:
		return st.NewString(address("function", x.id))
	case *Userdata:
		return Const("userdata: NULL")
	}
	return Const("function: builtin")
}

// address stands for a place in memory: it differs between values of a run, and is the
// same in every run.
func address(kind string, id uint32) string {
	return fmt.Sprintf("%s: 0x%x", kind, 0x7f0000000000+uint64(id)*64)
}

// Protected returns the field __metatable of v's metatable.
func (st *State) Protected(v Value) Value { return st.metafield(v, metaMetatable) }
