package route

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// wait runs a blocking command through a node's router.
func (n *node) wait(timeout time.Duration, args ...string) (reply resp.Value, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return n.Wait(ctx, calls(args)[0])
}

// waiting returns how many wait in a group.
func (r *rig) waiting(group string) int { return r.nodes[r.leads[group]].groups[group].Waiters() }

// left returns how many waits this end of links knows of.
func (n *node) left() (frames int) {
	n.mu.Lock()
	conns := n.conns
	n.mu.Unlock()
	for s := range conns {
		s.waits.mu.Lock()
		frames += len(s.waits.byID)
		s.waits.mu.Unlock()
	}
	n.links.mu.Lock()
	defer n.links.mu.Unlock()
	for _, l := range n.links.byNode {
		l.mu.Lock()
		frames += len(l.pending)
		l.mu.Unlock()
	}
	return frames
}

func TestWaitHereAndThroughALink(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		for _, name := range []string{"e", "w", "x"} {
			n, key := r.nodes[name], r.keyIn("east", 0)
			if _, ok := n.wait(time.Second, "BLPOP", key, "0"); ok {
				t.Errorf("at %s there was something", name)
			}
			done := make(chan string, 1)
			go func() {
				reply, ok := n.wait(time.Hour, "BLPOP", key, "0")
				done <- fmt.Sprint(ok, reply.Elems)
			}()
			time.Sleep(time.Minute)
			if r.waiting("east") != 1 {
				t.Errorf("%d wait in the group", r.waiting("east"))
			}
			r.nodes["w"].do("RPUSH", key, "v")
			if got, want := <-done, fmt.Sprint(true, []resp.Value{resp.Str(key), resp.Str("v")}); got != want {
				t.Errorf("at %s: %s", name, got)
			}
			r.nodes["e"].do("SET", key, "string")
			if reply, ok := n.wait(time.Hour, "BLPOP", key, "0"); !ok || reply.Str != resp.ErrWrongType.Str {
				t.Errorf("at %s: %+v", name, reply)
			}
			r.nodes["e"].do("DEL", key)
			if reply, _ := n.wait(time.Hour, "BLPOP", key, r.keyIn("west", 0), "0"); reply.Str != resp.ErrCrossSlot.Str {
				t.Errorf("at %s: %+v", name, reply)
			}
		}
	})
}

// A node without a replica of a group remembers who told it that its origin is unknown:
// it is the leader, and the one to make it known to.
func TestWaitOpensItsOriginAtTheLeader(t *testing.T) {
	bubble(t, func(r *rig) {
		var elsewhere, opened atomic.Int32
		for _, name := range []string{"a", "b", "c"} {
			r.peer(name, func(frame) ([]byte, bool) {
				elsewhere.Add(1)
				return appendAnswer(nil, answer{err: group.ErrNotLeader, hint: "leader"}), true
			})
		}
		r.peer("leader", func(f frame) ([]byte, bool) {
			a := answer{err: group.ErrUnknownOrigin}
			switch {
			case f.kind == frameWrite:
				opened.Add(1)
				a.err = nil
			case opened.Load() > 0:
				a = answer{replies: []resp.Value{resp.Str("v")}}
			}
			return appendAnswer(nil, a), true
		})
		cfg := r.config("x", nil)
		cfg.Replicas = func(string) []string { return []string{"leader", "a", "b", "c"} }
		n := &node{Router: New(cfg)}
		defer n.Close()
		if reply, ok := n.wait(time.Second, "BLPOP", r.keyIn("east", 0), "0"); !ok || reply.Str != "v" {
			t.Errorf("got %+v, %v", reply, ok)
		}
		if elsewhere.Load() != 1 || opened.Load() != 1 {
			t.Errorf("asked %d times who does not lead, and opened %d times; want once each", elsewhere.Load(), opened.Load())
		}
	})
}

// Clients that wait and go leave nothing behind, neither where they wait nor on the way.
func TestWaitersThatGoLeaveNothingBehind(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		x, key := r.nodes["x"], r.keyIn("east", 0)
		var clients sync.WaitGroup
		for i := range 3000 {
			clients.Go(func() { x.wait(time.Duration(1+i%500)*time.Millisecond, "BLPOP", key, "0") })
		}
		time.Sleep(100 * time.Microsecond)
		clients.Wait()
		synctest.Wait()
		if n := r.waiting("east"); n != 0 {
			t.Errorf("%d wait in the group", n)
		}
		for name, n := range r.nodes {
			if left := n.left(); left != 0 {
				t.Errorf("%s knows of %d", name, left)
			}
		}
	})
}

// Whoever is served while others are, tells the group of other numbers than they do: no
// reply is remembered for ever.
func TestServedWaitsAreForgotten(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		x, key := r.nodes["x"], r.keyIn("east", 0)
		served := func() {
			var clients sync.WaitGroup
			for range 1000 {
				clients.Go(func() {
					if _, ok := x.wait(time.Hour, "BLPOP", key, "0"); !ok {
						t.Error("not served")
					}
				})
			}
			time.Sleep(time.Second)
			push := []string{"RPUSH", key}
			for i := range 1000 {
				push = append(push, strconv.Itoa(i))
			}
			x.do(push...)
			clients.Wait()
		}
		for range 12 {
			served()
		}
		if n := len(x.waitOutboxes.boxes["east"].done); n > 1000 {
			t.Errorf("%d numbers are to be told yet", n)
		}
	})
}

// TestEveryElementIsDeliveredOnce lets clients wait over links that lose answers and
// deliver waits late, when they are long over: each element comes to one of them.
func TestEveryElementIsDeliveredOnce(t *testing.T) {
	lossily(t, 12, 7, func(t *testing.T, r *rig, l *lossy) {
		var clients sync.WaitGroup
		r.start("e", "x")
		x, e, key := r.nodes["x"], r.nodes["e"], r.keyIn("east", 0)
		var got []string
		for range 5 {
			clients.Go(func() {
				for range 40 {
					l.mu.Lock()
					timeout := time.Duration(1+l.rnd.IntN(300)) * time.Millisecond
					l.mu.Unlock()
					reply, ok := x.wait(timeout, "BLPOP", key, "0")
					if ok && reply.Kind != resp.Array {
						t.Errorf("%+v", reply)
					} else if ok {
						l.mu.Lock()
						got = append(got, reply.Elems[1].Str)
						l.mu.Unlock()
					}
				}
			})
		}
		const elements = 100
		for i := range elements {
			time.Sleep(70 * time.Millisecond)
			e.do("RPUSH", key, strconv.Itoa(i))
		}
		clients.Wait()
		l.end(r)
		for _, v := range e.do("LRANGE", key, "0", "-1").Elems {
			got = append(got, v.Str)
		}
		slices.Sort(got)
		if n := len(slices.Compact(slices.Clone(got))); len(got) != elements || n != elements {
			t.Errorf("%d elements, %d different ones, came of %d", len(got), n, elements)
		}
		if n := r.waiting("east"); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
}
