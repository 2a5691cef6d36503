package redisproto

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// redconBuffer is the size of redcon's smallest read buffer.
	redconBuffer = 4096
	// bigCommand is the size from which it pays to make redcon let go of the
	// buffer that held a command.
	bigCommand = 256 << 10
	// lingerTime and lingerBytes bound how long a connection that is to end
	// goes on reading. Closing with unread bytes would reset it and might take
	// the last reply away from the client.
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// wire is the connection that redcon reads commands from and writes replies
// to. redcon trusts its peer: a length of 2^63-1 ends the process, and nothing
// bounds what it buffers. So Read gives it whole, valid commands and nothing
// else, and answers everything else itself.
type wire struct {
	net.Conn // the client: an outbox, or TLS over one
	out      *outbox
	client   *Client
	tls      *tls.Conn // nil on a plain connection
	in       scanner
	stats    *Stats
	tune     *tunables
	shake    time.Duration // for the TLS handshake

	held    int64  // bytes of the buffer for commands, as far as all buffers count them
	handled uint64 // commands that came back from redcon
	muted   bool   // the client has turned replies off
	ending  bool   // no more commands are taken
	shaken  bool
	timed   bool         // a read deadline is set for the sake of the idle time-out
	newline bool         // redcon waits for the end of an empty line
	ahead   []byte       // what came while a command waited, see watch.go
	drainBy atomic.Int64 // unix nanoseconds after which nothing is read, or 0
}

// Read gives redcon commands. It is called when redcon has no whole command left.
func (w *wire) Read(p []byte) (int, error) {
	for {
		if w.in.more() {
			if w.newline {
				w.newline = false
				p[0] = '\n'
				return 1 + w.in.take(p[1:]), nil
			}
			return w.in.take(p), nil
		}
		if w.ending {
			w.linger()
			return 0, io.EOF
		}
		if err := w.in.scan(); err != nil {
			w.refuse(err)
			return 0, io.EOF
		}
		if w.in.more() {
			continue
		}
		if w.in.largest >= bigCommand {
			w.in.largest = 0
			if len(p) == redconBuffer && !w.newline {
				return w.shrink(p), nil
			}
		}
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
}

// shrink makes redcon drop the buffer in which it read a big command. It uses
// the first 4096 bytes of that buffer from then on and keeps the rest, unless a
// command does not fit: then it allocates. Empty lines are no command, and the
// blank that begins another one leaves it with an incomplete command at the end
// of a full buffer.
func (w *wire) shrink(p []byte) int {
	for i := range p {
		p[i] = '\n'
	}
	p[len(p)-1] = ' '
	w.newline = true
	return len(p)
}

// more reports whether there are commands that have come and were not handled yet.
// Redcon may have some of them: it keeps what does not fit at the end of one of its
// buffers in another.
func (w *wire) more() bool { return w.in.more() || w.in.commands > w.handled }

// fill waits for bytes from the client.
func (w *wire) fill() error {
	if w.tls != nil && !w.shaken {
		ctx, cancel := context.WithTimeout(context.Background(), w.shake)
		err := w.tls.HandshakeContext(ctx)
		cancel()
		if err != nil {
			return err
		}
		w.shaken = true
	}
	if idle := time.Duration(w.tune.idle.Load()); idle > 0 && !w.client.listening() {
		w.readBy(time.Now().Add(idle))
		w.timed = true
	} else if w.timed {
		w.readBy(time.Time{})
		w.timed = false
	}
	if len(w.ahead) > 0 {
		n := copy(w.in.room(), w.ahead)
		w.in.grew(n)
		if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
			w.ahead = nil
		}
		return nil
	}
	w.in.limits.bulk, w.in.limits.query = int(w.tune.bulk.Load()), int(w.tune.query.Load())
	room := w.in.room()
	if err := w.hold(int64(cap(w.in.buf))); err != nil {
		w.in.drop()
		return err
	}
	n, err := w.Conn.Read(room)
	if n == 0 {
		if w.timed && w.drainBy.Load() == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			w.stats.IdleTimeouts.Add(1)
		}
		return err
	}
	w.stats.InputBytes.Add(int64(n))
	w.in.grew(n)
	return nil // an error that came with bytes comes again without
}

// hold counts a buffer of so many bytes.
func (w *wire) hold(size int64) error {
	all, more := &w.client.srv.buffers, size-w.held
	if more > 0 && all.crowded(size, more) {
		w.stats.Evicted.Add(1)
		return errCrowded
	}
	if more != 0 {
		all.held.Add(more)
		w.held = size
	}
	return nil
}

// readBy sets the read deadline. A deadline set by drain stays.
func (w *wire) readBy(t time.Time) {
	w.Conn.SetReadDeadline(t)
	if by := w.drainBy.Load(); by != 0 {
		w.Conn.SetReadDeadline(time.Unix(0, by))
	}
}

// drain lets the client's commands that arrive until t be answered and no
// others. Any goroutine may call it.
func (w *wire) drain(t time.Time) {
	w.drainBy.Store(t.UnixNano())
	w.Conn.SetReadDeadline(t)
}

// finish ends the connection when everything answered so far is written.
// Commands that the client sent after that are dropped.
func (w *wire) finish() {
	w.ending = true
	w.in.drop()
	w.ahead = nil
}

// refuse tells the client what is wrong with its bytes and ends the connection.
func (w *wire) refuse(err error) {
	w.stats.ProtocolErrors.Add(1)
	if errors.Is(err, errTooBigQuery) {
		w.stats.QueryLimit.Add(1)
	}
	if errors.Is(err, errForeign) {
		w.client.srv.foreign(w.client)
		return
	}
	if !w.muted && !w.client.skip {
		w.Write([]byte("-ERR " + err.Error() + "\r\n"))
	}
	w.linger()
}

// linger says goodbye and reads what the client still sends, for a while.
func (w *wire) linger() {
	w.in.drop()
	w.ending = true
	half, ok := w.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	w.readBy(time.Now().Add(lingerTime))
	io.Copy(io.Discard, io.LimitReader(w.Conn, lingerBytes))
}
