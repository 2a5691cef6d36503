package group

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
	"phonond/redisproto/resp"
)

// TestReadsAreLinearizable writes growing numbers at whoever leads while the links
// of a group are cut and delayed, answers alone as well, and reads at every replica
// that believes to lead: no read may be older than what was acknowledged before it
// began.
func TestReadsAreLinearizable(t *testing.T) {
	for _, rounds := range []bool{false, true} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("rounds=%v/seed=%d", rounds, seed), func(t *testing.T) {
				bubble(t, func(r *rig) {
					r.rounds = rounds
					r.openAll()
					r.leader()
					r.register(rand.New(rand.NewPCG(seed, 1)))
				}, "n1", "n2", "n3")
			})
		}
	}
}

// register runs one history of [TestReadsAreLinearizable].
func (r *rig) register(rnd *rand.Rand) {
	var acked, reads atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	every := func(d time.Duration, f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(d):
					f()
				}
			}
		})
	}
	// One write at a time, each of a new origin: the last acknowledged value is the
	// highest, and one of unknown outcome is never repeated.
	next := int64(0)
	every(17*time.Millisecond, func() {
		for _, n := range r.running {
			if n.Leads() {
				next++
				if _, err := n.once(next, "SET", "k", strconv.FormatInt(next, 10)); err == nil {
					acked.Store(next)
				}
			}
		}
	})
	for _, n := range r.running {
		for range 2 {
			every(11*time.Millisecond, func() {
				least := acked.Load()
				v, err := n.get("k")
				if err != nil {
					return
				}
				reads.Add(1)
				if have, _ := strconv.ParseInt(v.Str, 10, 64); have < least {
					r.t.Errorf("%s answered %d when %d was acknowledged", n.name, have, least)
				}
			})
		}
	}
	names := []string{"n1", "n2", "n3"}
	for range 12 {
		a, b := names[rnd.IntN(3)], names[rnd.IntN(3)]
		switch rnd.IntN(5) {
		case 0:
			r.net.Isolate(a)
		case 1:
			r.net.CutOneWay(a, b)
		case 2: // answers come late, questions do not
			r.net.Delay(a, b, time.Duration(rnd.IntN(1500))*time.Millisecond)
		case 3:
			if lead := r.running[a]; lead.Leads() {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					defer cancel()
					lead.Transfer(ctx, b)
				})
			}
		case 4:
			r.net.HealAll()
		}
		time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
	}
	r.net.HealAll()
	for _, a := range names {
		for _, b := range names {
			r.net.Delay(a, b, 0)
		}
	}
	time.Sleep(15 * time.Second)
	close(stop)
	wg.Wait()
	if reads.Load() < 20 || acked.Load() < 20 {
		r.t.Errorf("only %d reads and %d writes", reads.Load(), acked.Load())
	}
	r.level()
}

// once runs one command as an origin of its own.
func (n *replica) once(origin int64, args ...string) (resp.Value, error) {
	id := uint64(1e6 + origin)
	open := n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: id, Node: n.name})
	run := n.submit(fsm.Request{Kind: fsm.Run, Origin: id, Seq: 1, Calls: oneCall(args...)})
	<-open
	out := <-run
	if out.err != nil {
		return resp.Value{}, out.err
	}
	return out.replies[0], nil
}

// TestEntryOfAnOlderTermIsVoid: an entry that was made before its leader lost the
// lead, and comes into the log when it leads again, carries the clock and the reads
// of another time.
func TestEntryOfAnOlderTermIsVoid(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "1")
		clock := n.Clock()
		lead := n.lead.Load()
		old := &leadership{term: lead.term - 1, clock: lead.clock + 1e9, start: lead.start}
		var got []error
		req := n.request(call("INCR", "k"))
		calls := []*Call{{Request: req.Append(nil), Done: func(_ []resp.Value, err error) { got = append(got, err) }}}
		n.await(n.raft.ApplyLog(raft.Log{Data: n.entry(old.term, old.now(), time.Now().UnixMilli(), calls)}, 0), old, calls, nil)
		if len(got) != 1 || !errors.Is(got[0], ErrNotLeader) {
			t.Errorf("the request was told %v", got)
		}
		if v := n.must("GET", "k"); v.Str != "1" {
			t.Errorf("the void entry was applied: %+v", v)
		}
		if n.Clock()-clock > 1000 {
			t.Errorf("the void entry moved the clock by %d ms", n.Clock()-clock)
		}
		r.level()
	}, "n1", "n2", "n3")
}

func TestTransfer(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for to, want := range map[string]string{"l1": "is no voter", "nobody": "has no replica"} {
			if err := n.Transfer(ctx, to); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("transfer to %s: %v", to, err)
			}
		}
		if !n.Leads() {
			t.Error("a refused transfer cost the lead")
		}
		heir := r.follower()
		if err := n.Transfer(ctx, heir.name); err != nil {
			t.Error(err)
		}
		if r.leader(n.name) != heir {
			t.Errorf("%s does not lead", heir.name)
		}
		heir.must("SET", "k", "v")
		if _, err := n.do("SET", "k", "v"); !errors.Is(err, ErrNotLeader) {
			t.Errorf("the former leader says %v", err)
		}
	}, "n1", "n2", "n3", "l1")
}

// TestRefusedInATransferOpensTheGroupAgain: a request that comes while raft takes no
// entry closes the group. When the transfer has failed, nothing comes that could
// open it: all requests are refused.
func TestRefusedInATransferOpensTheGroupAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		heir := r.follower()
		r.crash(heir.name)
		n.must("SET", "k", "v") // raft tries for as long as the heir lacks an entry
		transferred := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			transferred <- n.Transfer(ctx, heir.name)
		}()
		r.wait("a refusal", func() bool { _, err := n.do("SET", "k", "v"); return err != nil })
		if err := <-transferred; err == nil {
			t.Error("the lead was given to a node that is down")
		}
		r.wait("service", n.Leads)
	}, "n1", "n2", "n3")
}

// TestFailedTransferOpensTheGroupAgain: raft takes no entry while it tries.
func TestFailedTransferOpensTheGroupAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		heir := r.follower()
		r.crash(heir.name)
		n.must("SET", "k", "v") // raft tries for as long as the heir lacks an entry
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.Transfer(ctx, heir.name); err == nil {
			t.Error("the lead was given to a node that is down")
		}
		r.wait("service", func() bool { _, err := n.do("SET", "k", "v"); return err == nil })
	}, "n1", "n2", "n3")
}

// TestCloseWithRequestsInFlight ends a leader under load, at any moment, with and
// without its followers: every Done is called once, and the bubble sees that no
// goroutine is left.
func TestCloseWithRequestsInFlight(t *testing.T) {
	for i := range 12 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.rounds = i%2 == 0
				r.openAll()
				n := r.leader()
				n.must("SET", "k", "0")
				if i%3 == 0 {
					r.net.Isolate(n.name)
				} else {
					for _, other := range []string{"n1", "n2", "n3"} {
						r.net.Latency(n.name, other, time.Duration(i)*time.Millisecond)
					}
				}
				var asked, answered atomic.Int64
				stop := make(chan struct{})
				var wg sync.WaitGroup
				for j := range 8 {
					wg.Go(func() {
						for {
							asked.Add(2)
							n.Propose(&Call{Request: incr, Done: func([]resp.Value, error) { answered.Add(1) }})
							n.Barrier(j%2 == 0, func(error) { answered.Add(1) })
							select {
							case <-stop:
								return
							case <-time.After(time.Duration(j+1) * 700 * time.Microsecond):
							}
						}
					})
				}
				time.Sleep(time.Duration(i*17) * time.Millisecond)
				if err := n.Close(); err != nil {
					t.Error(err)
				}
				delete(r.running, n.name)
				close(stop)
				wg.Wait()
				r.net.Crash(n.name)
				time.Sleep(time.Minute)
				if asked.Load() != answered.Load() {
					t.Errorf("%d requests, %d answers", asked.Load(), answered.Load())
				}
			}, "n1", "n2", "n3")
		})
	}
}

// incr is a request of an origin that the group does not know: it is refused, by
// the log.
var incr = (&fsm.Request{Kind: fsm.Run, Origin: 99, Seq: 1, Calls: oneCall("INCR", "k")}).Append(nil)
