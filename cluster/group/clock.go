package group

import (
	"time"
)

// stamp is what a replica knows of the cluster clock: that it stood where the
// state has it when an entry came.
//
// A replica reckons the clock from there by the time that has passed on its node
// since. As an entry is stamped before it comes, that is never more than the real
// time since, and no deadline is cut short by it: for any key given a time to live
// by an entry in the state, the clock reckoned now is ahead of that entry's by no
// more than the real time between them. It is behind by the time that is not
// known of, on a replica that was started or caught up since.
type stamp struct {
	came time.Time // not before the last entry that set the clock or held requests
	// requests is the last entry that may have held requests. Whoever lacks it lacks
	// keys with deadlines, and what he reckons says nothing of those.
	requests uint64
}

// stampAt takes note of an entry that was applied. The group's lock is held.
func (g *Group) stampAt(index uint64, moved, requests bool) {
	if !moved && !requests {
		return
	}
	g.stamp.came = g.store.storedTime(index)
	if requests {
		g.stamp.requests = index
	}
}

// Pulse is what a leader asks other replicas for.
type Pulse struct {
	// Term is the raft term of the replica. It is read after the question arrived,
	// and raised before a vote is given: whoever still had the leader's term then
	// had not helped to elect another.
	Term uint64
	// Clock is the cluster clock, ms, as the replica reckons it, and Index the last
	// entry it has applied.
	Clock int64
	Index uint64
	// Space is of the disk that the replica is on.
	Space Space
}

// Pulse answers for this replica.
func (g *Group) Pulse() Pulse {
	p := Pulse{Term: g.raft.CurrentTerm(), Space: g.cfg.Space()}
	g.mu.RLock()
	defer g.mu.RUnlock()
	p.Clock, p.Index = g.reckon(), g.machine.Index()
	return p
}

// reckon returns the clock as this replica reckons it. The lock is held.
func (g *Group) reckon() int64 {
	return g.machine.Clock() + time.Since(g.stamp.came).Milliseconds()
}

// agreeClock returns what the clock of a new leader goes on from, before it takes
// any request: once it has granted anything its clock must not leap. It asks the
// others, of which one may have been there when the last stamp came, while this
// one got it late: a moment after it was started, say. Only when all did, or none
// that did not answers, is time lost.
func (g *Group) agreeClock() (clock int64, at time.Time) {
	g.mu.RLock()
	mine, clock := g.stamp, g.reckon()
	g.mu.RUnlock()
	at = time.Now()
	if g.cfg.Ask == nil {
		return clock, at
	}
	servers := g.Servers()
	heard := make(chan Pulse, len(servers))
	for _, s := range servers {
		if string(s.ID) == g.cfg.Node {
			heard <- Pulse{}
			continue
		}
		g.cfg.Ask(string(s.ID), func(p Pulse, err error) {
			if err != nil {
				p = Pulse{}
			} else {
				// What it heard when it led before may have changed since.
				g.hearSpace(string(s.ID), p.Space)
			}
			heard <- p
		})
	}
	enough := time.NewTimer(g.roundTimeout())
	defer enough.Stop()
	for range servers {
		select {
		case p := <-heard:
			if now := time.Now(); p.Index >= mine.requests && p.Clock > clock+now.Sub(at).Milliseconds() {
				clock, at = p.Clock, now
			}
		case <-enough.C:
			return clock, at
		case <-g.stopped.Done():
			return clock, at
		}
	}
	return clock, at
}
