package group

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
)

// changeLead follows raft's word that this replica has won or lost the lead. It
// runs on the proposer's goroutine.
func (g *Group) changeLead(leads bool) {
	g.lead.Store(nil)
	g.queue.fail(ErrNotLeader)
	if leads {
		g.beginTerm()
	}
}

// beginTerm opens the group for requests once an entry of the new term has been
// applied: from then on this replica has all that was acknowledged before, and
// knows the clock that it goes on from.
func (g *Group) beginTerm() {
	term := g.raft.CurrentTerm()
	f := g.raft.ApplyLog(raft.Log{Data: g.opening(term)}, 0)
	g.proposals.Go(func() {
		if err := f.Error(); err != nil {
			return // lost again, or a transfer is under way: the loop asks once more
		}
		if done, ok := f.Response().(applied); !ok || done.void {
			return
		}
		lead := &leadership{term: term, clock: g.clockNow(), start: time.Now()}
		g.lead.Store(lead)
		if g.failed.Load() || g.raft.State() != raft.Leader || g.raft.CurrentTerm() != term {
			g.lead.Store(nil)
			return
		}
		g.learnClock(lead)
		g.log.Info("leading", "term", term)
		g.queue.nudge() // to look at the deadlines
		g.leader.changed()
	})
}

// clockNow returns the cluster clock as this replica reckons it: the last stamp
// that was applied here, and the time that has passed on this node since the
// entry came. As the stamp is older than its arrival, that is never more than the
// real time since it was made, and no deadline is cut short by it. It is behind
// by the time that is not known of: on a replica that was started since, or got
// the entry late.
func (g *Group) clockNow() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.machine.Clock() + time.Since(g.stamped).Milliseconds()
}

// Pulse is what a leader asks other replicas for.
type Pulse struct {
	// Term is the raft term of the replica. It is read after the question arrived,
	// and raised before a vote is given: whoever still had the leader's term then
	// had not helped to elect another.
	Term uint64
	// Clock is the cluster clock, ms, as the replica reckons it.
	Clock int64
}

// Pulse answers for this replica.
func (g *Group) Pulse() Pulse { return Pulse{Term: g.raft.CurrentTerm(), Clock: g.clockNow()} }

// learnClock asks the other replicas for their clocks: one that has run for
// longer knows of more time than this one, which may have been started a moment
// ago. Only when all have been is time lost.
func (g *Group) learnClock(lead *leadership) {
	if g.cfg.Ask == nil {
		return
	}
	for _, s := range g.Servers() {
		if string(s.ID) != g.cfg.Node {
			g.cfg.Ask(string(s.ID), func(p Pulse, err error) {
				if err == nil {
					lead.learn(p.Clock)
				}
			})
		}
	}
}

// opening encodes the first entry of a term. It leaves the clock as it is: what
// the clock goes on from is known only when all before it is applied.
func (g *Group) opening(term uint64) []byte {
	g.mu.RLock()
	defer g.mu.RUnlock()
	e := fsm.Entry{Term: term, Stamp: g.machine.Clock(), Wall: g.cfg.Wall().UnixMilli(), Epoch: g.machine.Epoch()}
	return seal(e.Append(nil))
}

// lostLead closes the group for requests unless a newer term has begun.
func (g *Group) lostLead(l *leadership) {
	if g.lead.CompareAndSwap(l, nil) {
		g.queue.fail(ErrNotLeader)
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
