// Package session carries out what clients say about their sessions: it finds the group
// that a session lives in, lets it have parts in other groups where it holds keys, and
// keeps the sessions of connections alive. What a session is, and what ends with it, is
// decided in the groups. A node has one.
package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Config is what a node's sessions are made from.
type Config struct {
	Home   string   // the group in which sessions are opened that clients of this node ask for
	Groups []string // those of the regions
	// Run has calls of one group executed.
	Run func(ctx context.Context, group string, calls []command.Call) ([]resp.Value, error)
	// Owner returns the group that has all keys of a call; ok is false for none.
	Owner    func(c command.Call) (group string, ok bool)
	Commands *fsm.Table
	// Refusal makes the reply of an error of Run.
	Refusal func(error) resp.Value
	// Lingering is the context of what goes on for clients that are gone.
	Lingering context.Context
	Log       *slog.Logger
}

// Sessions are those that a node looks after.
type Sessions struct {
	cfg Config
	run string // this run of the node, in the names of its connections

	mu    sync.Mutex
	parts map[partKey]struct{} // that are known to be open
	conns map[string]*conn     // by session
	tasks sync.WaitGroup
}

// New returns the sessions of a node.
func New(cfg Config) *Sessions {
	return &Sessions{cfg: cfg, run: randomName(), parts: map[partKey]struct{}{}, conns: map[string]*conn{}}
}

// Close waits for what goes on for connections. Config.Lingering has ended.
func (s *Sessions) Close() { s.tasks.Wait() }

var errNoSession = resp.Err("NOSESSION the session is not known, or has ended")

// lost reports whether a reply says that there is no such session.
func lost(v resp.Value) bool { return v.IsError() && strings.HasPrefix(v.Str, "NOSESSION ") }

// do has one call of a group executed.
func (s *Sessions) do(ctx context.Context, group string, args ...string) resp.Value {
	c := command.Call{}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	c.Spec = &s.cfg.Commands.Lookup(c.Args).Spec
	replies, err := s.cfg.Run(ctx, group, []command.Call{c})
	switch {
	case err != nil:
		return s.cfg.Refusal(err)
	case len(replies) != 1:
		return resp.ErrInternal
	}
	return replies[0]
}

// groupOf returns the group that a session lives in.
func (s *Sessions) groupOf(id string) (group string, ok bool) {
	group = fsm.SessionGroup(id)
	for _, g := range s.cfg.Groups {
		if g == group {
			return group, true
		}
	}
	return "", false
}

// randomName returns 16 hex digits.
func randomName() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// The bounds of what a session is opened with, in bytes and ms.
const (
	maxName  = 256
	maxMeta  = 4096
	maxGrace = fsm.MaxSessionTTL
)

// Opening is the arguments of SESSION.OPEN.
type opening struct {
	ttl, grace     int64
	id, name, meta string
	conn           bool
}

var errTTL = resp.Err("ERR the time to live of a session is from " + strconv.Itoa(fsm.MinSessionTTL) + " to " + strconv.Itoa(fsm.MaxSessionTTL) + " ms")

func parseOpening(args [][]byte) (o opening, fault resp.Value) {
	var err error
	o.ttl, err = strconv.ParseInt(string(args[1]), 10, 64)
	if err != nil || o.ttl < fsm.MinSessionTTL || o.ttl > fsm.MaxSessionTTL {
		return o, errTTL
	}
	for i := 2; i < len(args); i++ {
		name := strings.ToUpper(string(args[i]))
		if name == "CONN" {
			o.conn = true
			continue
		}
		if i++; i == len(args) {
			return o, resp.ErrSyntax
		}
		arg := string(args[i])
		switch name {
		case "ID":
			if o.id = arg; !fsm.ValidSessionName(arg) {
				return o, resp.Err("ERR ID is 1 to 64 letters, digits, - or _")
			}
		case "NAME":
			if o.name = arg; len(arg) > maxName {
				return o, resp.Err("ERR NAME is longer than " + strconv.Itoa(maxName) + " bytes")
			}
		case "META":
			if o.meta = arg; len(arg) > maxMeta {
				return o, resp.Err("ERR META is longer than " + strconv.Itoa(maxMeta) + " bytes")
			}
		case "GRACE":
			o.grace, err = strconv.ParseInt(arg, 10, 64)
			if err != nil || o.grace < 0 || o.grace > maxGrace {
				return o, resp.Err("ERR GRACE takes a number of milliseconds")
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	if o.grace > 0 && !o.conn {
		return o, resp.Err("ERR GRACE needs CONN")
	}
	if o.id == "" {
		o.id = randomName()
	}
	return o, fault
}

// Open answers SESSION.OPEN.
func (s *Sessions) Open(c Conn, args [][]byte) resp.Value {
	o, fault := parseOpening(args)
	if fault.IsError() {
		return fault
	}
	id, bound := o.id+"@"+s.cfg.Home, ""
	if o.conn {
		bound = s.connName(c)
	}
	reply := s.do(c.Context(), s.cfg.Home, "session.put", id, strconv.FormatInt(o.ttl, 10), o.name, o.meta, Describe(c), bound, strconv.FormatInt(o.grace, 10))
	if reply.IsError() {
		return reply
	}
	if o.conn {
		s.keep(c, id, bound, o.ttl, o.grace)
	}
	return resp.Str(id)
}

// KeepAlive answers SESSION.KEEPALIVE: what the groups say in which the session has parts
// counts as much as its own.
func (s *Sessions) KeepAlive(c Conn, args [][]byte) resp.Value {
	id := string(args[1])
	if len(args) > 3 || len(args) == 3 && !strings.EqualFold(string(args[2]), "CONN") {
		return resp.ErrSyntax
	}
	reply := s.keepAlive(c.Context(), id)
	if len(args) < 3 || reply.IsError() {
		return reply
	}
	group, _ := s.groupOf(id)
	bound := s.connName(c)
	grace := s.do(c.Context(), group, "session.bind", id, bound, "-1")
	if grace.IsError() {
		return grace
	}
	s.keep(c, id, bound, reply.Elems[0].Int, grace.Int)
	return reply
}

func (s *Sessions) keepAlive(ctx context.Context, id string) resp.Value {
	group, ok := s.groupOf(id)
	if !ok {
		return errNoSession
	}
	reply := s.do(ctx, group, "session.alive", id)
	if reply.IsError() || len(reply.Elems) < 2 {
		return reply
	}
	ttl, losses, groups := reply.Elems[0], reply.Elems[1].Int, reply.Elems[2:]
	replies := make([]resp.Value, len(groups))
	var asking sync.WaitGroup
	for i, g := range groups {
		asking.Go(func() { replies[i] = s.do(ctx, g.Str, "session.alive", id) })
	}
	asking.Wait()
	for _, v := range replies {
		if lost(v) { // then it is lost everywhere
			s.end(ctx, id, "a part of it has ended")
			return errNoSession
		}
		if v.IsError() || len(v.Elems) < 2 {
			return v
		}
		losses += v.Elems[1].Int
	}
	return resp.List(ttl, resp.Int64(losses))
}

// CloseSession answers SESSION.CLOSE.
func (s *Sessions) CloseSession(c Conn, args [][]byte) resp.Value {
	s.forget(string(args[1]))
	return s.end(c.Context(), string(args[1]), "")
}

// end ends a session in all groups, first where it lives: from then on no part is opened.
func (s *Sessions) end(ctx context.Context, id, reason string) resp.Value {
	group, ok := s.groupOf(id)
	if !ok {
		return resp.Int(0)
	}
	show := s.do(ctx, group, "session.alive", id)
	if lost(show) {
		return resp.Int(0)
	}
	if show.IsError() || len(show.Elems) < 2 {
		return show
	}
	reply := s.do(ctx, group, "session.end", id, reason)
	if reply.IsError() {
		return reply
	}
	for _, g := range show.Elems[2:] {
		if v := s.do(ctx, g.Str, "session.end", id, reason); v.IsError() {
			return v // it ends there by itself, when its time is over
		}
	}
	return reply
}

// Info answers SESSION.INFO.
func (s *Sessions) Info(c Conn, args [][]byte) resp.Value {
	id := string(args[1])
	group, ok := s.groupOf(id)
	if !ok {
		return errNoSession
	}
	reply := s.do(c.Context(), group, "session.show", id)
	if reply.IsError() {
		return reply
	}
	owns := []resp.Value{}
	for _, g := range field(reply, "groups").Elems {
		v := s.do(c.Context(), g.Str, "session.owns", id)
		if v.IsError() {
			return v
		}
		owns = append(owns, v.Elems...)
	}
	reply.Elems = append(reply.Elems, resp.Str("owns"), resp.List(owns...))
	return reply
}

// field returns what a map reply has under a name.
func field(v resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if v.Elems[i].Str == name {
			return v.Elems[i+1]
		}
	}
	return resp.Null
}

// List answers SESSION.LIST.
func (s *Sessions) List(c Conn, _ [][]byte) resp.Value {
	list := []resp.Value{}
	for _, g := range s.cfg.Groups {
		v := s.do(c.Context(), g, "session.all")
		if v.IsError() {
			return v
		}
		list = append(list, v.Elems...)
	}
	return resp.List(list...)
}

// errGone is why a connection's session ends.
var errGone = errors.New("its connection is closed")
