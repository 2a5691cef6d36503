package redisproto

import (
	"context"
	"strings"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// pause holds up the clients of this node for a while. It is immutable: a longer or
// stricter one takes its place.
type pause struct {
	until time.Time
	all   bool          // not only what may write
	ended chan struct{} // closed when another pause, or none, has taken its place
}

// CLIENT PAUSE timeout [WRITE|ALL]
func clientPause(c *Client, args [][]byte) resp.Value {
	all := true
	switch {
	case len(args) > 4:
		return resp.Err("ERR unknown subcommand or wrong number of arguments for " + quoted(args[1]) + ". Try CLIENT HELP.")
	case len(args) == 4:
		write, ok := yesNo(args[3], "write", "all")
		if !ok {
			return resp.Err("ERR CLIENT PAUSE mode must be WRITE or ALL")
		}
		all = !write
	}
	ms, ok := integer(args[2])
	switch {
	case !ok:
		return resp.Err("ERR timeout is not an integer or out of range")
	case ms < 0:
		return resp.Err("ERR timeout is negative")
	}
	// Three centuries are for ever.
	next := &pause{until: time.Now().Add(time.Duration(min(ms, 1e13)) * time.Millisecond), all: all, ended: make(chan struct{})}
	old := c.srv.pause.Load()
	if old != nil && time.Now().Before(old.until) { // both are to last
		next.all = next.all || old.all
		if old.until.After(next.until) {
			next.until = old.until
		}
	}
	c.srv.setPause(next)
	return resp.OK
}

// CLIENT UNPAUSE
func clientUnpause(c *Client, _ [][]byte) resp.Value {
	c.srv.setPause(nil)
	return resp.OK
}

func (s *Server) setPause(next *pause) {
	if old := s.pause.Swap(next); old != nil {
		close(old.ended)
	}
}

// hold waits while a command is held up. It reports false when there is nobody to go
// on for.
func (c *Client) hold(spec *command.Spec) bool {
	for {
		p := c.srv.pause.Load()
		if p == nil || !p.all && !mayWrite(spec) {
			return true
		}
		left := time.Until(p.until)
		if left <= 0 {
			return true
		}
		c.settle()
		cause := c.block(left, func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-p.ended:
			}
		})
		c.waited = 0
		if cause == errGone || cause == ErrServerClosed {
			c.quit = true
			return false
		}
	}
}

// mayWrite reports whether a pause of writes holds up a command.
func mayWrite(spec *command.Spec) bool {
	return spec.Has(command.Write) || spec.Has(command.Script) && !spec.Has(command.ReadOnly) ||
		spec.Name == "publish" || spec.Name == "spublish"
}

// CLIENT TRACKING ON|OFF [option ...]
//
// No client is told which keys change, so only OFF can be had.
func clientTracking(_ *Client, args [][]byte) resp.Value {
	on, ok := yesNo(args[2], "on", "off")
	for rest := args[3:]; ok && len(rest) > 0; rest = rest[1:] {
		switch strings.ToLower(string(rest[0])) {
		case "bcast", "optin", "optout", "noloop":
		case "redirect", "prefix":
			if ok = len(rest) > 1; ok {
				rest = rest[1:]
			}
		default:
			ok = false
		}
	}
	switch {
	case !ok:
		return resp.ErrSyntax
	case on:
		return resp.Err("ERR CLIENT TRACKING is not supported by this server")
	}
	return resp.OK
}

// CLIENT TRACKINGINFO
func clientTrackingInfo(*Client, [][]byte) resp.Value {
	return resp.Pairs(
		resp.Str("flags"), resp.Value{Kind: resp.Set, Elems: []resp.Value{resp.Str("off")}},
		resp.Str("redirect"), resp.Int(-1), resp.Str("prefixes"), resp.EmptyArray,
	)
}

// CLIENT GETREDIR
func clientGetRedir(*Client, [][]byte) resp.Value { return resp.Int(-1) }

// CLIENT CACHING YES|NO
func clientCaching(*Client, [][]byte) resp.Value {
	return resp.Err("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
}
