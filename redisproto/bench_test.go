package redisproto

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// fixed is a backend that does nothing.
type fixed struct {
	*memory
	replies []resp.Value
}

func (f *fixed) Do(_ context.Context, calls []command.Call) []resp.Value {
	if len(calls) > len(f.replies) {
		f.replies = make([]resp.Value, len(calls))
		for i := range f.replies {
			f.replies[i] = resp.OK
		}
	}
	return f.replies[:len(calls)]
}

var benchCommand = cmd("SET", "some:key:0001", "a value of 24 characters")

// BenchmarkPipeline sends pipelines of 32 writes over loopback TCP; one
// operation is one command.
func BenchmarkPipeline(b *testing.B) { benchmark(b, 32) }

// BenchmarkSingle sends one command at a time.
func BenchmarkSingle(b *testing.B) { benchmark(b, 1) }

func benchmark(b *testing.B, depth int) {
	_, addr := start(b, DefaultConfig(), &fixed{memory: newMemory()})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := []byte(strings.Repeat(benchCommand, depth))
	reply := make([]byte, depth*len("+OK\r\n"))
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += depth {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, reply); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cmd/s")
}

// BenchmarkScan validates pipelines of 32 in memory.
func BenchmarkScan(b *testing.B) {
	s := scanner{limits: testLimits, authenticated: true}
	request := []byte(strings.Repeat(benchCommand, 32))
	p := make([]byte, 4096)
	b.SetBytes(int64(len(benchCommand)))
	b.ReportAllocs()
	for sent := 0; sent < b.N; sent += 32 {
		s.grew(copy(s.room(), request))
		if err := s.scan(); err != nil {
			b.Fatal(err)
		}
		for s.more() {
			s.take(p)
		}
	}
}

var testLimits = limits{bulk: 16 << 20, args: 1 << 20, query: 64 << 20, inline: 64 << 10}
