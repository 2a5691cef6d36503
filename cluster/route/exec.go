package route

import (
	"cmp"
	"context"
	"errors"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Watch returns the versions that keys have, for Exec. An error reply says why it
// cannot.
func (r *Router) Watch(ctx context.Context, db int, keys [][]byte) ([]command.KeyVersion, resp.Value) {
	cmd := r.cfg.Commands.Lookup([][]byte{[]byte("keyversion")})
	c := command.Call{Spec: &cmd.Spec, DB: db, Args: append([][]byte{[]byte(cmd.Name)}, keys...)}
	name, whole := r.owner(r.cfg.Table(), &c)
	if !whole {
		return nil, resp.ErrCrossSlot
	}
	replies, err := r.Run(ctx, name, []command.Call{c})
	if err != nil {
		return nil, errorReply(err)
	}
	if len(replies[0].Elems) != len(keys) {
		return nil, resp.ErrInternal
	}
	versions := make([]command.KeyVersion, len(keys))
	for i, v := range replies[0].Elems {
		versions[i] = command.KeyVersion{DB: db, Key: keys[i], Version: uint64(v.Int)}
	}
	return versions, resp.Value{}
}

// Exec executes calls as one, unless a watched key has changed: the reply is an array
// of theirs, or NilArray. All keys have to live in one group.
func (r *Router) Exec(ctx context.Context, watched []command.KeyVersion, calls []command.Call) resp.Value {
	name, whole := r.together(watched, calls)
	switch {
	case !whole:
		return resp.ErrCrossSlot
	case len(calls)+len(watched) == 0:
		return resp.EmptyArray
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	w := &work{group: name, calls: calls, kind: fsm.Exec, watched: watched, readOnly: readOnly(calls) && len(watched) == 0}
	replies, err := r.run(ctx, w)
	switch {
	case err == nil:
		return resp.List(replies...)
	case errors.Is(err, group.ErrConflict) && len(watched) > 0:
		return resp.NullArray
	}
	return errorReply(err)
}

// together returns the group that owns all keys of a transaction. whole is false when
// there is no single one.
func (r *Router) together(watched []command.KeyVersion, calls []command.Call) (name string, whole bool) {
	table := r.cfg.Table()
	in := func(owner string) bool {
		if name == "" {
			name = owner
		}
		return name == owner
	}
	for _, w := range watched {
		if !in(table.Region(w.Key)) {
			return "", false
		}
	}
	for i := range calls {
		c := &calls[i]
		if c.Spec.Scatter != command.AllGroups && !hasKeys(c) {
			continue // done wherever the others are
		}
		if owner, ok := r.owner(table, c); !ok || !in(owner) {
			return "", false
		}
	}
	return cmp.Or(name, r.cfg.Home), true
}

// hasKeys reports whether a call has any key, as far as its arguments can be read.
func hasKeys(c *command.Call) bool {
	var buf [8][]byte
	keys, ok := c.Spec.Keys(buf[:0], c.Args)
	return ok && len(keys) > 0
}
