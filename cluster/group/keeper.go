package group

import (
	"container/heap"
	"sync"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// keeper knows, while this replica leads, when each session was last heard of. That a
// client lives costs no entry; that it does no more is one.
//
// A new leader knows nothing of that, and hears of all as it begins: a session lives for
// one more time to live. Who is told that a session goes on was told so by a leader that
// still was one after it was asked (see [Group.Barrier]), so before the next began.
type keeper struct {
	mu   sync.Mutex
	lead *leadership // nil: nobody is kept
	byID map[string]*keptSession
	due  dueSessions
	// slack is for how long the clock of the keeper stood still while this process was
	// not running: what clients said meanwhile is still to be read.
	slack time.Duration
	wake  chan struct{} // has a token when due may begin with another
}

type keptSession struct {
	id     string
	ttl    time.Duration
	heard  time.Time
	slack  time.Duration // of the keeper at that time
	at     time.Time     // when it is looked at again
	place  int           // in due, -1 while it is being ended
	ending bool
}

// The pace of the keeper.
const (
	// keeperNap is how long it sleeps at most while there are sessions. What it
	// oversleeps by more than keeperLate is time in which the process did not run.
	keeperNap  = time.Second
	keeperLate = 250 * time.Millisecond
	// maxEnding is how many sessions one request ends.
	maxEnding = 64
)

func newKeeper() keeper { return keeper{wake: make(chan struct{}, 1)} }

// begin keeps all sessions of the state from now on.
func (k *keeper) begin(lead *leadership, m *fsm.Machine) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lead, k.byID, k.due, k.slack = lead, map[string]*keptSession{}, nil, 0
	m.Sessions(func(s fsm.Session) bool {
		k.add(s)
		return true
	})
	k.signal()
}

// end keeps nobody any more, if it was for the given lead.
func (k *keeper) end(lead *leadership) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if lead == nil || k.lead == lead {
		k.lead, k.byID, k.due = nil, nil, nil
	}
}

// changed is told of what an entry did to a session.
func (k *keeper) changed(s fsm.Session, ended bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known := k.byID[s.ID]
	switch {
	case k.lead == nil:
	case !ended && known == nil:
		k.add(s)
		k.signal()
	case ended && known != nil:
		delete(k.byID, s.ID)
		if known.place >= 0 {
			heap.Remove(&k.due, known.place)
		}
	}
}

// add begins to keep a session. The lock is held.
func (k *keeper) add(s fsm.Session) {
	now, ttl := time.Now(), time.Duration(s.TTL)*time.Millisecond
	added := &keptSession{id: s.ID, ttl: ttl, heard: now, slack: k.slack, at: now.Add(ttl)}
	k.byID[s.ID] = added
	heap.Push(&k.due, added)
}

// touch notes that a client was heard of. It returns false if its session is being ended.
func (k *keeper) touch(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.byID[id]
	if s == nil {
		return true // not known, or not kept here: the state says so
	}
	if s.ending {
		return false
	}
	s.heard, s.slack = time.Now(), k.slack
	return true
}

// failed lets sessions go on whose end was not applied.
func (k *keeper) failed(ids []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		if s := k.byID[id]; s != nil && s.ending {
			s.ending, s.at = false, time.Now().Add(keeperNap)
			heap.Push(&k.due, s)
		}
	}
}

// next returns sessions that have not been heard of for too long, which are being ended
// from now on, and for how long to sleep, 0 for until there is a session.
func (k *keeper) next() (lead *leadership, ended []string, nap time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.due) > 0 && len(ended) < maxEnding {
		s, now := k.due[0], time.Now()
		if s.at.After(now) {
			return k.lead, ended, min(s.at.Sub(now), keeperNap)
		}
		if end := s.heard.Add(s.ttl + k.slack - s.slack); end.After(now) {
			s.at = end
			heap.Fix(&k.due, 0)
			continue
		}
		heap.Pop(&k.due)
		s.ending = true
		ended = append(ended, s.id)
	}
	if len(k.due) > 0 {
		nap = time.Nanosecond
	}
	return k.lead, ended, nap
}

// overslept notes that the process did not run for a time.
func (k *keeper) overslept(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slack += d
}

func (k *keeper) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// keep ends the sessions that are not heard of any more, until the group stops.
func (g *Group) keep() {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		lead, ended, nap := g.keeper.next()
		if len(ended) > 0 {
			g.endSessions(lead, ended)
			continue
		}
		sleeping := nap > 0
		if !sleeping {
			nap = time.Hour
		}
		t.Reset(nap)
		began := time.Now()
		select {
		case <-g.stopped.Done():
			return
		case <-g.keeper.wake:
		case <-t.C:
			if late := time.Since(began) - nap; sleeping && late > keeperLate {
				g.keeper.overslept(late)
			}
		}
	}
}

// endSessions proposes the end of sessions, which is void if the lead is lost.
func (g *Group) endSessions(lead *leadership, ids []string) {
	req := fsm.Request{Kind: fsm.Lead}
	for _, id := range ids {
		c := command.Call{Args: [][]byte{[]byte("session.end"), []byte(id), []byte("expired")}}
		c.Spec = &g.cfg.Machine.Table.Lookup(c.Args).Spec
		req.Calls = append(req.Calls, c)
	}
	call := &Call{Request: req.Append(nil), Calls: req.Calls, Done: func(_ []resp.Value, err error) {
		if err != nil {
			g.keeper.failed(ids)
		}
	}}
	if err := g.queue.addCallIf(call, func() bool { return g.lead.Load() == lead }); err != nil {
		call.Done(nil, err)
	}
}

// KeepAlive notes that a client says that its session is in use. It returns false if the
// session is being ended: then it must not be told that it goes on. That it does is to be
// read after a [Group.Barrier].
func (g *Group) KeepAlive(session string) bool { return g.keeper.touch(session) }

// dueSessions is a heap by when they are looked at.
type dueSessions []*keptSession

func (d dueSessions) Len() int           { return len(d) }
func (d dueSessions) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueSessions) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *dueSessions) Push(x any) {
	s := x.(*keptSession)
	s.place = len(*d)
	*d = append(*d, s)
}

func (d *dueSessions) Pop() any {
	last := len(*d) - 1
	s := (*d)[last]
	(*d)[last], *d = nil, (*d)[:last]
	s.place = -1
	return s
}
