package cluster

import (
	"runtime"
	"sync/atomic"
	"time"

	"phonond/redisproto"
)

// The pace at which a node looks at its memory, and at which it has what was let go
// collected while it has no more to give.
const (
	memoryFresh  = 100 * time.Millisecond
	collectEvery = time.Second
)

// memory knows how much the process uses. The zero value has no limit.
type memory struct {
	limit atomic.Int64 // bytes; 0 for none
	peak  atomic.Int64 // as far as anybody has looked

	seen      atomic.Int64 // when, unix ns
	over      atomic.Bool
	collected atomic.Int64 // when, unix ns
}

// full reports whether the process uses more than it may.
func (m *memory) full() bool {
	limit := m.limit.Load()
	if limit == 0 {
		return false
	}
	now, seen := time.Now().UnixNano(), m.seen.Load()
	if now-seen < int64(memoryFresh) || !m.seen.CompareAndSwap(seen, now) {
		return m.over.Load() // known, or another is looking
	}
	over := m.used().Heap > limit
	// What was deleted counts until it is collected, which the runtime does not do for
	// the sake of this limit.
	if last := m.collected.Load(); over && now-last >= int64(collectEvery) && m.collected.CompareAndSwap(last, now) {
		runtime.GC()
		over = m.used().Heap > limit
	}
	m.over.Store(over)
	return over
}

// used returns what the process uses now.
func (m *memory) used() redisproto.Memory {
	now := redisproto.ReadMemory()
	for {
		peak := m.peak.Load()
		if now.Heap <= peak || m.peak.CompareAndSwap(peak, now.Heap) {
			return now
		}
	}
}
