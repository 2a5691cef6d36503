package route

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// TestEveryRequestIsAppliedOnce sends commands over links that lose answers and
// deliver requests late and twice. Increments have no gap and no repetition; a lock
// that is free is granted to the one who asks, not refused because his own first
// attempt holds it; and nothing that was given back comes back.
func TestEveryRequestIsAppliedOnce(t *testing.T) {
	lossily(t, 20, 3, func(t *testing.T, r *rig, l *lossy) {
		r.start("e", "w", "x")
		x := r.nodes["x"]
		var clients sync.WaitGroup
		for i := range 6 {
			region := []string{"east", "west"}[i%2]
			counter, lock := r.keyIn(region, i), r.keyIn(region, 10+i)
			clients.Go(func() {
				for n := range 25 {
					if v := x.do("INCR", counter); v.Int != int64(n+1) {
						t.Errorf("increment %d of %s: %+v", n+1, counter, v)
						return
					}
					if v := x.do("SET", lock, strconv.Itoa(n), "NX", "PX", "600000"); v.Str != "OK" {
						t.Errorf("a free lock: %+v", v)
					}
					if v := x.do("SET", lock, "other", "NX"); v.Kind != resp.Nil {
						t.Errorf("a lock that is held: %+v", v)
					}
					if v := x.do("DEL", lock); v.Int != 1 {
						t.Errorf("the release of a lock: %+v", v)
					}
				}
			})
		}
		clients.Wait()
		l.end(r)
		for i := range 6 {
			region := []string{"east", "west"}[i%2]
			if v := x.do("GET", r.keyIn(region, i)); v.Str != "25" {
				t.Errorf("counter %d is %+v", i, v)
			}
			if v := x.do("EXISTS", r.keyIn(region, 10+i)); v.Int != 0 {
				t.Errorf("lock %d came back", i)
			}
		}
	})
}

// TestOriginIsOpenedOnce: many first requests find out at once that the group does
// not know this node.
func TestOriginIsOpenedOnce(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x")
		r.net.Latency("e", "x", 2*time.Millisecond)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if v := r.nodes["x"].do("INCR", r.keyIn("east", 0)); v.IsError() {
					t.Errorf("%+v", v)
				}
			})
		}
		wg.Wait()
		// One attempt of each that was refused, one that opened, one that was applied.
		if n := r.nodes["e"].groups["east"].Status().Requests; n > 100+1+100 || n < 101 {
			t.Errorf("100 first requests cost %d", n)
		}
		before := r.nodes["e"].groups["east"].Status().Requests
		r.nodes["x"].do("INCR", r.keyIn("east", 0))
		if n := r.nodes["e"].groups["east"].Status().Requests - before; n != 1 {
			t.Errorf("the next request costs %d", n)
		}
	})
}
