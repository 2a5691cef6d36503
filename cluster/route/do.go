package route

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The bounds of what one connection has on the way to one group at once. A
// longer pipeline goes in parts, one after the other.
const (
	maxCalls = 4096
	maxBytes = 256 << 10
)

// Do sends calls to the groups that own their keys and returns a reply for each.
// Calls for one group are done in the order given, all together; those for
// different groups side by side. A call that concerns several groups waits for
// those before it, and those after it wait for it.
func (r *Router) Do(ctx context.Context, calls []command.Call) []resp.Value {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	d := doing{Router: r, ctx: ctx, replies: make([]resp.Value, len(calls))}
	table := r.cfg.Table()
	for i := range calls {
		c := &calls[i]
		if c.Spec.Name == "script|kill" {
			d.replies[i] = r.killScripts(ctx)
			continue
		}
		if text := scriptText(c); text != nil {
			if fault := r.compile(text); fault.IsError() {
				d.replies[i] = fault
				continue
			}
			if c.Spec.Name != "script|load" && !r.scriptLoaded(text) {
				d.flush()
				r.loadScript(ctx, text)
			}
		}
		name, whole := r.owner(table, c)
		switch {
		case whole:
			d.add(name, *c, i)
		case c.Spec.Scatter == command.OneGroup:
			d.replies[i] = resp.ErrCrossSlot
		default:
			d.flush()
			d.replies[i] = r.scatter(ctx, table, *c)
		}
	}
	d.flush()
	return d.replies
}

// Owner returns the group that owns all keys of a call; ok is false when there is no single
// one.
func (r *Router) Owner(c command.Call) (group string, ok bool) { return r.owner(r.cfg.Table(), &c) }

// owner returns the group that owns all keys of a call. whole is false when
// there is no single one.
func (r *Router) owner(table *Table, c *command.Call) (name string, whole bool) {
	var buf [8][]byte
	if c.Spec.Scatter == command.AllGroups {
		regions := r.cfg.Regions()
		return regions[0], len(regions) == 1
	}
	keys, ok := c.Spec.Keys(buf[:0], c.Args)
	if !ok || len(keys) == 0 {
		return r.cfg.Home, true // the command finds out what is wrong with it
	}
	name = table.Region(keys[0])
	for _, k := range keys[1:] {
		if table.Region(k) != name {
			return "", false
		}
	}
	return name, r.patternsIn(table, c, name)
}

// patternsIn reports whether a group has the keys, too, that the patterns of SORT stand for:
// those of one group have a tag that is the same whatever the star stands for.
func (r *Router) patternsIn(table *Table, c *command.Call, name string) bool {
	if !strings.HasPrefix(c.Spec.Name, "sort") || len(r.cfg.Regions()) == 1 {
		return true
	}
	for _, p := range fsm.SortPatterns(c.Args) {
		if tag := Tag(p); bytes.Contains(tag, []byte("*")) || table.Region(p) != name {
			return false
		}
	}
	return true
}

// doing is one run of Do.
type doing struct {
	*Router
	ctx     context.Context
	replies []resp.Value
	parts   []*work // one a group
	calls   int
	bytes   int
	failed  []*Error // of the parts that have no reply
}

func (d *doing) add(name string, c command.Call, at int) {
	i := slices.IndexFunc(d.parts, func(w *work) bool { return w.group == name })
	if i < 0 {
		i = len(d.parts)
		d.parts = append(d.parts, &work{group: name})
	}
	w := d.parts[i]
	w.calls, w.at = append(w.calls, c), append(w.at, at)
	d.calls++
	for _, a := range c.Args {
		d.bytes += len(a)
	}
	if d.calls >= maxCalls || d.bytes >= maxBytes {
		d.flush()
	}
}

// flush does what was added: the parts side by side, each in as many steps as it
// takes.
func (d *doing) flush() {
	for parts := d.parts; len(parts) > 0; {
		parts = d.step(parts)
	}
	d.parts, d.calls, d.bytes = d.parts[:0], 0, 0
}

// step does the next step of every part, and returns what is left of them. Reads
// that come first are a step of their own and need no place in the log; those
// behind a write go with it, as far as the machine has room for their replies.
func (d *doing) step(parts []*work) (left []*work) {
	attempts := make([]attempt, len(parts))
	replies := make([][]resp.Value, len(parts))
	errs := make([]error, len(parts))
	rests := make([]*work, len(parts))
	for i, w := range parts {
		reads := slices.IndexFunc(w.calls, func(c command.Call) bool { return c.Spec.Has(command.Write) })
		if reads > 0 {
			rests[i] = w.cut(reads)
		}
		w.readOnly = reads != 0
		attempts[i], errs[i] = d.start(d.ctx, w)
	}
	// Side by side: one that has to try again must not have to wait until the time of
	// another, whose group has no leader, is over.
	var finishing sync.WaitGroup
	for i, w := range parts {
		finish := func() { replies[i], errs[i] = d.finish(d.ctx, w, attempts[i]) }
		switch {
		case errs[i] != nil:
		case i < len(parts)-1:
			finishing.Go(finish)
		default:
			finish()
		}
	}
	finishing.Wait()
	for i, w := range parts {
		if e, ok := errs[i].(*Error); ok {
			if e.lowSpace() && len(w.calls) > 1 && slices.ContainsFunc(w.calls, mayGrow) {
				d.apart(w, e)
				if rests[i] != nil {
					left = append(left, rests[i])
				}
				continue
			}
			d.failed = append(d.failed, e)
			d.fail(w, e)
			d.fail(rests[i], &Error{Group: e.Group, Cause: e.Cause}) // it was not sent
			continue
		}
		for n, at := range w.at {
			if replies[i][n].Kind == resp.None { // the machine stopped here
				rests[i] = w.cut(n)
				break
			}
			d.replies[at] = replies[i][n]
		}
		if rests[i] != nil {
			left = append(left, rests[i])
		}
	}
	return left
}

// apart does what it may of a part that was refused as a whole because disks are
// nearly full: the calls that need no more space, in order.
func (d *doing) apart(w *work, e *Error) {
	for len(w.calls) > 0 {
		if w.calls[0].Spec.Has(command.DenyOOM) {
			d.failed = append(d.failed, e)
			d.replies[w.at[0]] = e.Reply()
			w = w.cut(1)
			continue
		}
		n := slices.IndexFunc(w.calls, mayGrow)
		switch n {
		case -1:
			n = len(w.calls)
		case 0: // a script
			n = 1
		}
		rest := w.cut(n)
		for parts := []*work{w}; len(parts) > 0; {
			parts = d.step(parts)
		}
		w = rest
	}
}

// mayGrow reports whether a call may be refused for want of space. What a script needs
// depends on the state.
func mayGrow(c command.Call) bool {
	return c.Spec.Has(command.DenyOOM) || strings.HasPrefix(c.Spec.Name, "eval")
}

// fail answers a part that has no replies. w may be nil.
func (d *doing) fail(w *work, e *Error) {
	if w == nil {
		return
	}
	for _, at := range w.at {
		d.replies[at] = e.Reply()
	}
}

// cut takes the calls from n on off the work.
func (w *work) cut(n int) *work {
	rest := &work{group: w.group, calls: w.calls[n:], at: w.at[n:]}
	w.calls, w.at = w.calls[:n:n], w.at[:n:n]
	return rest
}

// errorReply returns what a client is told.
func errorReply(err error) resp.Value {
	if e, ok := err.(*Error); ok {
		return e.Reply()
	}
	return resp.ErrInternal
}
