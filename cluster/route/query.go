package route

import (
	"context"
	"encoding/binary"

	"phonond/cluster/group"
)

// Query asks another node something that no group knows, such as how its
// replicas are. The names are package cluster's.
func (r *Router) Query(ctx context.Context, node, name string, in []byte) ([]byte, error) {
	l := r.links.get(node)
	if l == nil {
		return nil, ErrUnreachable
	}
	got := make(chan answer, 1)
	l.send(frameQuery, func(b []byte) []byte { return append(appendString(b, name), in...) }, func(a answer) { got <- a })
	select {
	case a := <-got:
		return a.data, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// query answers another node's.
func (r *Router) query(payload []byte) answer {
	name, in, err := cutString(payload)
	if err != nil {
		return answer{err: ErrRefused}
	}
	if name == queryKill {
		if r.killHere() {
			return answer{data: []byte{1}}
		}
		return answer{}
	}
	out, err := r.cfg.Query(name, in)
	if err != nil {
		r.cfg.Log.Debug("query failed", "name", name, "error", err)
		return answer{err: group.ErrUncertain}
	}
	return answer{data: out}
}

// Ask asks a node for the pulse of its replica of a group.
func (r *Router) Ask(node, name string, done func(group.Pulse, error)) {
	l := r.links.get(node)
	if l == nil {
		done(group.Pulse{}, ErrUnreachable)
		return
	}
	l.send(framePulse, func(b []byte) []byte { return appendString(b, name) }, func(a answer) {
		if a.err != nil {
			done(group.Pulse{}, a.err)
			return
		}
		done(decodePulse(a.data))
	})
}

// pulse answers another node's question.
func (r *Router) pulse(payload []byte) answer {
	name, _, err := cutString(payload)
	g := r.cfg.Groups[name]
	switch {
	case err != nil:
		return answer{err: ErrRefused}
	case g == nil:
		return answer{err: ErrNoReplica}
	}
	return answer{data: appendPulse(nil, g.Pulse())}
}

func appendPulse(b []byte, p group.Pulse) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, p.Term), p.Index)
	b = append(binary.AppendVarint(b, p.Clock), byte(p.Space.Level))
	return binary.AppendUvarint(binary.AppendUvarint(b, p.Space.Free), p.Space.Room)
}

func decodePulse(b []byte) (p group.Pulse, err error) {
	term, n := binary.Uvarint(b)
	if n <= 0 {
		return p, errFrame
	}
	index, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return p, errFrame
	}
	b = b[n+m:]
	clock, n := binary.Varint(b)
	if n <= 0 || n == len(b) || b[n] > byte(group.SpaceFull) {
		return p, errFrame
	}
	space := group.Space{Level: group.Level(b[n])}
	b = b[n+1:]
	if space.Free, n = binary.Uvarint(b); n <= 0 {
		return p, errFrame
	}
	if space.Room, m = binary.Uvarint(b[n:]); m <= 0 {
		return p, errFrame
	}
	return group.Pulse{Term: term, Index: index, Clock: clock, Space: space}, nil
}
