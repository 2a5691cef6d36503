package mux

import (
	"net"
	"sync"
	"time"
)

// RaftIdle is how long a Raft connection may stand still within a request
// before WithProgress gives it up: far longer than any pause of a live peer,
// far shorter than the hours that raft itself allows for a large snapshot.
const RaftIdle = 30 * time.Second

// progressChunk is how much a write must move within the limit.
const progressChunk = 64 << 10

// WithProgress is c with a limit on standing still. A write that moves nothing
// for limit fails, and so does a read in the middle of a request: one that
// follows other reads with no write between. A read that waits for the next
// request or for an answer may wait for ever, as may a connection at rest in a
// pool. It is meant for protocols where each side speaks in turn, such as Raft
// without pipelining, whose receiver sets no deadline while a snapshot comes in.
//
// The error is a timeout (os.ErrDeadlineExceeded). Deadlines set on the result
// hold as well; whichever comes first counts.
func WithProgress(c net.Conn, limit time.Duration) net.Conn {
	return &progress{Conn: c, limit: limit}
}

type progress struct {
	net.Conn
	limit time.Duration

	mu        sync.Mutex
	midway    bool      // bytes were read since the last write
	readBy    time.Time // the caller's deadlines
	writeBy   time.Time
	readIdle  time.Time // ours
	writeIdle time.Time
}

func (p *progress) Read(b []byte) (int, error) {
	p.mu.Lock()
	p.readIdle = time.Time{}
	if p.midway {
		p.readIdle = time.Now().Add(p.limit)
	}
	err := p.Conn.SetReadDeadline(earliest(p.readBy, p.readIdle))
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := p.Conn.Read(b)
	if n > 0 {
		p.mu.Lock()
		p.midway = true
		p.mu.Unlock()
	}
	return n, err
}

func (p *progress) Write(b []byte) (int, error) {
	written := 0
	for {
		p.mu.Lock()
		p.midway = false
		p.writeIdle = time.Now().Add(p.limit)
		err := p.Conn.SetWriteDeadline(earliest(p.writeBy, p.writeIdle))
		p.mu.Unlock()
		if err != nil {
			return written, err
		}
		n, err := p.Conn.Write(b[written:min(len(b), written+progressChunk)])
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

func (p *progress) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readBy = t
	return p.Conn.SetReadDeadline(earliest(t, p.readIdle))
}

func (p *progress) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeBy = t
	return p.Conn.SetWriteDeadline(earliest(t, p.writeIdle))
}

func (p *progress) SetDeadline(t time.Time) error {
	if err := p.SetReadDeadline(t); err != nil {
		return err
	}
	return p.SetWriteDeadline(t)
}

// NetConn returns the connection beneath, so that Peer finds it.
func (p *progress) NetConn() net.Conn { return p.Conn }

// earliest is the earlier of two deadlines, where the zero time means none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
