package group

import (
	"maps"
	"slices"
	"sync"
)

// The bounds of one log entry. Raft copies entries whole, and a leader that is
// busy with a large one sends no heartbeat of the main loop.
const (
	maxEntryBytes    = 256 << 10
	maxEntryRequests = 4096
	// overlapBytes is how much has to wait for an entry to be sent while another is
	// on its way. Less than that is better sent together with what comes meanwhile:
	// an entry costs every replica as much as some fifty small requests do.
	overlapBytes = 16 << 10
	// maxScriptQueue is how many requests may wait to be evaluated.
	maxScriptQueue = 16 << 10
)

// queue holds what waits to be proposed: requests, and reads that need an entry
// to ride on.
type queue struct {
	mu    sync.Mutex
	calls []*Call
	reads []func(error)
	// scripts are requests to be evaluated. They wait until nothing is on its way.
	scripts []*Evaluation
	// offers are keys under which there is something for those who wait. They are kept
	// while the disks are full.
	offers map[dbKey]struct{}
	bytes  int64
	limit  int64
	flying int // entries on their way
	closed error
	// wake has a token while there is something to be proposed.
	wake chan struct{}
}

func newQueue(limit int64) queue { return queue{limit: limit, wake: make(chan struct{}, 1)} }

func (q *queue) addCall(c *Call) error { return q.addCallIf(c, func() bool { return true }) }

// addCallIf adds a call unless the lead that it was made under is lost. Who loses the
// lead fails the queue afterwards, and so what came before.
func (q *queue) addCallIf(c *Call, leads func() bool) error {
	n := int64(len(c.Request))
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed != nil:
		return q.closed
	case !leads():
		return ErrNotLeader
	}
	// A single request above the limit passes when nothing else waits.
	if q.bytes > 0 && q.bytes+n > q.limit {
		return ErrBusy
	}
	q.bytes += n
	q.calls = append(q.calls, c)
	q.signalIfRipe()
	return nil
}

// addOffers asks for an entry that offers what is there under keys to those who wait.
func (q *queue) addOffers(keys ...dbKey) {
	if len(keys) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.offers == nil {
		q.offers = map[dbKey]struct{}{}
	}
	for _, k := range keys {
		q.offers[k] = struct{}{}
	}
	q.signalIfRipe()
}

func (q *queue) addScript(e *Evaluation) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed != nil:
		return q.closed
	case len(q.scripts) >= maxScriptQueue:
		return ErrBusy
	}
	q.scripts = append(q.scripts, e)
	q.signalIfRipe()
	return nil
}

// takeScripts removes the next batch. One that has been tried often comes alone.
func (q *queue) takeScripts() []*Evaluation {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.scripts) && n < maxScriptBatch {
		if q.scripts[n].tries >= patience {
			n = max(n, 1)
			break
		}
		n++
	}
	batch := q.scripts[:n:n]
	q.scripts = q.scripts[n:]
	return batch
}

// returnScripts puts back what was taken and not begun.
func (q *queue) returnScripts(batch []*Evaluation) {
	if len(batch) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.scripts = append(batch, q.scripts...)
	q.signal()
}

// drained reports whether nothing is on its way.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.flying == 0
}

// scriptsWait reports whether there is anything to be evaluated.
func (q *queue) scriptsWait() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.scripts) > 0
}

func (q *queue) addRead(done func(error)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	q.reads = append(q.reads, done)
	q.signalIfRipe()
	return nil
}

// signalIfRipe wakes the proposer if what waits is worth an entry now. The lock is
// held.
func (q *queue) signalIfRipe() {
	if q.flying == 0 || q.bytes >= overlapBytes {
		q.signal()
	}
}

// took and landed count the entries on their way.
func (q *queue) took() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying++
}

func (q *queue) landed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying--
	if len(q.calls)+len(q.reads)+len(q.scripts)+len(q.offers) > 0 {
		q.signalIfRipe()
	}
}

// signal leaves a token in wake. The lock is held.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// nudge wakes the proposer although nothing was added.
func (q *queue) nudge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signal()
}

// take removes what fits into one entry, every read: all of them arrived before the
// entry is proposed, so it is a barrier for each; and every offer.
func (q *queue) take() ([]*Call, []func(error), []dbKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, int64(0)
	for n < len(q.calls) && n < maxEntryRequests {
		s := int64(len(q.calls[n].Request))
		if n > 0 && bytes+s > maxEntryBytes {
			break
		}
		bytes += s
		n++
	}
	calls, reads := q.calls[:n:n], q.reads
	q.calls, q.reads = q.calls[n:], nil
	q.bytes -= bytes
	if len(q.calls) > 0 {
		q.signal()
	} else {
		q.calls = nil
	}
	offers := slices.Collect(maps.Keys(q.offers))
	q.offers = nil
	return calls, reads, offers
}

// fail empties the queue: nothing in it was applied.
func (q *queue) fail(err error) {
	q.mu.Lock()
	calls, reads, scripts := q.calls, q.reads, q.scripts
	q.calls, q.reads, q.scripts, q.bytes = nil, nil, nil, 0
	q.mu.Unlock()
	finish(calls, reads, err)
	for _, e := range scripts {
		e.Done(nil, err)
	}
}

// close fails what waits and all that comes later.
func (q *queue) close(err error) {
	q.mu.Lock()
	q.closed = err
	q.mu.Unlock()
	q.fail(err)
}

func finish(calls []*Call, reads []func(error), err error) {
	for _, c := range calls {
		c.Done(nil, err)
	}
	for _, done := range reads {
		done(err)
	}
}
