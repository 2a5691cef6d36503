// Package pipe is one direction of a connection in memory: bytes written at one
// end come out at the other, in order, after a delay. Two of them make the
// connections of the simulated network, and the latency that a development
// cluster adds to real ones. It starts no goroutine and touches no socket, and
// everything that waits in it waits durably in the sense of testing/synctest.
package pipe

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe is a bounded stream of bytes from one writer to one reader. All methods
// may be called at any time from any goroutine.
type Pipe struct {
	limit int // bytes that may be under way; a Write waits beyond it

	mu   sync.Mutex
	wake sync.Cond // anything that Read or Write waits for may have changed

	chunks []chunk   // under way, in order
	size   int       // bytes in chunks
	latest time.Time // when the last of them arrives: none may overtake it
	held   bool      // nothing arrives

	end      error     // what the reader sees after the last byte: io.EOF, or a failure at once
	endAt    time.Time // when the end arrives
	readErr  error     // set when the reader's end was closed or aborted
	writeErr error     // the same for the writer's

	arrival       *time.Timer // wakes the reader for what is under way
	readDeadline  deadline
	writeDeadline deadline
}

// chunk is what one Write put in.
type chunk struct {
	at    time.Time // when it arrives
	bytes []byte
}

// New makes a pipe that holds up to limit bytes. It lets them pass until Hold.
func New(limit int) *Pipe {
	p := &Pipe{limit: limit}
	p.wake.L = &p.mu
	return p
}

// Read waits for bytes to arrive. It returns io.EOF after the last byte of a
// writer that called End(io.EOF), net.ErrClosed after CloseRead, and
// os.ErrDeadlineExceeded when the deadline passed first.
func (p *Pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case p.readErr != nil:
			return 0, p.readErr
		case p.readDeadline.passed(now):
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case p.ended(now) && (p.end != io.EOF || len(p.chunks) == 0):
			return 0, p.end
		}
		if n := p.take(b, now); n > 0 {
			p.wake.Broadcast()
			return n, nil
		}
		p.awaitArrival(now)
	}
}

// Write puts b under way; it arrives after delay. It waits while the pipe is
// full and returns how much it put in. The bytes for a reader that has closed
// are taken and dropped, as a network takes them.
func (p *Pipe) Write(b []byte, delay time.Duration) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	written := 0
	for {
		now := time.Now()
		switch {
		case p.writeErr != nil:
			return written, p.writeErr
		case p.writeDeadline.passed(now):
			return written, os.ErrDeadlineExceeded
		case written == len(b):
			return written, nil
		case p.readErr != nil && !p.held:
			return len(b), nil
		case p.size < p.limit:
			n := min(len(b)-written, p.limit-p.size)
			p.put(b[written:written+n], now.Add(delay))
			written += n
			continue
		}
		p.wake.Wait()
	}
}

// End is the writer's last word: the reader sees err after delay. With io.EOF it
// first reads what is under way; any other error arrives like a reset and what
// was not read by then is lost. Only the first End counts.
func (p *Pipe) End(err error, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr == nil {
		p.writeErr = net.ErrClosed
	}
	if p.end == nil {
		p.end, p.endAt = err, time.Now().Add(delay)
		if err == io.EOF && p.endAt.Before(p.latest) {
			p.endAt = p.latest
		}
	}
	p.wake.Broadcast()
}

// Ended reports whether the writer's end has arrived at the reader, whether or
// not it read everything that came before.
func (p *Pipe) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended(time.Now())
}

// CloseRead closes the reader's end: reads return net.ErrClosed.
func (p *Pipe) CloseRead() { p.failRead(net.ErrClosed) }

// Abort fails both ends at once with err, as when the process that holds them is
// gone. What was under way is lost.
func (p *Pipe) Abort(err error) {
	p.failRead(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writeErr = err
	p.wake.Broadcast()
}

func (p *Pipe) failRead(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readErr = err
	}
	p.dropUnread()
	p.wake.Broadcast()
}

// Hold stops everything under way where it is (true), or lets it go on (false):
// then what has waited arrives after delay. Neither end is told.
func (p *Pipe) Hold(held bool, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == held {
		return
	}
	p.held = held
	earliest := time.Now().Add(delay)
	if held {
		return
	}
	for i := range p.chunks {
		p.chunks[i].at = later(p.chunks[i].at, earliest)
	}
	p.latest = later(p.latest, earliest)
	if p.end != nil {
		p.endAt = later(p.endAt, earliest)
	}
	p.dropUnread()
	p.wake.Broadcast()
}

// SetReadDeadline bounds current and later reads; the zero time removes it.
func (p *Pipe) SetReadDeadline(t time.Time) { p.setDeadline(&p.readDeadline, t) }

// SetWriteDeadline bounds current and later writes; the zero time removes it.
func (p *Pipe) SetWriteDeadline(t time.Time) { p.setDeadline(&p.writeDeadline, t) }

func (p *Pipe) setDeadline(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.set(t, p.broadcast)
	p.wake.Broadcast()
}

// broadcast is what timers run. It takes the lock so that it cannot fall between
// a waiter's look at the clock and its wait.
func (p *Pipe) broadcast() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake.Broadcast()
}

func (p *Pipe) ended(now time.Time) bool {
	return p.end != nil && !p.held && !p.endAt.After(now)
}

// take copies what has arrived.
func (p *Pipe) take(b []byte, now time.Time) int {
	if p.held {
		return 0
	}
	n := 0
	for len(p.chunks) > 0 && n < len(b) && !p.chunks[0].at.After(now) {
		c := copy(b[n:], p.chunks[0].bytes)
		n += c
		if p.chunks[0].bytes = p.chunks[0].bytes[c:]; len(p.chunks[0].bytes) == 0 {
			p.chunks[0] = chunk{}
			p.chunks = p.chunks[1:]
		}
	}
	p.size -= n
	return n
}

func (p *Pipe) put(b []byte, at time.Time) {
	p.latest = later(at, p.latest)
	p.chunks = append(p.chunks, chunk{at: p.latest, bytes: append([]byte(nil), b...)})
	p.size += len(b)
	p.wake.Broadcast()
}

// dropUnread makes room when nobody reads any more. While the pipe is held the
// writer cannot know, so its bytes stay.
func (p *Pipe) dropUnread() {
	if p.readErr != nil && !p.held {
		p.chunks, p.size = nil, 0
	}
}

// awaitArrival waits for a change, or for the next thing under way to arrive.
func (p *Pipe) awaitArrival(now time.Time) {
	var next time.Time
	if len(p.chunks) > 0 {
		next = p.chunks[0].at
	}
	if p.end != nil && (next.IsZero() || p.endAt.Before(next)) {
		next = p.endAt
	}
	if !p.held && next.After(now) {
		if p.arrival == nil {
			p.arrival = time.AfterFunc(next.Sub(now), p.broadcast)
		} else {
			p.arrival.Reset(next.Sub(now))
		}
	}
	p.wake.Wait()
}

// deadline is a time after which waiting ends, with the timer that wakes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = t, nil
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, wake)
	}
}

func (d *deadline) passed(now time.Time) bool { return !d.at.IsZero() && !now.Before(d.at) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
