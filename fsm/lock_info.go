package fsm

import (
	"bytes"
	"strconv"

	"phonond/redisproto/resp"
)

// InLine is one who waits for a key.
type InLine struct {
	Args [][]byte // the call
	Age  int64    // ms
}

// lockPairs describes the lock or semaphore that e is.
func (v *View) lockPairs(e *entry, l lock) []resp.Value {
	holders := make([]resp.Value, len(l.holders))
	for i := range l.holders {
		holders[i] = v.holderPairs(&l.holders[i])
	}
	return []resp.Value{
		resp.Str("mode"), resp.Str(l.mode.String()), resp.Str("native"), resp.Flag(e.lock != nil), resp.Str("delay-ms"), resp.Int64(l.delay),
		resp.Str("limit"), resp.Int64(l.limit), resp.Str("free-in-ms"), resp.Int64(remaining(v, e.deadline)), resp.Str("holders"), resp.List(holders...),
	}
}

func (v *View) holderPairs(h *holder) resp.Value {
	return resp.Pairs(
		resp.Str("owner"), resp.Str(h.owner), resp.Str("token"), resp.Int64(int64(h.token)), resp.Str("holds"), resp.Int64(h.holds),
		resp.Str("session"), resp.Str(h.session), resp.Str("client"), resp.Str(h.client), resp.Str("meta"), resp.Str(h.meta),
		resp.Str("held-ms"), resp.Int64(v.heldFor(h)), resp.Str("expires-in-ms"), resp.Int64(remaining(v, h.until)), resp.Str("renewals"), resp.Int64(h.renewals),
	)
}

// heldFor is since how many ms somebody holds something, -1 if that is not known.
func (v *View) heldFor(h *holder) int64 {
	if h.since == 0 {
		return -1
	}
	return v.now() - h.since
}

// infoCmd answers LOCK.INFO and SEM.INFO.
func infoCmd(v *View, args [][]byte) resp.Value {
	l, found, ok := v.lockUnder(args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case !found:
		return resp.Null
	}
	pairs := v.lockPairs(v.find(args[1]), l)
	return resp.Pairs(append(pairs, resp.Str("queue"), v.queue(args[1]))...)
}

// queue lists who waits for a key.
func (v *View) queue(key []byte) resp.Value {
	if v.m.cfg.Queue == nil {
		return resp.EmptyArray
	}
	var list []resp.Value
	for _, w := range v.m.cfg.Queue(v.db, string(key)) {
		owner, client, session, wants := "", "", "", exclusive.String()
		switch q := turnOf(nobody, w.Args).(type) {
		case *claim:
			owner, client, session = q.owner, q.client, q.session
			if q.shared {
				wants = shared.String()
			}
			if q.semaphore {
				wants = strconv.FormatInt(q.permits, 10) + " permits"
			}
		case *lastClaim:
			owner, session, wants = q.process, q.session, completions.String()
		}
		list = append(list, resp.Pairs(
			resp.Str("owner"), resp.Str(owner), resp.Str("mode"), resp.Str(wants), resp.Str("age-ms"), resp.Int64(w.Age),
			resp.Str("client"), resp.Str(client), resp.Str("session"), resp.Str(session),
		))
	}
	return resp.List(list...)
}

// lockFilter is the options of LOCK.LIST.
type lockFilter struct {
	scanOptions
	older int64 // ms, -1 for any
	noTTL bool
}

func parseLockFilter(args [][]byte) (f lockFilter, fault resp.Value) {
	f.older = -1
	var rest [][]byte
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "NOTTL"):
			f.noTTL = true
		case is(a, "OLDER") && i+1 < len(args):
			i++
			n, ok := parseInt(args[i])
			if !ok || n < 0 {
				return f, resp.Err("ERR OLDER takes a number of milliseconds")
			}
			f.older = n
		default:
			rest = append(rest, a)
		}
	}
	f.scanOptions, fault = parseScanOptions(rest, false)
	return f, fault
}

// listed reports whether LOCK.LIST shows a key: what was taken by LOCK.ACQUIRE and its
// like, phonon's locks, and any other string that a pattern asks for.
func (f *lockFilter) listed(v *View, key []byte, e *entry, l *lock) bool {
	switch {
	case e.obj != nil,
		e.lock == nil && !f.match && !bytes.HasSuffix(key, []byte(".lock")),
		f.noTTL && e.deadline != 0:
		return false
	case f.older < 0:
		return true
	}
	for i := range l.holders {
		if v.heldFor(&l.holders[i]) >= f.older {
			return true
		}
	}
	return false
}

// lockListCmd answers LOCK.LIST, as SCAN does.
func lockListCmd(v *View, args [][]byte) resp.Value {
	cursor, ok := ParseCursor(args[1])
	if !ok {
		return resp.ErrInvalidCursor
	}
	f, fault := parseLockFilter(args[2:])
	if fault.IsError() {
		return fault
	}
	var list []resp.Value
	next := v.m.ks[v.db].keys.scan(cursor, f.count, func(name string, e entry) {
		key := []byte(name)
		if v.m.expired(&e) || !f.matches(name) {
			return
		}
		if l, _, ok := v.lockUnder(key); ok && f.listed(v, key, &e, &l) {
			list = append(list, resp.Pairs(append([]resp.Value{resp.Str("key"), resp.Str(name)}, v.lockPairs(&e, l)...)...))
		}
	})
	return scanReply(next, list)
}
