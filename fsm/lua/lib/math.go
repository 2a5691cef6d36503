package lib

import (
	"math"

	"phonond/fsm/lua/vm"
)

// Math returns the library math.
func Math() *vm.Table {
	t := vm.NewShared()
	for name, f := range map[string]func(float64) float64{
		"abs": math.Abs, "acos": math.Acos, "asin": math.Asin, "atan": math.Atan, "ceil": math.Ceil,
		"cos": math.Cos, "cosh": math.Cosh, "exp": math.Exp, "floor": math.Floor, "log": math.Log,
		"log10": math.Log10, "sin": math.Sin, "sinh": math.Sinh, "sqrt": sqrt, "tan": math.Tan,
		"tanh": math.Tanh,
		"deg":  func(f float64) float64 { return f / (math.Pi / 180) },
		"rad":  func(f float64) float64 { return f * (math.Pi / 180) },
	} {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			return st.Return(vm.Num(f(number(st, args, 1))))
		}))
	}
	for name, f := range map[string]func(a, b float64) float64{
		"atan2": math.Atan2, "fmod": fmod, "mod": fmod, "pow": math.Pow,
	} {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			b := number(st, args, 2) // looked at first, which errors tell
			return st.Return(vm.Num(f(number(st, args, 1), b)))
		}))
	}
	define(t, map[string]native{
		"frexp": func(st *vm.State, args []vm.Value) []vm.Value {
			m, e := math.Frexp(number(st, args, 1))
			return st.Return(vm.Num(m), vm.Int(e))
		},
		"ldexp": func(st *vm.State, args []vm.Value) []vm.Value {
			exp := cint(st, args, 2)
			return st.Return(vm.Num(math.Ldexp(number(st, args, 1), exp)))
		},
		"max": func(st *vm.State, args []vm.Value) []vm.Value {
			return extreme(st, args, func(a, b float64) bool { return a > b })
		},
		"min": func(st *vm.State, args []vm.Value) []vm.Value {
			return extreme(st, args, func(a, b float64) bool { return a < b })
		},
		"modf": func(st *vm.State, args []vm.Value) []vm.Value {
			f := number(st, args, 1)
			if math.IsInf(f, 0) {
				return st.Return(vm.Num(f), vm.Num(math.Copysign(0, f)))
			}
			whole := math.Trunc(f)
			return st.Return(vm.Num(whole), vm.Num(math.Copysign(f-whole, f)))
		},
		"random":     random,
		"randomseed": randomSeed,
	})
	t.Define("pi", vm.Num(math.Pi))
	t.Define("huge", vm.Num(math.Inf(1)))
	return t
}

// sqrt gives the not-a-number of amd64.
func sqrt(f float64) float64 {
	if f < 0 {
		return math.Copysign(math.NaN(), -1)
	}
	return math.Sqrt(f)
}

// fmod gives it, too, where it makes one of numbers.
func fmod(a, b float64) float64 {
	switch f := math.Mod(a, b); {
	case a != a:
		return a
	case b != b:
		return b
	case f != f:
		return math.Copysign(f, -1)
	default:
		return f
	}
}

func extreme(st *vm.State, args []vm.Value, better func(a, b float64) bool) []vm.Value {
	best := number(st, args, 1)
	for i := 2; i <= len(args); i++ {
		if f := number(st, args, i); better(f, best) {
			best = f
		}
	}
	return st.Return(vm.Num(best))
}

// Rand48 is the generator of drand48, by which Redis gives every script the same
// numbers.
type Rand48 struct{ x uint64 }

// Rand48Start is the state of a generator that nobody has seeded.
var Rand48Start = Rand48{0x1234ABCD330E}

// Seed starts a sequence.
func (r *Rand48) Seed(seed int32) { r.x = uint64(uint32(seed))<<16 | 0x330E }

func (r *Rand48) next() int32 {
	r.x = (r.x*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return int32(r.x >> 17)
}

func random(st *vm.State, args []vm.Value) []vm.Value {
	const most = math.MaxInt32
	r := float64(settings(st).Rand.next()%most) / most
	low, high := 1, 0
	switch len(args) {
	case 0:
		return st.Return(vm.Num(r))
	case 1:
		high = cint(st, args, 1)
	case 2:
		low, high = cint(st, args, 1), cint(st, args, 2)
	default:
		st.Errorf("wrong number of arguments")
	}
	if low > high {
		st.ArgError(len(args), "interval is empty")
	}
	return st.Return(vm.Num(math.Floor(r*float64(int32(high-low+1))) + float64(low)))
}

func randomSeed(st *vm.State, args []vm.Value) []vm.Value {
	settings(st).Rand.Seed(int32(cint(st, args, 1)))
	return st.Return()
}
