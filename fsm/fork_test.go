package fsm

import (
	"fmt"
	"sync"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// everyType writes to a value of each type, and to one that comes and goes.
var everyType = []command.Call{
	callOf(0, "INCR", "string"), callOf(0, "PEXPIRE", "string", "1000"),
	callOf(0, "HINCRBY", "hash", "field", "1"), callOf(0, "RPUSH", "list", "element"), callOf(0, "LPOP", "list"),
	callOf(0, "LPUSH", "list", "element"), callOf(0, "SADD", "set", "member"), callOf(0, "SPOP", "set"),
	callOf(0, "SUNIONSTORE", "union", "set", "set2"), callOf(0, "ZINCRBY", "zset", "1", "member"),
	callOf(1, "SET", "passing", "value"), callOf(1, "DEL", "passing"),
}

func TestForkLeavesTheMachineAsItIs(t *testing.T) {
	r := newRig(t)
	r.run(everyType...)
	sum, digest := r.m.Snapshot().Sum(), r.m.Digest()
	f := r.m.Fork(0, 0)
	for _, c := range everyType {
		if reply := f.Try(c); reply.IsError() {
			t.Fatalf("%s: %s", printable(c.Args), show(reply))
		}
	}
	f.Try(callOf(0, "FLUSHALL"))
	wantReply(t, f.Try(callOf(0, "DBSIZE")), resp.Int(0))
	if r.m.Snapshot().Sum() != sum || r.m.Digest() != digest {
		t.Fatal("what was done to the fork changed the machine")
	}
	wantReply(t, r.do("INCR", "string"), resp.Int(2))
}

func TestForkAnswersAsTheMachineWould(t *testing.T) {
	r := newRig(t)
	r.run(everyType...)
	f := r.m.Fork(0, 0)
	for i := range 3 {
		for _, c := range everyType {
			tried := f.Try(c)
			wantReply(t, tried, r.call(c))
			if i == 0 && f.Try(callOf(0, "NOSUCH")).Str != resp.ErrInternal.Str {
				t.Fatal("an unknown command was answered")
			}
		}
	}
}

func TestForkHasTheTimeItIsGiven(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v", "PX", "100")
	at, wall := r.m.Clock(), r.m.wall
	for _, c := range []struct{ passed, want int64 }{{-1, 100}, {0, 100}, {99, 1}, {100, 0}, {101, -2}} {
		f := r.m.Fork(at+c.passed, wall+c.passed)
		wantReply(t, f.Try(callOf(0, "PTTL", "k")), resp.Int64(c.want))
		if want := wall + max(c.passed, 0); f.wall != want {
			t.Fatalf("after %d ms the wall time is %d, want %d", c.passed, f.wall, want)
		}
	}
	wantReply(t, r.do("PTTL", "k"), resp.Int(100))
}

// TestForksRunBesideApply is of use under the race detector.
func TestForksRunBesideApply(t *testing.T) {
	r := newRig(t)
	r.run(everyType...)
	var apply sync.RWMutex // held by Apply, as a group's is
	var forks sync.WaitGroup
	for range 4 {
		forks.Go(func() {
			for range 50 {
				apply.RLock()
				f := r.m.Fork(0, 0)
				apply.RUnlock()
				for range 3 {
					for _, c := range everyType {
						f.Try(c)
					}
				}
			}
		})
	}
	for range 200 {
		apply.Lock()
		r.run(everyType...)
		apply.Unlock()
	}
	forks.Wait()
	checkSound(t, r.m)
}

func BenchmarkFork(b *testing.B) {
	for _, databases := range []int{1, Databases} {
		b.Run(fmt.Sprintf("databases=%d", databases), func(b *testing.B) {
			r := newRig(b)
			for db := range databases {
				r.run(callOf(db, "SET", "k", "v"))
			}
			b.ReportAllocs()
			for b.Loop() {
				r.m.Fork(0, 0)
			}
		})
	}
}
