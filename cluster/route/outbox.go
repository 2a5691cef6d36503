package route

import (
	"context"
	"sync"
	"time"

	"phonond/fsm"
)

// maxOutstanding is how many requests this node has under way in one group.
// Half of what the group remembers, so that none is ever refused for it.
const maxOutstanding = fsm.MaxUnacked / 2

// outbox numbers this node's requests to one group and knows which of them are
// still waited for.
type outbox struct {
	origin   uint64 // what the numbers belong to
	mu       sync.Mutex
	next     uint64              // the last number given
	acked    uint64              // all below are done
	done     map[uint64]struct{} // those above acked that are done
	freed    chan struct{}       // closed when room is made
	opening  chan struct{}       // holds a token while the group is told of this node
	openedAt time.Time           // when it was last told; guarded by opening
}

func newOutbox(origin uint64) *outbox {
	return &outbox{origin: origin, acked: 1, done: map[uint64]struct{}{}, freed: make(chan struct{}), opening: make(chan struct{}, 1)}
}

// begin numbers a request. It waits while too many are under way.
func (o *outbox) begin(ctx context.Context) (seq uint64, err error) {
	for {
		o.mu.Lock()
		if o.next+1-o.acked < maxOutstanding {
			o.next++
			seq = o.next
			o.mu.Unlock()
			return seq, nil
		}
		freed := o.freed
		o.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// finish notes that nobody waits for the request any more.
func (o *outbox) finish(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seq != o.acked {
		o.done[seq] = struct{}{}
		return
	}
	full := o.next+1-o.acked >= maxOutstanding
	o.acked++
	for {
		if _, ok := o.done[o.acked]; !ok {
			break
		}
		delete(o.done, o.acked)
		o.acked++
	}
	if full {
		close(o.freed)
		o.freed = make(chan struct{})
	}
}

// ack returns the number below which no reply is waited for.
func (o *outbox) ack() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.acked
}

// open makes this run of the node known to a group. Many requests may find out
// at once that it is not; the first does it, the others, whose attempts began
// before, need not.
func (r *Router) open(ctx context.Context, box *outbox, name string, began time.Time) {
	select {
	case box.opening <- struct{}{}:
		defer func() { <-box.opening }()
	case <-ctx.Done():
		return
	}
	if box.openedAt.After(began) {
		return
	}
	req := fsm.Request{Kind: fsm.OpenOrigin, Origin: box.origin, Node: r.cfg.Node}
	w := &work{group: name, request: req.Append(nil)}
	if _, ok, _ := r.outcome(ctx, w, r.try(w)); ok {
		box.openedAt = time.Now()
	}
}
