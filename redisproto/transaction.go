package redisproto

import (
	"bytes"
	"strconv"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// argOverhead is about what an argument takes in memory beside its bytes.
const argOverhead = 24

var (
	replyQueued = resp.Status("QUEUED")
	errAborted  = resp.Err("EXECABORT Transaction discarded because of previous errors.")
)

// transaction is what a connection has sent since MULTI.
type transaction struct {
	queue   []queuedCommand
	bytes   int
	aborted bool // a command was refused: EXEC will be
}

type queuedCommand struct {
	*entry
	args [][]byte
}

// watches are the keys that WATCH named.
type watches struct {
	versions []command.KeyVersion
	seen     map[watchedKey]struct{}
	bytes    int
}

type watchedKey struct {
	db  int
	key string
}

func multiCommands() []Command {
	rows := []Command{
		early("multi", 1, own|command.Fast, multi, "1.2.0", "", "Begins a transaction."),
		row("exec", 1, own, multiExec, "1.2.0", "", "Executes all commands of a transaction."),
		early("discard", 1, own|command.Fast, discard, "2.0.0", "", "Forgets the commands of a transaction."),
		row("watch", -2, own|command.Fast, watch, "2.2.0", "key [key ...]",
			"Makes the next transaction depend on keys that do not change."),
	}
	for i := range rows {
		rows[i].Unqueued = true
		rows[i].Group = "transactions"
	}
	rows[3].FirstKey, rows[3].LastKey, rows[3].KeyStep = 1, -1, 1
	forget := early("unwatch", 1, own|command.Fast, unwatch, "2.2.0", "", "Forgets the watched keys.")
	forget.Group = "transactions"
	return append(rows, forget)
}

// MULTI
func multi(c *Client, _ [][]byte) resp.Value {
	if c.multi != nil {
		return resp.Err("ERR MULTI calls can not be nested")
	}
	c.multi = &transaction{}
	c.queued.Store(0)
	return resp.OK
}

// DISCARD
func discard(c *Client, _ [][]byte) resp.Value {
	if c.multi == nil {
		return resp.Err("ERR DISCARD without MULTI")
	}
	c.leaveMulti()
	return resp.OK
}

// WATCH key [key ...]
func watch(c *Client, args [][]byte) resp.Value {
	if c.multi != nil {
		return resp.Err("ERR WATCH inside MULTI is not allowed")
	}
	var keys [][]byte
	size := c.watched.bytes
	fresh := map[watchedKey]struct{}{}
	for _, arg := range args[1:] {
		k := watchedKey{c.db, string(arg)}
		_, before := c.watched.seen[k]
		if _, twice := fresh[k]; before || twice {
			continue
		}
		fresh[k] = struct{}{}
		keys = append(keys, bytes.Clone(arg))
		size += len(arg)
	}
	switch {
	case len(keys) == 0:
		return resp.OK
	case len(c.watched.seen)+len(fresh) > c.srv.cfg.MaxWatched || size > c.srv.cfg.MaxMulti:
		return resp.Err("ERR too many watched keys")
	}
	versions, fault := c.srv.backend.Watch(c.ctx, c.db, keys)
	if fault.IsError() {
		return fault
	}
	c.watched.versions = append(c.watched.versions, versions...)
	c.watched.bytes = size
	if c.watched.seen == nil {
		c.watched.seen = fresh
		return resp.OK
	}
	for k := range fresh {
		c.watched.seen[k] = struct{}{}
	}
	return resp.OK
}

// UNWATCH
func unwatch(c *Client, _ [][]byte) resp.Value {
	c.watched = watches{}
	return resp.OK
}

// leaveMulti forgets the transaction and the watched keys.
func (c *Client) leaveMulti() {
	c.multi, c.watched = nil, watches{}
	c.queued.Store(-1)
}

// enqueue keeps a command until EXEC.
func (c *Client) enqueue(e *entry, args [][]byte) {
	m := c.multi
	size := 0
	for _, a := range args {
		size += len(a) + argOverhead
	}
	if m.bytes+size > c.srv.cfg.MaxMulti || len(m.queue) >= c.srv.cfg.MaxMultiCommands {
		m.queue, m.bytes = nil, c.srv.cfg.MaxMulti // no more are kept
		c.reject(e, resp.Err("ERR the transaction is too big"))
		return
	}
	m.bytes += size
	if !m.aborted {
		m.queue = append(m.queue, queuedCommand{e, args})
	}
	c.queued.Add(1)
	c.reply(replyQueued)
}

// EXEC
//
// The calls of data commands go to the backend as one. When that has executed them,
// what this node answers by itself is run, and all replies are given in their order:
// one by one as Redis does it, because a command may change what form they have.
func multiExec(c *Client, _ [][]byte) resp.Value {
	if c.multi == nil {
		return resp.Err("ERR EXEC without MULTI")
	}
	defer c.leaveMulti()
	if c.multi.aborted {
		return errAborted
	}
	queue := c.multi.queue
	calls := c.plan(queue)
	var replies []resp.Value
	var took time.Duration // by each of them
	if len(calls) > 0 || len(c.watched.versions) > 0 {
		began := time.Now()
		outcome := c.srv.backend.Exec(c.ctx, c.watched.versions, calls)
		took = time.Since(began) / time.Duration(max(len(calls), 1))
		switch {
		case outcome.IsError() && outcome.Str == resp.ErrNoMemory.Str:
			return resp.Err("EXECABORT Transaction discarded because of: " + outcome.Str)
		case outcome.IsError() || outcome.Kind == resp.NilArray:
			return outcome
		case outcome.Kind != resp.Array || len(outcome.Elems) != len(calls):
			return resp.ErrInternal // the backend broke its contract
		}
		replies = outcome.Elems
	}
	c.executing = true
	if c.listening() {
		c.holdMessages() // no message comes inside the reply
	}
	if !c.muted && !c.skip {
		c.out = append(c.output(), '*')
		c.out = strconv.AppendInt(c.out, int64(len(queue)), 10)
		c.out = append(c.out, "\r\n"...)
	}
	for _, cmd := range queue {
		if cmd.run != nil {
			c.execute(cmd.entry, cmd.args)
			continue
		}
		c.settle()
		c.show(cmd.spec, c.db, cmd.args)
		if replies[0].Kind == resp.None {
			replies[0] = resp.ErrInternal // the backend broke its contract
		}
		c.record(cmd.spec, cmd.args, replies[0], took)
		c.reply(replies[0])
		replies = replies[1:]
	}
	c.settle()
	c.executing = false
	return resp.Value{}
}

// plan returns the calls of a transaction's data commands. The database is that of
// the SELECT before each.
func (c *Client) plan(queue []queuedCommand) []command.Call {
	var calls []command.Call
	db := c.db
	for _, cmd := range queue {
		switch {
		case cmd.run == nil:
			calls = append(calls, command.Call{Spec: cmd.spec, DB: db, Args: cmd.args})
		case cmd.spec.Name == "select":
			if n, refusal := c.srv.database(cmd.args[1]); !refusal.IsError() {
				db = n
			}
		}
	}
	return calls
}
