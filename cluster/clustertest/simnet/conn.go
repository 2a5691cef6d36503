package simnet

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"phonond/cluster/mux/pipe"
)

// window is how many bytes a direction of a connection holds before the writer
// has to wait: about what a kernel buffers on both sides.
const window = 256 << 10

// conn is one end of a stream.
type conn struct {
	host          *Host
	peer          *conn
	local, remote address
	in, out       *pipe.Pipe
	closed        bool // guarded by host.net.mu
}

// newConn makes both ends of a stream over whole links.
func newConn(from, to *Host, local, remote address) (here, there *conn) {
	forth, back := pipe.New(window), pipe.New(window)
	here = &conn{host: from, local: local, remote: remote, in: back, out: forth}
	there = &conn{host: to, local: remote, remote: local, in: forth, out: back}
	here.peer, there.peer = there, here
	return here, there
}

// delay is how long what is sent here takes to the other end.
func (c *conn) delay() time.Duration { return c.host.net.delay(c.host, c.peer.host) }

// hold makes what c sends stop or go on, as its link is.
func (c *conn) hold() {
	n := c.host.net
	c.out.Hold(n.isCut(c.host, c.peer.host), c.delay())
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	return n, c.opError("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	if c.in.Ended() {
		return 0, c.opError("write", syscall.EPIPE)
	}
	c.host.net.mu.Lock()
	delay := c.delay()
	c.host.net.mu.Unlock()
	n, err := c.out.Write(b, delay)
	return n, c.opError("write", err)
}

// Close sends what was written before, then the end.
func (c *conn) Close() error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closeLocked(io.EOF)
	return nil
}

func (c *conn) closeLocked(last error) {
	if c.closed {
		return
	}
	c.closed = true
	c.in.CloseRead()
	c.out.End(last, c.delay())
	c.host.net.dropIfClosed(c)
}

// breakLocked ends the stream here as if the network had reset it: nothing more is
// read or written. It stays open until its owner closes it.
func (c *conn) breakLocked() {
	c.in.Abort(syscall.ECONNRESET)
}

// dropIfClosed forgets a connection when both ends are closed: then nobody can
// be waiting for a link to heal.
func (n *Network) dropIfClosed(c *conn) {
	if c.closed && c.peer.closed {
		delete(n.conns, c)
		delete(n.conns, c.peer)
	}
}

func (c *conn) opError(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "sim", Source: c.local, Addr: c.remote, Err: err}
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.SetReadDeadline(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.SetWriteDeadline(t)
	return nil
}
