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

// TestRequestsWaitWhileATransferFails: none is refused, and all are served after it.
func TestRequestsWaitWhileATransferFails(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n, heir := r.leader(), r.follower()
		n.must("SET", "k", "1")
		r.net.Isolate(heir.name)
		n.must("SET", "k", "2") // the heir lacks an entry
		began := time.Now()
		transferred := make(chan error, 1)
		go func() { transferred <- n.Transfer(context.Background(), heir.name) }()
		r.wait("the transfer", n.transferring.Load)
		if err := n.Transfer(context.Background(), heir.name); !errors.Is(err, errTransferring) {
			t.Errorf("a second transfer: %v", err)
		}
		n.must("SET", "k", "3")
		if err := <-transferred; err == nil || !n.Leads() {
			t.Errorf("the lead was given to a node that is cut off: %v", err)
		}
		if took := time.Since(began); took > 2*n.cfg.Timing.Election+time.Second {
			t.Errorf("a write waited for %v", took)
		}
		r.net.HealAll()
		r.wait("the heir to have all", func() bool { return n.Transfer(context.Background(), heir.name) == nil })
		if v, err := r.leader(n.name).get("k"); err != nil || v.Str != "3" {
			t.Errorf("%+v, %v", v, err)
		}
	}, "n1", "n2", "n3")
}

// TestFailedTransferOpensTheGroupAgain, also when the heir is down.
func TestFailedTransferOpensTheGroupAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n, heir := r.leader(), r.follower()
		r.crash(heir.name)
		n.must("SET", "k", "v")
		if err := n.Transfer(context.Background(), heir.name); err == nil {
			t.Error("the lead was given to a node that is down")
		}
		n.must("SET", "k", "v")
	}, "n1", "n2", "n3")
}

// TestHeirIsGivenAllFirst: one that lacks entries would stand in vain, and cost the
// group its leader meanwhile.
func TestHeirIsGivenAllFirst(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n, heir := r.leader(), r.follower()
		n.must("SET", "k", "0")
		r.net.Delay(n.name, heir.name, 100*time.Millisecond)
		term := n.raft.CurrentTerm()
		for range 20 {
			n.must("SET", "k", "1")
		}
		if have := heir.raft.LastIndex(); have >= n.raft.LastIndex() {
			t.Fatalf("the heir has all %d entries", have)
		}
		must(t, n.Transfer(context.Background(), heir.name))
		r.wait("the heir to lead", heir.Leads)
		if now := heir.raft.CurrentTerm(); now != term+1 {
			t.Errorf("the lead went from term %d to %d", term, now)
		}
	}, "n1", "n2", "n3")
}

// TestTransferAfterTransfersThatFailed: a follower that does not answer, a lead that is
// lost, and won again. Raft's own transfer would leave its leader refusing all entries
// from then on (hashicorp/raft#696).
func TestTransferAfterTransfersThatFailed(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n, heir := r.leader(), r.follower()
		n.must("SET", "k", "1")
		r.net.Delay(heir.name, n.name, 8*time.Second) // its answers
		n.must("SET", "k", "2")
		for range 3 {
			if err := n.Transfer(context.Background(), heir.name); err == nil {
				t.Error("the lead was given to a node that does not answer")
			}
		}
		r.net.Isolate(n.name)
		r.net.Delay(heir.name, n.name, 0)
		r.leader(n.name).must("SET", "k", "3")
		r.net.HealAll()
		r.wait("the first to lead again", func() bool {
			if n.Leads() {
				return true
			}
			next := r.leader()
			return next.Transfer(context.Background(), n.name) == nil && r.leader() == n
		})
		n.must("SET", "k", "4")
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
