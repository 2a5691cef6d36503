package mux

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// conn is a connection that the Mux keeps account of until it is closed.
type conn struct {
	net.Conn          // what the service reads and writes: raw, or TLS on it
	raw      net.Conn // the network's
	mux      *Mux
	peer     Preamble  // of accepted connections
	counted  bool      // in mux.peers
	listener *listener // that accepted it; nil for dialled ones

	closing  sync.Once
	closeErr error
}

func (c *conn) Close() error {
	c.closing.Do(func() {
		c.closeErr = c.Conn.Close()
		c.mux.forget(c)
		if c.listener != nil {
			c.listener.forget(c)
		}
	})
	return c.closeErr
}

func (m *Mux) forget(c *conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, c.raw)
	if c.counted {
		if m.peers[c.peer.From]--; m.peers[c.peer.From] == 0 {
			delete(m.peers, c.peer.From)
		}
	}
}

// Peer tells who called, for a connection that a Mux accepted or a wrapper of
// one that has a NetConn method. With TLS the caller has proved node and region.
func Peer(c net.Conn) (Preamble, bool) {
	for {
		switch known := c.(type) {
		case *conn:
			return known.peer, known.listener != nil
		case interface{ NetConn() net.Conn }:
			c = known.NetConn()
		default:
			return Preamble{}, false
		}
	}
}

// Handle registers a service, of a group where it has groups, and returns the
// listener that its connections come from. Closing the listener unregisters it
// and closes the connections that came from it. Registering the same twice is a
// mistake of the program and panics.
func (m *Mux) Handle(s Service, group string) net.Listener {
	l := &listener{
		mux:   m,
		key:   service{s, group},
		queue: make(chan *conn),
		done:  make(chan struct{}),
		conns: make(map[*conn]struct{}),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		l.closed = true
		close(l.done)
		return l
	}
	if m.services[l.key] != nil {
		panic(fmt.Sprintf("mux: %v is registered already", l.key))
	}
	m.services[l.key] = l
	return l
}

// listener is one service's share of the port.
type listener struct {
	mux   *Mux
	key   service
	queue chan *conn
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	conns  map[*conn]struct{} // accepted and not closed
}

// Accept waits for the next connection. The returned connection knows its Peer.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, ErrClosed
	}
}

// deliver hands c to Accept, or closes it when nobody takes it in time.
func (l *listener) deliver(c *conn, deadline time.Time) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		c.Close()
		return
	}
	c.listener = l
	l.conns[c] = struct{}{}
	l.mu.Unlock()

	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	select {
	case l.queue <- c:
		return
	case <-l.done:
	case <-late.C:
		l.mux.cfg.Log.Warn("connection closed: its service does not take it", "service", l.key, "node", c.peer.From)
	}
	c.Close()
}

func (l *listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Close unregisters the service and closes the connections that came from it.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.done)
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()

	l.mux.mu.Lock()
	delete(l.mux.services, l.key)
	l.mux.mu.Unlock()
	for _, c := range conns {
		c.raw.Close() // at once: TLS would wait for a peer that does not read
		c.Close()
	}
	return nil
}

func (l *listener) Addr() net.Addr { return l.mux.Addr() }
