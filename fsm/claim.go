package fsm

import (
	"math"
	"slices"
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The bounds of what a claim brings along, in bytes, and of how many keys it is for.
const (
	maxMeta      = 4096
	maxClient    = 512
	maxClaimKeys = 1000
	maxLimit     = math.MaxInt32
)

var (
	errUpgrade   = resp.Err("UPGRADE a shared lock is not made exclusive: release it first")
	errLockTTL   = resp.Err("ERR invalid expire time in lock command: it has to be at least 1 ms, or 0 with a session")
	errSemaphore = resp.Err("ERR the key is a semaphore, not a lock")
	errNoSem     = resp.Err("ERR the key is a lock, not a semaphore")
	errLimit     = resp.Err("ERR LIMIT and PERMITS are numbers from 1 to " + strconv.Itoa(maxLimit))
)

// claim is the arguments of LOCK.ACQUIRE, LOCK.MULTI and SEM.ACQUIRE.
type claim struct {
	all             [][]byte // the keys
	owner           string
	ttl             int64 // ms, 0 for as long as the session
	delay           int64 // ms, -1 if it was not given
	wait            int64 // ms, 0 for ever, -1 not at all
	shared          bool
	reentrant       bool
	session, client string
	meta            *string
	semaphore       bool
	limit, permits  int64 // of a semaphore; limit 0 if it was not given
}

func parseClaim(v *View, args [][]byte) (q claim, fault resp.Value) {
	q = claim{delay: -1, wait: -1, permits: 1}
	name, rest := nameOf(args), args[1:]
	q.semaphore = name == semAcquire
	n := int64(1)
	if name == lockMulti {
		var ok bool
		if n, ok = parseCount(rest[0]); !ok || n < 1 || n > maxClaimKeys {
			return q, resp.Err("ERR numkeys has to be a number from 1 to " + strconv.Itoa(maxClaimKeys))
		}
		rest = rest[1:]
	}
	if int64(len(rest)) < n+2 {
		return q, resp.ErrSyntax
	}
	q.all, q.owner, rest = rest[:n], string(rest[n]), rest[n+1:]
	for i := 1; i < len(rest); i++ {
		a, more := rest[i], i+1 < len(rest)
		switch {
		case is(a, "SHARED") && !q.semaphore:
			q.shared = true
			continue
		case is(a, "REENTRANT") && !q.semaphore:
			q.reentrant = true
			continue
		case !more:
			return q, resp.ErrSyntax
		}
		i++
		if fault = q.option(a, rest[i]); fault.IsError() {
			return q, fault
		}
	}
	q.ttl, fault = parseLockTTL(v, rest[0], q.session != "")
	return q, fault
}

// option reads an option that has an argument.
func (q *claim) option(name, arg []byte) (fault resp.Value) {
	number := func(low, high int64) (n int64, ok bool) {
		n, ok = parseInt(arg)
		return n, ok && n >= low && n <= high
	}
	ok := true
	switch {
	case is(name, "DELAY") && !q.semaphore:
		if q.delay, ok = number(0, math.MaxInt64/2); !ok {
			return resp.Err("ERR DELAY and WAIT take a number of milliseconds")
		}
	case is(name, "WAIT"):
		if q.wait, ok = number(0, math.MaxInt64/2); !ok {
			return resp.Err("ERR DELAY and WAIT take a number of milliseconds")
		}
	case is(name, "LIMIT") && q.semaphore:
		if q.limit, ok = number(1, maxLimit); !ok {
			return errLimit
		}
	case is(name, "PERMITS") && q.semaphore:
		if q.permits, ok = number(1, maxLimit); !ok {
			return errLimit
		}
	case is(name, "SESSION"):
		q.session = string(arg)
	case is(name, "CLIENT"):
		q.client = string(arg[:min(len(arg), maxClient)])
	case is(name, "META"):
		if len(arg) > maxMeta {
			return resp.Err("ERR META is longer than " + strconv.Itoa(maxMeta) + " bytes")
		}
		meta := string(arg)
		q.meta = &meta
	default:
		return resp.ErrSyntax
	}
	return fault
}

// parseLockTTL reads for how long a lock is held; none says that 0 is for ever.
func parseLockTTL(v *View, arg []byte, none bool) (ms int64, fault resp.Value) {
	ms, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case ms == 0 && none:
		return 0, fault
	case ms <= 0 || ms > math.MaxInt64/2-max(v.now(), v.wallNow()):
		return 0, errLockTTL
	}
	return ms, fault
}

func (q *claim) keys() [][]byte { return q.all }
func (q *claim) shares() bool   { return q.shared }

func (q *claim) holds(v *View) bool {
	for _, key := range q.all {
		if l, _, _ := v.lockUnder(key); l.byOwner(q.owner, q.session) < 0 {
			return false
		}
	}
	return true
}

func (q *claim) ready(v *View) bool {
	refusal, refused := q.refused(v)
	return !refused || refusal.IsError()
}

// refused reports whether the claim is not granted now, and the reply to it.
func (q *claim) refused(v *View) (refusal resp.Value, refused bool) {
	if q.session != "" && v.session(q.session) == nil {
		return errNoSession, true
	}
	held := 0
	for _, key := range q.all {
		_, at, refusal, refused := q.judge(v, key)
		if refused && (refusal.IsError() || len(q.all) == 1) {
			return refusal, true
		}
		if refused {
			return resp.NullArray, true
		}
		if at >= 0 {
			held++
		}
	}
	if held > 0 && held < len(q.all) {
		return resp.Err("ERR the owner has some of the locks, and not the others"), true
	}
	return refusal, false
}

// judge finds what a claim comes to at one of its keys: a refusal, or the place of the
// owner among the holders, -1 if it is granted anew.
func (q *claim) judge(v *View, key []byte) (l lock, at int, refusal resp.Value, refused bool) {
	l, found, ok := v.lockUnder(key)
	at = l.byOwner(q.owner, q.session)
	switch {
	case !ok:
		return l, at, resp.ErrWrongType, true
	case found && q.semaphore != l.isSemaphore():
		if q.semaphore {
			return l, at, errNoSem, true
		}
		return l, at, errSemaphore, true
	case q.semaphore:
		return q.judgeSemaphore(l, at, found)
	case !found:
		l.mode = exclusive
		if q.shared {
			l.mode = shared
		}
	case at >= 0 && l.mode == shared && !q.shared:
		return l, at, errUpgrade, true
	case at >= 0:
		if q.reentrant && l.holders[at].holds == math.MaxInt64 {
			return l, at, resp.Err("ERR the lock was taken too often"), true
		}
	case l.mode != shared || !q.shared || len(l.holders) == 0: // it is held, or its delay is not over
		return l, at, resp.NullArray, true
	case len(l.holders) >= maxHolders:
		return l, at, errHolders, true
	}
	return l, at, refusal, false
}

// take grants the claim, or grants it again to who has what it is for: to the same owner
// with the same token.
func (q *claim) take(t *Tx) resp.Value {
	if refusal, refused := q.refused(&t.View); refused {
		return refusal
	}
	if !q.holds(&t.View) && slices.ContainsFunc(q.all, func(key []byte) bool { return among(t.m.lined, t.db, key) }) {
		return resp.NullArray // who waits for it comes first
	}
	var h holder
	token := uint64(0) // one for all keys
	for _, key := range q.all {
		l, at, _, _ := q.judge(&t.View, key)
		l.delay = max(l.delay, q.delay)
		if at >= 0 {
			h = q.again(t, key, l, at)
			continue
		}
		if token == 0 {
			t.tokens++
			token = t.m.token(t.tokens)
		}
		h = holder{owner: q.owner, token: token, holds: q.permits, since: t.now(), session: q.session, client: q.client}
		if q.ttl > 0 {
			h.until = t.now() + q.ttl
		}
		if q.meta != nil {
			h.meta = *q.meta
		}
		l.holders = append(l.holders, h)
		t.putLock(key, l)
		t.tell(granted, key, &h, "")
	}
	return resp.List(resp.Int64(int64(h.token)), resp.Int64(remaining(&t.View, h.until)), resp.Int64(h.holds))
}

// again grants to a holder what it has.
func (q *claim) again(t *Tx, key []byte, l lock, at int) holder {
	h := &l.holders[at]
	if !q.semaphore {
		l.mode = exclusive
		if q.shared {
			l.mode = shared
		}
	}
	h.again++
	if q.reentrant {
		h.holds++
	}
	switch {
	case q.ttl == 0:
		h.until = 0
	case h.until != 0:
		h.until = max(h.until, t.now()+q.ttl)
	}
	if q.meta != nil {
		h.meta = *q.meta
	}
	if q.client != "" {
		h.client = q.client
	}
	t.putLock(key, l)
	return *h
}

// remaining is for how many ms more, -1 for ever.
func remaining(v *View, until int64) int64 {
	if until == 0 {
		return -1
	}
	return until - v.now()
}

func claimCmd(t *Tx, args [][]byte) resp.Value {
	q, fault := parseClaim(&t.View, args)
	if fault.IsError() {
		return fault
	}
	return q.take(t)
}

// claimRefuse answers who does not get it.
func claimRefuse(v *View, args [][]byte) (resp.Value, bool) {
	q, fault := parseClaim(v, args)
	if fault.IsError() {
		return fault, true
	}
	return q.refused(v)
}

// SessionOf returns the session that a call names, "" for none.
func SessionOf(c command.Call) string {
	switch name := nameOf(c.Args); name {
	case lockAcquire, lockMulti, semAcquire:
		if q, fault := parseClaim(nobody, c.Args); !fault.IsError() {
			return q.session
		}
	case refAcquire:
		if q, fault := parseRefClaim(c.Args); !fault.IsError() {
			return q.session
		}
	case refWaitLast:
		if q, fault := parseLastClaim(c.Args); !fault.IsError() {
			return q.session
		}
	}
	return ""
}
