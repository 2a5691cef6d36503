package lib

import "phonond/fsm/lua/vm"

// String returns the library string.
func String() *vm.Table {
	t := vm.NewShared()
	define(t, map[string]native{
		"byte":    stringByte,
		"char":    stringChar,
		"dump":    stringDump,
		"find":    func(st *vm.State, args []vm.Value) []vm.Value { return findOrMatch(st, args, true) },
		"format":  stringFormat,
		"gfind":   gmatch, // its old name
		"gmatch":  gmatch,
		"gsub":    gsub,
		"len":     func(st *vm.State, args []vm.Value) []vm.Value { return st.Return(vm.Int(len(text(st, args, 1)))) },
		"lower":   func(st *vm.State, args []vm.Value) []vm.Value { return mapBytes(st, args, lower) },
		"match":   func(st *vm.State, args []vm.Value) []vm.Value { return findOrMatch(st, args, false) },
		"rep":     rep,
		"reverse": reverse,
		"sub":     sub,
		"upper":   func(st *vm.State, args []vm.Value) []vm.Value { return mapBytes(st, args, upper) },
	})
	return t
}

// position makes a position that may count from the end count from the start.
func position(at int64, size int) int64 {
	if at < 0 {
		at += int64(size) + 1
	}
	return max(at, 0)
}

func stringByte(st *vm.State, args []vm.Value) []vm.Value {
	s := text(st, args, 1)
	from := position(optInteger(st, args, 2, 1), len(s))
	to := position(optInteger(st, args, 3, from), len(s))
	from, to = max(from, 1), min(to, int64(len(s)))
	if from > to {
		return st.Return()
	}
	if to-from+1 > maxUnpacked-int64(len(args)) {
		st.Errorf("stack overflow (string slice too long)")
	}
	vs := make([]vm.Value, to-from+1)
	for i := range vs {
		vs[i] = vm.Int(int(s[int(from)-1+i]))
	}
	return st.ReturnAll(vs)
}

func stringChar(st *vm.State, args []vm.Value) []vm.Value {
	b := make([]byte, len(args))
	for i := range args {
		c := cint(st, args, i+1)
		if c < 0 || c > 255 {
			st.ArgError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	return st.Return(st.NewString(string(b)))
}

// stringDump refuses: there is no form of a function that could be loaded again.
func stringDump(st *vm.State, args []vm.Value) []vm.Value {
	function(st, args, 1)
	st.Errorf("unable to dump given function")
	return nil
}

func mapBytes(st *vm.State, args []vm.Value, f func(byte) byte) []vm.Value {
	s := text(st, args, 1)
	b := buffer{st: st}
	b.grow(len(s))
	st.Spend(len(s) / 16)
	for i := range len(s) {
		b.b = append(b.b, f(s[i]))
	}
	return st.Return(b.value())
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

func rep(st *vm.State, args []vm.Value) []vm.Value {
	s, n := text(st, args, 1), cint(st, args, 2)
	if n <= 0 || s == "" {
		return st.Return(vm.Const(""))
	}
	b := buffer{st: st}
	b.grow(n * len(s))
	st.Spend(n*len(s)/64 + n/4)
	for range n {
		b.b = append(b.b, s...)
	}
	return st.Return(b.value())
}

func reverse(st *vm.State, args []vm.Value) []vm.Value {
	s := text(st, args, 1)
	b := buffer{st: st}
	b.grow(len(s))
	st.Spend(len(s) / 16)
	for i := len(s) - 1; i >= 0; i-- {
		b.b = append(b.b, s[i])
	}
	return st.Return(b.value())
}

func sub(st *vm.State, args []vm.Value) []vm.Value {
	s := text(st, args, 1)
	from := position(integer(st, args, 2), len(s))
	to := position(optInteger(st, args, 3, -1), len(s))
	from, to = max(from, 1), min(to, int64(len(s)))
	if from > to {
		return st.Return(vm.Const(""))
	}
	return st.Return(substring(st, s, int(from)-1, int(to)))
}

// substring copies, so that a small part does not keep the whole.
func substring(st *vm.State, s string, from, to int) vm.Value {
	if from == 0 && to == len(s) {
		return st.NewString(s)
	}
	b := buffer{st: st}
	b.add(s[from:to])
	return b.value()
}
