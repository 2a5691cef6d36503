package fsm

import (
	"fmt"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Outcome is what became of one request of an entry.
type Outcome struct {
	Status  Status
	Replies []resp.Value // one for each call if Status is Applied or Repeated
}

const (
	// readRoom bounds the replies of reading calls in one request, which stand behind
	// writing ones in a pipeline and are remembered like theirs. A request is executed
	// up to the first that does not fit; the replies from there on have no kind, and
	// the origin sends what is left as another request.
	readRoom = 256 << 10
	// execRoom bounds them in a transaction, which has no second part.
	execRoom = 16 << 20
)

// errExecRoom is the reply to a reading call in a transaction for which there is no
// room beside those before it.
var errExecRoom = resp.Err("ERR the replies of this transaction are longer than 16 MiB")

// applying is the machine while it executes the requests of one entry.
type applying struct {
	*Machine
	outcomes []Outcome
	waiters  []waiter // in the order in which they are to be served
	served   uint64   // the version of the state in which none of them could be
}

// request executes request i of the entry.
func (a *applying) request(i int, r *Request) (err error) {
	out := &a.outcomes[i]
	defer func() { a.sum.request(r, out.Status) }()
	if r.Kind == OpenOrigin {
		a.openOrigin(r)
		out.Status = Applied
		return nil
	}
	if r.Kind == Lead {
		if err := a.knows(r.Calls); err != nil {
			return err
		}
		out.Replies, out.Status = a.execute(r), Applied
		return nil
	}
	o := a.origins[r.Origin]
	if o == nil {
		out.Status = UnknownOrigin
		return nil
	}
	o.seen = a.clock
	o.ack(r.Acked)
	o.forget(r.Done)
	if replies, ok := o.replies(r.Seq); ok {
		*out = Outcome{Repeated, replies}
		return nil
	}
	switch {
	case r.Seq < o.acked:
		out.Status = Stale
		return nil
	case o.done.Len() >= MaxUnacked:
		out.Status = Overrun
		return nil
	case !a.unchanged(r):
		out.Status = Conflict
		return nil
	}
	if err := a.knows(r.Calls); err != nil {
		return err
	}
	switch r.Kind {
	case Wait:
		a.wait(i, o, r)
		return nil
	case Effects:
		a.execute(r)
		out.Replies = r.Replies
	default:
		out.Replies = a.execute(r)
	}
	out.Status = Applied
	o.finish(r.Seq, out.Replies)
	return nil
}

// knows returns an error for calls of commands that this program does not know.
func (m *Machine) knows(calls []command.Call) error {
	for _, c := range calls {
		if m.cfg.Table.Lookup(c.Args) == nil {
			return fmt.Errorf("%w: command %q is unknown to this program", ErrEntry, printable(c.Args))
		}
	}
	return nil
}

// execute executes the calls of a request, and serves those who wait: after each call,
// or after all of them where they are one.
func (a *applying) execute(r *Request) []resp.Value {
	replies := make([]resp.Value, len(r.Calls))
	room := int64(readRoom)
	if r.Kind != Run && r.Kind != Lead {
		room = execRoom
	}
	for i := range r.Calls {
		reply, writes := a.call(&r.Calls[i])
		if !writes {
			if room -= reply.Size(); room < 0 {
				if r.Kind == Run {
					break
				}
				reply = errExecRoom
			}
		}
		replies[i] = reply
		if r.Kind == Run {
			a.serve()
		}
	}
	a.serve()
	return replies
}

// call executes one call and folds it into the digest.
func (m *Machine) call(c *command.Call) (reply resp.Value, writes bool) {
	cmd := m.cfg.Table.Lookup(c.Args)
	m.sum.call(c)
	reply = m.run(cmd, c.DB, c.Args)
	if cmd.Write != nil {
		m.sum.reply(reply)
	}
	return reply, cmd.Write != nil
}

// Knows reports whether an origin is known. The caller holds off Apply.
func (m *Machine) Knows(origin uint64) bool { return m.origins[origin] != nil }

// Replied returns the replies of a request that was executed, as long as they are
// remembered. The caller holds off Apply.
func (m *Machine) Replied(origin, seq uint64) ([]resp.Value, bool) {
	if o := m.origins[origin]; o != nil {
		return o.replies(seq)
	}
	return nil, false
}
