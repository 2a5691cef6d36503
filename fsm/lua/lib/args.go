// Package lib holds the libraries of Redis's Lua: base, string, table, math, bit,
// cjson, cmsgpack and struct. They are tables that all states share and no script
// can change. What takes time or memory is charged to the state that calls.
package lib

import "phonond/fsm/lua/vm"

// Settings are what the libraries keep for the length of a run.
type Settings struct {
	Rand  Rand48 // of math.random
	cjson cjsonSettings
}

// Reset makes the settings of libraries those with which a script begins.
func (s *Settings) Reset() { s.cjson = cjsonDefaults }

// Holder is what the libraries expect [vm.State.Host] to be.
type Holder interface{ Settings() *Settings }

func settings(st *vm.State) *Settings { return st.Host.(Holder).Settings() }

// The functions here read argument n, counted from 1, of a library's function, and
// raise an error if it is not what it should be.

func arg(args []vm.Value, n int) vm.Value {
	if n <= len(args) {
		return args[n-1]
	}
	return vm.Nil
}

func checkAny(st *vm.State, args []vm.Value, n int) {
	if n > len(args) {
		st.ArgError(n, "value expected")
	}
}

func number(st *vm.State, args []vm.Value, n int) float64 {
	f, ok := arg(args, n).ToNumber()
	if !ok {
		st.ArgTypeError(args, n, "number")
	}
	return f
}

func integer(st *vm.State, args []vm.Value, n int) int64 { return vm.ToInt64(number(st, args, n)) }

// cint is an int of C, of 32 bits.
func cint(st *vm.State, args []vm.Value, n int) int { return int(int32(integer(st, args, n))) }

func optInteger(st *vm.State, args []vm.Value, n int, otherwise int64) int64 {
	if arg(args, n).IsNil() {
		return otherwise
	}
	return integer(st, args, n)
}

func optCint(st *vm.State, args []vm.Value, n int, otherwise int) int {
	if arg(args, n).IsNil() {
		return otherwise
	}
	return cint(st, args, n)
}

func text(st *vm.State, args []vm.Value, n int) string {
	s, ok := arg(args, n).ToText()
	if !ok {
		st.ArgTypeError(args, n, "string")
	}
	return s
}

func optText(st *vm.State, args []vm.Value, n int, otherwise string) string {
	if arg(args, n).IsNil() {
		return otherwise
	}
	return text(st, args, n)
}

func table(st *vm.State, args []vm.Value, n int) *vm.Table {
	t := arg(args, n).Table()
	if t == nil {
		st.ArgTypeError(args, n, "table")
	}
	return t
}

func function(st *vm.State, args []vm.Value, n int) vm.Value {
	f := arg(args, n)
	if !f.IsFunction() {
		st.ArgTypeError(args, n, "function")
	}
	return f
}

type native = func(st *vm.State, args []vm.Value) []vm.Value

// define adds functions to a library.
func define(t *vm.Table, functions map[string]native) {
	for name, f := range functions {
		t.Define(name, vm.NativeValue(f))
	}
}

// buffer builds a result. What it holds is pinned until it is done.
type buffer struct {
	st  *vm.State
	b   []byte
	cap int
}

// grow makes room for n bytes more.
func (b *buffer) grow(n int) {
	if need := len(b.b) + n; need > b.cap {
		size := max(need, 2*b.cap, 64)
		b.st.Pin(size - b.cap)
		b.cap = size
		next := make([]byte, len(b.b), size)
		copy(next, b.b)
		b.b = next
	}
}

func (b *buffer) add(s string) {
	b.grow(len(s))
	b.b = append(b.b, s...)
	b.st.Spend(len(s) / 64)
}

func (b *buffer) addByte(c byte) {
	b.grow(1)
	b.b = append(b.b, c)
}

// value ends the building.
func (b *buffer) value() vm.Value {
	v := b.st.NewString(string(b.b))
	b.st.Pin(-b.cap)
	b.b, b.cap = nil, 0
	return v
}
