package group

import (
	"errors"
	"slices"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// ErrCancelled is returned for a wait that was cancelled in time: it has taken nothing,
// and will not.
var ErrCancelled = errors.New("the wait is cancelled")

// Wait is a call of a blocking command that waits for keys to come to be.
//
// Who waits is known to the leader alone, and costs nothing while nothing comes. The
// leader puts those who wait for what an entry may bring into it, the oldest first: the
// machine serves them as soon as something is there, before anything else can take it.
// What becomes available in other ways, such as an element that was on its way when the
// wait came, is offered to them by the next entry.
type Wait struct {
	Origin, Seq uint64   // its id, kept from one leader to the next
	Done        []uint64 // earlier numbers of the origin, see [fsm.Request]
	Call        command.Call
	Since       time.Time // when the client began to wait
	// Over says that the client waits no more: the reply is what it has got already,
	// or ErrCancelled.
	Over bool
	// Reply is called once, with the reply or one of the errors of this package. It
	// must not block.
	Reply func(reply resp.Value, err error)
}

// Wait makes w wait, or answers it if something is there. A wait that is known is
// answered where it comes from now.
func (g *Group) Wait(w *Wait) {
	if g.lead.Load() == nil {
		w.Reply(noReply, ErrNotLeader)
		return
	}
	req := fsm.Request{Kind: fsm.Wait, Origin: w.Origin, Seq: w.Seq, Done: w.Done, Calls: []command.Call{w.Call}}
	request := req.Append(nil)
	why := g.admit(&Call{Request: request})
	g.mu.RLock()
	replies, replied := g.machine.Replied(w.Origin, w.Seq)
	refusal, refused := g.machine.Refuse(w.Call)
	refused = refused && refusal.IsError()
	ready := g.ready(w)
	// Who waits must not find out only when it is to be served: it would have to come
	// again, and to others that is later.
	unknown := !w.Over && !g.machine.Knows(w.Origin)
	known, last, tell := false, (*waiter)(nil), func() {}
	switch turn, _ := fsm.AwaitsTurn(w.Call); {
	case replied, unknown:
	case turn && ready && !refused && why == nil && !w.Over:
		last, tell = g.waiters.addLast(w, request)
		known = true
	default:
		// Not before the mutex is let go of could an entry bring what w waits for.
		known, last, tell = g.waiters.add(w, request, ready, refused || why != nil)
	}
	g.mu.RUnlock()
	tell()
	switch {
	case replied:
		w.Reply(replies[0], nil)
	case known:
		g.serveLast(last)
		g.offerChanged()
	case unknown:
		w.Reply(noReply, ErrUnknownOrigin)
	case w.Over:
		g.Barrier(false, func(err error) { g.endOver(w, request, err) })
	case refused:
		g.Barrier(false, func(err error) { w.Reply(refusal, err) })
	case why != nil:
		w.Reply(noReply, why)
	case ready:
		g.queue.addOffers(awaitedKeys(w.Call)...)
	}
	if g.lead.Load() == nil {
		g.failWaiters() // whoever lost the lead may not have seen w
	}
}

// endOver answers a wait that is over and not known here. It may have been served by a
// leader before, or after this one; and it may never have come to a leader in time: then
// it gets what is there, as if its time were over just now.
func (g *Group) endOver(w *Wait, request []byte, err error) {
	if err != nil {
		w.Reply(noReply, err)
		return
	}
	g.mu.RLock()
	replies, replied := g.machine.Replied(w.Origin, w.Seq)
	refusal, refused := g.machine.Refuse(w.Call)
	ready := g.ready(w)
	last, tell := (*waiter)(nil), func() {}
	if !replied && ready {
		last, tell = g.waiters.addLast(w, request)
	}
	g.mu.RUnlock()
	tell()
	switch {
	case replied:
		w.Reply(replies[0], nil)
	case ready:
		g.serveLast(last)
	case refused && refusal.IsError():
		w.Reply(refusal, nil)
	default:
		w.Reply(noReply, ErrCancelled)
	}
}

// ready reports whether there is something for w: for its turn, nobody stands before it,
// unless it has had it. The caller holds off Apply.
func (g *Group) ready(w *Wait) bool {
	if !g.machine.Ready(w.Call) {
		return false
	}
	turn, _ := fsm.AwaitsTurn(w.Call)
	if !turn || g.machine.Holds(w.Call) {
		return true
	}
	return !slices.ContainsFunc(awaitedKeys(w.Call), func(k dbKey) bool {
		next := g.waiters.nextInLine(k, g.machine.Holds)
		return next != nil && next != w
	})
}

// Waiters returns how many wait.
func (g *Group) Waiters() int { return int(g.waiters.count.Load()) }

// EndWait ends a wait whose time is over, unless it comes from elsewhere by now: it gets
// what is there, or ErrCancelled.
func (g *Group) EndWait(w *Wait) {
	g.mu.RLock()
	last, answered := g.waiters.cancel(w, g.ready(w))
	g.mu.RUnlock()
	if answered {
		w.Reply(noReply, ErrCancelled)
		g.offerChanged()
	}
	g.serveLast(last)
}

// CancelWait ends a wait that nobody listens for any more, unless it comes from elsewhere
// by now: it gets ErrCancelled if it is not being served.
func (g *Group) CancelWait(w *Wait) {
	if _, answered := g.waiters.cancel(w, false); answered {
		w.Reply(noReply, ErrCancelled)
		g.offerChanged()
	}
}

// serveLast gives one whose time is over what is there, by an entry that it is in for the
// last time. w may be nil.
func (g *Group) serveLast(w *waiter) {
	if w == nil {
		return
	}
	call := &Call{Request: w.request, Done: func(replies []resp.Value, err error) { g.served(w, replies, err) }}
	if err := g.queue.addCall(call); err != nil {
		g.served(w, nil, err)
	}
}

// offerChanged offers what the entry that was just applied has left behind, or who has
// given up.
func (g *Group) offerChanged() {
	keys := g.waiters.takeReady()
	if len(keys) == 0 || g.lead.Load() == nil {
		return
	}
	left := keys[:0]
	g.mu.RLock()
	for _, k := range keys {
		next := g.waiters.nextInLine(k, g.machine.Holds)
		if g.machine.Poppable(k.db, k.key) || next != nil && g.machine.Ready(next.Call) || g.waiters.hasOrphan(k) {
			left = append(left, k)
		}
	}
	g.mu.RUnlock()
	g.queue.addOffers(left...)
}

const (
	// maxOffered is how many of those who wait for a key one entry offers what is there.
	// If they leave anything, the next entry offers it to the next.
	maxOffered = 64
	// maxAttended is how many are in one entry at all: the machine looks at each after
	// each call.
	maxAttended = 1024
)

// attend returns the requests of those who wait for what an entry may bring, or for
// what is there under the offered keys, the oldest first.
//
// Of those who wait for a key there are as many as may be served. Those that earlier
// entries have, which may serve them or not, are in this one again and do not count.
func (g *Group) attend(calls []*Call, offered []dbKey) []*Call {
	t := &g.waiters
	if t.count.Load() == 0 {
		return nil
	}
	left := g.leftBy(calls)
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.attend()
	for _, k := range left {
		a.takeTurns(t.lines[k])
	}
	for _, k := range offered {
		a.take(t.byKey[k], maxOffered)
		a.takeTurns(t.lines[k])
	}
	var keys [][]byte
	for _, c := range calls {
		for i := range c.Calls {
			call := &c.Calls[i]
			if !call.Spec.Has(command.Write) {
				continue
			}
			keys, _ = call.Spec.Keys(keys[:0], call.Args)
			switch call.Spec.Name {
			case "swapdb":
				for _, line := range t.byKey {
					a.take(line, maxOffered)
				}
				for _, line := range t.lines {
					a.takeTurns(line)
				}
			case "flushall", "flushdb":
				for _, line := range t.lines {
					a.takeTurns(line)
				}
			case "move", "copy": // to another database
				for db := range fsm.Databases {
					a.take(t.byKey[dbKey{db, string(keys[len(keys)-1])}], 1)
				}
			}
			for _, key := range keys {
				k := dbKey{call.DB, string(key)}
				if line := t.byKey[k]; line != nil {
					a.take(line, max(len(call.Args)-2, 1)) // RPUSH key element element ...
				}
				a.takeTurns(t.lines[k])
			}
		}
	}
	requests := make([]*Call, len(a.waiters))
	for i, w := range a.sorted() {
		w.flying++
		requests[i] = &Call{Request: w.request, Done: func(replies []resp.Value, err error) { g.served(w, replies, err) }}
	}
	return requests
}

// leftBy returns the keys that are let go of by the ends of sessions in calls.
func (g *Group) leftBy(calls []*Call) (left []dbKey) {
	for _, c := range calls {
		for i := range c.Calls {
			call := &c.Calls[i]
			if call.Spec.Name != "session.end" {
				continue
			}
			g.mu.RLock()
			g.machine.Owned(string(call.Args[1]), func(db int, key string) {
				left = append(left, dbKey{db, key})
				if completions, ok := fsm.CompletionsOf(key); ok {
					left = append(left, dbKey{db, completions})
				}
			})
			g.mu.RUnlock()
		}
	}
	return left
}

// sessionChanged is told of what an entry does to a session.
func (g *Group) sessionChanged(s fsm.Session, ended bool) {
	g.keeper.changed(s, ended)
	if ended {
		g.waiters.sessionEnded(s.ID)
	}
}

// served takes the outcome of an entry for one of those who wait.
func (g *Group) served(w *waiter, replies []resp.Value, err error) {
	nothing := errors.Is(err, errNothing)
	if nothing {
		err = ErrCancelled
	}
	told := g.waiters.landed(w, nothing)
	switch {
	case told == nil:
	case err != nil:
		told.Reply(noReply, err)
	default:
		if w.turn && !replies[0].IsError() {
			g.tally.waited(w.keys, time.Since(told.Since))
		}
		told.Reply(replies[0], nil)
	}
	if nothing && told != nil {
		g.offerChanged()
	}
}

// failWaiters tells all who wait that this replica does not lead any more. Those that an
// entry has are told the same: to ask the next leader with the same id is safe.
func (g *Group) failWaiters() {
	for _, w := range g.waiters.clear() {
		w.Reply(noReply, ErrNotLeader)
	}
}
