package group

import (
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
)

const (
	// inFlight is how many entries may be on their way at once, if enough waits
	// (see overlapBytes). Two keep the disk of the leader and those of its followers
	// busy at the same time; more only make entries smaller.
	inFlight = 2
	// tickGap is the least time between two entries that do nothing but expire
	// keys.
	tickGap = 100 * time.Millisecond
	// clockEvery is how often the clock is logged at least while any key has a
	// deadline: what passes unlogged is lost to it when all replicas stop at once.
	clockEvery = 10 * time.Second
	// retryLead is how soon a leader that could not open its term tries again.
	retryLead = 50 * time.Millisecond
	// entryOverhead is room for what an entry holds besides requests.
	entryOverhead = 96
)

// Propose takes a request on its way. c.Done tells the outcome, possibly before
// Propose returns.
func (g *Group) Propose(c *Call) {
	if g.lead.Load() == nil {
		c.Done(nil, ErrNotLeader)
		return
	}
	err := g.admit(c)
	if err == nil {
		err = g.queue.addCall(c)
	}
	if err != nil {
		c.Done(nil, err)
	}
}

// propose is the loop that turns the queue into entries while this replica
// leads. It never waits for a batch to fill: an entry takes whatever came while
// the ones before it were on their way.
func (g *Group) propose() {
	p := proposer{Group: g, timer: time.NewTimer(time.Hour)}
	defer p.timer.Stop()
	for p.step() {
	}
}

// proposer is the state of the loop.
type proposer struct {
	*Group
	timer  *time.Timer
	sent   time.Time // when the last entry was proposed
	ticked time.Time // and the last one for expiry or the clock alone
	leads  bool      // raft says that this replica leads
}

// step waits for something to do and does it. It returns false when the group
// stops.
func (p *proposer) step() bool {
	p.timer.Reset(p.sleep())
	due := false
	select {
	case <-p.stopped.Done():
		return false
	case p.leads = <-p.raft.LeaderCh():
		p.changeLead(p.leads)
		return true
	case <-p.queue.wake:
	case <-p.timer.C:
		// What was due when the timer was set may have been done since.
		due = p.lead.Load() == nil || p.sleep() == 0
	}
	if p.lead.Load() == nil {
		p.queue.fail(ErrNotLeader)
		if due && p.leads && p.raft.State() == raft.Leader {
			p.beginTerm()
		}
		return true
	}
	select {
	case <-p.stopped.Done():
		return false
	case p.leads = <-p.raft.LeaderCh():
		p.changeLead(p.leads)
	case p.slots <- struct{}{}:
		if !p.send(due) {
			<-p.slots
		}
	}
	return true
}

// send proposes what is waiting. It returns false when there is nothing to
// propose.
func (p *proposer) send(due bool) bool {
	lead := p.lead.Load()
	if lead == nil {
		p.queue.fail(ErrNotLeader)
		return false
	}
	if err := p.spaceFull(); err != nil {
		p.queue.fail(err)
		return false
	}
	var batch []*Evaluation
	if p.queue.scriptsWait() && p.late.Load() < maxLate {
		switch {
		case p.queue.drained():
			batch = p.queue.takeScripts()
		case !due:
			return false // they are evaluated when it is
		}
	}
	calls, reads, offers := p.queue.take()
	// The time is taken after that: no time to live begins before it was asked for.
	stamp, wall := lead.now(), p.cfg.Wall().UnixMilli()
	first, answers := p.scripts(lead, batch, stamp, wall)
	// The scripts' effects come before all else: only so are they what they would be
	// there. Who waits comes before what others ask for.
	attending := p.attend(slices.Concat(first, calls), offers)
	calls = slices.Concat(first, attending, calls)
	if len(calls)+len(reads) == 0 && !due {
		for _, t := range answers {
			p.Barrier(t.clock, t.answer)
		}
		return false
	}
	if len(calls)+len(reads) == 0 {
		p.ticked = time.Now()
	}
	for _, t := range answers {
		reads = append(reads, t.answer)
	}
	p.sent = time.Now()
	p.queue.took()
	f := p.raft.ApplyLog(raft.Log{Data: p.entry(lead.term, stamp, wall, calls)}, 0)
	p.proposals.Go(func() {
		p.await(f, lead, calls, reads)
		<-p.slots
		p.queue.landed()
	})
	return true
}

// sleep returns how long the loop may wait if nothing comes: until a key expires
// or the clock is to be logged, or until it asks again for a lead that raft says
// it has.
func (p *proposer) sleep() time.Duration {
	lead, next := p.lead.Load(), p.nextDeadline.Load()
	p.armedFor.Store(next)
	switch {
	case lead == nil && p.leads:
		return retryLead
	case lead == nil, next == 0:
		return time.Hour
	case p.spaceFull() != nil:
		return time.Hour // a nudge comes when there is room
	}
	// Deadlines may be further away than a Duration can say.
	away := min(next+1-lead.now(), clockEvery.Milliseconds())
	due := min(time.Duration(away)*time.Millisecond, clockEvery-time.Since(p.sent))
	return max(due, tickGap-time.Since(p.ticked), 0)
}

// entry encodes a log entry.
func (g *Group) entry(term uint64, stamp, wall int64, calls []*Call) []byte {
	requests, bytes := make([][]byte, len(calls)), entryOverhead
	for i, c := range calls {
		requests[i] = c.Request
		bytes += len(c.Request)
	}
	e := fsm.Entry{Term: term, Stamp: stamp, Wall: wall}
	g.mu.RLock()
	e.Epoch, e.CheckIndex, e.CheckDigest = g.machine.Epoch(), g.machine.Index(), g.machine.Digest()
	g.mu.RUnlock()
	return seal(e.AppendEncoded(make([]byte, 0, bytes), requests...))
}

// await tells the outcome of an entry to whoever waits for it.
func (g *Group) await(f raft.ApplyFuture, lead *leadership, calls []*Call, reads []func(error)) {
	if err := raftError(f.Error()); err != nil {
		g.lostLead(lead)
		finish(calls, reads, err)
		return
	}
	done, ok := f.Response().(applied)
	switch {
	case !ok: // the replica has failed and applies nothing more
		finish(calls, reads, ErrUncertain)
	case done.void:
		g.lostLead(lead)
		finish(calls, reads, ErrNotLeader)
	default:
		for i, c := range calls {
			c.Done(done.outcomes[i].Replies, statusError(done.outcomes[i].Status))
		}
		finish(nil, reads, nil)
		g.rearm()
	}
}

// statusError returns the error that a request's status stands for.
func statusError(s fsm.Status) error {
	switch s {
	case fsm.Applied, fsm.Repeated:
		return nil
	case fsm.UnknownOrigin:
		return ErrUnknownOrigin
	case fsm.Conflict:
		return ErrConflict
	case fsm.Overrun:
		return ErrBusy
	case fsm.Waiting:
		return errNothing
	}
	return ErrUncertain // Stale: nobody waits for it any more
}

// raftError maps raft's errors to ours: whether the entry may yet be applied.
func raftError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, errNoRoom): // so it was not written, and the lead given up
		return ErrNotLeader
	}
	return ErrUncertain
}

// rearm wakes the loop when an entry brought a deadline that is earlier than the
// one its timer is set for.
func (g *Group) rearm() {
	next, armed := g.nextDeadline.Load(), g.armedFor.Load()
	if next != 0 && (armed == 0 || next < armed) {
		g.queue.nudge()
	}
}
