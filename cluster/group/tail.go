package group

import (
	"sync"

	"github.com/hashicorp/raft"
)

// The bounds of the entries that are kept in memory. Raft's own cache counts
// entries only, of which the largest are a million times the size of the smallest.
const (
	tailEntries = 512
	tailBytes   = 32 << 20
)

// tail keeps the newest entries of a log in memory: those that followers are sent
// and that are about to be applied.
type tail struct {
	raft.LogStore

	mu         sync.RWMutex
	ring       [tailEntries]*raft.Log // by index
	first, end uint64                 // those kept are first, first+1, ... end-1
	bytes      int
}

func (t *tail) GetLog(index uint64, l *raft.Log) error {
	t.mu.RLock()
	if t.first <= index && index < t.end {
		*l = *t.ring[index%tailEntries]
		t.mu.RUnlock()
		return nil
	}
	t.mu.RUnlock()
	return t.LogStore.GetLog(index, l)
}

func (t *tail) StoreLog(l *raft.Log) error { return t.StoreLogs([]*raft.Log{l}) }

func (t *tail) StoreLogs(ls []*raft.Log) error {
	if err := t.LogStore.StoreLogs(ls); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range ls {
		if l.Index != t.end {
			t.cut(t.first, t.end)
			t.first, t.end = l.Index, l.Index
		}
		if t.end-t.first == tailEntries {
			t.cut(t.first, t.first+1)
		}
		t.ring[l.Index%tailEntries] = l
		t.end++
		t.bytes += len(l.Data)
		for t.bytes > tailBytes {
			t.cut(t.first, t.first+1)
		}
	}
	return nil
}

// DeleteRange is called for entries at either end: those that a snapshot covers, or
// those that another leader never had.
func (t *tail) DeleteRange(from, to uint64) error {
	t.mu.Lock()
	switch {
	case from <= t.first:
		t.cut(t.first, min(to+1, t.end))
	case from < t.end:
		t.cut(from, t.end)
	}
	t.mu.Unlock()
	return t.LogStore.DeleteRange(from, to)
}

// cut lets go of the entries from one index to before another, of which one is an
// end of those kept. The lock is held.
func (t *tail) cut(from, to uint64) {
	for i := from; i < to; i++ {
		t.bytes -= len(t.ring[i%tailEntries].Data)
		t.ring[i%tailEntries] = nil
	}
	switch {
	case from >= to:
	case from == t.first:
		t.first = to
	default:
		t.end = from
	}
}
