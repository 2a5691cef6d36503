package group

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
)

// leadership is one term in which this replica leads.
type leadership struct {
	term  uint64
	clock int64     // the cluster clock at a moment
	start time.Time // that moment, on the monotonic clock
}

// now returns the cluster clock as this leader stamps it.
func (l *leadership) now() int64 {
	return l.clock + time.Since(l.start).Milliseconds()
}

// changeLead follows raft's word that this replica has won or lost the lead. It
// runs on the proposer's goroutine.
func (g *Group) changeLead(leads bool) {
	g.lead.Store(nil)
	g.keeper.end(nil)
	g.queue.fail(ErrNotLeader)
	g.failWaiters()
	g.leader.changed()
	if leads {
		g.beginTerm()
	}
}

// beginTerm opens the group for requests once an entry of the new term has been
// applied: from then on this replica has all that was acknowledged before, and
// knows the clock that it goes on from.
func (g *Group) beginTerm() {
	if g.opening.Swap(true) {
		return // the loop asks once more
	}
	term := g.raft.CurrentTerm()
	f := g.raft.ApplyLog(raft.Log{Data: g.firstEntry(term)}, 0)
	g.proposals.Go(func() {
		defer g.opening.Store(false)
		if err := f.Error(); err != nil {
			return // lost again
		}
		if done, ok := f.Response().(applied); !ok || done.void {
			return
		}
		clock, start := g.agreeClock()
		g.led.Store(term)
		lead := &leadership{term: term, clock: clock, start: start}
		g.mu.RLock()
		g.keeper.begin(lead, g.machine)
		g.mu.RUnlock()
		g.lead.Store(lead)
		if g.failed.Load() || g.raft.State() != raft.Leader || g.raft.CurrentTerm() != term {
			g.lead.Store(nil)
			g.keeper.end(lead)
			g.failWaiters()
			return
		}
		g.log.Info("leading", "term", term)
		g.queue.nudge() // to look at the deadlines
		g.leader.changed()
	})
}

// firstEntry encodes the first entry of a term. It leaves the clock as it is: what
// the clock goes on from is known only when all before it is applied.
func (g *Group) firstEntry(term uint64) []byte {
	g.mu.RLock()
	defer g.mu.RUnlock()
	e := fsm.Entry{Term: term, Stamp: g.machine.Clock(), Wall: g.cfg.Wall().UnixMilli(), Epoch: g.machine.Epoch()}
	return seal(e.Append(nil))
}

// lostLead closes the group for requests unless a newer term has begun. Raft may
// lead on all the same: the proposer is woken to find out, since no request does that
// any more.
func (g *Group) lostLead(l *leadership) {
	if g.lead.CompareAndSwap(l, nil) {
		g.keeper.end(l)
		g.queue.fail(ErrNotLeader)
		g.failWaiters()
		g.queue.nudge()
		g.leader.changed()
	}
}

// leaderWatch lets others wait for a change of leader.
type leaderWatch struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change
}

func newLeaderWatch() *leaderWatch { return &leaderWatch{next: make(chan struct{})} }

func (w *leaderWatch) changed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

func (w *leaderWatch) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// watchLeader passes on raft's observations of the leader.
func (g *Group) watchLeader() {
	ch := make(chan raft.Observation, 1)
	o := raft.NewObserver(ch, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	g.raft.RegisterObserver(o)
	defer g.raft.DeregisterObserver(o)
	heard := false
	for {
		leader := g.Leader()
		if leader != "" && leader != g.cfg.Node {
			g.followed.Store(true)
		}
		if !heard && leader != "" {
			heard = true
			g.reload(func(c *raft.ReloadableConfig) {
				c.HeartbeatTimeout, c.ElectionTimeout = g.cfg.Timing.Election, g.cfg.Timing.Election
			})
		}
		select {
		case <-ch:
			g.leader.changed()
		case <-g.stopped.Done():
			return
		}
	}
}

// Leads reports whether this replica leads the group and serves requests.
func (g *Group) Leads() bool { return g.lead.Load() != nil }

// FirstLead reports whether this replica leads a group in which, since it was
// started, nobody else has led: after a start of the whole group, not after a
// failure.
func (g *Group) FirstLead() bool { return g.Leads() && !g.followed.Load() }

// Leader returns the id of the node that leads as far as this replica knows,
// "" if it knows of none.
func (g *Group) Leader() string {
	_, id := g.raft.LeaderWithID()
	return string(id)
}

// LeaderChanged returns a channel that is closed when [Group.Leader] or
// [Group.Leads] may answer otherwise.
func (g *Group) LeaderChanged() <-chan struct{} { return g.leader.wait() }
