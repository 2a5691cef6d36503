package group

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
// leader puts those who wait for a key in front of each request that may bring it, in
// the same entry: the machine serves them as soon as something is there, before
// anything else can take it. What becomes available in other ways, such as an element
// that was on its way when the wait came, is offered to them by an entry of their own.
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

type waitID struct{ origin, seq uint64 }

type waitKey struct {
	db  int
	key string
}

// waiter is a Wait in the table.
type waiter struct {
	*Wait   // the last one with its id: where it comes from now
	id      waitID
	keys    []waitKey
	request []byte // encoded
	flying  int    // entries on their way that have it
}

// waits is the table of those who wait.
type waits struct {
	count atomic.Int64 // of waiters, read without the lock
	mu    sync.Mutex
	byID  map[waitID]*waiter
	byKey map[waitKey][]*waiter // in the order in which they came
	ready []waitKey             // something was stored under them in the entry that is applied now
}

// maxOffered is how many of those who wait for a key are offered what is there by one
// entry. The next are when it is applied.
const maxOffered = 64

// Wait makes w wait, or answers it if something is there. A wait that is known is
// answered where it comes from now.
func (g *Group) Wait(w *Wait) {
	if g.lead.Load() == nil {
		w.Reply(resp.Value{}, ErrNotLeader)
		return
	}
	g.mu.RLock()
	replies, replied := g.machine.Replied(w.Origin, w.Seq)
	refusal, refused := g.machine.Refuse(w.Call)
	ready := g.machine.Ready(w.Call)
	known := false
	if !replied {
		// Not before the lock is let go of could an entry bring what w waits for.
		known = g.waits.add(w, refused && refusal.IsError())
	}
	g.mu.RUnlock()
	switch {
	case replied:
		w.Reply(replies[0], nil)
	case known:
	case w.Over:
		g.Barrier(false, func(err error) { g.confirmOver(w, err) })
	case refused && refusal.IsError():
		g.Barrier(false, func(err error) { w.Reply(refusal, err) })
	case ready:
		g.offer(waitKeys(w.Call))
	}
	if g.lead.Load() == nil {
		g.failWaits() // whoever lost the lead may not have seen w
	}
}

// confirmOver answers a wait that is over and not known here: it may have been served
// by a leader before, or after this one.
func (g *Group) confirmOver(w *Wait, err error) {
	if err != nil {
		w.Reply(resp.Value{}, err)
		return
	}
	g.mu.RLock()
	replies, replied := g.machine.Replied(w.Origin, w.Seq)
	g.mu.RUnlock()
	if replied {
		w.Reply(replies[0], nil)
		return
	}
	w.Reply(resp.Value{}, ErrCancelled)
}

// Waits returns how many wait.
func (g *Group) Waits() int { return int(g.waits.count.Load()) }

// CancelWait ends a wait, unless it comes from elsewhere by now: it gets ErrCancelled if
// it is not being served.
func (g *Group) CancelWait(w *Wait) {
	t := &g.waits
	t.mu.Lock()
	found := t.byID[waitID{w.Origin, w.Seq}]
	ended := found != nil && found.Wait == w && !w.Over
	if ended {
		w.Over = true
		if ended = found.flying == 0; ended { // else the entry tells
			t.remove(found)
		}
	}
	t.mu.Unlock()
	if ended {
		w.Reply(resp.Value{}, ErrCancelled)
	}
}

func waitKeys(c command.Call) []waitKey {
	args := fsm.WaitKeys(c.Args)
	keys := make([]waitKey, 0, len(args))
	for _, key := range args {
		if k := (waitKey{c.DB, string(key)}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// add puts w in the table, unless it is not to wait. It reports whether it was there.
func (t *waits) add(w *Wait, refused bool) (known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := waitID{w.Origin, w.Seq}
	if old := t.byID[id]; old != nil {
		defer old.Reply(resp.Value{}, ErrUncertain) // nobody listens there any more
		old.Wait = w
		if w.Over && old.flying == 0 {
			t.remove(old)
			defer w.Reply(resp.Value{}, ErrCancelled)
		}
		return true
	}
	if w.Over || refused {
		return false
	}
	if t.byID == nil {
		t.byID, t.byKey = map[waitID]*waiter{}, map[waitKey][]*waiter{}
	}
	req := fsm.Request{Kind: fsm.Wait, Origin: w.Origin, Seq: w.Seq, Done: w.Done, Calls: []command.Call{w.Call}}
	added := &waiter{Wait: w, id: id, keys: waitKeys(w.Call), request: req.Append(nil)}
	t.byID[id] = added
	for _, k := range added.keys {
		// Mostly at the end; not so for those who waited at another leader before.
		line := t.byKey[k]
		i, _ := slices.BinarySearchFunc(line, added, func(a, b *waiter) int {
			return cmp.Or(a.Since.Compare(b.Since), -1) // behind those who came at the same time
		})
		t.byKey[k] = slices.Insert(line, i, added)
	}
	t.count.Add(1)
	return false
}

// remove takes w out of the table. The lock is held.
func (t *waits) remove(w *waiter) {
	delete(t.byID, w.id)
	for _, k := range w.keys {
		line := slices.DeleteFunc(t.byKey[k], func(o *waiter) bool { return o == w })
		if len(line) == 0 {
			delete(t.byKey, k)
		} else {
			t.byKey[k] = line
		}
	}
	t.count.Add(-1)
}

// changed notes that something was stored under a key, while an entry is applied.
func (t *waits) changed(db int, key string) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := (waitKey{db, key}); t.byKey[k] != nil && !slices.Contains(t.ready, k) {
		t.ready = append(t.ready, k)
	}
}

// swapped notes that two databases have changed places: what somebody waits for may
// have been in the other.
func (t *waits) swapped(a, b int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.byKey {
		if (k.db == a || k.db == b) && !slices.Contains(t.ready, k) {
			t.ready = append(t.ready, k)
		}
	}
}

// offerChanged offers what the entry that was just applied has brought to those that
// were not in it.
func (g *Group) offerChanged() {
	t := &g.waits
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	ready := t.ready
	t.ready = nil
	t.mu.Unlock()
	if len(ready) > 0 && g.lead.Load() != nil {
		g.offer(ready)
	}
}

// offer proposes those who wait for keys, first come first served. Those that are on
// their way already are not in need of it.
func (g *Group) offer(keys []waitKey) {
	var calls []*Call
	t := &g.waits
	t.mu.Lock()
	for _, k := range keys {
		line := t.byKey[k]
		for _, w := range line[:min(len(line), maxOffered)] {
			if w.flying == 0 && !w.Over {
				calls = append(calls, g.waitCall(w))
			}
		}
	}
	t.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	if err := g.queue.addCalls(calls); err != nil {
		finish(calls, nil, err)
	}
}

// waitCall makes the request that serves w if something is there. The lock is held.
func (g *Group) waitCall(w *waiter) *Call {
	w.flying++
	return &Call{Request: w.request, Done: func(replies []resp.Value, err error) { g.served(w, replies, err) }}
}

// served takes the outcome of an entry for one of those who wait.
func (g *Group) served(w *waiter, replies []resp.Value, err error) {
	t := &g.waits
	t.mu.Lock()
	w.flying--
	nothing := errors.Is(err, errNothing)
	if nothing {
		err = ErrCancelled
	}
	done := t.byID[w.id] == w && (!nothing || w.Over && w.flying == 0)
	waits := t.byID[w.id] == w && !done && w.flying == 0
	if done {
		t.remove(w)
	}
	t.mu.Unlock()
	switch {
	case done && err != nil:
		w.Reply(resp.Value{}, err)
	case done:
		w.Reply(replies[0], nil)
	case waits:
		g.lookAgain(w)
	}
}

// lookAgain offers w what came while it was on its way in an earlier entry.
func (g *Group) lookAgain(w *waiter) {
	g.mu.RLock()
	ready := g.machine.Ready(w.Call)
	g.mu.RUnlock()
	if ready {
		g.offer(w.keys)
	}
}

// attend puts those who wait for what the calls may bring in front of them.
func (g *Group) attend(calls []*Call) []*Call {
	t := &g.waits
	if t.count.Load() == 0 {
		return calls
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Call, 0, len(calls)+1)
	var added map[*waiter]bool
	var keys [][]byte
	for _, c := range calls {
		r, _, err := fsm.DecodeRequest(c.Request)
		if err != nil || r.Kind == fsm.Wait || r.Kind == fsm.OpenOrigin {
			all = append(all, c)
			continue
		}
		for i := range r.Calls {
			cmd := g.cfg.Machine.Table.Lookup(r.Calls[i].Args)
			if cmd == nil || !cmd.Has(command.Write) {
				continue
			}
			keys, _ = cmd.Keys(keys[:0], r.Calls[i].Args)
			for _, key := range keys {
				line := t.byKey[waitKey{r.Calls[i].DB, string(key)}]
				for _, w := range line[:min(len(line), maxOffered)] {
					if !added[w] && !w.Over {
						if added == nil {
							added = map[*waiter]bool{}
						}
						added[w] = true
						all = append(all, g.waitCall(w))
					}
				}
			}
		}
		all = append(all, c)
	}
	return all
}

// failWaits tells all who wait that this replica does not lead any more. Those that an
// entry has are told the same: to ask the next leader with the same id is safe.
func (g *Group) failWaits() {
	t := &g.waits
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	all := t.byID
	t.byID, t.byKey, t.ready = nil, nil, nil
	t.count.Store(0)
	t.mu.Unlock()
	for _, w := range all {
		w.Reply(resp.Value{}, ErrNotLeader)
	}
}
