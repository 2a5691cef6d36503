package group

import (
	"errors"
	"sync"
	"time"

	"phonond/fsm"
	"phonond/redisproto/resp"
)

const (
	// scriptBox is how long the log waits for scripts. One that takes longer goes on
	// beside it.
	scriptBox = 2 * time.Millisecond
	// maxScriptBatch is how many requests with scripts are evaluated for one entry.
	maxScriptBatch = 512
	// maxLate is how many scripts may go on beside the log. While they do, others wait.
	maxLate = 2
	// patience is how often what a script has read may change before the log waits for
	// it, however long it takes; and maxTries is how often it is tried at all.
	patience = 3
	maxTries = 10
)

// Evaluation is a request with scripts in it on its way through the group.
//
// Scripts are evaluated between two entries, when nothing is on its way: on a fork of
// the state as the next entry will find it. Their effects come first in that entry, with
// the versions of the keys that they have read. So they are what the scripts would
// have done there, unless one took too long: the log does not wait for it, and if what
// it has read is not as it was when its effects come to be applied, it is evaluated
// again.
type Evaluation struct {
	Request fsm.Request
	// Again says that an earlier attempt may have been applied: whatever the scripts
	// answer now, the log has to tell.
	Again bool
	// Done is called once, as that of a [Call].
	Done func(replies []resp.Value, err error)

	tries int
}

// Evaluate takes a request on its way. e.Done tells the outcome.
func (g *Group) Evaluate(e *Evaluation) {
	err := ErrNotLeader
	if g.lead.Load() != nil {
		err = g.queue.addScript(e)
	}
	if err != nil {
		e.Done(nil, err)
	}
}

// tried is an evaluation with its result.
type tried struct {
	*Evaluation
	trial
	replies []resp.Value
	err     error
}

// try evaluates a request on a fork.
func (g *Group) try(e *Evaluation, fork *fsm.Machine) *tried {
	e.tries++
	g.stats.scripts.Add(1)
	out := &tried{Evaluation: e, trial: trial{g: g, ctx: g.stopped, fork: fork, changes: fork.Changes()}}
	for _, r := range e.Request.Reads {
		if fork.Version(r.DB, r.Key) != r.Version {
			out.err = ErrConflict // for good: what the client has watched
			return out
		}
	}
	out.replies = out.run(e.Request.Calls)
	return out
}

// box is a batch of evaluations that the log waits for.
type box struct {
	mu       sync.Mutex
	waiting  []*Evaluation // not begun
	done     []*tried
	closed   bool // the log waits no more
	finished chan struct{}
}

// next returns the next evaluation to begin, nil if there is none.
func (b *box) next() *Evaluation {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.waiting) == 0 {
		return nil
	}
	e := b.waiting[0]
	b.waiting = b.waiting[1:]
	return e
}

// add adds a result. It returns false when the log does not wait for it any more.
func (b *box) add(t *tried) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.done = append(b.done, t)
	}
	return !b.closed
}

// close returns what is done, and what was not begun.
func (b *box) close() (done []*tried, left []*Evaluation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.done, b.waiting
}

// evaluate evaluates a batch on the state as an entry with that time will find it, and
// returns what was done in time. What was not begun goes back into the queue.
func (p *proposer) evaluate(batch []*Evaluation, stamp, wall int64) []*tried {
	p.mu.RLock()
	fork := p.machine.Fork(stamp, wall)
	p.mu.RUnlock()
	b := &box{waiting: batch, finished: make(chan struct{})}
	p.loops.Go(func() {
		defer close(b.finished)
		for e := b.next(); e != nil; e = b.next() {
			t := p.try(e, fork)
			if !b.add(t) {
				p.settleLate(t)
				return
			}
		}
	})
	var over <-chan time.Time
	if batch[0].tries < patience {
		timer := time.NewTimer(scriptBox)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-b.finished:
	case <-over:
	}
	done, left := b.close()
	p.queue.returnScripts(left)
	if len(done)+len(left) < len(batch) {
		p.late.Add(1) // until settleLate has its result
	}
	return done
}

// settleLate takes the result of a script that the log has not waited for.
func (g *Group) settleLate(t *tried) {
	if c := g.effects(t, true); c != nil {
		g.Propose(c)
	} else if t.err == nil {
		g.Barrier(t.clock, t.answer)
	}
	g.late.Add(-1)
	g.queue.nudge() // others may have waited for it
}

// effects returns the call that brings the effects of an evaluation into the log, nil
// if it needs none. alone says that no other evaluation's effects are under what it
// has read.
func (g *Group) effects(t *tried, alone bool) *Call {
	switch {
	case t.err != nil:
		t.Done(nil, t.err)
		return nil
	case len(t.trial.effects) == 0 && !t.Again && alone:
		return nil
	}
	return &Call{Request: t.request(&t.Request, t.replies), Done: func(replies []resp.Value, err error) {
		if errors.Is(err, ErrConflict) && t.tries < maxTries {
			g.stats.scriptRetries.Add(1)
			g.Evaluate(t.Evaluation)
			return
		}
		if err == nil {
			g.publish(t.messages)
		}
		t.Done(replies, err)
	}}
}

// answer answers an evaluation without effects once what it has read is known to be
// recent enough.
func (t *tried) answer(err error) {
	if err != nil {
		t.Done(nil, err)
		return
	}
	t.g.publish(t.messages)
	t.Done(t.replies, nil)
}

func (g *Group) publish(messages []Message) {
	if len(messages) > 0 && g.cfg.Publish != nil {
		g.cfg.Publish(messages)
	}
}

// scripts evaluates what waits for it, and returns the calls that go first in the next
// entry, and the reads that wait for it.
func (p *proposer) scripts(stamp, wall int64) (calls []*Call, reads []*tried) {
	if p.late.Load() >= maxLate {
		return nil, nil
	}
	batch := p.queue.takeScripts()
	if len(batch) == 0 {
		return nil, nil
	}
	for _, t := range p.evaluate(batch, stamp, wall) {
		switch c := p.effects(t, len(calls) == 0); {
		case c != nil:
			calls = append(calls, c)
		case t.err == nil:
			reads = append(reads, t)
		}
	}
	return calls, reads
}
