package route

import (
	"bufio"
	"net"
	"sync"
)

// The bounds of what one link asks of this node at once.
const (
	maxQueries  = 16       // running side by side
	maxUnread   = 64 << 20 // bytes of answers that the other node has not taken
	readBufSize = 64 << 10
)

// Serve answers the frames of other nodes until ln is closed. It returns when
// all its connections are done.
func (r *Router) Serve(ln net.Listener) {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s := &served{Conn: c, router: r, queries: make(chan struct{}, maxQueries)}
		s.room = sync.NewCond(&s.mu)
		if !r.track(s) {
			c.Close()
			continue
		}
		conns.Go(func() {
			s.serve()
			r.untrack(s)
		})
	}
}

// served is the answering end of a link.
type served struct {
	net.Conn
	router  *Router
	queries chan struct{}
	waits   servedWaits

	mu   sync.Mutex
	room *sync.Cond // out changed, or the connection broke
	out  []byte
	err  error
}

func (s *served) serve() {
	var writer sync.WaitGroup
	writer.Go(s.write)
	r := bufio.NewReaderSize(s.Conn, readBufSize)
	for {
		f, err := readFrame(r)
		if err != nil {
			s.fail(err)
			break
		}
		if !s.handle(f) {
			break
		}
	}
	s.Conn.Close()
	s.waits.cancelAll()
	writer.Wait()
}

// handle answers one frame, now or later. It returns false when the connection
// is of no more use.
func (s *served) handle(f frame) bool {
	done := func(a answer) { s.reply(f.id, a) }
	switch f.kind {
	case framePing:
		done(answer{})
	case framePulse:
		done(s.router.pulse(f.payload))
	case framePost:
		done(s.router.posted(f))
	case frameWrite, frameRead, frameAgain:
		s.router.forwarded(f, done)
	case frameWait:
		s.router.forwardedWait(&s.waits, f, done)
	case frameCancel:
		s.waits.end(f.id)
	case frameQuery:
		s.queries <- struct{}{}
		go func() {
			done(s.router.query(f.payload))
			<-s.queries
		}()
	default:
		s.fail(errFrame)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.out) > maxUnread && s.err == nil {
		s.room.Wait()
	}
	return s.err == nil
}

func (s *served) reply(id uint64, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.out = appendFrame(s.out, frameReply, id, func(b []byte) []byte { return appendAnswer(b, a) })
		s.room.Broadcast()
	}
}

func (s *served) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.room.Broadcast()
}

// write sends the answers that have gathered, all of them at a time.
func (s *served) write() {
	var buf []byte
	for {
		s.mu.Lock()
		for len(s.out) == 0 && s.err == nil {
			s.room.Wait()
		}
		if s.err != nil {
			s.mu.Unlock()
			return
		}
		buf, s.out = s.out, buf[:0]
		s.room.Broadcast()
		s.mu.Unlock()
		if _, err := s.Conn.Write(buf); err != nil {
			s.fail(err)
			s.Conn.Close()
			return
		}
		if cap(buf) > 1<<20 {
			buf = nil
		}
	}
}
