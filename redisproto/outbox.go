package redisproto

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeGrace is how long a write may hold up its connection's commands
	// before what is left of it waits in the queue instead: between once and
	// twice this long.
	writeGrace = 20 * time.Millisecond
	// closeGrace is how long queued replies may take once the connection is to
	// end.
	closeGrace = 5 * time.Second
	// writeChunk is how much has to be taken within the write time-out.
	writeChunk = 64 << 10
	// maxUnauthOutput bounds the queue before AUTH: every refused command has a
	// reply, and nobody needs to read them.
	maxUnauthOutput = 16 << 10
)

// errOutputFull is returned when a client has not read its replies for too
// long: the queue has reached its limit and the connection is closed.
var errOutputFull = errors.New("redisproto: the client does not read its replies")

// outbox is a connection whose writes do not wait for a slow reader. A client
// may send a long pipeline and read the replies only then, so reading has to go
// on while replies wait; they do so here, within a limit, and a goroutine that
// lives only as long as there are some sends them.
type outbox struct {
	net.Conn
	timeout  time.Duration   // for the client to take writeChunk bytes
	wg       *sync.WaitGroup // of the server, which waits for the goroutine
	ctx      context.Context // of the server, which ends the goroutine by it
	stats    *Stats
	buffers  *buffers     // of all clients
	limit    atomic.Int64 // bytes that may wait
	waiting  atomic.Int64 // bytes that do
	soft     atomic.Int64 // bytes that may wait for patience, or 0 for no such limit
	patience atomic.Int64 // nanoseconds

	mu      sync.Mutex
	queue   backlog
	sending bool      // the goroutine runs, and it alone writes
	queued  bool      // the goroutine writes everything: Write must not wait
	late    time.Time // since when more than soft wait
	closeBy time.Time
	goodbye bool      // the client is to be told that no more replies come
	until   time.Time // the write deadline that was set
	err     error
}

// Write takes all of b or fails for good. It does not keep b.
func (o *outbox) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	rest := b
	if !o.sending && !o.queued {
		if now := time.Now(); o.until.Sub(now) < writeGrace {
			o.until = now.Add(2 * writeGrace)
			o.Conn.SetWriteDeadline(o.until)
		}
		n, err := o.Conn.Write(b)
		o.stats.OutputBytes.Add(int64(n))
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			o.err = err
			return n, err
		}
		if rest = b[n:]; len(rest) == 0 {
			return n, nil
		}
	}
	if more := int64(len(rest)); o.buffers.crowded(o.waiting.Load()+more, more) {
		o.err = errCrowded
		o.stats.Evicted.Add(1)
		o.Conn.Close()
		return len(b) - len(rest), o.err
	} else if o.full(more) {
		o.fail()
		return len(b) - len(rest), o.err
	}
	o.waiting.Add(int64(len(rest)))
	o.buffers.held.Add(int64(len(rest)))
	o.queue = o.queue.add(rest)
	if !o.sending {
		o.sending = true
		o.wg.Go(o.send)
	}
	return len(b), nil
}

// full reports whether no more bytes may wait.
func (o *outbox) full(more int64) bool {
	n := o.waiting.Load() + more
	soft := o.soft.Load()
	switch {
	case n > o.limit.Load():
		return true
	case soft == 0 || n <= soft:
		o.late = time.Time{}
	case o.late.IsZero():
		o.late = time.Now()
	default:
		return time.Since(o.late) > time.Duration(o.patience.Load())
	}
	return false
}

// fail ends the connection of a client that does not read.
func (o *outbox) fail() {
	if o.err == nil {
		o.err = errOutputFull
		o.stats.OutputLimit.Add(1)
		o.Conn.Close()
	}
}

// overflow does so for what waits elsewhere. Any goroutine may call it.
func (o *outbox) overflow() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail()
}

// setQueued makes Write never wait for the client, or up to [writeGrace] again.
func (o *outbox) setQueued(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queued = on
}

// send writes what waits until nothing does.
func (o *outbox) send() {
	defer context.AfterFunc(o.ctx, o.abort)()
	for {
		o.mu.Lock()
		batch := o.queue
		o.queue = nil
		if len(batch) == 0 || o.err != nil {
			batch.free()
			o.sending = false
			o.buffers.held.Add(-o.waiting.Swap(0))
			o.until = time.Time{}
			last := o.err != nil || !o.closeBy.IsZero()
			if o.goodbye && !last {
				o.closeWrite()
			}
			o.mu.Unlock()
			if last {
				o.Conn.Close()
			}
			return
		}
		o.mu.Unlock()
		for i, part := range batch {
			n, err := o.writeSome(part.b[:part.n])
			batch[i : i+1].free() // at once: the others may take their time
			o.waiting.Add(-int64(n))
			o.buffers.held.Add(-int64(n))
			o.stats.OutputBytes.Add(int64(n))
			if err != nil {
				o.mu.Lock()
				if o.err == nil {
					o.err = err
					if o.closeBy.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) {
						o.stats.WriteTimeouts.Add(1)
					}
				}
				o.mu.Unlock()
				batch[i+1:].free()
				break
			}
		}
	}
}

func (o *outbox) writeSome(b []byte) (int, error) {
	o.mu.Lock()
	by := time.Now().Add(o.timeout)
	if o.waiting.Load() <= o.soft.Load() {
		o.late = time.Time{}
	}
	if !o.closeBy.IsZero() && o.closeBy.Before(by) {
		by = o.closeBy
	}
	o.Conn.SetWriteDeadline(by)
	o.mu.Unlock()
	return o.Conn.Write(b)
}

// Close ends the connection, at once or, when replies wait, as soon as they
// are sent or [closeGrace] is over. It does not wait for that.
func (o *outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sending && o.err == nil {
		if o.closeBy.IsZero() {
			o.closeBy = time.Now().Add(closeGrace)
			o.Conn.SetWriteDeadline(o.closeBy)
		}
		return nil
	}
	if o.err == nil {
		o.err = net.ErrClosed
	}
	return o.Conn.Close()
}

// CloseWrite tells the client that no more replies come, at once or, when some
// wait, behind them. It does nothing when the transport cannot say so.
func (o *outbox) CloseWrite() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sending {
		o.goodbye = true
		return nil
	}
	return o.closeWrite()
}

func (o *outbox) closeWrite() error {
	if half, ok := o.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// abort ends the connection now, whatever waits. Any goroutine may call it.
func (o *outbox) abort() { o.Conn.Close() }

// backlog is replies in pieces, so that its growth copies nothing.
type backlog []*piece

// piece is a part of a backlog.
type piece struct {
	n int
	b [writeChunk]byte
}

var pieceRoom = sync.Pool{New: func() any { return new(piece) }}

// add appends bytes, and returns the backlog with them.
func (q backlog) add(b []byte) backlog {
	for len(b) > 0 {
		if len(q) == 0 || q[len(q)-1].n == writeChunk {
			q = append(q, pieceRoom.Get().(*piece))
		}
		last := q[len(q)-1]
		n := copy(last.b[last.n:], b)
		last.n += n
		b = b[n:]
	}
	return q
}

// free lets others use the pieces.
func (q backlog) free() {
	for _, p := range q {
		p.n = 0
		pieceRoom.Put(p)
	}
}
