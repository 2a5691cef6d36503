package fsm

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// A reference is a field of phonon's node list of the resource, so that all clients share
// one count; beside the hash is who has one by a session. phonon_R.refcount, which some
// generations of phonon count with, is kept in step.
//
// When a process with a session has dropped the last one, or lost it with its session,
// what is to be done for that generation of references, and the payload with it, goes into
// the hash of completions until one has done it.
type resource string

func (r resource) nodelist() []byte      { return []byte(phononPrefix + string(r) + nodelistSuffix) }
func (r resource) refcount() []byte      { return []byte(phononPrefix + string(r) + ".refcount") }
func (r resource) timesModified() []byte { return []byte(phononPrefix + string(r) + ".times_modified") }
func (r resource) completions() []byte   { return []byte(phononPrefix + string(r) + completionsSuffix) }

const (
	phononPrefix      = "phonon_"
	nodelistSuffix    = ".nodelist"
	completionsSuffix = ".completions"
)

// resourceOf returns the resource that a node list or a hash of completions is of.
func resourceOf(key, suffix string) resource {
	return resource(strings.TrimSuffix(strings.TrimPrefix(key, phononPrefix), suffix))
}

// CompletionsOf returns the key of the completions of the resource that a key is the node
// list of.
func CompletionsOf(key string) (completions string, ok bool) {
	if !strings.HasPrefix(key, phononPrefix) || !strings.HasSuffix(key, nodelistSuffix) {
		return "", false
	}
	return string(resourceOf(key, nodelistSuffix).completions()), true
}

// note returns what is known of the holders of a key.
func (v *View) note(key []byte, m mode) lock {
	if e := v.find(key); e != nil && e.lock != nil && e.lock.mode == m {
		return e.lock.now(v)
	}
	return lock{mode: m}
}

// putNote stores a hash with its holders.
func (t *Tx) putNote(key []byte, h hash, l lock, event string) {
	t.setObject(key, h, event)
	e := t.find(key)
	if e == nil {
		return
	}
	changed := *e
	changed.lock = nil
	if len(l.holders) > 0 || l.mode == completions {
		changed.lock = &l
	}
	t.stage(t.db, key, false, changed)
}

// without returns the lock with the holder at a place left out.
func (l lock) without(at int) lock {
	l.holders = slices.Delete(slices.Clone(l.holders), at, at+1)
	return l
}

// owner returns the place of a holder, -1 for none, whatever its session.
func (l *lock) owner(name string) int {
	return slices.IndexFunc(l.holders, func(h holder) bool { return h.owner == name })
}

// addTo adds to a counter that phonon keeps as a string. One that is no number is left
// as it is.
func (t *Tx) addTo(key []byte, n int64) {
	e := t.find(key)
	if e == nil {
		t.setString(key, strconv.FormatInt(n, 10), 0)
		return
	}
	if old, ok := parseInt([]byte(e.str)); ok && e.obj == nil && !(n > 0 && old > math.MaxInt64-n) {
		t.setString(key, strconv.FormatInt(old+n, 10), e.deadline)
	}
}

// counter reads such a counter, 0 if there is none.
func (v *View) counter(key []byte) int64 {
	e := v.find(key)
	if e == nil || e.obj != nil {
		return 0
	}
	n, _ := parseInt([]byte(e.str))
	return n
}

// reference gives a process a reference, with a session or without.
func (t *Tx) reference(r resource, process, session, client string) (count int, generation uint64, fault resp.Value) {
	key := r.nodelist()
	h, ok := get[hash](&t.View, key)
	if !ok {
		return 0, 0, resp.ErrWrongType
	}
	l := t.note(key, references)
	at := l.owner(process)
	kept := at >= 0 && l.holders[at].session == session
	if session != "" && !kept && len(l.holders) >= maxHolders {
		return 0, 0, errHolders
	}
	h = h.edit(t)
	fresh := h.set(process, strconv.FormatInt(t.wallNow(), 10))
	if at >= 0 && !kept {
		l = l.without(at)
	}
	if session != "" && !kept {
		t.tokens++
		l.holders = append(slices.Clip(l.holders), holder{
			owner: process, token: t.m.token(t.tokens), holds: 1, since: t.now(), session: session, client: client,
		})
	}
	t.putNote(key, h, l, "hset")
	if fresh {
		t.addTo(r.refcount(), 1)
		t.tell(granted, key, &holder{owner: process, session: session}, "")
	}
	return h.len(), t.find(key).token, fault
}

// dereferenced is what comes of dropping a reference.
type dereferenced struct {
	count      int
	last       bool
	times      int64
	generation uint64
	session    string // with which the process had it
}

// dereference drops the reference of a process; held is false if it has none. The last one
// takes phonon's keys for the resource away, and leaves a completion if it was held by a
// session.
func (t *Tx) dereference(r resource, process, reason string) (d dereferenced, held bool) {
	key := r.nodelist()
	h, ok := get[hash](&t.View, key)
	if !ok {
		return d, false
	}
	if _, held = h.field([]byte(process)); !held {
		return d, false
	}
	d.generation, d.times = t.find(key).token, t.counter(r.timesModified())
	l := t.note(key, references)
	gone := holder{owner: process}
	if at := l.owner(process); at >= 0 {
		gone = l.holders[at]
		l = l.without(at)
	}
	d.session = gone.session
	h = h.edit(t)
	h.delete([]byte(process))
	t.putNote(key, h, l, "hdel")
	t.tell(released, key, &gone, reason)
	d.count = h.len()
	if d.last = d.count == 0; !d.last {
		t.addTo(r.refcount(), -1)
		return d, true
	}
	t.delete(r.refcount())
	t.delete(r.timesModified())
	if d.session != "" {
		t.complete(r, process, d)
	}
	return d, true
}

// complete makes a completion of a generation, which nobody executes yet. What the payload
// key holds, if it is a string, goes with it.
func (t *Tx) complete(r resource, process string, d dereferenced) {
	key := r.completions()
	h, ok := get[hash](&t.View, key)
	if !ok {
		return // somebody uses the key for something else: there is nowhere to keep it
	}
	h = h.edit(t)
	g := strconv.FormatUint(d.generation, 10)
	h.set(g+".times_modified", strconv.FormatInt(d.times, 10))
	h.set(g+".last", process)
	if e := t.find([]byte(r)); e != nil && e.obj == nil && e.lock == nil {
		h.set(g+".payload", e.str)
		t.delete([]byte(r))
	}
	t.putNote(key, h, t.note(key, completions), "hset")
}

// completion is what is to be done for a generation.
type completion struct {
	generation uint64
	times      int64
	last       string // the process that was the last
	payload    resp.Value
}

// completions returns those of a resource, the oldest first.
func (v *View) completions(r resource) (list []completion) {
	h, _ := get[hash](v, r.completions())
	h.each(func(name, value string) bool {
		g, is := strings.CutSuffix(name, ".times_modified")
		n, err := strconv.ParseUint(g, 10, 64)
		if !is || err != nil {
			return true
		}
		c := completion{generation: n, payload: resp.Null}
		c.times, _ = parseInt([]byte(value))
		c.last, _ = h.field([]byte(g + ".last"))
		if payload, ok := h.field([]byte(g + ".payload")); ok {
			c.payload = resp.Str(payload)
		}
		list = append(list, c)
		return true
	})
	slices.SortFunc(list, func(a, b completion) int {
		if a.generation < b.generation {
			return -1
		}
		return 1
	})
	return list
}

// elect makes a process the one that executes the oldest completion.
func (t *Tx) elect(r resource, process, session, client string) (completion, uint64) {
	key := r.completions()
	first := t.completions(r)[0]
	h, _ := get[hash](&t.View, key)
	t.tokens++
	x := holder{owner: process, token: t.m.token(t.tokens), holds: 1, since: t.now(), session: session, client: client}
	t.putNote(key, h, lock{mode: completions, holders: []holder{x}}, "hset")
	t.tell(granted, key, &x, "")
	return first, x.token
}

// yield takes a completion from who executes it: another one will.
func (t *Tx) yield(key []byte, whose func(*holder) bool) bool {
	l := t.note(key, completions)
	if len(l.holders) == 0 || !whose(&l.holders[0]) {
		return false
	}
	h, _ := get[hash](&t.View, key)
	t.tell(released, key, &l.holders[0], "not done")
	t.putNote(key, h, lock{mode: completions}, "hset")
	return true
}

// disownReferences drops the references that a session has in a node list.
func (t *Tx) disownReferences(key []byte, id, reason string) {
	for _, h := range t.note(key, references).holders {
		if h.session == id {
			t.dereference(resourceOf(string(key), nodelistSuffix), h.owner, reason)
		}
	}
}
