package redisproto

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Why a command's waiting ended without what it waited for.
var (
	errWaitedEnough = errors.New("redisproto: the time of a blocking command is over")
	errUnblocked    = errors.New("redisproto: unblocked by another client")
	errGone         = errors.New("redisproto: the client is gone")
)

var replyUnblocked = resp.Err("UNBLOCKED client unblocked via CLIENT UNBLOCK")

// block runs f, which waits until ctx ends or longer than a client should without being
// watched. The context's cause tells why it ended; block returns it, and errGone
// whenever nobody is there to be answered. A timeout of 0 is none.
func (c *Client) block(timeout time.Duration, f func(ctx context.Context)) (cause error) {
	if c.flush(); c.quit { // what came before is answered
		return errGone
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	if timeout > 0 {
		defer time.AfterFunc(timeout, func() { cancel(errWaitedEnough) }).Stop()
	}
	defer context.AfterFunc(c.srv.open, func() { cancel(ErrServerClosed) })()
	c.change(func() { c.unblock = cancel })
	c.srv.blocked.Add(1)
	began, gone := time.Now(), false
	stop := c.wire.watch(func() {
		gone = true
		cancel(errGone)
	})
	defer func() {
		stop()
		c.waited += time.Since(began)
		c.srv.blocked.Add(-1)
		c.change(func() { c.unblock = nil })
		if gone || c.ctx.Err() != nil {
			cause = errGone
		}
	}()
	f(ctx)
	return context.Cause(ctx)
}

// Block runs f, which waits until ctx ends, for a command of the node's own. A timeout of 0 is
// none. ok is false when the command has no other reply than instead, or none at all as
// the client is gone. In a transaction nothing waits.
func (c *Client) Block(timeout time.Duration, f func(ctx context.Context)) (instead resp.Value, ok bool) {
	if c.executing {
		return resp.Value{}, true
	}
	switch c.block(timeout, f) {
	case nil, errWaitedEnough:
		return resp.Value{}, true
	case errUnblocked:
		return replyUnblocked, false
	}
	c.quit = true
	return resp.Value{}, false
}

// await executes a call of a blocking command. It reports false for one that has to be
// executed as any other, for it does not wait or its arguments are wrong.
func (c *Client) await(call command.Call) bool {
	timeout, fault := c.srv.backend.Timeout(call)
	if fault.IsError() || timeout < 0 {
		return false
	}
	c.settle()
	c.lastCmd.Store(call.Spec)
	var reply resp.Value
	ok := false
	cause := c.block(timeout, func(ctx context.Context) { reply, ok = c.srv.backend.Wait(ctx, call) })
	c.waited = 0
	switch {
	case ok && reply.Kind != resp.None:
	case cause == errWaitedEnough:
		reply = resp.NullArray
	case cause == errUnblocked:
		reply = replyUnblocked
	case cause == nil:
		reply = resp.ErrInternal // the backend broke its contract
	default:
		c.quit = true
		return true
	}
	if c.quit = cause == errGone; !c.quit {
		c.record(call.Spec, call.Args, reply, 0)
		c.reply(reply)
		c.flush()
	}
	if c.quit && ok && !reply.IsError() {
		c.srv.backend.Undo(call, reply)
	}
	return true
}

// CLIENT UNBLOCK id [TIMEOUT|ERROR]
func clientUnblock(c *Client, args [][]byte) resp.Value {
	cause := errWaitedEnough
	switch {
	case len(args) > 4:
		return resp.Err("ERR unknown subcommand or wrong number of arguments for '" + string(args[1]) + "'. Try CLIENT HELP.")
	case len(args) == 3 || strings.EqualFold(string(args[3]), "TIMEOUT"):
	case strings.EqualFold(string(args[3]), "ERROR"):
		cause = errUnblocked
	default:
		return resp.Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := integer(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	c.srv.mu.Lock()
	other := c.srv.clients[id]
	c.srv.mu.Unlock()
	if other == nil {
		return resp.Int(0)
	}
	unblocked := false
	other.change(func() {
		if unblocked = other.unblock != nil; unblocked {
			other.unblock(cause)
			other.unblock = nil
		}
	})
	return resp.Flag(unblocked)
}

// WAIT numreplicas timeout
//
// A write that was answered is on a majority already, so either enough replicas have it
// or waiting does not help: it lasts as long as asked for.
func waitReplicas(c *Client, args [][]byte) resp.Value {
	enough, ok := integer(args[1])
	if !ok {
		return resp.ErrNotInteger
	}
	ms, ok := integer(args[2])
	switch {
	case !ok:
		return resp.Err("ERR timeout is not an integer or out of range")
	case ms < 0:
		return resp.Err("ERR timeout is negative")
	}
	have := c.srv.backend.Replicas()
	if int64(have) >= enough || c.executing {
		return resp.Int(have)
	}
	timeout := time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	switch c.block(timeout, func(ctx context.Context) { <-ctx.Done() }) {
	case errWaitedEnough:
		return resp.Int(c.srv.backend.Replicas())
	case errUnblocked:
		return replyUnblocked
	}
	c.quit = true
	return resp.Value{}
}
