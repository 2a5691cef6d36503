package group

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// roundTimeout is how long the voters are waited for before a read takes the slow
// way through the log, which finds out what is wrong: half of what a leader may go
// without them.
func (g *Group) roundTimeout() time.Duration { return g.cfg.Timing.Lease / 2 }

// Barrier calls done once everything that was acknowledged before Barrier was
// called has been applied here, so that a read from then on is linearizable. done
// must not block.
//
// Reads that arrive together share one round of asking the other voters for their
// term: if a majority has not moved on, this replica still leads and its commit
// index holds all that was acknowledged. Where that is not enough they share a
// log entry, or ride on one that is proposed anyway: when a key is due to expire,
// since only the log says when, and with clock, when what is read depends on the
// time. While the disks are full there are no entries: what is due stays until there
// is room, and what depends on the time is refused.
func (g *Group) Barrier(clock bool, done func(error)) {
	lead := g.lead.Load()
	if lead == nil {
		done(ErrNotLeader)
		return
	}
	next := g.nextDeadline.Load()
	if clock || g.cfg.Ask == nil || next != 0 && lead.now() > next && g.spaceFull() == nil {
		g.logBarrier(done)
		return
	}
	g.rounds.mu.Lock()
	g.rounds.waiting = append(g.rounds.waiting, done)
	r := g.beginRound(lead)
	g.rounds.mu.Unlock()
	g.ask(r)
}

// logBarrier waits for a log entry.
func (g *Group) logBarrier(done func(error)) {
	err := g.spaceFull()
	if err == nil {
		err = g.queue.addRead(done)
	}
	if err != nil {
		done(err)
	}
}

// rounds are the questions to the voters, one at a time: what arrives while one
// is under way cannot be answered by it and takes the next.
type rounds struct {
	mu      sync.Mutex
	waiting []func(error)
	now     *round
}

// round is one question to all voters.
type round struct {
	lead   *leadership
	index  uint64 // committed when the question was asked
	voters []string
	need   int // answers that make a majority together with our own
	may    int // answers still to come
	reads  []func(error)
	timer  *time.Timer
}

// beginRound makes the next round if reads wait and none is under way. The lock
// is held; the caller asks when it has let go of it.
func (g *Group) beginRound(lead *leadership) *round {
	if g.rounds.now != nil || len(g.rounds.waiting) == 0 {
		return nil
	}
	r := &round{lead: lead, index: g.raft.CommitIndex(), reads: g.rounds.waiting}
	for _, s := range g.Servers() {
		if s.Suffrage == raft.Voter && string(s.ID) != g.cfg.Node {
			r.voters = append(r.voters, string(s.ID))
		}
	}
	r.need, r.may = (len(r.voters)+1)/2, len(r.voters)
	r.timer = time.AfterFunc(g.roundTimeout(), func() { g.endRound(r, false) })
	g.rounds.now, g.rounds.waiting = r, nil
	return r
}

// ask sends a round's question. r may be nil.
func (g *Group) ask(r *round) {
	if r == nil {
		return
	}
	if r.need == 0 {
		g.endRound(r, true)
		return
	}
	for _, v := range r.voters {
		g.cfg.Ask(v, func(p Pulse, err error) { g.answer(r, err == nil && p.Term == r.lead.term) })
	}
}

// answer counts a voter's answer.
func (g *Group) answer(r *round, same bool) {
	g.rounds.mu.Lock()
	if g.rounds.now != r {
		g.rounds.mu.Unlock()
		return
	}
	r.may--
	if same {
		r.need--
	}
	won, lost := r.need == 0, r.need > r.may
	g.rounds.mu.Unlock()
	if won || lost {
		g.endRound(r, won)
	}
}

// endRound lets a round's reads go on, once what was committed when it began is
// applied, or sends them through the log.
func (g *Group) endRound(r *round, won bool) {
	g.rounds.mu.Lock()
	if g.rounds.now != r {
		g.rounds.mu.Unlock()
		return
	}
	g.rounds.now = nil
	var next *round
	if lead := g.lead.Load(); lead != nil {
		next = g.beginRound(lead)
	}
	orphans := g.rounds.orphans(next == nil)
	g.rounds.mu.Unlock()
	r.timer.Stop()
	g.ask(next)
	finish(nil, orphans, ErrNotLeader)
	if !won || g.raft.CurrentTerm() != r.lead.term {
		if g.spaceFull() != nil {
			finish(nil, r.reads, ErrNotLeader) // to be asked once more
			return
		}
		for _, done := range r.reads {
			g.logBarrier(done)
		}
		return
	}
	g.whenApplied(r.index, func(err error) { finish(nil, r.reads, err) })
}

// orphans are the reads that nobody will ask for, as the lead is lost. The lock is
// held.
func (rs *rounds) orphans(lost bool) []func(error) {
	if !lost {
		return nil
	}
	waiting := rs.waiting
	rs.waiting = nil
	return waiting
}

// progress notes how far the state is, and who waits for it to get further.
type progress struct {
	mu      sync.Mutex
	index   uint64
	ended   error // why it gets no further
	waiting []waitIndex
}

type waitIndex struct {
	index uint64
	f     func(error)
}

// whenApplied calls f once the entry at index has been applied here, or with an
// error if it will not be. Each entry that raft hands to the state machine counts;
// the others of a term come before its first.
func (g *Group) whenApplied(index uint64, f func(error)) {
	p := &g.progress
	p.mu.Lock()
	err := p.ended
	if err == nil && p.index < index {
		p.waiting = append(p.waiting, waitIndex{index, f})
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	f(err)
}

// end fails those who wait, and all who will.
func (p *progress) end(err error) {
	p.mu.Lock()
	if p.ended == nil {
		p.ended = err
	}
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, w := range waiting {
		w.f(err)
	}
}

// reached is called after an entry was applied.
func (g *Group) reached(index uint64) {
	p := &g.progress
	p.mu.Lock()
	p.index = index
	var ready []func(error)
	kept := p.waiting[:0]
	for _, w := range p.waiting {
		if w.index <= index {
			ready = append(ready, w.f)
		} else {
			kept = append(kept, w)
		}
	}
	p.waiting = kept
	p.mu.Unlock()
	for _, f := range ready {
		f(nil)
	}
}
