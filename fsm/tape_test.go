package fsm

import (
	"math/rand/v2"
	"runtime/metrics"
	"testing"
)

// chooser makes choices: a generator of random numbers, or a tape.
type chooser interface {
	// IntN returns a number from 0 to n-1.
	IntN(n int) int
}

// tape makes choices of the bytes of a fuzz input: a small change of the input is a
// small change of what is chosen. At its end every choice is 0.
type tape struct{ b []byte }

func (t *tape) more() bool { return len(t.b) > 0 }

func (t *tape) IntN(n int) int {
	c := t.byte()
	if n > 256 {
		c = c<<8 | t.byte()
	}
	return c % n
}

func (t *tape) byte() int {
	if len(t.b) == 0 {
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return int(c)
}

// oneIn chooses true for one byte of n, and at the end of the tape never.
func (t *tape) oneIn(n int) bool { return t.IntN(n) == n-1 }

// randomTape returns bytes for a tape, a seed for the fuzzer.
func randomTape(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func pick[T any](c chooser, of ...T) T { return of[c.IntN(len(of))] }

// The most that decoding may allocate: for each byte that is there, an element of
// the largest kind and the room to grow it in, and some to start with.
const (
	allocPerByte = 200
	allocBase    = 1 << 20
)

// boundedAlloc fails the test when f allocates out of proportion to the n bytes that
// it reads.
func boundedAlloc(t *testing.T, n int, f func()) {
	t.Helper()
	before := allocated()
	f()
	if used := allocated() - before; used > allocBase+allocPerByte*uint64(n) {
		t.Fatalf("%d bytes made it allocate %d", n, used)
	}
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
