package redisproto

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/redcon"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

const (
	// maxCalls and maxCallBytes bound what one Backend.Do gets. A longer
	// pipeline is executed in several stretches.
	maxCalls     = 4096
	maxCallBytes = 4 << 20
	// flushSize is how many bytes of replies are gathered before they are
	// written in the middle of a pipeline.
	flushSize = 64 << 10
	// maxEcho is how much of an unknown command's name and arguments the error
	// repeats.
	maxEcho = 128
)

// handle is called by redcon in the connection's goroutine with the first of
// the commands that it has split. redcon splits no more than its buffer holds, so
// the pipeline goes on in the next call when the wire has more.
func (s *Server) handle(conn redcon.Conn, first redcon.Command) {
	c := conn.Context().(*Client)
	defer func() {
		if r := recover(); r != nil {
			s.stats.Panics.Add(1)
			s.cfg.Logger.Error("a command panicked, its connection is closed", "client", c.addr, "panic", r,
				"stack", string(debug.Stack()))
			c.Kill()
			c.wire.finish()
		}
	}()
	rest := conn.ReadPipeline() // all of it, so that redcon has none left after a panic
	c.wire.handled += uint64(1 + len(rest))
	c.run(first.Args)
	for _, cmd := range rest {
		if c.quit {
			break
		}
		c.run(cmd.Args)
	}
	if c.wire.more() && !c.quit {
		return
	}
	c.settle()
	c.flush()
	now := time.Now()
	c.lastActive.Store(now.UnixMilli())
	s.stats.Commands.Add(c.count)
	s.rates.note(now)
	c.count = 0
	if c.quit {
		c.wire.finish()
	}
}

// run deals with one command: it is answered, or added to the calls.
func (c *Client) run(args [][]byte) {
	c.count++
	c.dispatch(args)
	if c.skip {
		c.settle() // drops the reply
		c.skip = false
	}
	c.skip, c.skipNext = c.skipNext, false
}

func (c *Client) dispatch(args [][]byte) {
	e, ok := c.srv.table.find(args)
	switch {
	case !ok:
		c.srv.stats.UnknownCommands.Add(1)
		c.reject(nil, unknown(e, args))
	case !e.spec.ArityOK(len(args)):
		if e.spec.Name == "exec" {
			c.show(e.spec, c.db, args) // it ends a transaction all the same
		}
		c.reject(e, resp.ErrArity(e.spec.Name))
	case c.user == "" && !e.spec.Has(command.NoAuth):
		c.reject(e, resp.ErrNoAuth)
	case c.confined(e):
		c.reject(e, errConfined(e))
	case c.monitoring && e.run == nil:
		c.reject(e, resp.Err("ERR Replica can't interact with the keyspace"))
	case c.longKey(e.spec, args):
		c.srv.stats.KeyLimit.Add(1)
		c.reject(e, resp.Err(fmt.Sprintf("ERR key is too long, the limit is %d bytes", c.srv.cfg.MaxKey)))
	case c.srv.pause.Load() != nil && !c.hold(e.spec):
	case c.multi != nil && !e.unqueued:
		c.enqueue(e, c.signed(e, args))
	default:
		c.execute(e, c.signed(e, args))
	}
}

// signed adds who the client is to the arguments of a command that is told so.
func (c *Client) signed(e *entry, args [][]byte) [][]byte {
	if !e.spec.Has(command.Native) {
		return args
	}
	return append(slices.Clip(args), []byte("CLIENT"), []byte(strings.TrimSpace(c.addr+" "+c.name)))
}

// reject answers a command that is not executed. A transaction ends with it.
func (c *Client) reject(e *entry, refusal resp.Value) {
	if c.multi != nil {
		c.multi.aborted = true
	}
	if e != nil && e.spec.Name == "exec" {
		c.leaveMulti()
		refusal = resp.Err("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(refusal.Str, "ERR "))
	}
	c.srv.meter.reject(e, refusal)
	c.reply(refusal)
}

// execute answers a command or adds it to the calls.
func (c *Client) execute(e *entry, args [][]byte) {
	if e.run != nil {
		if !e.early {
			c.settle()
		}
		c.lastCmd.Store(e.spec)
		if c.monitoring {
			c.holdMessages() // what it sees of its own command comes after the reply
		}
		began := time.Now()
		v := e.run(c, args)
		c.record(e.spec, args, v, time.Since(began)-c.waited)
		c.waited = 0
		c.show(e.spec, c.db, args)
		c.reply(v)
		if c.monitoring {
			c.flush()
		}
		return
	}
	call := command.Call{Spec: e.spec, DB: c.db, Args: args}
	if len(c.messages) > 0 {
		c.settle()
	}
	c.show(e.spec, c.db, args)
	if e.spec.Has(command.Blocking) && c.await(call) {
		return
	}
	c.calls = append(c.calls, call)
	for _, a := range args {
		c.bytes += len(a)
	}
	if len(c.calls) >= maxCalls || c.bytes >= maxCallBytes {
		c.settle()
	}
}

// longKey reports whether a command has a key beyond the limit.
func (c *Client) longKey(spec *command.Spec, args [][]byte) bool {
	long := func(arg []byte) bool { return len(arg) > c.srv.cfg.MaxKey }
	if spec.FirstKey == 0 && spec.NumKeys == 0 || !slices.ContainsFunc(args, long) {
		return false
	}
	keys, _ := spec.Keys(nil, args)
	return slices.ContainsFunc(keys, long)
}

// reply answers a command in its place: at once, or after the calls before it.
func (c *Client) reply(v resp.Value) {
	switch {
	case v.Kind == resp.None || c.muted || c.skip:
	case c.pending() == 0:
		c.write(v)
	default:
		c.locals = append(c.locals, localReply{c.pending(), v})
	}
}

// pending is how many replies are to come from the backend.
func (c *Client) pending() int { return len(c.calls) + len(c.messages) }

// settle executes the calls gathered so far and writes their replies, and those
// that waited for them.
func (c *Client) settle() {
	if c.pending() == 0 {
		return
	}
	if c.box.held || len(c.messages) > 0 && c.listening() {
		c.flush() // messages do not wait for the backend, nor pass replies
	}
	locals := c.locals
	for i, reply := range c.carryOut() {
		for len(locals) > 0 && locals[0].after == i {
			c.write(locals[0].value)
			locals = locals[1:]
		}
		if !c.muted && !c.skip {
			c.write(reply)
		}
	}
	for _, l := range locals {
		c.write(l.value)
	}
	clear(c.calls) // let go of the arguments
	clear(c.messages)
	clear(c.locals)
	c.calls, c.messages, c.locals, c.bytes = c.calls[:0], c.messages[:0], c.locals[:0], 0
}

// carryOut asks the backend to do what is pending and returns the replies.
func (c *Client) carryOut() []resp.Value {
	if len(c.messages) > 0 {
		replies := make([]resp.Value, len(c.messages))
		counts := c.srv.backend.Publish(c.ctx, c.messages)
		for i := range replies {
			replies[i] = resp.ErrInternal // the backend broke its contract
			if i < len(counts) {
				replies[i] = resp.Int(counts[i])
			}
		}
		return replies
	}
	c.lastCmd.Store(c.calls[len(c.calls)-1].Spec)
	began := time.Now()
	replies := c.srv.backend.Do(c.ctx, c.calls)
	took := time.Since(began) / time.Duration(len(c.calls))
	for i := range c.calls {
		if i == len(replies) {
			replies = append(replies, resp.Value{})
		}
		if replies[i].Kind == resp.None {
			replies[i] = resp.ErrInternal // the backend broke its contract
		}
		c.record(c.calls[i].Spec, c.calls[i].Args, replies[i], took)
	}
	return replies[:len(c.calls)]
}

// write appends a reply to those that the client will get.
func (c *Client) write(v resp.Value) {
	c.out = v.Append(c.output(), c.proto)
	if len(c.out) >= flushSize {
		c.flush()
	}
}

// flush sends the replies.
func (c *Client) flush() {
	if c.executing {
		return
	}
	if c.box.held {
		c.box.mu.Lock()
		defer c.box.mu.Unlock()
		defer c.release()
	}
	if len(c.out) == 0 {
		return
	}
	if _, err := c.wire.Write(c.out); err != nil {
		c.quit = true
	}
	if cap(c.out) <= 2*flushSize {
		*c.lent = c.out
		outputs.Put(c.lent)
	}
	c.lent, c.out = nil, nil
}

// outputs are buffers for replies. Only connections that are writing some have one.
var outputs = sync.Pool{New: func() any { return new([]byte) }}

// output returns the buffer to which replies are appended.
func (c *Client) output() []byte {
	if c.out == nil {
		c.lent = outputs.Get().(*[]byte)
		c.out = (*c.lent)[:0]
	}
	return c.out
}

// unknown is the reply to a command that is not in the table. e is its
// container, when that is known.
func unknown(e *entry, args [][]byte) resp.Value {
	var b strings.Builder
	if e != nil {
		b.WriteString("ERR unknown subcommand '")
		b.Write(echo(args[1], maxEcho))
		b.WriteString("'. Try ")
		b.WriteString(strings.ToUpper(e.spec.Name))
		b.WriteString(" HELP.")
	} else {
		b.WriteString("ERR unknown command '")
		b.Write(echo(args[0], maxEcho))
		b.WriteString("', with args beginning with: ")
		for room := maxEcho; len(args) > 1 && room > 0; args = args[1:] {
			n := b.Len()
			b.WriteByte('\'')
			b.Write(echo(args[1], room))
			b.WriteString("' ")
			room -= b.Len() - n
		}
	}
	return resp.Err(oneLine.Replace(b.String()))
}

// echo returns as much of arg as Redis would print of it.
func echo(arg []byte, limit int) []byte {
	for i, ch := range arg[:min(len(arg), limit)] {
		if ch == 0 {
			return arg[:i]
		}
	}
	return arg[:min(len(arg), limit)]
}

// oneLine makes a text fit an error reply.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// quoted returns text from the client as an error reply can carry it.
func quoted(arg []byte) string { return "'" + oneLine.Replace(string(echo(arg, len(arg)))) + "'" }

// integer reads a decimal argument as Redis does.
func integer(arg []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(arg), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(arg) {
		return 0, false
	}
	return n, true
}
