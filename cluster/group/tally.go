package group

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Tally counts what happened to locks, permits and references while this replica led.
type Tally struct {
	Granted   int64 // all in all
	Contended int64 // of them, those that had to be waited for
	Released  int64
	Expired   int64
	Forced    int64 // by LOCK.FORCE, or by a command such as DEL
	Ended     int64 // sessions
	Wait      Histogram
	Hold      Histogram
}

// Add adds what another group has counted.
func (t *Tally) Add(o Tally) {
	t.Granted += o.Granted
	t.Contended += o.Contended
	t.Released += o.Released
	t.Expired += o.Expired
	t.Forced += o.Forced
	t.Ended += o.Ended
	t.Wait.add(o.Wait)
	t.Hold.add(o.Hold)
}

// Histogram counts times by the first of [Bounds] that they do not exceed; the last count
// is of those beyond.
type Histogram struct {
	Counts [len(bounds) + 1]int64
	Sum    time.Duration
}

var bounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 5 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute,
}

// Bounds are the upper bounds of a histogram's counts.
func Bounds() []time.Duration { return bounds[:] }

func (h *Histogram) add(o Histogram) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}

func (h *Histogram) note(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d)
	h.Counts[i]++
	h.Sum += d
}

// hot is a key that many want.
type hot struct {
	dbKey
	granted   int64
	contended int64         // grants that had to be waited for
	waited    time.Duration // in all
	held      time.Duration // in all
}

// tally counts, and knows the keys that are wanted most.
type tally struct {
	mu    sync.Mutex
	all   Tally
	hot   map[dbKey]*hot
	told  uint64 // of what was told it knows so much; guarded by the group's mu
	tails atomic.Int64
	more  *leaderWatch // tells those who wait for more to be told
}

// maxHot bounds the keys that are counted. Beyond it the half that is wanted least is
// forgotten.
const maxHot = 4096

func newTally() tally { return tally{hot: map[dbKey]*hot{}, more: newLeaderWatch()} }

// follow notes what the entry that was just applied has told. Only a leader counts, so that
// nothing is counted twice.
func (t *tally) follow(m *fsm.Machine, leads bool) {
	if m.LastTold() == t.told {
		return
	}
	if leads {
		t.mu.Lock()
		m.Told(t.told, t.note)
		t.mu.Unlock()
	}
	t.told = m.LastTold()
	if t.tails.Load() > 0 {
		t.more.changed()
	}
}

func (t *tally) note(e *fsm.Told) {
	switch e.Event {
	case "granted":
		t.all.Granted++
		t.key(dbKey{e.DB, e.Key}).granted++
		return
	case "released":
		t.all.Released++
	case "expired":
		t.all.Expired++
	case "forced":
		t.all.Forced++
	case "session-ended":
		t.all.Ended++
		return
	}
	if e.Held >= 0 {
		held := time.Duration(e.Held) * time.Millisecond
		t.all.Hold.note(held)
		t.key(dbKey{e.DB, e.Key}).held += held
	}
}

// waited notes that somebody has had to wait for its turn.
func (t *tally) waited(keys []dbKey, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Contended++
	t.all.Wait.note(d)
	for _, k := range keys {
		h := t.key(k)
		h.contended++
		h.waited += d
	}
}

func (t *tally) key(k dbKey) *hot {
	h := t.hot[k]
	if h == nil {
		if len(t.hot) >= maxHot {
			for _, cold := range t.sorted()[maxHot/2:] {
				delete(t.hot, cold.dbKey)
			}
		}
		h = &hot{dbKey: k}
		t.hot[k] = h
	}
	return h
}

// sorted returns the keys, those first that were waited for longest. The lock is held.
func (t *tally) sorted() []*hot {
	return slices.SortedFunc(maps.Values(t.hot), func(a, b *hot) int {
		return cmp.Or(cmp.Compare(b.waited, a.waited), cmp.Compare(b.granted, a.granted), cmp.Compare(a.key, b.key), cmp.Compare(a.db, b.db))
	})
}

// Tally returns what was counted since the start.
func (g *Group) Tally() Tally {
	g.tally.mu.Lock()
	defer g.tally.mu.Unlock()
	return g.tally.all
}

// hottest describes up to n keys, those first that were waited for longest.
func (g *Group) hottest(n int) []resp.Value {
	g.tally.mu.Lock()
	list := g.tally.sorted()
	list = list[:min(n, len(list))]
	for i, h := range list {
		one := *h
		list[i] = &one
	}
	g.tally.mu.Unlock()
	replies := make([]resp.Value, len(list))
	for i, h := range list {
		replies[i] = resp.Pairs(
			resp.Str("key"), resp.Str(h.key), resp.Str("db"), resp.Int(h.db), resp.Str("waiting"), resp.Int(len(g.waiters.inLine(h.db, h.key))),
			resp.Str("waited-ms"), resp.Int64(h.waited.Milliseconds()), resp.Str("contended"), resp.Int64(h.contended),
			resp.Str("granted"), resp.Int64(h.granted), resp.Str("held-ms"), resp.Int64(h.held.Milliseconds()),
		)
	}
	return replies
}

// tail waits until something is told of what a call with the flag Tail asks for, for as long
// as its last argument says, in ms.
func (g *Group) tail(c command.Call) {
	if len(c.Args) < 5 {
		return
	}
	ms, err := strconv.Atoi(string(c.Args[4]))
	if err != nil || ms <= 0 {
		return
	}
	g.tally.tails.Add(1)
	defer g.tally.tails.Add(-1)
	over := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer over.Stop()
	for {
		more := g.tally.more.wait()
		g.mu.RLock()
		told := g.machine.ToldSince(c)
		g.mu.RUnlock()
		if told {
			return
		}
		select {
		case <-more:
		case <-over.C:
			return
		case <-g.stopped.Done():
			return
		}
	}
}
