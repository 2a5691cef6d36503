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
	opening := &leadership{term: term, clock: g.Clock(), start: time.Now()}
	f := g.raft.ApplyLog(raft.Log{Data: g.opening(opening)}, 0)
	g.proposals.Go(func() {
		if err := f.Error(); err != nil {
			return // lost again, or a transfer is under way: the loop asks once more
		}
		if done, ok := f.Response().(applied); !ok || done.void {
			return
		}
		// The clock starts only now: what it loses meanwhile lengthens deadlines,
		// what it gained would cut them short.
		g.lead.Store(&leadership{term: term, clock: g.Clock(), start: time.Now()})
		if g.raft.State() != raft.Leader || g.raft.CurrentTerm() != term {
			g.lead.Store(nil)
			return
		}
		g.log.Info("leading", "term", term)
		g.queue.nudge() // to look at the deadlines
		g.leader.changed()
	})
}

// opening encodes the first entry of a term. Its stamp is the clock as it is.
func (g *Group) opening(l *leadership) []byte {
	e := fsm.Entry{Term: l.term, Stamp: l.clock, Wall: time.Now().UnixMilli()}
	g.mu.RLock()
	e.Epoch = g.machine.Epoch()
	g.mu.RUnlock()
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
	for {
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

// Leader returns the id of the node that leads as far as this replica knows,
// "" if it knows of none.
func (g *Group) Leader() string {
	_, id := g.raft.LeaderWithID()
	return string(id)
}

// LeaderChanged returns a channel that is closed when [Group.Leader] or
// [Group.Leads] may answer otherwise.
func (g *Group) LeaderChanged() <-chan struct{} { return g.leader.wait() }
