package sim

import (
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"phonond/cluster/clustertest"
	"phonond/cluster/group"
)

// pollEvery is how often the replicas are asked where they are, in virtual time.
const pollEvery = 50 * time.Millisecond

// maxViolations is how many are kept: the first says most.
const maxViolations = 20

// watch is the invariants that hold at every moment, whatever clients see.
type watch struct {
	now func() time.Duration

	mu     sync.Mutex
	found  []string
	groups map[string]*groupWatch
}

// groupWatch is what is known of a group.
type groupWatch struct {
	digests   map[uint64]uint64              // by index, of the state after it
	leaders   map[uint64]string              // by term
	logs      map[position]uint64            // a hash of each entry ever stored
	applied   uint64                         // the highest index that any replica has applied
	committed map[uint64]position            // those at or below applied, by index
	stored    map[string]map[uint64]position // what is on each node's disk, by index
	votes     map[string]ballot              // the last of each node
	terms     map[string]uint64
	kept      map[string]uint64 // the last entry in a snapshot of each node
}

// position is where an entry is in the log. Two that have it are the same: raft
// calls it log matching.
type position struct{ index, term uint64 }

// ballot is a vote.
type ballot struct {
	term      uint64
	candidate string
}

func newWatch() *watch { return &watch{groups: map[string]*groupWatch{}} }

func (w *watch) group(name string) *groupWatch {
	g := w.groups[name]
	if g == nil {
		g = &groupWatch{
			digests: map[uint64]uint64{}, leaders: map[uint64]string{}, logs: map[position]uint64{},
			committed: map[uint64]position{}, stored: map[string]map[uint64]position{}, votes: map[string]ballot{}, terms: map[string]uint64{}, kept: map[string]uint64{},
		}
		w.groups[name] = g
	}
	return g
}

func (w *watch) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(format, args...)
}

// add is violation under the lock.
func (w *watch) add(format string, args ...any) {
	if len(w.found) < maxViolations {
		w.found = append(w.found, fmt.Sprintf("after %v: ", w.now().Round(time.Millisecond))+fmt.Sprintf(format, args...))
	}
}

func (w *watch) violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.found
}

// poll asks the replicas where they are until stop is closed.
func (w *watch) poll(c *clustertest.Cluster, stop <-chan struct{}) {
	for {
		for _, name := range c.Names() {
			if n := c.Node(name); n != nil {
				for _, s := range n.Statuses() {
					w.status(name, s)
				}
			}
		}
		select {
		case <-stop:
			return
		case <-time.After(pollEvery):
		}
	}
}

// status compares what a replica says of itself with what is known.
func (w *watch) status(node string, s group.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.group(s.Group)
	if known, ok := g.digests[s.Applied]; ok && known != s.Digest {
		w.add("group %s: node %s has the digest %x after entry %d, another had %x", s.Group, node, s.Digest, s.Applied, known)
	}
	g.digests[s.Applied] = s.Digest
	if s.Serving {
		if known, ok := g.leaders[s.Term]; ok && known != node {
			w.add("group %s: nodes %s and %s both lead in term %d", s.Group, known, node, s.Term)
		}
		g.leaders[s.Term] = node
	}
	for ; g.applied < s.Applied; g.applied++ {
		if at, ok := g.stored[node][g.applied+1]; ok {
			g.committed[g.applied+1] = at
		}
	}
}

// disk returns the watch over one node's disk.
func (w *watch) disk(node string) diskWatch { return diskWatch{w, node} }

// diskWatch is told what has got to a disk to stay.
type diskWatch struct {
	*watch
	node string
}

// Stored is called when entries are on the disk.
func (d diskWatch) Stored(name string, logs []*raft.Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.group(name)
	if g.stored[d.node] == nil {
		g.stored[d.node] = map[uint64]position{}
	}
	for _, l := range logs {
		at := position{l.Index, l.Term}
		h := fnv.New64a()
		h.Write([]byte{byte(l.Type)})
		h.Write(l.Data)
		sum := h.Sum64()
		if known, ok := g.logs[at]; ok && known != sum {
			d.add("group %s: node %s stores entry %d of term %d otherwise than another node: two leaders in one term", name, d.node, l.Index, l.Term)
		}
		g.logs[at], g.stored[d.node][l.Index] = sum, at
	}
}

// Voted is called when a vote is on the disk.
func (d diskWatch) Voted(name string, term uint64, candidate []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, now := d.group(name), ballot{term, string(candidate)}
	if last := g.votes[d.node]; term < last.term || term == last.term && now != last {
		d.add("group %s: node %s votes for %s in term %d, after %s in term %d", name, d.node, now.candidate, term, last.candidate, last.term)
	}
	g.votes[d.node] = now
}

// Deleted is called when entries are gone from the disk: the oldest, which a
// snapshot covers, or the newest, which another leader does not have.
func (d diskWatch) Deleted(name string, from, to uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.group(name)
	stored := g.stored[d.node]
	for index := range stored {
		if index < from || index > to {
			continue
		}
		if at, ok := g.committed[index]; ok && at == stored[index] && index > g.kept[d.node] {
			d.add("group %s: node %s takes entry %d of term %d back, which was committed and is in no snapshot", name, d.node, index, at.term)
		}
		delete(stored, index)
	}
}

// Termed is called when a term is on the disk.
func (d diskWatch) Termed(name string, term uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.group(name)
	if last := g.terms[d.node]; term < last {
		d.add("group %s: node %s goes back from term %d to %d", name, d.node, last, term)
	}
	g.terms[d.node] = term
}

// Kept is called when a snapshot is complete.
func (d diskWatch) Kept(name string, index, term uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.group(name)
	g.kept[d.node] = max(g.kept[d.node], index)
	if was, ok := g.committed[index]; ok && was.term != term {
		d.add("group %s: node %s keeps a snapshot of entry %d of term %d, where one of term %d was committed", name, d.node, index, term, was.term)
	}
}
