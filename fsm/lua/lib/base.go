package lib

import (
	"strings"

	"phonond/fsm/lua/vm"
)

// Base defines the functions that are globals. Those that reach files, environments
// and coroutines are left out; pcall is Redis's.
func Base(globals *vm.Table) {
	next := vm.NativeValue(baseNext)
	step := vm.NativeValue(ipairsStep)
	define(globals, map[string]native{
		"assert":         baseAssert,
		"collectgarbage": collectGarbage,
		"error":          baseError,
		"gcinfo":         func(st *vm.State, _ []vm.Value) []vm.Value { return st.Return(vm.Int(st.Used() >> 10)) },
		"getmetatable":   getMetatable,
		"load":           baseLoad,
		"loadstring":     loadString,
		"pcall":          pcall,
		"rawequal":       rawEqual,
		"rawget":         rawGet,
		"rawset":         rawSet,
		"select":         baseSelect,
		"setmetatable":   setMetatable,
		"tonumber":       toNumber,
		"tostring":       toString,
		"type":           baseType,
		"unpack":         unpack,
		"xpcall":         xpcall,
		"pairs": func(st *vm.State, args []vm.Value) []vm.Value {
			t := table(st, args, 1)
			return st.Return(next, vm.TableValue(t), vm.Nil)
		},
		"ipairs": func(st *vm.State, args []vm.Value) []vm.Value {
			t := table(st, args, 1)
			return st.Return(step, vm.TableValue(t), vm.Num(0))
		},
	})
	globals.Define("next", next)
	globals.Define("_VERSION", vm.Const("Lua 5.1"))
}

func baseNext(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	k, v, ok := t.Next(arg(args, 2))
	if !ok {
		st.Throw(st.NewString("invalid key to 'next'"))
	}
	if k.IsNil() {
		return st.Return(vm.Nil)
	}
	return st.Return(k, v)
}

func ipairsStep(st *vm.State, args []vm.Value) []vm.Value {
	i := cint(st, args, 2) + 1
	v := table(st, args, 1).GetInt(i)
	if v.IsNil() {
		return st.Return()
	}
	return st.Return(vm.Int(i), v)
}

func baseAssert(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 1)
	if !args[0].Truth() {
		st.Errorf("%s", optText(st, args, 2, "assertion failed!"))
	}
	return st.ReturnAll(args)
}

func baseError(st *vm.State, args []vm.Value) []vm.Value {
	level := optCint(st, args, 2, 1)
	st.ThrowAt(arg(args, 1), level)
	return nil
}

// collectGarbage answers as if there were a collector to command.
func collectGarbage(st *vm.State, args []vm.Value) []vm.Value {
	switch option := optText(st, args, 1, "collect"); option {
	case "count":
		return st.Return(vm.Num(float64(st.Used()) / 1024))
	case "step":
		return st.Return(vm.Bool(true))
	case "setpause", "setstepmul":
		return st.Return(vm.Num(200))
	case "collect", "stop", "restart":
		return st.Return(vm.Num(0))
	default:
		st.ArgError(1, "invalid option '"+option+"'")
	}
	return nil
}

func getMetatable(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 1)
	if protected := st.Protected(args[0]); !protected.IsNil() {
		return st.Return(protected)
	}
	if meta := st.Metatable(args[0]); meta != nil {
		return st.Return(vm.TableValue(meta))
	}
	return st.Return(vm.Nil)
}

func setMetatable(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	if len(args) < 2 || args[1].Table() == nil && !args[1].IsNil() {
		st.ArgError(2, "nil or table expected")
	}
	if !st.Protected(args[0]).IsNil() {
		st.Errorf("cannot change a protected metatable")
	}
	st.SetMetatable(t, args[1].Table())
	return st.Return(args[0])
}

func loadString(st *vm.State, args []vm.Value) []vm.Value {
	s := text(st, args, 1)
	return load(st, s, optText(st, args, 2, s))
}

func baseLoad(st *vm.State, args []vm.Value) []vm.Value {
	name := optText(st, args, 2, "=(load)")
	f := function(st, args, 1)
	b := buffer{st: st}
	for {
		rets := st.Call(f)
		if len(rets) == 0 || rets[0].IsNil() {
			break
		}
		piece, ok := rets[0].ToText()
		if !ok {
			st.Errorf("reader function must return a string")
		}
		if piece == "" {
			break
		}
		b.add(piece)
	}
	s, _ := b.value().Text()
	return load(st, s, name)
}

func load(st *vm.State, s, name string) []vm.Value {
	if strings.HasPrefix(s, "\x1b") {
		return st.Return(vm.Nil, st.NewString("attempt to load chunk with wrong mode"))
	}
	name, _, _ = strings.Cut(name, "\x00") // a string of C to the reference
	f, err := st.Load(name, s)
	if err != nil {
		return st.Return(vm.Nil, st.NewString(err.Error()))
	}
	return st.Return(f)
}

// pcall is Redis's: of an error that is a table with a text it returns the text.
func pcall(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) == 0 {
		st.ArgError(1, "value expected")
	}
	rets, err := st.PCall(args[0], args[1:])
	if err == nil {
		return prepend(st, vm.Bool(true), rets)
	}
	v := err.Value
	if t := v.Table(); t != nil {
		if e := st.Index(v, errKey); e.Type() == "string" || e.Type() == "number" {
			v = e
		}
	}
	return st.Return(vm.Bool(false), v)
}

var errKey = vm.Const("err")

func xpcall(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 2)
	rets, err := st.PCall(args[0], nil)
	if err == nil {
		return prepend(st, vm.Bool(true), rets)
	}
	if args[1].IsFunction() { // what can merely be called does not count
		rets, failed := st.PCall(args[1], []vm.Value{err.Value})
		switch {
		case failed != nil:
		case len(rets) == 0:
			return st.Return(vm.Bool(false), vm.Nil)
		default:
			return st.Return(vm.Bool(false), rets[0])
		}
	}
	return st.Return(vm.Bool(false), st.NewString("error in error handling"))
}

// prepend returns a value and the results of a call.
func prepend(st *vm.State, v vm.Value, rets []vm.Value) []vm.Value {
	return st.ReturnAll(append([]vm.Value{v}, rets...))
}

func rawEqual(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 1)
	checkAny(st, args, 2)
	return st.Return(vm.Bool(vm.Equal(args[0], args[1])))
}

func rawGet(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	checkAny(st, args, 2)
	return st.Return(t.Get(args[1]))
}

func rawSet(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	checkAny(st, args, 2)
	checkAny(st, args, 3)
	st.RawSet(t, args[1], args[2])
	return st.Return(args[0])
}

func baseSelect(st *vm.State, args []vm.Value) []vm.Value {
	if s, ok := arg(args, 1).Text(); ok && strings.HasPrefix(s, "#") {
		return st.Return(vm.Int(len(args) - 1))
	}
	i, n := cint(st, args, 1), len(args)
	if i < 0 {
		i += n
	} else if i > n {
		i = n
	}
	if i < 1 {
		st.ArgError(1, "index out of range")
	}
	return st.ReturnAll(args[i:])
}

func toString(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 1)
	return st.Return(st.ToString(args[0]))
}

func baseType(st *vm.State, args []vm.Value) []vm.Value {
	checkAny(st, args, 1)
	return st.Return(typeNames[args[0].Type()])
}

var typeNames = func() map[string]vm.Value {
	names := map[string]vm.Value{}
	for _, n := range []string{"nil", "number", "boolean", "string", "table", "userdata", "function"} {
		names[n] = vm.Const(n)
	}
	return names
}()

func toNumber(st *vm.State, args []vm.Value) []vm.Value {
	base := optCint(st, args, 2, 10)
	if base == 10 {
		checkAny(st, args, 1)
		if f, ok := args[0].ToNumber(); ok {
			return st.Return(vm.Num(f))
		}
		return st.Return(vm.Nil)
	}
	s := text(st, args, 1)
	if base < 2 || base > 36 {
		st.ArgError(2, "base out of range")
	}
	if n, ok := strtoul(s, base); ok {
		return st.Return(vm.Num(float64(n)))
	}
	return st.Return(vm.Nil)
}

const spaces = " \t\n\v\f\r"

// strtoul reads a whole string in a base, as C does: a sign wraps around.
func strtoul(s string, base int) (uint64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.Trim(s, spaces)
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if base == 16 && len(s) > 2 && strings.EqualFold(s[:2], "0x") {
		s = s[2:]
	}
	if s == "" {
		return 0, false
	}
	var n uint64
	over := false
	for i := range len(s) {
		d := digitOf(s[i])
		if d >= base {
			return 0, false
		}
		if n > (1<<64-1-uint64(d))/uint64(base) {
			over = true
		}
		n = n*uint64(base) + uint64(d)
	}
	switch {
	case over:
		n = 1<<64 - 1
	case negative:
		n = -n
	}
	return n, true
}

func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'z':
		return int(c|0x20-'a') + 10
	}
	return 99
}

// maxUnpacked is how many values a function can return, as in the reference
// implementation.
const maxUnpacked = 8000

func unpack(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	i := optCint(st, args, 2, 1)
	e := 0
	if arg(args, 3).IsNil() {
		e = t.Len()
	} else {
		e = cint(st, args, 3)
	}
	if i > e {
		return st.Return()
	}
	n := e - i + 1
	if n+len(args) > maxUnpacked {
		st.Errorf("too many results to unpack")
	}
	st.Spend(n)
	vs := make([]vm.Value, n)
	for j := range vs {
		vs[j] = t.GetInt(i + j)
	}
	return st.ReturnAll(vs)
}
