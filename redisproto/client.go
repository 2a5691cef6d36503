package redisproto

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// defaultUser is the name of the user whose password the server has.
const defaultUser = "default"

// Client is one connection and what it has chosen: database, protocol, name.
// Its goroutine alone changes it. The methods may be called from a command's
// Run; those that say so, from anywhere.
type Client struct {
	srv     *Server
	wire    *wire
	id      int64
	fd      int
	addr    string
	laddr   string
	created time.Time
	ctx     context.Context
	cancel  context.CancelFunc

	// The pipeline in work, see pipeline.go.
	calls    []command.Call
	messages []Message // of PUBLISH, while there are no calls
	locals   []localReply
	out      []byte
	lent     *[]byte // what out is from, see outputs
	bytes    int     // of arguments in calls
	count    int64
	muted    bool // CLIENT REPLY OFF
	skip     bool // the reply of this command is dropped
	skipNext bool // ... and of the next
	quit     bool // the connection ends after the replies

	multi     *transaction // after MULTI, see transaction.go
	watched   watches
	executing bool          // inside EXEC: its reply is made, and written in one piece
	waited    time.Duration // by block since the command began: no work
	box       mailbox
	names     [topics]map[string]struct{} // that the client has subscribed to
	counts    [topics]atomic.Int32        // of them
	queued    atomic.Int64                // commands after MULTI, -1 without

	lastCmd    atomic.Pointer[command.Spec]
	lastActive atomic.Int64 // unix milliseconds

	// mu guards what other connections may read. The connection itself reads it
	// without.
	mu         sync.Mutex
	unblock    context.CancelCauseFunc // while a command waits, see blocking.go
	db         int
	proto      int
	user       string // "" before AUTH
	name       string
	libName    string
	libVer     string
	monitoring bool
	noEvict    bool
	noTouch    bool
}

func newClient(s *Server, id int64, conn net.Conn, config *tls.Config) *Client {
	c := &Client{
		srv: s, id: id, fd: descriptor(conn), created: time.Now(), proto: 2,
		addr: conn.RemoteAddr().String(), laddr: conn.LocalAddr().String(),
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	out := &outbox{Conn: conn, timeout: s.cfg.WriteTimeout, wg: &s.wg, ctx: s.ctx, stats: &s.stats, buffers: &s.buffers}
	c.wire = &wire{
		Conn: out, out: out, client: c, stats: &s.stats,
		tune: &s.tune, shake: s.cfg.HandshakeTimeout,
		in: scanner{limits: limits{args: s.cfg.MaxArgs, inline: s.cfg.MaxInline}},
	}
	if config != nil {
		c.wire.tls = tls.Server(out, config)
		c.wire.Conn = c.wire.tls
	}
	c.lastActive.Store(c.created.UnixMilli())
	c.queued.Store(-1)
	c.forgetUser()
	return c
}

// ID returns the number of the connection, which is never used again. Any
// goroutine may call it.
func (c *Client) ID() int64 { return c.id }

// Addr returns the peer's address. Any goroutine may call it.
func (c *Client) Addr() string { return c.addr }

// Context is cancelled when the connection ends. Any goroutine may call it.
func (c *Client) Context() context.Context { return c.ctx }

// DB returns the selected database.
func (c *Client) DB() int { return c.db }

// Proto returns the protocol version of the replies, 2 or 3.
func (c *Client) Proto() int { return c.proto }

// User returns the authenticated user, or "" before AUTH.
func (c *Client) User() string { return c.user }

// Name returns what CLIENT SETNAME chose, or "".
func (c *Client) Name() string { return c.name }

// Kill ends the connection at once; replies that wait are lost. Any goroutine
// may call it.
func (c *Client) Kill() {
	c.wire.out.abort() // first, so that what is cancelled cannot answer
	c.cancel()
}

// change runs f, which sets fields that other connections read.
func (c *Client) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// setUser makes user the one on whose behalf commands run.
func (c *Client) setUser(user string) {
	c.change(func() { c.user = user })
	c.wire.in.authenticated = user != ""
	c.limitOutput()
}

// limitOutput sets how much may wait for the client. Any goroutine may call it.
func (c *Client) limitOutput() {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit, soft := c.srv.tune.output.Load(), int64(0)
	if c.subscriptions() > 0 {
		limit, soft = c.srv.tune.pubsub.Load(), c.srv.tune.pubsubSoft.Load()
		c.wire.out.patience.Store(c.srv.tune.pubsubPatience.Load())
	}
	if c.user == "" {
		limit = min(limit, maxUnauthOutput)
	}
	c.wire.out.limit.Store(limit)
	c.wire.out.soft.Store(soft)
}

// forgetUser returns to the state before AUTH.
func (c *Client) forgetUser() {
	if c.srv.cfg.Password == "" {
		c.setUser(defaultUser)
	} else {
		c.setUser("")
	}
}

// mute turns replies off or on.
func (c *Client) mute(off bool) {
	c.muted = off
	c.wire.muted = off
}

// line describes the connection as CLIENT LIST does. What the server does not
// have is given as Redis gives it when unused.
func (c *Client) line(now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := "NULL"
	if spec := c.lastCmd.Load(); spec != nil {
		cmd = spec.Name
	}
	user := c.user
	if user == "" {
		user = defaultUser // as Redis has it, whether authenticated or not
	}
	flags := ""
	if c.monitoring {
		flags += "O"
	}
	if c.subscriptions() > 0 {
		flags += "P"
	}
	queued := c.queued.Load()
	if queued >= 0 {
		flags += "x"
	}
	if c.unblock != nil {
		flags += "b"
	}
	if c.noEvict {
		flags += "e"
	}
	if c.noTouch {
		flags += "T"
	}
	if flags == "" {
		flags = "N"
	}
	idle := max(now.UnixMilli()-c.lastActive.Load(), 0) / 1000
	waiting := c.wire.out.waiting.Load()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d "+
		"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d omem=%d tot-mem=%d events=r cmd=%s user=%s "+
		"redir=-1 resp=%d lib-name=%s lib-ver=%s",
		c.id, c.addr, c.laddr, c.fd, c.name, int64(now.Sub(c.created)/time.Second), idle, flags, c.db,
		c.counts[channels].Load(), c.counts[patterns].Load(), c.counts[shards].Load(), queued,
		min(waiting, 1), waiting, waiting, cmd, user, c.proto, c.libName, c.libVer)
}

// descriptor returns the file descriptor of conn, or -1 when it has none.
func descriptor(conn net.Conn) int {
	fd := -1
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			raw.Control(func(n uintptr) { fd = int(n) })
		}
	}
	return fd
}

// localReply is the reply of a command that was answered while data commands
// before it wait.
type localReply struct {
	after int // how many calls come before it
	value resp.Value
}
