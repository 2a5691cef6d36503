package route

import (
	"encoding/binary"
	"sync"

	"phonond/cluster/group"
)

// maxPosted bounds the bytes posted to one node that it has not confirmed yet: a node
// that is slow must not fill the memory of the others. postCost is what a post takes
// beside its bytes.
const (
	maxPosted = 16 << 20
	postCost  = 128
)

// postbox is what is on its way to one node.
type postbox struct {
	mu          sync.Mutex
	unconfirmed int // bytes
}

// Post sends body to a node, whose Config.Receive gets what this node posts in the
// order in which it was posted: not all of it perhaps, and nothing twice. done is
// called once, with what Receive returned or the reason why that is not known; it must
// not block. Post itself does not block either: with [group.ErrBusy] nothing was sent,
// as too much is on its way to that node.
func (r *Router) Post(node string, body []byte, done func(out []byte, err error)) {
	l := r.links.get(node)
	if l == nil {
		done(nil, ErrUnreachable)
		return
	}
	if len(body) > maxFrame/2 {
		done(nil, ErrTooLarge)
		return
	}
	box, size := &l.posts, len(body)+postCost
	box.mu.Lock()
	busy := box.unconfirmed > 0 && box.unconfirmed+size > maxPosted
	if !busy {
		box.unconfirmed += size
	}
	box.mu.Unlock()
	if busy {
		done(nil, group.ErrBusy)
		return
	}
	l.send(framePost, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(appendString(b, r.cfg.Node), r.origin)
		return append(b, body...)
	}, func(a answer) {
		box.mu.Lock()
		box.unconfirmed -= size
		box.mu.Unlock()
		done(a.data, a.err)
	})
}

// sender is another node as the source of posts.
type sender struct {
	mu     sync.Mutex // held while a post is received
	origin uint64     // the node's run
	last   uint64     // id of its last post
}

// posted receives a post. Those of a connection that broke may be read beside those of
// the next one: what is older than the last one received comes too late.
func (r *Router) posted(f frame) answer {
	node, body, err := cutString(f.payload)
	if err != nil || len(body) < 8 {
		return answer{err: ErrRefused}
	}
	r.mu.Lock()
	s := r.senders[node]
	if s == nil {
		s = new(sender)
		r.senders[node] = s
	}
	r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	origin, body := binary.BigEndian.Uint64(body), body[8:]
	if origin == s.origin && f.id <= s.last {
		return answer{err: ErrRefused}
	}
	s.origin, s.last = origin, f.id
	out, err := r.cfg.Receive(body)
	if err != nil {
		r.cfg.Log.Warn("a post of another node cannot be read", "from", node, "error", err)
		return answer{err: ErrRefused}
	}
	return answer{data: out}
}
