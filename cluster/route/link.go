package route

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"phonond/cluster/group"
)

// Limits of a link.
const (
	linkDial = 3 * time.Second
	// linkPing is how often a link with unanswered frames is pinged, and linkDead
	// after what silence it is given up: a partition breaks no connection, and a
	// request that waits on one could be answered elsewhere.
	linkPing = time.Second
	linkDead = 3 * time.Second
	// linkChunk is how much has to get away within linkDead.
	linkChunk = 128 << 10
	// linkRedial is the least time between two attempts to reach a node.
	linkRedial = 100 * time.Millisecond
	// linkQueue bounds what waits to be written to one node.
	linkQueue = 64 << 20
)

// links are the connections to other nodes, one a node, made when needed.
type links struct {
	dial    func(ctx context.Context, node string) (net.Conn, error)
	ctx     context.Context // of what is being dialled
	cancel  context.CancelFunc
	mu      sync.Mutex
	byNode  map[string]*link
	closed  bool
	running sync.WaitGroup
}

func (ls *links) get(node string) *link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.closed {
		return nil
	}
	l := ls.byNode[node]
	if l == nil {
		l = &link{node: node, links: ls, pending: map[uint64]func(answer){}}
		ls.byNode[node] = l
	}
	return l
}

func (ls *links) close() {
	ls.mu.Lock()
	ls.closed = true
	all := ls.byNode
	ls.byNode = nil
	ls.mu.Unlock()
	ls.cancel()
	for _, l := range all {
		l.mu.Lock()
		tell := l.fail(l.conn, group.ErrUncertain)
		l.mu.Unlock()
		tell()
	}
	ls.running.Wait()
}

// link is the way to one node: frames of many connections go out together, and
// answers come back in any order.
type link struct {
	node  string
	links *links

	mu      sync.Mutex
	conn    *linkConn // nil while there is none
	dialing bool
	failed  time.Time // when the last dial failed
	next    uint64
	pending map[uint64]func(answer)
	out     []byte // frames to be written

	posts postbox
}

// linkConn is one connection of a link.
type linkConn struct {
	net.Conn
	wake chan struct{} // out has frames
	gone chan struct{} // closed when the connection is given up
	seen time.Time     // when the other node last showed life; guarded by link.mu
}

// send sends a frame and calls done with the answer, once. done must not block.
// The frame's bytes are copied before send returns. The frame's id is 0 if it is not
// on its way.
func (l *link) send(kind frameType, fill func([]byte) []byte, done func(answer)) (id uint64) {
	l.mu.Lock()
	if l.conn == nil && !l.dialing {
		if time.Since(l.failed) < linkRedial || !l.startDial() {
			l.mu.Unlock()
			done(answer{err: ErrUnreachable})
			return 0
		}
	}
	if len(l.out) > linkQueue {
		l.mu.Unlock()
		done(answer{err: group.ErrBusy})
		return 0
	}
	l.next++
	id = l.next
	if len(l.pending) == 0 && l.conn != nil {
		l.conn.seen = time.Now() // silence before the first question is no sign
	}
	l.pending[id] = done
	l.out = appendFrame(l.out, kind, id, fill)
	if l.conn != nil {
		l.conn.nudge()
	}
	l.mu.Unlock()
	return id
}

// cancel says that nobody waits for the answer to a frameWait any more, unless it has
// come. An answer comes all the same.
func (l *link) cancel(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending[id] == nil {
		return
	}
	l.out = appendFrame(l.out, frameCancel, id, func(b []byte) []byte { return b })
	if l.conn != nil {
		l.conn.nudge()
	}
}

func (c *linkConn) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// startDial begins to connect. The lock is held.
func (l *link) startDial() bool {
	l.links.mu.Lock()
	defer l.links.mu.Unlock()
	if l.links.closed {
		return false
	}
	l.dialing = true
	l.links.running.Go(l.connect)
	return true
}

func (l *link) connect() {
	ctx, cancel := context.WithTimeout(l.links.ctx, linkDial)
	defer cancel()
	conn, err := l.links.dial(ctx, l.node)
	tell := func() {}
	defer func() { tell() }()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.links.mu.Lock()
	closed := l.links.closed
	l.links.mu.Unlock()
	l.dialing = false
	if err == nil && closed {
		conn.Close()
		err = ErrUnreachable
	}
	if err != nil {
		l.failed = time.Now()
		tell = l.fail(nil, ErrUnreachable) // nothing has left this node
		return
	}
	l.conn = &linkConn{Conn: conn, wake: make(chan struct{}, 1), gone: make(chan struct{}), seen: time.Now()}
	l.conn.nudge()
	c := l.conn
	l.links.running.Go(func() { l.write(c) })
	l.links.running.Go(func() { l.read(c) })
}

// fail gives up connection c, nil for one that was never made. The lock is held;
// the caller lets go of it before it has err told to all who wait, as they may
// send again.
func (l *link) fail(c *linkConn, err error) (tell func()) {
	if c != l.conn {
		return func() {} // an old one; those who wait now wait for another
	}
	if c != nil {
		close(c.gone)
		c.Close()
		l.conn = nil
	}
	pending := l.pending
	l.pending, l.out = map[uint64]func(answer){}, nil
	return func() {
		for _, done := range pending {
			done(answer{err: err})
		}
	}
}

// write sends what gathers in out, all of it at a time.
func (l *link) write(c *linkConn) {
	ping := time.NewTicker(linkPing)
	defer ping.Stop()
	var buf []byte
	for {
		select {
		case <-c.gone:
			return
		case <-c.wake:
		case <-ping.C:
		}
		l.mu.Lock()
		if l.conn != c {
			l.mu.Unlock()
			return
		}
		if len(l.pending) > 0 {
			switch silent := time.Since(c.seen); {
			case silent > linkDead:
				tell := l.fail(c, group.ErrUncertain)
				l.mu.Unlock()
				tell()
				return
			case silent > linkPing:
				l.out = appendFrame(l.out, framePing, 0, func(b []byte) []byte { return b })
			}
		}
		buf, l.out = l.out, buf[:0]
		l.mu.Unlock()
		if len(buf) == 0 {
			continue
		}
		if err := l.sendAll(c, buf); err != nil {
			l.lost(c)
			return
		}
		if cap(buf) > 1<<20 {
			buf = nil
		}
	}
}

// read gives answers to those who wait for them.
func (l *link) read(c *linkConn) {
	r := bufio.NewReaderSize(arrivals{l, c}, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			l.lost(c)
			return
		}
		l.mu.Lock()
		done := l.pending[f.id]
		delete(l.pending, f.id)
		l.mu.Unlock()
		if done != nil {
			done(decodeAnswer(f.payload))
		}
	}
}

// sendAll writes b. On a slow path that takes its time; only to stand still ends
// it.
func (l *link) sendAll(c *linkConn, b []byte) error {
	for len(b) > 0 {
		part := b[:min(len(b), linkChunk)]
		c.SetWriteDeadline(time.Now().Add(linkDead))
		if _, err := c.Write(part); err != nil {
			return err
		}
		b = b[len(part):]
		if len(part) == linkChunk { // less may have gone no further than this node
			l.noteLife(c)
		}
	}
	return nil
}

// noteLife takes note that the other node reads or writes.
func (l *link) noteLife(c *linkConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.seen = time.Now()
}

// arrivals reads from a link's connection and takes note that something came, be
// it the part of a long frame.
type arrivals struct {
	l *link
	c *linkConn
}

func (a arrivals) Read(b []byte) (int, error) {
	n, err := a.c.Read(b)
	if n > 0 {
		a.l.noteLife(a.c)
	}
	return n, err
}

// lost gives up a connection that broke. What was sent over it may have been
// applied.
func (l *link) lost(c *linkConn) {
	l.mu.Lock()
	tell := l.fail(c, group.ErrUncertain)
	l.mu.Unlock()
	tell()
}
