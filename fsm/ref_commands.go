package fsm

import (
	"math"
	"slices"
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

const refAcquire = "ref.acquire"

// The commands for references. Their first argument is a resource, and the key of its
// payload; phonon's own keys for it are those of their names.
var refCommands = group("reference",
	write(refAcquire, -3, 1, refAcquireCmd, "resource process [SESSION id]",
		"Takes a reference to a resource: how many there are, and the number of their generation.").
		flags(command.DenyOOM|command.NoScript|command.Native).moreKeys(refKeys).refuse(refAcquireRefuse),
	write("ref.touch", -3, 1, refTouchCmd, "resource process [MODIFIED]",
		"Says that a process still has its reference, and that it has modified the resource: the count, how often it was modified, and the generation; nil if it has none.").
		flags(command.NoScript|command.DenyOOM).moreKeys(refKeys).refuse(refTouchRefuse),
	write("ref.release", 3, 1, refReleaseCmd, "resource process",
		"Drops a reference: the count, whether it was the last, how often the resource was modified, the generation, and for the last one, with a session, the token and the payload of the completion; nil if there was none.").
		flags(command.NoScript).moreKeys(refKeys).refuse(refReleaseRefuse),
	write(refWaitLast, -5, 1, refWaitLastCmd, "resource process SESSION id [WAIT milliseconds]",
		"Becomes the one to execute the oldest completion that nobody executes, or waits for one: how often the resource was modified, generation, token, payload.").
		flags(command.DenyOOM|command.NoScript|command.Blocking|command.Native).moreKeys(refKeys).refuse(refWaitLastRefuse),
	write("ref.done", 3, 1, refDoneCmd, "resource token", "Ends a completion: 1, or 0 if another executes it by now.").
		flags(command.NoScript).moreKeys(refKeys).refuse(refDoneRefuse),
	write("ref.yield", 3, 1, refYieldCmd, "resource token", "Leaves a completion to another.").
		flags(command.NoScript).moreKeys(refKeys),
	write("ref.undo", 3, 1, refUndoCmd, "resource token", "Leaves a completion to another whose executor was gone when he was elected, unless he was told of it elsewhere.").
		flags(command.Internal).moreKeys(refKeys),
	read("ref.count", 2, 1, refCountCmd, "resource", "How many references there are.").
		flags(command.Fast|command.NoScript).moreKeys(refKeys),
	read("ref.info", 2, 1, refInfoCmd, "resource", "Who has references to a resource, and what is to be completed.").
		flags(command.NoScript|command.Clock).moreKeys(refKeys),
	read("ref.pending", -1, 0, refPendingCmd, "[COUNT count]", "Resources with completions that nobody executes.").
		flags(command.NoScript).scatter(command.AllGroups),
)

// refKeys are the keys of a resource that its name does not show.
func refKeys(args [][]byte) [][]byte {
	r := resource(args[1])
	return [][]byte{r.nodelist(), r.completions()}
}

// refClaim is the arguments of REF.ACQUIRE.
type refClaim struct{ session, client string }

func parseRefClaim(args [][]byte) (q refClaim, fault resp.Value) {
	for i := 3; i < len(args); i += 2 {
		switch {
		case i+1 == len(args):
			return q, resp.ErrSyntax
		case is(args[i], "SESSION"):
			q.session = string(args[i+1])
		case is(args[i], "CLIENT"):
			q.client = string(args[i+1][:min(len(args[i+1]), maxClient)])
		default:
			return q, resp.ErrSyntax
		}
	}
	return q, fault
}

func refAcquireCmd(t *Tx, args [][]byte) resp.Value {
	if refusal, refused := refAcquireRefuse(&t.View, args); refused {
		return refusal
	}
	q, _ := parseRefClaim(args)
	count, generation, fault := t.reference(resource(args[1]), string(args[2]), q.session, q.client)
	if fault.IsError() {
		return fault
	}
	return resp.List(resp.Int(count), resp.Int64(int64(generation)))
}

func refAcquireRefuse(v *View, args [][]byte) (resp.Value, bool) {
	q, fault := parseRefClaim(args)
	switch {
	case fault.IsError():
		return fault, true
	case q.session != "" && v.session(q.session) == nil:
		return errNoSession, true
	}
	return resp.Value{}, false
}

// references finds those to a resource, and whether a process has one.
func (v *View) references(r resource, process []byte) (h hash, generation uint64, has bool, fault resp.Value) {
	h, ok := get[hash](v, r.nodelist())
	if !ok {
		return h, 0, false, resp.ErrWrongType
	}
	if e := v.find(r.nodelist()); e != nil {
		generation = e.token
	}
	_, has = h.field(process)
	return h, generation, has, fault
}

func refTouchCmd(t *Tx, args [][]byte) resp.Value {
	if refusal, refused := refTouchRefuse(&t.View, args); refused {
		return refusal
	}
	r := resource(args[1])
	h, generation, _, _ := t.references(r, args[2])
	h = h.edit(t)
	h.set(string(args[2]), strconv.FormatInt(t.wallNow(), 10))
	t.setObject(r.nodelist(), h, "hset")
	if len(args) > 3 {
		t.addTo(r.timesModified(), 1)
	}
	return resp.List(resp.Int(h.len()), resp.Int64(t.counter(r.timesModified())), resp.Int64(int64(generation)))
}

func refTouchRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if len(args) > 4 || len(args) == 4 && !is(args[3], "MODIFIED") {
		return resp.ErrSyntax, true
	}
	_, _, has, fault := v.references(resource(args[1]), args[2])
	if fault.IsError() {
		return fault, true
	}
	return resp.NullArray, !has
}

func refReleaseCmd(t *Tx, args [][]byte) resp.Value {
	r, process := resource(args[1]), string(args[2])
	if refusal, refused := refReleaseRefuse(&t.View, args); refused {
		return refusal
	}
	d, _ := t.dereference(r, process, "")
	c := completion{times: d.times, generation: d.generation, payload: resp.Null}
	if !d.last || d.session == "" {
		return releaseReply(d.count, d.last, c, 0)
	}
	if waiting := t.completions(r); len(waiting) == 0 || waiting[0].generation != d.generation {
		return releaseReply(0, true, c, 0)
	}
	c, token := t.elect(r, process, d.session, "")
	return releaseReply(0, true, c, token)
}

func releaseReply(count int, last bool, c completion, token uint64) resp.Value {
	right, payload := resp.Null, resp.Null
	if token != 0 {
		right, payload = resp.Int64(int64(token)), c.payload
	}
	return resp.List(resp.Int(count), resp.Flag(last), resp.Int64(c.times), resp.Int64(int64(c.generation)), right, payload)
}

// refReleaseRefuse answers a process that has no reference: with what it was told if it was
// the last, and nil otherwise.
func refReleaseRefuse(v *View, args [][]byte) (resp.Value, bool) {
	r, process := resource(args[1]), string(args[2])
	_, _, has, fault := v.references(r, args[2])
	switch {
	case fault.IsError():
		return fault, true
	case has:
		return resp.Value{}, false
	}
	executing := v.note(r.completions(), completions)
	for i, c := range v.completions(r) {
		if c.last != process {
			continue
		}
		token := uint64(0)
		if i == 0 && len(executing.holders) > 0 && executing.holders[0].owner == process {
			token = executing.holders[0].token
		}
		return releaseReply(0, true, c, token), true
	}
	return resp.NullArray, true
}

// lastClaim is the arguments of REF.WAITLAST.
type lastClaim struct {
	resource         resource
	process, session string
	client           string
	wait             int64 // ms, 0 for ever, -1 not at all
}

func parseLastClaim(args [][]byte) (q lastClaim, fault resp.Value) {
	if len(args) < 5 {
		return q, resp.ErrSyntax
	}
	q = lastClaim{resource: resource(args[1]), process: string(args[2]), wait: -1}
	for i := 3; i < len(args); i += 2 {
		switch {
		case i+1 == len(args):
			return q, resp.ErrSyntax
		case is(args[i], "SESSION"):
			q.session = string(args[i+1])
		case is(args[i], "CLIENT"):
			q.client = string(args[i+1][:min(len(args[i+1]), maxClient)])
		case is(args[i], "WAIT"):
			n, ok := parseInt(args[i+1])
			if !ok || n < 0 || n > math.MaxInt64/2 {
				return q, resp.Err("ERR WAIT takes a number of milliseconds")
			}
			q.wait = n
		default:
			return q, resp.ErrSyntax
		}
	}
	if q.session == "" {
		return q, resp.Err("ERR REF.WAITLAST needs a SESSION: with it another is elected if this one dies")
	}
	return q, fault
}

func (q *lastClaim) keys() [][]byte { return [][]byte{q.resource.completions()} }
func (q *lastClaim) shares() bool   { return false }

func (q *lastClaim) holds(v *View) bool {
	l := v.note(q.resource.completions(), completions)
	return l.byOwner(q.process, q.session) >= 0
}

func (q *lastClaim) ready(v *View) bool {
	refusal, refused := q.refused(v)
	return !refused || refusal.IsError()
}

func (q *lastClaim) refused(v *View) (resp.Value, bool) {
	if v.session(q.session) == nil {
		return errNoSession, true
	}
	if _, ok := get[hash](v, q.resource.completions()); !ok {
		return resp.ErrWrongType, true
	}
	l := v.note(q.resource.completions(), completions)
	free := len(l.holders) == 0 && len(v.completions(q.resource)) > 0
	return resp.NullArray, !free && !q.holds(v)
}

func refWaitLastCmd(t *Tx, args [][]byte) resp.Value {
	q, fault := parseLastClaim(args)
	if fault.IsError() {
		return fault
	}
	if refusal, refused := q.refused(&t.View); refused {
		return refusal
	}
	var c completion
	var token uint64
	switch {
	case q.holds(&t.View):
		c, token = t.completions(q.resource)[0], t.askAgain(q.resource, 1)
	case among(t.m.lined, t.db, q.resource.completions()):
		return resp.NullArray
	default:
		c, token = t.elect(q.resource, q.process, q.session, q.client)
	}
	return resp.List(resp.Int64(c.times), resp.Int64(int64(c.generation)), resp.Int64(int64(token)), c.payload)
}

func refWaitLastRefuse(v *View, args [][]byte) (resp.Value, bool) {
	q, fault := parseLastClaim(args)
	if fault.IsError() {
		return fault, true
	}
	return q.refused(v)
}

func refDoneCmd(t *Tx, args [][]byte) resp.Value {
	if refusal, refused := refDoneRefuse(&t.View, args); refused {
		return refusal
	}
	r := resource(args[1])
	key := r.completions()
	l := t.note(key, completions)
	h, _ := get[hash](&t.View, key)
	h = h.edit(t)
	g := strconv.FormatUint(t.completions(r)[0].generation, 10)
	for _, field := range []string{".times_modified", ".last", ".payload"} {
		h.delete([]byte(g + field))
	}
	t.tell(released, key, &l.holders[0], "done")
	t.putNote(key, h, lock{mode: completions}, "hdel")
	return resp.Int(1)
}

func refDoneRefuse(v *View, args [][]byte) (resp.Value, bool) {
	token, fault := parseToken(args[2])
	if fault.IsError() {
		return fault, true
	}
	l := v.note(resource(args[1]).completions(), completions)
	return resp.Int(0), l.byToken(token) < 0
}

func refYieldCmd(t *Tx, args [][]byte) resp.Value {
	token, fault := parseToken(args[2])
	if fault.IsError() {
		return fault
	}
	return resp.Flag(t.yield(resource(args[1]).completions(), func(h *holder) bool { return h.token == token }))
}

// askAgain adds to how often the executor of a completion was told that he is, and returns
// his token.
func (t *Tx) askAgain(r resource, n int64) uint64 {
	key := r.completions()
	l := t.note(key, completions)
	h, _ := get[hash](&t.View, key)
	l.holders = slices.Clone(l.holders)
	l.holders[0].again += n
	t.putNote(key, h, l, "hset")
	return l.holders[0].token
}

func refUndoCmd(t *Tx, args [][]byte) resp.Value {
	token, fault := parseToken(args[2])
	if fault.IsError() {
		return fault
	}
	r := resource(args[1])
	l := t.note(r.completions(), completions)
	switch {
	case l.byToken(token) < 0:
		return resp.Int(0)
	case l.holders[0].again > 0:
		t.askAgain(r, -1)
		return resp.Int(1)
	}
	return refYieldCmd(t, args)
}

func refCountCmd(v *View, args [][]byte) resp.Value {
	h, _, _, fault := v.references(resource(args[1]), nil)
	if fault.IsError() {
		return fault
	}
	return resp.Int(h.len())
}

func refInfoCmd(v *View, args [][]byte) resp.Value {
	r := resource(args[1])
	h, generation, _, fault := v.references(r, nil)
	if fault.IsError() {
		return fault
	}
	known := v.note(r.nodelist(), references)
	var processes, waiting []resp.Value
	h.each(func(process, _ string) bool {
		x := holder{owner: process}
		if at := known.owner(process); at >= 0 {
			x = known.holders[at]
		}
		processes = append(processes, resp.Pairs(
			resp.Str("process"), resp.Str(process), resp.Str("session"), resp.Str(x.session), resp.Str("token"), resp.Int64(int64(x.token)),
			resp.Str("client"), resp.Str(x.client), resp.Str("held-ms"), resp.Int64(v.heldFor(&x)),
		))
		return true
	})
	executing := v.note(r.completions(), completions)
	for i, c := range v.completions(r) {
		x := holder{}
		if i == 0 && len(executing.holders) > 0 {
			x = executing.holders[0]
		}
		waiting = append(waiting, resp.Pairs(
			resp.Str("generation"), resp.Int64(int64(c.generation)), resp.Str("times-modified"), resp.Int64(c.times), resp.Str("last"), resp.Str(c.last),
			resp.Str("executor"), resp.Str(x.owner), resp.Str("session"), resp.Str(x.session), resp.Str("token"), resp.Int64(int64(x.token)),
		))
	}
	return resp.Pairs(
		resp.Str("count"), resp.Int(h.len()), resp.Str("generation"), resp.Int64(int64(generation)), resp.Str("times-modified"), resp.Int64(v.counter(r.timesModified())),
		resp.Str("processes"), resp.List(processes...), resp.Str("completions"), resp.List(waiting...), resp.Str("queue"), v.queue(r.completions()),
	)
}

func refPendingCmd(v *View, args [][]byte) resp.Value {
	count, fault := countOption(args[1:])
	if fault.IsError() {
		return fault
	}
	list := []resp.Value{}
	v.m.ks[v.db].owned.each("", func(key string) {
		if int64(len(list)) < count && v.find([]byte(key)) != nil {
			list = append(list, resp.Str(string(resourceOf(key, completionsSuffix))))
		}
	})
	return resp.List(list...)
}
