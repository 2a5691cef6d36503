// Package redisproto is the Redis server of a node: it accepts connections,
// reads commands, answers those that concern the connection, and hands the
// others to a [Backend] in batches. The process that owns the listeners runs
// it. It knows no keys and no cluster, and never changes data by itself.
//
// redcon reads and splits the commands, over a connection that gives it only
// what is valid and within limits.
package redisproto

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// ErrServerClosed is returned when Serve is called after Shutdown or Close.
var ErrServerClosed = errors.New("redisproto: server closed")

// drainWindow is how long Shutdown still reads what clients had sent before
// they could know.
const drainWindow = 100 * time.Millisecond

// Server serves Redis clients on any number of listeners.
type Server struct {
	cfg     Config
	backend Backend
	table   *table
	stats   Stats
	hub     hub
	tune    tunables
	meter   meter
	buffers buffers
	pause   atomic.Pointer[pause] // the last, nil if it was called off
	rates   rates

	peakMemory atomic.Int64 // bytes, as far as anybody has asked

	settings map[string]Setting // by name

	ctx     context.Context // of everything that clients wait for
	cancel  context.CancelFunc
	open    context.Context // until Shutdown begins: of clients that wait for keys
	shut    context.CancelFunc
	gone    chan struct{} // closed when the last goroutine has ended
	wg      sync.WaitGroup
	reject  chan struct{} // a place for each goroutine that turns a client away
	blocked atomic.Int64  // clients that wait inside a command
	warned  atomic.Int64  // unix seconds of the last warning about foreign peers

	mu        sync.Mutex
	closing   bool
	lastID    int64
	clients   map[int64]*Client
	listeners map[net.Listener]struct{}
}

// New returns a server for cfg. It returns [ErrBadConfig], and panics when a
// command is declared twice.
func New(cfg Config, backend Backend) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:       cfg,
		backend:   backend,
		table:     newTable(backend.Specs(), connCommands(), serverCommands(), cfg.Commands),
		gone:      make(chan struct{}),
		reject:    make(chan struct{}, maxRejecting),
		clients:   map[int64]*Client{},
		listeners: map[net.Listener]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.open, s.shut = context.WithCancel(s.ctx)
	s.tune.init(&s.cfg)
	s.buffers.limit.Store(int64(cfg.MaxBuffers))
	s.meter.init(s.table)
	s.rates.stats = &s.stats
	s.settings = s.newSettings()
	return s, nil
}

// Serve accepts clients on ln until Shutdown or Close, and then returns nil. It
// closes ln. It returns [ErrServerClosed] when the server was closed before,
// and the listener's error when somebody else closed it.
func (s *Server) Serve(ln net.Listener) error { return s.ServeTLS(ln, nil) }

// ServeTLS does what Serve does, with TLS on every connection unless config is
// nil.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		ln.Close()
		return ErrServerClosed
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	door := &door{Listener: ln, srv: s, tls: config}
	err := redcon.Serve(door, s.handle, s.welcome, s.farewell)
	s.mu.Lock()
	delete(s.listeners, ln)
	closing := s.closing
	s.mu.Unlock()
	if err == nil && !closing {
		err = door.err
	}
	return err
}

// Shutdown stops accepting, lets every pipeline that has arrived be answered unless
// it waits for keys, closes the connections and waits for all goroutines. When ctx is over first,
// it cancels what is still running, closes the rest at once, and returns ctx's
// error after the wait.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	for ln := range s.listeners {
		ln.Close()
	}
	by := time.Now().Add(drainWindow)
	for _, c := range s.clients {
		c.wire.drain(by)
	}
	s.mu.Unlock()
	s.shut()
	if first {
		go func() { // ends when the others have; every caller waits for it
			s.wg.Wait()
			s.cancel()
			close(s.gone)
		}()
	}
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for _, c := range s.clients {
		c.wire.out.abort()
	}
	s.mu.Unlock()
	<-s.gone
	return ctx.Err()
}

// Close ends everything at once and waits for all goroutines.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// welcome is called by redcon for every connection that a door let in.
func (s *Server) welcome(conn redcon.Conn) bool {
	conn.SetContext(conn.NetConn().(*wire).client)
	return true
}

// farewell is called by redcon as the last thing in a connection's goroutine.
// redcon holds its lock meanwhile.
func (s *Server) farewell(conn redcon.Conn, _ error) {
	c := conn.Context().(*Client)
	c.cancel()
	s.buffers.held.Add(-c.wire.held)
	c.leaveAll()
	c.setMonitoring(false)
	s.mu.Lock()
	delete(s.clients, c.id)
	s.mu.Unlock()
	s.wg.Done()
}
