package session

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// Conn is a client's connection.
type Conn interface {
	ID() int64
	Addr() string
	Name() string
	// Context ends with the connection.
	Context() context.Context
}

// Describe says who a client is: its address, and its name if it has one.
func Describe(c Conn) string { return strings.TrimSpace(c.Addr() + " " + c.Name()) }

// connName names a connection in the state.
func (s *Sessions) connName(c Conn) string { return s.run + "-" + strconv.FormatInt(c.ID(), 10) }

// conn keeps a session alive as long as a connection is open.
type conn struct {
	bound  string
	cancel context.CancelFunc
}

// keep keeps a session alive until the connection is closed, and then ends it, unless it is
// bound to another by then.
func (s *Sessions) keep(c Conn, id, bound string, ttl, grace int64) {
	ctx, cancel := context.WithCancel(s.cfg.Lingering)
	k := &conn{bound, cancel}
	s.mu.Lock()
	old := s.conns[id]
	s.conns[id] = k
	s.mu.Unlock()
	if old != nil {
		old.cancel()
	}
	s.tasks.Go(func() {
		defer cancel()
		closed := s.beat(ctx, c, id, time.Duration(ttl)*time.Millisecond)
		if closed && pause(ctx, time.Duration(grace)*time.Millisecond) {
			s.endBound(ctx, id, bound)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conns[id] == k {
			delete(s.conns, id)
		}
	})
}

// forget does no more for a session.
func (s *Sessions) forget(id string) {
	s.mu.Lock()
	k := s.conns[id]
	s.mu.Unlock()
	if k != nil {
		k.cancel()
	}
}

// beat says that a session is alive while the connection is open. It returns true when that
// is closed, and false when there is nothing more to do for the session.
func (s *Sessions) beat(ctx context.Context, c Conn, id string, ttl time.Duration) bool {
	t := time.NewTicker(ttl / 3)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-c.Context().Done():
			return true
		case <-t.C:
		}
		if lost(s.keepAlive(ctx, id)) {
			return false
		}
	}
}

// endBound ends a session that is still bound to a connection.
func (s *Sessions) endBound(ctx context.Context, id, bound string) {
	group, ok := s.groupOf(id)
	if !ok {
		return
	}
	show := s.do(ctx, group, "session.alive", id)
	reply := s.do(ctx, group, "session.end", id, errGone.Error(), bound)
	if reply.IsError() {
		s.cfg.Log.Warn("the session of a connection that is closed lives until its time is over", "session", id, "error", reply.Str)
		return
	}
	if reply.Int == 1 && len(show.Elems) > 2 {
		for _, g := range show.Elems[2:] {
			s.do(ctx, g.Str, "session.end", id, errGone.Error())
		}
	}
}

// pause waits. It returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
