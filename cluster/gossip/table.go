package gossip

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// maxMembers is how many nodes are remembered; more are not let in. A cluster
	// has some dozens.
	maxMembers = 1024
	// maxConflicts is how many conflicts are watched at a time.
	maxConflicts = 256
	// conflictMemory is for how many times the patience a conflict is remembered
	// that has not been noticed again: two of the same name are noticed only when
	// one of them happens to exchange states with us.
	conflictMemory = 10
	// forgetAfter is how long a node that was last seen dead is still looked for,
	// and shown. Who is away for longer finds the others by itself.
	forgetAfter = 72 * time.Hour
)

// Conflict is two processes that both say they are the same node.
type Conflict struct {
	ID    string
	Addrs [2]string // their gossip addresses
}

// table is our own record of what memberlist tells. Its methods for memberlist's
// callbacks run under memberlist's locks: they note, signal and return, and never
// call back.
type table struct {
	signal chan struct{} // holds one: something changed

	mu        sync.Mutex
	meta      []byte               // our own
	live      map[string]Member    // that memberlist holds to be alive, by its name
	known     map[string]knowledge // by id
	conflicts map[Conflict]span
}

// knowledge is the newest incarnation ever seen of a node.
type knowledge struct {
	Member
	seen time.Time // when it last was alive, if it no longer is
}

// span is when a conflict was first and last noticed.
type span struct{ first, last time.Time }

func newTable() *table {
	return &table{
		signal:    make(chan struct{}, 1),
		live:      make(map[string]Member),
		known:     make(map[string]knowledge),
		conflicts: make(map[Conflict]span),
	}
}

// members returns a copy of everybody known, in the order of their ids.
func (t *table) members() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	members := make([]Member, 0, len(t.known))
	for _, k := range t.known {
		m := k.Member
		_, m.Alive = t.live[m.name()]
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// liveAddrs are the gossip addresses of all that are alive.
func (t *table) liveAddrs() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	addrs := make(map[string]bool, len(t.live))
	for _, m := range t.live {
		addrs[m.GossipAddr] = true
	}
	return addrs
}

// addrOf is the gossip address of one that is alive.
func (t *table) addrOf(m Member) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[m.name()].GossipAddr
}

// tidy forgets who has been away for long, and returns the conflicts that have
// lasted for at least patience.
func (t *table) tidy(now time.Time, patience time.Duration) []Conflict {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, k := range t.known {
		if _, alive := t.live[k.name()]; !alive && now.Sub(k.seen) > forgetAfter {
			delete(t.known, id)
		}
	}
	for _, m := range t.live {
		best := t.known[m.ID].Member
		if _, alive := t.live[best.name()]; alive && best.Incarnation > m.Incarnation {
			t.noteConflict(Conflict{m.ID, [2]string{best.GossipAddr, m.GossipAddr}}, now)
		}
	}
	var lasting []Conflict
	for c, s := range t.conflicts {
		switch {
		case now.Sub(s.last) > conflictMemory*patience:
			delete(t.conflicts, c)
		case s.last.Sub(s.first) >= patience:
			lasting = append(lasting, c)
		}
	}
	slices.SortFunc(lasting, func(a, b Conflict) int { return cmp.Compare(a.ID, b.ID) })
	return lasting
}

func (t *table) noteConflict(c Conflict, now time.Time) {
	if c.Addrs[0] == c.Addrs[1] {
		return // one node, started again: two cannot listen at one address
	}
	s, ok := t.conflicts[c]
	if !ok {
		if len(t.conflicts) == maxConflicts {
			return
		}
		s.first = now
	}
	s.last = now
	t.conflicts[c] = s
}

func (t *table) changed() {
	select {
	case t.signal <- struct{}{}:
	default:
	}
}

// NotifyAlive decides whether memberlist believes a node to exist.
func (t *table) NotifyAlive(n *memberlist.Node) error {
	m, _, err := fromNode(n)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.known[m.ID]; !ok && len(t.known) >= maxMembers {
		return fmt.Errorf("gossip: %d nodes are known, no more are let in", maxMembers)
	}
	return nil
}

func (t *table) NotifyJoin(n *memberlist.Node)   { t.saw(n) }
func (t *table) NotifyUpdate(n *memberlist.Node) { t.saw(n) }

func (t *table) saw(n *memberlist.Node) {
	m, _, err := fromNode(n)
	if err != nil {
		return // NotifyAlive has refused it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live[n.Name] = m
	if k, ok := t.known[m.ID]; !ok || m.Incarnation >= k.Incarnation {
		t.known[m.ID] = knowledge{Member: m}
	}
	t.changed()
}

func (t *table) NotifyLeave(n *memberlist.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.live, n.Name)
	if m, leaving, err := fromNode(n); err == nil {
		k, ok := t.known[m.ID]
		switch {
		case !ok || k.Incarnation != m.Incarnation:
		case leaving:
			delete(t.known, m.ID)
		default:
			k.seen = time.Now()
			t.known[m.ID] = k
		}
	}
	t.changed()
}

// NotifyConflict tells of two addresses under one name: two processes with the
// same id and incarnation.
func (t *table) NotifyConflict(existing, other *memberlist.Node) {
	m, _, err := fromNode(existing)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noteConflict(Conflict{m.ID, [2]string{existing.Address(), other.Address()}}, time.Now())
}

// NodeMeta is what memberlist says of us. The limit is memberlist.MetaMaxSize,
// which encodeMeta keeps.
func (t *table) NodeMeta(int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.meta
}

func (t *table) setMeta(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meta = b
}

// The rest of memberlist.Delegate: nothing but the members travels by gossip.
func (*table) NotifyMsg([]byte)                {}
func (*table) GetBroadcasts(int, int) [][]byte { return nil }
func (*table) LocalState(bool) []byte          { return nil }
func (*table) MergeRemoteState([]byte, bool)   {}

var (
	_ memberlist.Delegate         = (*table)(nil)
	_ memberlist.EventDelegate    = (*table)(nil)
	_ memberlist.AliveDelegate    = (*table)(nil)
	_ memberlist.ConflictDelegate = (*table)(nil)
)
