package group

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

const (
	// scriptBox is how long the log waits for scripts. One that takes longer goes on
	// beside it.
	scriptBox = 2 * time.Millisecond
	// maxScriptBatch is how many requests with scripts are evaluated for one entry.
	maxScriptBatch = 512
	// patience is how often what a script has read may change before the log waits for
	// it, however long it takes; and maxTries is how often it is tried at all.
	patience = 3
	maxTries = 10
)

// maxLate is how many scripts may go on beside the log: not more than leaves processors
// to all else. While they do, others wait.
var maxLate = max(1, int64(runtime.GOMAXPROCS(0)/2))

// Evaluation is a request with scripts in it on its way through the group.
//
// Scripts are evaluated between two entries, when nothing is on its way: on a fork of
// the state as the next entry will find it. Their effects come first in that entry, with
// the versions of the keys that they have read. So they are what the scripts would
// have done there, unless one took too long: the log does not wait for it, and if what
// it has read is not as it was when its effects come to be applied, it is evaluated
// again.
//
// Versions on a fork are those that the state will have only as long as the entries that
// make it so are this leader's: what was evaluated under a lead that is lost is void.
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
		if err = g.admitPlain(e.Request.Calls); err == nil {
			err = g.queue.addScript(e)
		}
	}
	if err != nil {
		e.Done(nil, err)
	}
}

// admitPlain returns an error if this node has no memory for a call that is not of a
// script. What scripts do is refused call by call.
func (g *Group) admitPlain(calls []command.Call) error {
	if !g.cfg.MemoryFull() {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if slices.ContainsFunc(calls, func(c command.Call) bool { return !fsm.Evaluated(c) && g.machine.Grows(c) }) {
		return ErrNoMemory
	}
	return nil
}

// tried is an evaluation with its result.
type tried struct {
	*Evaluation
	trial
	lead    *leadership // under which it was evaluated
	alone   bool        // on a fork in which no other had any effects
	known   bool        // the replies are those of an earlier attempt
	replies []resp.Value
	err     error
}

// try evaluates a request on a fork.
func (g *Group) try(t *tried) {
	if t.known {
		return
	}
	t.tries++
	g.stats.scripts.Add(1)
	for _, r := range t.Request.Reads {
		if !t.fork.Unchanged(r) {
			t.err = ErrConflict // for good: what the client has watched
			return
		}
	}
	ctx, end := g.running.begin(g.stopped)
	defer end()
	t.ctx = ctx
	t.replies = t.run(t.Request.Calls, t.Request.Kind == fsm.Exec)
	if g.stopped.Err() != nil {
		t.err = ErrNotLeader // it was ended with the group, and nothing is sent on its way
	}
}

// box is a batch of evaluations that the log waits for.
type box struct {
	mu       sync.Mutex
	waiting  []*tried // not begun
	done     []*tried
	closed   bool // the log waits no more
	finished chan struct{}
}

// next returns the next evaluation to begin, nil if there is none.
func (b *box) next() *tried {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.waiting) == 0 {
		return nil
	}
	t := b.waiting[0]
	b.waiting = b.waiting[1:]
	return t
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
	for _, t := range b.waiting {
		left = append(left, t.Evaluation)
	}
	return b.done, left
}

// fork prepares a batch to be evaluated on the state as an entry with that time will
// find it.
func (g *Group) fork(lead *leadership, batch []*Evaluation, stamp, wall int64) *box {
	g.mu.RLock()
	defer g.mu.RUnlock()
	fork := g.machine.Fork(stamp, wall)
	b := &box{finished: make(chan struct{})}
	for _, e := range batch {
		t := &tried{Evaluation: e, lead: lead, trial: trial{g: g, fork: fork}}
		if e.Again {
			t.replies, t.known = g.machine.Replied(e.Request.Origin, e.Request.Seq)
		}
		b.waiting = append(b.waiting, t)
	}
	return b
}

// run evaluates what is in the box, as far as it goes into one entry.
func (g *Group) run(b *box) {
	defer close(b.finished)
	size, alone := 0, true
	for t := b.next(); t != nil; t = b.next() {
		t.alone, t.changes = alone, t.fork.Changes()
		g.try(t)
		if !b.add(t) {
			g.settleLate(t)
			return
		}
		size, alone = size+t.size, alone && len(t.effects) == 0
		// Who waits for what it brings comes before the next. What was killed has left
		// the fork as nothing else will find it.
		if t.killed || size > maxEntryBytes || g.waiters.awaited(t.effects) {
			return
		}
	}
}

// evaluate evaluates a batch and returns what was done in time. What was not begun goes
// back into the queue.
func (p *proposer) evaluate(lead *leadership, batch []*Evaluation, stamp, wall int64) []*tried {
	b := p.fork(lead, batch, stamp, wall)
	patient := batch[0].tries >= patience // then it is alone
	p.loops.Go(func() { p.run(b) })
	var over <-chan time.Time
	if !patient {
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
	if c := g.effects(t); c != nil {
		g.proposeLate(c, t.lead)
	} else if t.err == nil {
		g.Barrier(t.clock, t.answer)
	}
	g.late.Add(-1)
	g.queue.nudge() // others may have waited for it
}

// proposeLate is Propose for effects that were found under a lead.
func (g *Group) proposeLate(c *Call, lead *leadership) {
	err := g.spaceFull()
	if err == nil {
		err = g.queue.addCallIf(c, func() bool { return g.lead.Load() == lead })
	}
	if err != nil {
		c.Done(nil, err)
	}
}

// effects returns the call that brings the effects of an evaluation into the log, nil
// if it needs none.
func (g *Group) effects(t *tried) *Call {
	switch {
	case t.err != nil:
		t.Done(nil, t.err)
		return nil
	case t.known, len(t.trial.effects) == 0 && !t.Again && t.alone:
		return nil
	}
	return &Call{Request: t.request(&t.Request, t.replies), Calls: t.trial.effects, Done: func(replies []resp.Value, err error) {
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
// recent enough: this replica leads, and has done so since.
func (t *tried) answer(err error) {
	if err == nil && t.g.lead.Load() != t.lead {
		err = ErrNotLeader
	}
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

// scripts evaluates a batch, and returns the calls that go first in the next entry, and
// the reads that wait for it.
func (p *proposer) scripts(lead *leadership, batch []*Evaluation, stamp, wall int64) (calls []*Call, reads []*tried) {
	if len(batch) == 0 {
		return nil, nil
	}
	for _, t := range p.evaluate(lead, batch, stamp, wall) {
		switch c := p.effects(t); {
		case c != nil:
			calls = append(calls, c)
		case t.err == nil:
			reads = append(reads, t)
		}
	}
	return calls, reads
}
