package session

import (
	"context"
	"strconv"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

type partKey struct{ session, group string }

// maxParts is how many open parts a node remembers.
const maxParts = 100_000

// partPoll is the pace at which a node looks whether another has opened a part.
const partPoll = 20 * time.Millisecond

// Ready makes the sessions that calls name have parts in the groups of their keys. It
// returns what a call is to be answered with that cannot be executed, for each of them; nil
// if there is none.
//
// A part is opened once. Where it has ended, the session is lost, and must not get it anew:
// so the group in which the session lives notes that there is one before anything can be
// held with it, and that it is open.
func (s *Sessions) Ready(ctx context.Context, calls []command.Call) []resp.Value {
	var refusals []resp.Value
	for i, c := range calls {
		if !c.Spec.Has(command.Native) {
			continue
		}
		id := fsm.SessionOf(c)
		if id == "" {
			continue
		}
		if refusal := s.ready(ctx, id, c); refusal.IsError() {
			if refusals == nil {
				refusals = make([]resp.Value, len(calls))
			}
			refusals[i] = refusal
		}
	}
	return refusals
}

func (s *Sessions) ready(ctx context.Context, id string, c command.Call) (refusal resp.Value) {
	home, ok := s.groupOf(id)
	if !ok {
		return errNoSession
	}
	group, ok := s.cfg.Owner(c)
	if !ok || group == home {
		return refusal
	}
	s.mu.Lock()
	_, open := s.parts[partKey{id, group}]
	s.mu.Unlock()
	if open {
		return refusal
	}
	for {
		asked := s.do(ctx, home, "session.part", id, group, "ASK")
		switch {
		case asked.IsError():
			return asked
		case asked.Kind == resp.Integer:
			s.note(partKey{id, group})
			return refusal
		case len(asked.Elems) == 4:
			return s.open(ctx, id, home, group, asked.Elems)
		}
		select { // another node opens it
		case <-ctx.Done():
			return resp.Err("TRYAGAIN the session is being made known in " + group)
		case <-time.After(partPoll):
		}
	}
}

// open opens a part that nobody else opens.
func (s *Sessions) open(ctx context.Context, id, home, group string, made []resp.Value) (refusal resp.Value) {
	reply := s.do(ctx, group, "session.put", id, strconv.FormatInt(made[0].Int, 10), made[1].Str, made[2].Str, made[3].Str, "", "0")
	if reply.IsError() {
		return reply
	}
	if reply = s.do(ctx, home, "session.part", id, group, "OPENED"); reply.IsError() {
		return reply
	}
	s.note(partKey{id, group})
	return refusal
}

func (s *Sessions) note(k partKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) >= maxParts {
		clear(s.parts) // it is asked for again
	}
	s.parts[k] = struct{}{}
}
