package redisproto

import (
	"sync"

	"phonond/redisproto/resp"
)

// frame is a message in the bytes of both versions of the protocol. Many clients get
// the same one.
type frame struct{ resp2, resp3 []byte }

func newFrame(elems ...resp.Value) frame {
	v := resp.Value{Kind: resp.Push, Elems: elems}
	return frame{v.Append(nil, 2), v.Append(nil, 3)}
}

func (f frame) in(proto int) []byte {
	if proto == 2 {
		return f.resp2
	}
	return f.resp3
}

// mailbox is where other goroutines leave what a client gets beside its replies. Its
// content goes out at once, unless the connection holds it back because a reply that
// has to come first is not written yet.
type mailbox struct {
	mu    sync.Mutex
	held  bool // only the connection's goroutine changes it
	queue []frame
	bytes int64
}

// post sends a message. It does not wait for the client: one that does not read is
// closed. Any goroutine may call it while the client is in the hub.
func (c *Client) post(f frame) {
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if !c.box.held {
		c.wire.Write(f.in(c.protocol())) // who cannot be written to is closed, and goes
		return
	}
	c.box.bytes += int64(len(f.resp2))
	if c.box.bytes > c.wire.out.limit.Load() {
		c.wire.out.overflow()
		return
	}
	c.box.queue = append(c.box.queue, f)
}

// protocol is the version of the protocol, for other goroutines.
func (c *Client) protocol() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proto
}

// holdMessages keeps messages back until flush has written the replies.
func (c *Client) holdMessages() {
	if c.box.held {
		return
	}
	c.box.mu.Lock()
	c.box.held = true
	c.box.mu.Unlock()
}

// release sends what was held back. After EXEC nobody may want it any more, and a
// client of the older protocol would take it for a reply.
func (c *Client) release() {
	wanted := c.proto > 2 || c.listening()
	for _, f := range c.box.queue {
		if wanted {
			c.wire.Write(f.in(c.proto))
		}
	}
	c.box.queue, c.box.bytes, c.box.held = nil, 0, false
}

// listening reports whether the client gets messages.
func (c *Client) listening() bool { return c.monitoring || c.subscriptions() > 0 }

// listen is called when the client begins or ends to get messages: nobody may wait for
// a write to it then.
func (c *Client) listen() {
	c.wire.out.setQueued(c.listening())
	c.limitOutput()
}
