package redisproto

import (
	"errors"
	"os"
	"time"
)

const (
	minAhead = 512
	// maxAhead bounds what is read from a client while its command waits. The end of
	// a connection that has sent more is noticed only when it is read again.
	maxAhead = 64 << 10
)

// watch reads from the client while nobody else does, for it to be noticed when the
// client goes; what it sends meanwhile is kept. gone is called when it went, from
// another goroutine. stop returns when nobody reads any more. There is no time-out for
// the client meanwhile: it is not the one who is slow.
func (w *wire) watch(gone func()) (stop func()) {
	w.readBy(time.Time{})
	done := make(chan struct{})
	w.client.srv.wg.Go(func() {
		defer close(done)
		for len(w.ahead) < maxAhead {
			if len(w.ahead) == cap(w.ahead) {
				grown := make([]byte, len(w.ahead), max(minAhead, 2*cap(w.ahead)))
				copy(grown, w.ahead)
				w.ahead = grown
			}
			n, err := w.Conn.Read(w.ahead[len(w.ahead):cap(w.ahead)])
			w.ahead = w.ahead[:len(w.ahead)+n]
			w.stats.InputBytes.Add(int64(n))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil {
				gone()
				return
			}
		}
	})
	return func() {
		// One who drains the connection at this moment may set a later deadline.
		w.Conn.SetReadDeadline(time.Unix(1, 0))
		<-done
		w.readBy(time.Time{})
	}
}
