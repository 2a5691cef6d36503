// Package vm is the language Lua 5.1 for scripts that nobody has read: its parser,
// its values and its evaluator. Every step is counted, all memory is charged
// before it is taken, and nothing that a script does can outlive its run. It
// knows no library; [State] is what libraries are written against. It is a leaf.
//
// Iteration over tables, the length of tables with holes, conversions between
// numbers and strings and the texts of errors are those of the reference
// implementation, since scripts' results depend on them. Coroutines, weak tables
// and finalizers there are none.
package vm

import "math"

// Value is a Lua value. The zero Value is nil.
type Value struct {
	ref any // nil, number, boolean, *String, *Table, *Closure, *Native, *Userdata; *cell in a register
	num float64
}

type (
	number  struct{}
	boolean bool
)

// String is a string of bytes.
type String struct {
	s      string
	hash   uint32
	hashed bool
	shared bool // a constant: never counted, never written to again
	mark   uint32
}

// Userdata is a value of the host that scripts can only compare and pass on.
type Userdata struct{ Name string }

// Nil is nil.
var Nil Value

// Num returns a number.
func Num(f float64) Value { return Value{number{}, f} }

// Int returns a number.
func Int(n int) Value { return Value{number{}, float64(n)} }

// Bool returns a boolean.
func Bool(b bool) Value { return Value{ref: boolean(b)} }

// Const returns a string that states may share. It is charged to none: it is for
// libraries and for constants, not for what scripts make.
func Const(s string) Value { return Value{ref: constant(s)} }

func constant(s string) *String { return &String{s: s, hash: hashOf(s), hashed: true, shared: true} }

// UserdataValue returns u as a value.
func UserdataValue(u *Userdata) Value { return Value{ref: u} }

// TableValue returns t as a value.
func TableValue(t *Table) Value { return Value{ref: t} }

// NativeValue returns a function of the host as a value.
func NativeValue(f func(*State, []Value) []Value) Value { return Value{ref: &Native{fn: f}} }

// NativeClosure returns a function of the host that keeps values of the script.
func (st *State) NativeClosure(f func(*State, []Value) []Value, held ...Value) Value {
	st.Charge(closureBytes + len(held)*valueBytes)
	return Value{ref: &Native{fn: f, held: held}}
}

// IsNil reports whether v is nil.
func (v Value) IsNil() bool { return v.ref == nil }

// Truth is what v is as a condition: only nil and false are not true.
func (v Value) Truth() bool {
	switch b := v.ref.(type) {
	case nil:
		return false
	case boolean:
		return bool(b)
	}
	return true
}

// Number returns v if it is a number. Strings are not converted.
func (v Value) Number() (f float64, ok bool) {
	_, ok = v.ref.(number)
	return v.num, ok
}

// Text returns v if it is a string. Numbers are not converted.
func (v Value) Text() (s string, ok bool) {
	if p, ok := v.ref.(*String); ok {
		return p.s, true
	}
	return "", false
}

// Table returns v if it is a table, else nil.
func (v Value) Table() *Table {
	t, _ := v.ref.(*Table)
	return t
}

// Userdata returns v if it is of the host, else nil.
func (v Value) Userdata() *Userdata {
	u, _ := v.ref.(*Userdata)
	return u
}

// Bool returns v if it is a boolean.
func (v Value) Bool() (b, ok bool) {
	t, ok := v.ref.(boolean)
	return bool(t), ok
}

// IsFunction reports whether v is a function.
func (v Value) IsFunction() bool { return v.Type() == "function" }

// Type is the name of v's type.
func (v Value) Type() string {
	switch v.ref.(type) {
	case nil:
		return "nil"
	case number:
		return "number"
	case boolean:
		return "boolean"
	case *String:
		return "string"
	case *Table:
		return "table"
	case *Userdata:
		return "userdata"
	}
	return "function"
}

// Equal compares without metamethods.
func Equal(a, b Value) bool {
	switch x := a.ref.(type) {
	case number:
		_, ok := b.ref.(number)
		return ok && a.num == b.num
	case *String:
		y, ok := b.ref.(*String)
		return ok && (x == y || x.s == y.s)
	}
	return a.ref == b.ref
}

// ToNumber converts as arithmetic does: strings that are numerals are numbers.
func (v Value) ToNumber() (float64, bool) {
	switch x := v.ref.(type) {
	case number:
		return v.num, true
	case *String:
		return ParseNumber(x.s)
	}
	return 0, false
}

// ToText converts as concatenation does: numbers are strings.
func (v Value) ToText() (string, bool) {
	switch x := v.ref.(type) {
	case *String:
		return x.s, true
	case number:
		return FormatNumber(v.num), true
	}
	return "", false
}

func (s *String) hashing() uint32 {
	if !s.hashed {
		s.hash, s.hashed = hashOf(s.s), true
	}
	return s.hash
}

// hashOf is the hash of strings in Redis's Lua, on which the order of keys in a
// table depends.
func hashOf(s string) uint32 {
	h := uint32(len(s))
	for i := len(s) - 1; i >= 0; i-- {
		h ^= h<<5 + h>>2 + uint32(s[i])
	}
	return h
}

func hashNumber(f float64) uint32 {
	if f == 0 {
		return 0
	}
	bits := math.Float64bits(f)
	return uint32(bits) + uint32(bits>>32)
}

// ToInt64 converts a number as C does on amd64: what does not fit is the least
// integer.
func ToInt64(f float64) int64 {
	if f >= -(1<<63) && f < 1<<63 {
		return int64(f)
	}
	return math.MinInt64
}
