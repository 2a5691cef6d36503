package fsm

import (
	"cmp"
	"slices"

	"github.com/tidwall/btree"

	"phonond/redisproto/resp"
)

// The bounds of what is remembered of one origin.
const (
	// MaxUnacked is how many requests of an origin may be unacknowledged. The
	// origin waits before it sends more; the machine refuses what comes above.
	MaxUnacked = 1 << 16
	// OriginIdle is how long, in ms of the cluster clock, an origin is
	// remembered after its last request: far longer than any request is retried.
	OriginIdle = 10 * 60 * 1000
)

// origin is one run of a node, as the source of requests, with the replies it
// may still ask for again.
type origin struct {
	id     uint64
	node   string
	seen   int64  // clock of its last request
	maxSeq uint64 // the highest sequence number executed
	acked  uint64 // lower ones will not be asked for again
	// done is the replies by sequence number, those from acked on.
	done btree.Map[uint64, []resp.Value]
}

// clone returns a copy in O(1) that may be read while o goes on changing.
func (o *origin) clone() *origin {
	c := *o
	c.done = *o.done.Copy()
	return &c
}

// Status tells what became of a request.
type Status byte

const (
	// Applied: it was executed by this entry.
	Applied Status = iota + 1
	// Repeated: it had been executed before; the replies are the first ones.
	Repeated
	// Void: the entry was proposed in another term or epoch; nothing was applied.
	Void
	// UnknownOrigin: the origin is not, or no longer, known; it was not executed.
	UnknownOrigin
	// Stale: the origin has said that it does not wait for this request any more.
	// It was not executed now.
	Stale
	// Conflict: a key that the request had read has changed; nothing was applied.
	Conflict
	// Overrun: the origin has too many requests unacknowledged; nothing was
	// applied.
	Overrun
	// Waiting: there was nothing for a Wait request, and nothing was applied.
	Waiting
)

// ack notes that no reply below seq will be asked for again.
func (o *origin) ack(seq uint64) {
	if seq <= o.acked {
		return
	}
	o.acked = seq
	for {
		first, _, ok := o.done.Min()
		if !ok || first >= seq {
			return
		}
		o.done.PopMin()
	}
}

// forget notes that replies to these requests will not be asked for again.
func (o *origin) forget(seqs []uint64) {
	for _, seq := range seqs {
		o.done.Delete(seq)
	}
}

// replies returns the replies of a request that was executed before.
func (o *origin) replies(seq uint64) ([]resp.Value, bool) {
	if seq > o.maxSeq {
		return nil, false
	}
	return o.done.Get(seq)
}

func (o *origin) finish(seq uint64, replies []resp.Value) {
	o.maxSeq = max(o.maxSeq, seq)
	o.done.Set(seq, replies)
}

// openOrigin makes an origin known. To open it again changes nothing.
func (m *Machine) openOrigin(r *Request) {
	if m.origins[r.Origin] == nil {
		m.origins[r.Origin] = &origin{id: r.Origin, node: r.Node}
	}
	m.origins[r.Origin].seen = m.clock
}

// forgetIdleOrigins runs at most once a minute of the clock.
func (m *Machine) forgetIdleOrigins() {
	if m.clock < m.sweepAt {
		return
	}
	m.sweepAt = m.clock + 60_000
	for id, o := range m.origins {
		if o.seen+OriginIdle < m.clock {
			delete(m.origins, id)
		}
	}
}

// sortedOrigins returns the origins by id.
func (m *Machine) sortedOrigins() []*origin {
	list := make([]*origin, 0, len(m.origins))
	for _, o := range m.origins {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *origin) int { return cmp.Compare(a.id, b.id) })
	return list
}
