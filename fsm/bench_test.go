package fsm

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"phonond/redisproto/command"
)

// benchKeys is the size of the machines that are measured.
const benchKeys = 1_000_000

// filled returns a machine with so many string keys of 16 bytes, each holding 16
// bytes.
func filled(b testing.TB, keys int) *rig {
	r := newRig(b)
	const batch = 1000
	for n := 0; n < keys; n += batch {
		calls := make([]command.Call, batch)
		for i := range calls {
			calls[i] = callOf(0, "SET", benchKey(n+i), "0123456789abcdef")
		}
		r.run(calls...)
	}
	return r
}

func benchKey(n int) string { return fmt.Sprintf("key:%012d", n) }

// benchApply measures what a call costs in entries of 64 requests of one call
// each: reading the entry, the digest and the remembering of replies included.
func benchApply(b *testing.B, keys int, call func(rnd *rand.Rand) command.Call) {
	r := filled(b, keys)
	rnd := rand.New(rand.NewPCG(1, 2))
	const requests = 64
	entries := make([][]byte, b.N/requests+1)
	for i := range entries {
		e := r.entry()
		for range requests {
			r.seq++
			e.Requests = append(e.Requests, Request{
				Kind: Run, Origin: testOrigin, Seq: r.seq, Acked: max(r.seq, 1000) - 999, Calls: []command.Call{call(rnd)},
			})
		}
		entries[i] = e.Append(nil)
	}
	b.ReportAllocs()
	cpu := cpuTime()
	b.ResetTimer()
	for _, bytes := range entries {
		e, err := DecodeEntry(bytes)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.m.Apply(r.m.Index()+1, 1, e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the processor time that this process has had, collecting
// garbage included: other processes do not blur it.
func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail with these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkApplySet(b *testing.B) {
	benchApply(b, benchKeys, func(rnd *rand.Rand) command.Call {
		return callOf(0, "SET", benchKey(rnd.IntN(benchKeys)), "fedcba9876543210")
	})
}

func BenchmarkApplyIncr(b *testing.B) {
	benchApply(b, benchKeys, func(rnd *rand.Rand) command.Call {
		return callOf(0, "INCR", fmt.Sprintf("counter:%08d", rnd.IntN(100_000)))
	})
}

func BenchmarkApplySetPX(b *testing.B) {
	benchApply(b, benchKeys, func(rnd *rand.Rand) command.Call {
		return callOf(0, "SET", benchKey(rnd.IntN(benchKeys)), "fedcba9876543210", "PX", "1800000")
	})
}

func BenchmarkApplyHset(b *testing.B) {
	benchApply(b, 1000, func(rnd *rand.Rand) command.Call {
		return callOf(0, "HSET", "hash", benchKey(rnd.IntN(100_000)), "v")
	})
}

func BenchmarkApplyZadd(b *testing.B) {
	benchApply(b, 1000, func(rnd *rand.Rand) command.Call {
		return callOf(0, "ZADD", "zset", fmt.Sprint(rnd.IntN(1000)), benchKey(rnd.IntN(100_000)))
	})
}

func BenchmarkApplyLpush(b *testing.B) {
	benchApply(b, 1000, func(*rand.Rand) command.Call { return callOf(0, "LPUSH", "list", "0123456789abcdef") })
}

func BenchmarkReadGet(b *testing.B) {
	r := filled(b, benchKeys)
	rnd := rand.New(rand.NewPCG(1, 2))
	calls := make([]command.Call, 1024)
	for i := range calls {
		calls[i] = callOf(0, "GET", benchKey(rnd.IntN(benchKeys)))
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r.m.Read(calls[n%len(calls)])
	}
}

func BenchmarkSnapshot(b *testing.B) {
	r := filled(b, benchKeys)
	b.ReportAllocs()
	for b.Loop() {
		r.m.Snapshot()
	}
}

func BenchmarkSnapshotWriteTo(b *testing.B) {
	s := filled(b, benchKeys).m.Snapshot()
	for b.Loop() {
		n, err := s.WriteTo(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}

func BenchmarkRestore(b *testing.B) {
	var buf bytes.Buffer
	if _, err := filled(b, benchKeys).m.Snapshot().WriteTo(&buf); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if _, err := Restore(testConfig(), bytes.NewReader(buf.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory reports the resident bytes of a key of 16 bytes with a value of
// 16 bytes, all included.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := heapBytes()
		r := filled(b, benchKeys)
		r.run(callOf(0, "PERSIST", "nosuch")) // acknowledges the others
		b.ReportMetric(float64(heapBytes()-before)/benchKeys, "bytes/key")
		runtime.KeepAlive(r)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func BenchmarkLookup(b *testing.B) {
	t := DataCommands()
	args := callOf(0, "Script", "Load").Args
	b.ReportAllocs()
	for b.Loop() {
		t.Lookup(args)
	}
}
