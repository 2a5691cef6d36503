package route

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// scatter does a call that concerns several groups: each gets its own keys, or
// the whole call, and the replies are joined. It is not atomic.
func (r *Router) scatter(ctx context.Context, table *Table, c command.Call) resp.Value {
	switch c.Spec.Name {
	case "scan", "lock.list":
		return r.scan(ctx, c)
	case "randomkey":
		return r.randomKey(ctx, c)
	}
	if c.Spec.Scatter == command.SplitKeys {
		return r.split(ctx, table, c)
	}
	replies, err := r.all(ctx, c)
	if c.Spec.Name == "script|flush" {
		r.scripts.Store(nil)
	}
	if err != nil {
		return errorReply(err)
	}
	if c.Spec.Name == "script|exists" {
		return everywhere(replies)
	}
	return join(replies)
}

// all sends the whole call to every region group, side by side.
func (r *Router) all(ctx context.Context, c command.Call) ([]resp.Value, error) {
	d := doing{Router: r, ctx: ctx}
	for i, name := range r.cfg.Regions() {
		d.parts = append(d.parts, &work{group: name, calls: []command.Call{c}, at: []int{i}})
	}
	d.replies = make([]resp.Value, len(d.parts))
	d.flush()
	return d.replies, d.whole(c)
}

// whole returns an error when some groups have not answered a call. It says that
// nothing was applied only if that is so in all groups: what a client repeats by
// itself must not have been done in part.
func (d *doing) whole(c command.Call) error {
	if len(d.failed) == 0 {
		return nil
	}
	e := *d.failed[0]
	for _, f := range d.failed {
		if f.Maybe {
			e = *f
		}
	}
	e.Maybe = e.Maybe || c.Spec.Has(command.Write) && len(d.failed) < len(d.replies)
	return &e
}

// join makes one reply of the groups': the first error, else the sum of
// numbers, else one array of all, else the first.
func join(replies []resp.Value) resp.Value {
	total := replies[0]
	for _, v := range replies {
		if v.IsError() {
			return v
		}
	}
	for _, v := range replies[1:] {
		switch v.Kind {
		case resp.Integer:
			total.Int += v.Int
		case resp.Array:
			total.Elems = append(total.Elems[:len(total.Elems):len(total.Elems)], v.Elems...)
		}
	}
	return total
}

// everywhere joins the replies of SCRIPT EXISTS: a script is there if every
// group has it.
func everywhere(replies []resp.Value) resp.Value {
	total := resp.List(make([]resp.Value, len(replies[0].Elems))...)
	for i := range total.Elems {
		total.Elems[i] = resp.Int(1)
	}
	for _, v := range replies {
		if v.IsError() {
			return v
		}
		for i, e := range v.Elems {
			if i < len(total.Elems) && e.Int == 0 {
				total.Elems[i] = e
			}
		}
	}
	return total
}

// split sends each group its own keys, with the arguments that belong to them.
func (r *Router) split(ctx context.Context, table *Table, c command.Call) resp.Value {
	step := max(c.Spec.KeyStep, 1)
	if (len(c.Args)-1)%step != 0 {
		return resp.ErrArity(c.Spec.Name)
	}
	d := doing{Router: r, ctx: ctx}
	byGroup := map[string]*work{}
	var keys [][]int // for each part, the numbers of its keys
	for i := c.Spec.FirstKey; i < len(c.Args); i += step {
		name := table.Region(c.Args[i])
		w := byGroup[name]
		if w == nil {
			w = &work{group: name, at: []int{len(d.parts)}, calls: []command.Call{{Spec: c.Spec, DB: c.DB, Args: [][]byte{c.Args[0]}}}}
			byGroup[name] = w
			d.parts = append(d.parts, w)
			keys = append(keys, nil)
		}
		w.calls[0].Args = append(w.calls[0].Args, c.Args[i:i+step]...)
		keys[w.at[0]] = append(keys[w.at[0]], (i-c.Spec.FirstKey)/step)
	}
	d.replies = make([]resp.Value, len(d.parts))
	d.flush()
	if err := d.whole(c); err != nil {
		return errorReply(err)
	}
	total := join(d.replies)
	if total.Kind != resp.Array {
		return total
	}
	inOrder := make([]resp.Value, len(total.Elems))
	for p, v := range d.replies {
		if len(v.Elems) != len(keys[p]) {
			return resp.ErrInternal
		}
		for n, e := range v.Elems {
			inOrder[keys[p][n]] = e
		}
	}
	return resp.List(inOrder...)
}

// scan asks one group after the other, until it has as many keys as were asked for.
// The cursor is the group's own, and above its bits the number of the group that the
// scan has come to.
func (r *Router) scan(ctx context.Context, c command.Call) resp.Value {
	cursor, ok := fsm.ParseCursor(c.Args[1])
	if !ok {
		return resp.ErrInvalidCursor
	}
	elems := []resp.Value{}
	for want := scanCount(c.Args); ; {
		page := r.scanGroup(ctx, c, cursor)
		if page.Kind != resp.Array || len(page.Elems) != 2 {
			return page
		}
		elems = append(elems, page.Elems[1].Elems...)
		cursor, _ = fsm.ParseCursor([]byte(page.Elems[0].Str))
		if cursor == 0 || len(elems) >= want || cursor&(1<<fsm.CursorBits-1) != 0 {
			return resp.List(page.Elems[0], resp.List(elems...))
		}
	}
}

// scanCount returns the number after COUNT, or what stands for none. A command that is
// wrong is answered by the first group.
func scanCount(args [][]byte) int {
	for i := 2; i+1 < len(args); i += 2 {
		if n, err := strconv.Atoi(string(args[i+1])); err == nil && strings.EqualFold(string(args[i]), "count") {
			return n
		}
	}
	return 10
}

// scanGroup asks the group that a cursor has come to.
func (r *Router) scanGroup(ctx context.Context, c command.Call, cursor uint64) resp.Value {
	regions := r.cfg.Regions()
	n := cursor >> fsm.CursorBits
	if n >= uint64(len(regions)) {
		return resp.List(resp.Str("0"), resp.EmptyArray)
	}
	args := append([][]byte{}, c.Args...)
	args[1] = strconv.AppendUint(nil, cursor&(1<<fsm.CursorBits-1), 10)
	replies, runErr := r.run(ctx, &work{group: regions[n], readOnly: true, calls: []command.Call{{Spec: c.Spec, DB: c.DB, Args: args}}})
	if runErr != nil {
		return errorReply(runErr)
	}
	page := replies[0]
	if page.Kind != resp.Array || len(page.Elems) != 2 {
		return page
	}
	next, _ := strconv.ParseUint(page.Elems[0].Str, 10, 64)
	switch {
	case next != 0:
		next |= n << fsm.CursorBits
	case n+1 < uint64(len(regions)):
		next = (n + 1) << fsm.CursorBits
	}
	return resp.List(resp.Str(strconv.FormatUint(next, 10)), page.Elems[1])
}

// randomKey asks every group and takes one of the answers.
func (r *Router) randomKey(ctx context.Context, c command.Call) resp.Value {
	replies, err := r.all(ctx, c)
	if err != nil {
		return errorReply(err)
	}
	var found []resp.Value
	for _, v := range replies {
		if v.IsError() {
			return v
		}
		if v.Kind == resp.Bulk {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return resp.Null
	}
	return found[rand.N(len(found))]
}
