package group

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
	"phonond/redisproto/resp"
)

// TestClockNeverRunsAhead runs random histories of leaders: crashes, restarts, cuts
// and transfers. Every entry tells when its leader stamped it, by the wall clock
// that all share here. For any grant at g with stamp c(g) and any later stamp c(x)
// at x, c(x)-c(g) <= x-g: else a lock would be given away too early.
func TestClockNeverRunsAhead(t *testing.T) {
	for _, rounds := range []bool{false, true} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("rounds=%v/seed=%d", rounds, seed), func(t *testing.T) {
				bubble(t, func(r *rig) {
					r.rounds = rounds
					r.openAll()
					r.leader()
					r.changeLeaders(rand.New(rand.NewPCG(seed, 2)))
					r.checkClock()
				}, "n1", "n2", "n3")
			})
		}
	}
}

// changeLeaders writes and reads while leaders come and go.
func (r *rig) changeLeaders(rnd *rand.Rand) {
	origin := int64(0)
	for range 60 {
		for _, s := range r.servers {
			name := string(s.ID)
			if r.running[name] == nil && rnd.IntN(3) == 0 {
				r.open(name)
			}
		}
		a, b := fmt.Sprintf("n%d", rnd.IntN(3)+1), fmt.Sprintf("n%d", rnd.IntN(3)+1)
		switch rnd.IntN(8) {
		case 0:
			if r.running[a] != nil && len(r.running) > 1 {
				r.crash(a)
			}
		case 1:
			r.net.Isolate(a)
		case 2:
			r.net.Cut(a, b)
		case 3, 4:
			r.net.HealAll()
			r.net.Delay(a, b, time.Duration(rnd.IntN(2)*rnd.IntN(800))*time.Millisecond)
		case 5:
			if n := r.running[a]; n != nil && n.Leads() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				n.Transfer(ctx, b)
				cancel()
			}
		}
		for end := time.Now().Add(time.Duration(rnd.IntN(4000)) * time.Millisecond); time.Now().Before(end); {
			time.Sleep(time.Duration(1+rnd.IntN(300_000)) * time.Microsecond)
			for _, n := range r.running {
				if n.Leads() {
					origin++
					id := uint64(1e6 + origin)
					n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: id, Node: n.name})
					n.submit(fsm.Request{Kind: fsm.Run, Origin: id, Seq: 1, Calls: oneCall("SET", "k", "v", "PX", "1000")})
				}
			}
		}
	}
	r.net.HealAll()
	for _, s := range r.servers {
		if r.running[string(s.ID)] == nil {
			r.open(string(s.ID))
		}
	}
	r.leader()
	r.level()
}

// checkClock reads the log that was agreed on.
func (r *rig) checkClock() {
	r.t.Helper()
	// Stamps are cut to milliseconds, on both sides.
	const tolerance = 1
	n := r.leader()
	last, _ := r.disks[n.name].LastIndex()
	first, _ := r.disks[n.name].FirstIndex()
	clock, grants := int64(0), 0
	least := int64(1 << 62) // of clock minus real time, over all grants so far
	for i := first; i <= min(last, n.raft.CommitIndex()); i++ {
		var l raft.Log
		if err := r.disks[n.name].GetLog(i, &l); err != nil {
			r.t.Fatal(err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		e, err := open(l.Data)
		if err != nil {
			r.t.Fatal(err)
		}
		if e.Term != l.Term {
			continue
		}
		clock = max(clock, e.Stamp)
		if early := clock - e.Wall - least; early > tolerance {
			r.t.Errorf("entry %d: the clock ran ahead of a grant by %d ms", i, early)
			return
		}
		if len(e.Requests) > 0 {
			least = min(least, clock-e.Wall)
			grants++
		}
	}
	if grants < 50 {
		r.t.Errorf("only %d grants in %d entries", grants, last)
	}
}

// TestTimeIsNotMadeUpAtTheCostOfALock: two of three replicas were down, so that the
// clock of the leader among them stands far behind what the third reckons. A lock
// granted by that clock must not end when the third is heard.
func TestTimeIsNotMadeUpAtTheCostOfALock(t *testing.T) {
	for _, late := range []time.Duration{0, 50 * time.Millisecond, 5 * time.Second} {
		t.Run(late.String(), func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.rounds = true
				r.openAll()
				r.leader().must("SET", "k", "v")
				r.level()
				r.crash("n1")
				r.crash("n2")
				time.Sleep(time.Minute)
				for _, other := range []string{"n1", "n2"} {
					r.net.Delay("n3", other, late)
				}
				r.net.CutOneWay("n3", "n1") // n3 does not lead, and does not learn of grants
				r.net.CutOneWay("n3", "n2")
				r.open("n1")
				r.open("n2")
				n := r.leader("n3")
				asked := time.Now()
				n.must("SET", "lock", "me", "PX", "20000")
				r.net.HealAll()
				r.wait("the end of the lock", func() bool {
					v, err := n.get("lock")
					return err == nil && v.Kind == resp.Nil
				})
				if held := time.Since(asked); held < 20*time.Second {
					t.Errorf("a lock of 20s ended after %v", held)
				}
			}, "n1", "n2", "n3")
		})
	}
}

// TestTimeOfAnotherReplicaCounts: a leader that was started a moment ago goes on
// from the clock of one that has been there all the time.
func TestTimeOfAnotherReplicaCounts(t *testing.T) {
	bubble(t, func(r *rig) {
		r.rounds = true
		r.openAll()
		r.leader().must("SET", "lock", "me", "PX", "60000")
		asked := time.Now()
		r.level()
		r.crash("n1")
		r.crash("n2")
		time.Sleep(40 * time.Second)
		r.open("n1")
		r.open("n2")
		n := r.leader()
		if n.name == "n3" {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := n.Transfer(ctx, "n1"); err != nil {
				t.Fatal(err)
			}
			n = r.leader("n3")
		}
		r.wait("the end of the lock", func() bool {
			v, err := n.get("lock")
			return err == nil && v.Kind == resp.Nil
		})
		if held := time.Since(asked); held < 60*time.Second || held > 65*time.Second {
			t.Errorf("a lock of 60s ended after %v", held)
		}
	}, "n1", "n2", "n3")
}

// TestAnEarlierDeadlineIsKept: the leader sleeps until the earliest one, also when
// that comes after it has gone to sleep.
func TestAnEarlierDeadlineIsKept(t *testing.T) {
	bubble(t, func(r *rig) {
		n := r.open("v")
		r.leader()
		for _, s := range []int{9, 5, 2, 7} {
			n.must("SET", fmt.Sprint(s), "v", "PX", fmt.Sprint(s*1000))
		}
		began := time.Now()
		for left, s := range []int{2, 5, 7, 9} {
			time.Sleep(time.Until(began.Add(time.Duration(s)*time.Second - 50*time.Millisecond)))
			if v := n.Read(oneCall("DBSIZE"))[0]; v.Int != int64(4-left) {
				t.Errorf("just before %d s %d keys are left", s, v.Int)
			}
			time.Sleep(100 * time.Millisecond)
			if v := n.Read(oneCall("DBSIZE"))[0]; v.Int != int64(3-left) {
				t.Errorf("just after %d s %d keys are left", s, v.Int)
			}
		}
	}, "v")
}

// TestDistantDeadlineCostsLittle: a deadline in three hundred years is not due, and
// only the clock is logged now and then.
func TestDistantDeadlineCostsLittle(t *testing.T) {
	bubble(t, func(r *rig) {
		n := r.open("v")
		r.leader()
		for _, px := range []string{"9999999999999", "9000000000000000000"} {
			if v := n.must("SET", "k", "v", "PX", px); v.Str != "OK" {
				t.Fatalf("%s: %+v", px, v)
			}
			before := n.Status().Entries
			time.Sleep(time.Minute)
			if more := n.Status().Entries - before; more > int64(time.Minute/clockEvery) {
				t.Errorf("%d entries in an idle minute with a deadline %s ms away", more, px)
			}
		}
	}, "v")
}
