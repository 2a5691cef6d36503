package route

import (
	"context"

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
	out, err := r.cfg.Query(name, in)
	if err != nil {
		r.cfg.Log.Debug("query failed", "name", name, "error", err)
		return answer{err: group.ErrUncertain}
	}
	return answer{data: out}
}
