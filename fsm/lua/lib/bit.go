package lib

import (
	"math"
	"math/bits"

	"phonond/fsm/lua/vm"
)

// Bit returns the library bit.
func Bit() *vm.Table {
	t := vm.NewShared()
	unary := map[string]func(uint32) uint32{
		"tobit": func(a uint32) uint32 { return a },
		"bnot":  func(a uint32) uint32 { return ^a },
		"bswap": bits.ReverseBytes32,
	}
	for name, f := range unary {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			return bitResult(st, f(bitArg(st, args, 1)))
		}))
	}
	many := map[string]func(a, b uint32) uint32{
		"band": func(a, b uint32) uint32 { return a & b },
		"bor":  func(a, b uint32) uint32 { return a | b },
		"bxor": func(a, b uint32) uint32 { return a ^ b },
	}
	for name, f := range many {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			r := bitArg(st, args, 1)
			for i := 2; i <= len(args); i++ {
				r = f(r, bitArg(st, args, i))
			}
			return bitResult(st, r)
		}))
	}
	shifts := map[string]func(a uint32, n int) uint32{
		"lshift":  func(a uint32, n int) uint32 { return a << n },
		"rshift":  func(a uint32, n int) uint32 { return a >> n },
		"arshift": func(a uint32, n int) uint32 { return uint32(int32(a) >> n) },
		"rol":     bits.RotateLeft32,
		"ror":     func(a uint32, n int) uint32 { return bits.RotateLeft32(a, -n) },
	}
	for name, f := range shifts {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			a := bitArg(st, args, 1)
			return bitResult(st, f(a, int(bitArg(st, args, 2)&31)))
		}))
	}
	define(t, map[string]native{"tohex": toHex})
	return t
}

// bitArg takes a number modulo 2^32: adding this constant leaves its integer part in
// the low bits.
func bitArg(st *vm.State, args []vm.Value, n int) uint32 {
	f := number(st, args, n)
	if f != f {
		return 0
	}
	return uint32(math.Float64bits(f + 6755399441055744.0))
}

func bitResult(st *vm.State, r uint32) []vm.Value { return st.Return(vm.Num(float64(int32(r)))) }

func toHex(st *vm.State, args []vm.Value) []vm.Value {
	b, n := bitArg(st, args, 1), int32(8)
	if len(args) > 1 {
		n = int32(bitArg(st, args, 2))
	}
	digits := "0123456789abcdef"
	if n < 0 {
		n = -n
		digits = "0123456789ABCDEF"
	}
	if n > 8 || n < 0 {
		n = 8
	}
	text := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		text[i] = digits[b&15]
		b >>= 4
	}
	return st.Return(st.NewString(string(text)))
}
