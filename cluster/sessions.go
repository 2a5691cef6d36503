package cluster

import (
	"context"
	"errors"

	"phonond/cluster/route"
	"phonond/cluster/session"
	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// openSessions makes the node able to look after sessions.
func (n *Node) openSessions(r *route.Router) {
	n.held = session.New(session.Config{
		Home: n.homeGroup(), Groups: n.regionNames(), Run: r.Run, Owner: r.Owner, Commands: dataCommands,
		Refusal:   refusal,
		Lingering: r.Lingering(), Log: n.log,
	})
}

// refusal is the reply to a request that the groups have not answered.
func refusal(err error) resp.Value {
	var e *route.Error
	if errors.As(err, &e) {
		return e.Reply()
	}
	return resp.ErrInternal
}

// sessionCommands are the rows of the commands for sessions.
func (n *Node) sessionCommands() []redisproto.Command {
	row := func(name string, arity int, syntax, summary string, run func(s *session.Sessions, c session.Conn, args [][]byte) resp.Value) redisproto.Command {
		return redisproto.Command{
			Spec: command.Spec{Name: "session." + name, Arity: arity, Flags: command.Local | command.NoScript, Group: "session", Syntax: syntax, Summary: summary},
			Run: func(c *redisproto.Client, args [][]byte) resp.Value {
				if n.router.Load() == nil {
					return n.loading()
				}
				return run(n.held, c, args)
			},
		}
	}
	tail := redisproto.Command{
		Spec: command.Spec{
			Name: "events", Arity: -4, Flags: command.Local | command.NoScript, Group: "lock",
			Syntax: "key|prefix* FROM cursor [COUNT count] [BLOCK milliseconds]", Summary: "What happened to locks, permits and references, in order: a cursor to go on with, and the events.",
		},
		Run: n.tailEvents,
	}
	top := redisproto.Command{
		Spec: command.Spec{
			Name: "lock.top", Arity: -1, Flags: command.Local | command.NoScript, Group: "lock",
			Syntax: "[COUNT count]", Summary: "The keys that were waited for longest.",
		},
		Run: n.topLocks,
	}
	return []redisproto.Command{
		tail, top,
		row("open", -2, "milliseconds [ID text] [NAME text] [META text] [CONN [GRACE milliseconds]]",
			"Opens a session: its id.", (*session.Sessions).Open),
		row("keepalive", -2, "id [CONN]", "Says that a session is in use: for how long it lives on, and how much was taken from it.", (*session.Sessions).KeepAlive),
		row("close", 2, "id", "Ends a session and releases all that it holds: 1, or 0 if there was none.", (*session.Sessions).CloseSession),
		row("info", 2, "id", "What is known of a session, and what it holds.", (*session.Sessions).Info),
		row("list", 1, "", "What is known of all sessions.", (*session.Sessions).List),
	}
}

// doHeld has calls executed that may name sessions.
func (n *Node) doHeld(ctx context.Context, r *route.Router, calls []command.Call) []resp.Value {
	refusals := n.held.Ready(ctx, calls)
	if refusals == nil {
		replies := r.Do(ctx, calls)
		n.fencing.note(calls, replies)
		return replies
	}
	var kept []command.Call
	for i, c := range calls {
		if !refusals[i].IsError() {
			kept = append(kept, c)
		}
	}
	replies := r.Do(ctx, kept)
	for i := range refusals {
		if !refusals[i].IsError() {
			refusals[i], replies = replies[0], replies[1:]
		}
	}
	return refusals
}
