package route

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// TestWhatClientsAreTold goes through everything that can become of a request on
// its way: CLUSTERDOWN, TRYAGAIN and LOADING, which clients repeat by themselves,
// must never stand for what may have been applied.
func TestWhatClientsAreTold(t *testing.T) {
	always := func(a answer) func(int) ([]byte, bool) {
		return func(int) ([]byte, bool) { return appendAnswer(nil, a), true }
	}
	for _, tc := range []struct {
		name string
		// answer is what the leader's node does with the n-th attempt. Nil: it cannot
		// be reached.
		answer      func(n int) ([]byte, bool)
		write, read string // prefixes
	}{
		{"applied", always(answer{replies: []resp.Value{resp.Int(7)}}), "", ""},
		{"not leader", always(answer{err: group.ErrNotLeader}), "CLUSTERDOWN", "CLUSTERDOWN"},
		{"leader lost", always(answer{err: group.ErrUncertain}), "TIMEOUT", "CLUSTERDOWN"},
		{"busy", always(answer{err: group.ErrBusy}), "TRYAGAIN", "TRYAGAIN"},
		{"unknown origin", always(answer{err: group.ErrUnknownOrigin}), "CLUSTERDOWN", "CLUSTERDOWN"},
		{"conflict", always(answer{err: group.ErrConflict}), "TRYAGAIN", "TRYAGAIN"},
		{"stopped", always(answer{err: group.ErrStopped}), "TIMEOUT", "CLUSTERDOWN"},
		{"no replica", always(answer{err: ErrNoReplica}), "CLUSTERDOWN", "CLUSTERDOWN"},
		{"refused", always(answer{err: ErrRefused}), "ERR", "ERR"},
		{"no space", always(answer{err: &group.NoSpaceError{Level: group.SpaceFull, Where: "e"}}), "MISCONF", "MISCONF"},
		{"no space, without a reason", func(int) ([]byte, bool) { return []byte{codeNoSpace, 0}, true }, "TIMEOUT", "CLUSTERDOWN"},
		{"lost, then no space", func(n int) ([]byte, bool) {
			if n == 0 {
				return nil, false
			}
			return appendAnswer(nil, answer{err: &group.NoSpaceError{Level: group.SpaceLow, Where: "e"}}), true
		}, "TIMEOUT", "MISCONF"},
		{"an error of a newer version", func(int) ([]byte, bool) { return []byte{99, 0}, true }, "TIMEOUT", "CLUSTERDOWN"},
		{"no reply", always(answer{}), "TIMEOUT", "CLUSTERDOWN"},
		{"too many replies", always(answer{replies: []resp.Value{resp.OK, resp.OK}}), "TIMEOUT", "CLUSTERDOWN"},
		{"a malformed answer", func(int) ([]byte, bool) { return []byte{0, 200}, true }, "TIMEOUT", "CLUSTERDOWN"},
		{"an empty answer", func(int) ([]byte, bool) { return []byte{}, true }, "TIMEOUT", "CLUSTERDOWN"},
		{"silence", func(int) ([]byte, bool) { return nil, true }, "TIMEOUT", "CLUSTERDOWN"},
		{"the connection breaks", func(int) ([]byte, bool) { return nil, false }, "TIMEOUT", "CLUSTERDOWN"},
		{"unreachable", nil, "CLUSTERDOWN", "CLUSTERDOWN"},
		{"lost, then not leader", func(n int) ([]byte, bool) {
			if n == 0 {
				return nil, false
			}
			return appendAnswer(nil, answer{err: group.ErrNotLeader}), true
		}, "TIMEOUT", "CLUSTERDOWN"},
		{"lost, then conflict", func(n int) ([]byte, bool) {
			if n == 0 {
				return nil, false
			}
			return appendAnswer(nil, answer{err: group.ErrConflict}), true
		}, "TIMEOUT", "TRYAGAIN"},
		{"not leader, then applied", func(n int) ([]byte, bool) {
			if n < 5 {
				return appendAnswer(nil, answer{err: group.ErrNotLeader}), true
			}
			return appendAnswer(nil, answer{replies: []resp.Value{resp.Int(7)}}), true
		}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				var attempts atomic.Int32
				if tc.answer != nil {
					r.peer("e", func(f frame) ([]byte, bool) {
						return tc.answer(int(attempts.Add(1)) - 1)
					})
				}
				r.start("x")
				key := r.keyIn("east", 0)
				for _, step := range []struct{ command, want string }{{"INCR", tc.write}, {"GET", tc.read}} {
					attempts.Store(0)
					began := time.Now()
					v := r.nodes["x"].do(step.command, key)
					took := time.Since(began)
					switch {
					case step.want == "" && v.Int != 7:
						t.Errorf("%s answers %+v", step.command, v)
					case step.want != "" && (!v.IsError() || !strings.HasPrefix(v.Str, step.want+" ")):
						t.Errorf("%s answers %+v, not %s", step.command, v, step.want)
					case took > 10*time.Second+100*time.Millisecond:
						t.Errorf("%s took %v", step.command, took)
					case attempts.Load() > 500:
						t.Errorf("%s made %d attempts", step.command, attempts.Load())
					}
				}
			})
		})
	}
}

// TestClientThatGoesAwayIsNotWaitedFor: and its request counts as perhaps applied.
func TestClientThatGoesAwayIsNotWaitedFor(t *testing.T) {
	bubble(t, func(r *rig) {
		r.peer("e", func(frame) ([]byte, bool) { return nil, true })
		r.start("x")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began := time.Now()
		v := r.nodes["x"].Do(ctx, calls([]string{"INCR", r.keyIn("east", 0)}))[0]
		if took := time.Since(began); took != time.Second || !strings.HasPrefix(v.Str, "TIMEOUT ") {
			t.Errorf("%+v after %v", v, took)
		}
	})
}

// TestScatteredWriteThatIsHalfDone: the client must not repeat it by itself.
func TestScatteredWriteThatIsHalfDone(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x") // nobody has group west
		a, b := r.keyIn("east", 0), r.keyIn("west", 0)
		for _, tc := range []struct {
			args []string
			want string
		}{
			{[]string{"MSET", a, "1", b, "2"}, "TIMEOUT"},
			{[]string{"DEL", a, b}, "TIMEOUT"},
			{[]string{"FLUSHALL"}, "TIMEOUT"},
			{[]string{"MGET", a, b}, "CLUSTERDOWN"},
			{[]string{"DBSIZE"}, "CLUSTERDOWN"},
			{[]string{"RANDOMKEY"}, "CLUSTERDOWN"},
			{[]string{"MSET", b, "1", r.keyIn("west", 1), "2"}, "CLUSTERDOWN"},
		} {
			if v := r.nodes["x"].do(tc.args...); !strings.HasPrefix(v.Str, tc.want+" ") {
				t.Errorf("%v: %+v, not %s", tc.args, v, tc.want)
			}
		}
	})
}

// TestFullWindowIsNotApplied: a request that never left this node.
func TestFullWindowIsNotApplied(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		x := r.nodes["x"]
		box := x.outbox("east")
		for range maxOutstanding {
			if _, err := box.begin(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if v := x.do("INCR", r.keyIn("east", 0)); !strings.HasPrefix(v.Str, "TRYAGAIN ") || time.Since(began) != 10*time.Second {
			t.Errorf("%+v after %v", v, time.Since(began))
		}
		if v := x.do("GET", r.keyIn("east", 0)); v.Kind != resp.Nil {
			t.Errorf("a read, which takes no number: %+v", v)
		}
	})
}

// TestAnswersThatCameInTimeCount: a pipeline for two groups, of which one has no
// leader, waits for that one until its time is over. What the other has answered
// meanwhile is not lost.
func TestAnswersThatCameInTimeCount(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		dead, alive := r.keyIn("west", 0), r.keyIn("east", 0)
		for range 20 {
			for _, via := range []string{"e", "x"} {
				replies := r.nodes[via].Do(context.Background(), calls([]string{"GET", dead}, []string{"SADD", alive, "a"}))
				if !strings.HasPrefix(replies[0].Str, "CLUSTERDOWN") {
					t.Fatalf("without a leader: %+v", replies[0])
				}
				if replies[1].IsError() {
					t.Fatalf("with one, through %s: %+v", via, replies[1])
				}
			}
		}
	})
}
