package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The load goes in waves of requests of several commands each.
const (
	waveRequests = 64
	waveCalls    = 100
)

// writer sends requests as one node of a cluster does.
type writer struct {
	g      *group.Group
	origin uint64
	seq    uint64
}

// result is the outcome of a request.
type result struct {
	replies []resp.Value
	err     error
	took    time.Duration
}

func newWriter(g *group.Group) (*writer, error) {
	w := &writer{g: g, origin: rand.Uint64()}
	out := make(chan result, 1)
	w.send(fsm.Request{Kind: fsm.OpenOrigin, Origin: w.origin, Node: "n1"}, time.Now(), out)
	return w, (<-out).err
}

func (w *writer) send(req fsm.Request, since time.Time, out chan<- result) {
	w.g.Propose(&group.Call{Request: req.Append(nil), Done: func(replies []resp.Value, err error) {
		out <- result{replies, err, time.Since(since)}
	}})
}

// next numbers a request; acked is the first that is still waited for.
func (w *writer) next(acked uint64, calls ...command.Call) fsm.Request {
	w.seq++
	return fsm.Request{Kind: fsm.Run, Origin: w.origin, Seq: w.seq, Acked: acked, Calls: calls}
}

func call(args ...string) command.Call {
	c := command.Call{Args: make([][]byte, len(args))}
	for i, a := range args {
		c.Args[i] = []byte(a)
	}
	return c
}

func (w *writer) do(args ...string) (resp.Value, error) {
	out := make(chan result, 1)
	w.send(w.next(w.seq+1, call(args...)), time.Now(), out)
	r := <-out
	if r.err != nil {
		return resp.Value{}, r.err
	}
	return r.replies[0], nil
}

// set makes the command that sets the n-th key.
func (o *options) set(n int) command.Call {
	key := fmt.Sprintf("k%0*d", o.keySize-1, n)
	return call("SET", key, strings.Repeat("v", o.valueSize))
}

// load sets all keys.
func (w *writer) load(o options) error {
	out := make(chan result, waveRequests)
	for n := 0; n < o.keys; {
		acked, sent := w.seq+1, 0
		for ; sent < waveRequests && n < o.keys; sent++ {
			var calls []command.Call
			for ; len(calls) < waveCalls && n < o.keys; n++ {
				calls = append(calls, o.set(n))
			}
			w.send(w.next(acked, calls...), time.Now(), out)
		}
		for range sent {
			if r := <-out; r.err != nil {
				return r.err
			}
		}
	}
	return nil
}

// latencies are those of single writes, in order of size.
type latencies []time.Duration

func (l latencies) String() string {
	if len(l) == 0 {
		return "none"
	}
	at := func(q float64) time.Duration { return l[int(q*float64(len(l)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("p50 %v  p99 %v  p99.9 %v  max %v", at(0.5), at(0.99), at(0.999), at(1))
}

// write sets random keys at an even pace until over, and counts the time of each
// from when it was due: what waits for a stall counts.
func (w *writer) write(o options, over <-chan time.Time) (latencies, error) {
	gap := time.Second / time.Duration(o.rate)
	out := make(chan result, 1<<16)
	var all latencies
	var failed error
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case r := <-out:
				all = append(all, r.took)
				if r.err != nil {
					failed = r.err
				}
			case <-done:
				return
			}
		}
	})
	began, sent := time.Now(), 0
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
			due := began.Add(time.Duration(sent) * gap)
			time.Sleep(time.Until(due))
			// Replies are remembered for so long that none of them can be missing.
			w.send(w.next(max(w.seq, 1<<15)-1<<15+1, o.set(rand.N(o.keys))), due, out)
			sent++
		}
	}
	out2 := make(chan result, 1)
	w.send(w.next(max(w.seq, 1<<15)-1<<15+1, o.set(0)), time.Now(), out2)
	last := <-out2 // all before it have been answered
	time.Sleep(10 * time.Millisecond)
	close(done)
	wg.Wait()
	slices.Sort(all)
	if failed == nil {
		failed = last.err
	}
	if failed == nil && len(all) < sent {
		failed = fmt.Errorf("%d of %d writes were not answered", sent-len(all), sent)
	}
	return all, failed
}
