package group

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
)

type waitID struct{ origin, seq uint64 }

// dbKey is a key of one of the databases.
type dbKey struct {
	db  int
	key string
}

// waiter is one who waits, in the table. It stays there, answered, as long as entries
// are on their way that have it: who asks again with its id must not be told that
// nothing was taken before it is known.
type waiter struct {
	*Wait    // the last one with its id: where it comes from now. Nil if it is answered
	id       waitID
	turn     bool    // it waits for its turn
	shares   bool    // and shares it
	session  string  // with which it waits, "" for none
	orphaned bool    // the session has ended: it has to be told, wherever it stands
	keys     []dbKey // what it waits for
	fills    []dbKey // other keys of its call: where it puts what it takes
	request  []byte  // encoded
	flying   int     // entries on their way that have it
	attended uint64  // the last of them, as the table counts
}

// waiterTable is the table of those who wait.
type waiterTable struct {
	count    atomic.Int64 // of those that are not answered, read without the lock
	mu       sync.Mutex
	byID     map[waitID]*waiter
	byKey    map[dbKey][]*waiter // in the order in which they began to wait
	lines    map[dbKey][]*waiter // the same of those who wait for their turn
	ready    map[dbKey]struct{}  // something was stored under them in the entry that is applied now
	orphans  int                 // how many have lost the session that they wait with
	attended uint64              // counts entries
}

// awaitedKeys returns the keys that a call waits for, each once.
func awaitedKeys(c command.Call) []dbKey { return distinct(c.DB, fsm.AwaitedKeys(c.Args), nil) }

// distinct returns those keys that are not among others, each once.
func distinct(db int, all [][]byte, others []dbKey) []dbKey {
	keys := make([]dbKey, 0, len(all))
	for _, key := range all {
		if k := (dbKey{db, string(key)}); !slices.Contains(keys, k) && !slices.Contains(others, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// add puts w in the table, unless it is not to wait. It reports whether it was there,
// and returns as replace does who is to be served last; the caller calls tell when it has
// let go of its locks.
func (t *waiterTable) add(w *Wait, request []byte, ready, refused bool) (known bool, last *waiter, tell func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := waitID{w.Origin, w.Seq}
	if old := t.byID[id]; old != nil {
		last, tell = t.replace(old, w, ready)
		return true, last, tell
	}
	if !w.Over && !refused {
		t.enter(w, id, request)
	}
	return false, nil, func() {}
}

// addLast puts a wait that is over in the table, to be served by an entry of the caller's.
// Without a waiter it was there, and is not ready.
func (t *waiterTable) addLast(w *Wait, request []byte) (last *waiter, tell func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := waitID{w.Origin, w.Seq}
	if old := t.byID[id]; old != nil {
		return t.replace(old, w, true)
	}
	last = t.enter(w, id, request)
	last.flying++
	return last, func() {}
}

// enter makes a waiter. The lock is held.
func (t *waiterTable) enter(w *Wait, id waitID, request []byte) *waiter {
	if t.byID == nil {
		t.byID, t.byKey, t.lines = map[waitID]*waiter{}, map[dbKey][]*waiter{}, map[dbKey][]*waiter{}
	}
	keys := awaitedKeys(w.Call)
	all, _ := w.Call.Spec.Keys(nil, w.Call.Args)
	added := &waiter{Wait: w, id: id, keys: keys, fills: distinct(w.Call.DB, all, keys), request: request}
	added.turn, added.shares = fsm.AwaitsTurn(w.Call)
	added.session = fsm.SessionOf(w.Call)
	t.byID[id] = added
	t.queue(added)
	return added
}

// replace lets a waiter be answered at w. If that is over, and no entry has the waiter, it
// is either returned, for the caller to propose, or answered. The lock is held.
func (t *waiterTable) replace(old *waiter, w *Wait, ready bool) (last *waiter, tell func()) {
	was := old.Wait
	old.Wait = w
	if was == nil {
		t.queue(old)
	}
	ended := false
	if w.Over {
		last, ended = t.end(old, ready)
	}
	return last, func() {
		if was != nil {
			was.Reply(noReply, ErrUncertain) // nobody listens there any more
		}
		if ended {
			w.Reply(noReply, ErrCancelled)
		}
	}
}

// end ends the waiting of one whose time is over. One that an entry has waits for what
// this says; one for which something is there is returned, for the caller to propose; any
// other is answered, and the caller tells it. The lock is held.
func (t *waiterTable) end(w *waiter, ready bool) (last *waiter, answered bool) {
	switch {
	case w.flying > 0:
		return nil, false
	case ready:
		w.flying++
		return w, false
	}
	t.answered(w)
	return nil, true
}

// queue puts a waiter in the lines of its keys: mostly at their ends; not so if it has
// waited at another leader before. The lock is held.
func (t *waiterTable) queue(w *waiter) {
	lines := t.linesOf(w)
	for _, k := range w.keys {
		line := lines[k]
		i := len(line)
		for i > 0 && w.Since.Before(line[i-1].Since) {
			i--
		}
		lines[k] = slices.Insert(line, i, w)
	}
	t.count.Add(1)
}

// lines are those that a waiter stands in.
func (t *waiterTable) linesOf(w *waiter) map[dbKey][]*waiter {
	if w.turn {
		return t.lines
	}
	return t.byKey
}

// answered takes a waiter out of the lines, and out of the table unless an entry has
// it. The lock is held.
func (t *waiterTable) answered(w *waiter) *Wait {
	told := w.Wait
	if told != nil {
		w.Wait = nil
		lines := t.linesOf(w)
		for _, k := range w.keys {
			line := slices.DeleteFunc(lines[k], func(o *waiter) bool { return o == w })
			switch {
			case len(line) == 0:
				delete(lines, k)
				continue
			case w.turn:
				t.note(k) // the next may have waited for it alone
			}
			lines[k] = line
		}
		t.count.Add(-1)
		if w.orphaned {
			w.orphaned = false
			t.orphans--
		}
	}
	if w.flying == 0 {
		delete(t.byID, w.id)
	}
	return told
}

// cancel ends a wait as end does, if it is the one to be told.
func (t *waiterTable) cancel(w *Wait, ready bool) (last *waiter, answered bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.byID[waitID{w.Origin, w.Seq}]
	if found == nil || found.Wait != w || w.Over {
		return nil, false
	}
	w.Over = true
	return t.end(found, ready)
}

// landed takes note of the outcome of an entry that had a waiter, and returns who is to
// be told of it, nil for nobody.
func (t *waiterTable) landed(w *waiter, nothing bool) *Wait {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.flying--
	switch {
	case t.byID[w.id] != w: // the lead was lost meanwhile, and all were told
		return nil
	case w.Wait != nil && nothing && !(w.Over && w.flying == 0):
		return nil // it waits on
	}
	return t.answered(w)
}

// clear empties the table and returns who was not answered.
func (t *waiterTable) clear() []*Wait {
	if t.count.Load() == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var left []*Wait
	for _, w := range t.byID {
		if w.Wait != nil {
			left = append(left, w.Wait)
		}
	}
	t.byID, t.byKey, t.lines, t.ready, t.orphans = nil, nil, nil, nil, 0
	t.count.Store(0)
	return left
}

// changed notes that something was stored under a key, or that it has gone, while an
// entry is applied.
func (t *waiterTable) changed(db int, key string, gone bool) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := (dbKey{db, key}); !gone && t.byKey[k] != nil || t.lines[k] != nil {
		t.note(k)
	}
}

// swapped notes that two databases have changed places, or that one was emptied: what
// somebody waits for may have been in the other.
func (t *waiterTable) swapped(a, b int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, lines := range []map[dbKey][]*waiter{t.byKey, t.lines} {
		for k := range lines {
			if k.db == a || k.db == b {
				t.note(k)
			}
		}
	}
}

// nextInLine returns who is the first to stand in a line, nil for nobody: one that has had
// its turn has its answer by now.
func (t *waiterTable) nextInLine(k dbKey, holds func(command.Call) bool) *Wait {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.lines[k] {
		if !w.Over && !holds(w.Call) {
			return w.Wait
		}
	}
	return nil
}

// inLine lists who stands in the line for a key.
func (t *waiterTable) inLine(db int, key string) (list []fsm.InLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.lines[dbKey{db, key}] {
		list = append(list, fsm.InLine{Args: w.Call.Args, Age: time.Since(w.Since).Milliseconds()})
	}
	return list
}

// sessionEnded notes the lines of those who wait with a session that has ended: they are
// to be told.
func (t *waiterTable) sessionEnded(id string) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.byID {
		if w.Wait != nil && w.session == id && !w.orphaned {
			w.orphaned = true
			t.orphans++
			t.note(w.keys[0])
		}
	}
}

// hasOrphan reports whether one of those in a line has lost the session that it waits
// with.
func (t *waiterTable) hasOrphan(k dbKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.orphans > 0 && slices.ContainsFunc(t.lines[k], func(w *waiter) bool { return w.orphaned })
}

func (t *waiterTable) note(k dbKey) {
	if t.ready == nil {
		t.ready = map[dbKey]struct{}{}
	}
	t.ready[k] = struct{}{}
}

// takeReady returns the keys that were noted.
func (t *waiterTable) takeReady() []dbKey {
	if t.count.Load() == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := make([]dbKey, 0, len(t.ready))
	for k := range t.ready {
		keys = append(keys, k)
	}
	t.ready = nil
	return keys
}

// awaited reports whether anybody waits for a key of the calls.
func (t *waiterTable) awaited(calls []command.Call) bool {
	if t.count.Load() == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(calls, func(c command.Call) bool {
		keys, _ := c.Spec.Keys(nil, c.Args)
		return slices.ContainsFunc(keys, func(key []byte) bool {
			k := dbKey{c.DB, string(key)}
			return t.byKey[k] != nil || t.lines[k] != nil
		})
	})
}

// attendance gathers who is in an entry.
type attendance struct {
	t       *waiterTable
	waiters []*waiter
	bytes   int
}

// attend begins the attendance of the next entry. The lock is held until it is done.
func (t *waiterTable) attend() attendance {
	t.attended++
	return attendance{t: t}
}

// take takes n of a line that no entry has yet, with those before them, and who waits
// for what they do with what they get.
func (a *attendance) take(line []*waiter, n int) {
	for _, w := range line {
		switch {
		case n == 0, len(a.waiters) == maxAttended, a.bytes > maxEntryBytes:
			return
		case w.attended == a.t.attended, w.Over:
			continue
		}
		if w.flying == 0 {
			n--
		}
		w.attended = a.t.attended
		a.waiters = append(a.waiters, w)
		a.bytes += len(w.request)
		for _, k := range w.fills {
			a.take(a.t.byKey[k], 1)
		}
	}
}

// takeTurns takes those of a line who may have their turn at once: one, or all who share it
// before the first who does not.
func (a *attendance) takeTurns(line []*waiter) {
	n := 1
	for n < len(line) && line[n-1].shares && line[n].shares {
		n++
	}
	a.take(line, n)
	if a.t.orphans == 0 {
		return
	}
	for _, w := range line {
		if w.orphaned {
			a.take([]*waiter{w}, 1)
		}
	}
}

// sorted returns them by age.
func (a *attendance) sorted() []*waiter {
	slices.SortStableFunc(a.waiters, func(x, y *waiter) int { return x.Since.Compare(y.Since) })
	return a.waiters
}
