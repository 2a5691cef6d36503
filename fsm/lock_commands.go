package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The commands for locks. A key is one lock for all clients: what SET NX or a lock
// script has stored is held, with the token that the key got, and what LOCK.ACQUIRE
// grants is a string for them.
var lockCommands = group("lock",
	write("lock.acquire", -4, 1, lockAcquireCmd, "key owner milliseconds [SHARED] [REENTRANT] [DELAY milliseconds] [META text] [WAIT milliseconds]",
		"Takes a lock for an owner, or waits for it: its fencing token, for how long it has it, and how often; nil if another has it.").
		flags(command.DenyOOM|command.NoScript|command.Clock|command.Blocking).refuse(lockAcquireRefuse),
	write("lock.renew", 4, 1, lockRenewCmd, "key token milliseconds", "Lets who has a lock keep it from now on for so long: 1, or 0 if it was lost.").
		flags(command.Fast|command.NoScript|command.Clock).refuse(lockRenewRefuse),
	write("lock.release", 3, 1, lockReleaseCmd, "key token", "Releases a lock: how often it is still to be released, nil if it was lost.").
		flags(command.Fast|command.NoScript).refuse(lockReleaseRefuse),
	read("lock.check", 3, 1, lockCheckCmd, "key token", "Whether the lock is held with a token.").
		flags(command.Fast|command.NoScript),
	read("lock.info", 2, 1, lockInfoCmd, "key", "Who has a lock, and until when.").
		flags(command.NoScript|command.Clock),
	write("lock.force", 3, 1, lockForceCmd, "key token", "Takes a lock from the holder with a token.").
		flags(command.Fast|command.NoScript).refuse(lockForceRefuse),
)

// maxMeta is the length of the longest META, in bytes.
const maxMeta = 4096

var (
	errUpgrade = resp.Err("UPGRADE a shared lock is not made exclusive: release it first")
	errToken   = resp.Err("ERR the token is not a number")
	errLockTTL = resp.Err("ERR invalid expire time in lock command: it has to be at least 1 ms")
)

// lockRequest is the arguments of LOCK.ACQUIRE.
type lockRequest struct {
	owner             string
	ttl, delay        int64 // ms; delay -1 if it was not given
	wait              int64 // ms, 0 for ever, -1 not at all
	shared, reentrant bool
	meta              *string
}

func parseLockRequest(v *View, args [][]byte) (q lockRequest, fault resp.Value) {
	q = lockRequest{owner: string(args[2]), delay: -1, wait: -1}
	if q.ttl, fault = parseLockTTL(v, args[3]); fault.IsError() {
		return q, fault
	}
	for i := 4; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "SHARED"):
			q.shared = true
		case is(a, "REENTRANT"):
			q.reentrant = true
		case (is(a, "DELAY") || is(a, "WAIT")) && i+1 < len(args):
			i++
			n, ok := parseInt(args[i])
			switch {
			case !ok || n < 0 || n > math.MaxInt64/2:
				return q, resp.Err("ERR DELAY and WAIT take a number of milliseconds")
			case is(a, "DELAY"):
				q.delay = n
			default:
				q.wait = n
			}
		case is(a, "META") && i+1 < len(args):
			i++
			if len(args[i]) > maxMeta {
				return q, resp.Err("ERR META is longer than " + strconv.Itoa(maxMeta) + " bytes")
			}
			meta := string(args[i])
			q.meta = &meta
		default:
			return q, resp.ErrSyntax
		}
	}
	return q, fault
}

func parseLockTTL(v *View, arg []byte) (ms int64, fault resp.Value) {
	ms, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case ms <= 0 || ms > math.MaxInt64/2-max(v.now(), v.wallNow()):
		return 0, errLockTTL
	}
	return ms, fault
}

// claim is what comes of a LOCK.ACQUIRE: either a refusal, or the place of the owner
// among the holders, -1 if it is granted anew.
func (q *lockRequest) claim(v *View, key []byte) (l lock, at int, refusal resp.Value, refused bool) {
	l, found, ok := v.lockUnder(key)
	at = l.byOwner(q.owner)
	switch {
	case !ok:
		return l, at, resp.ErrWrongType, true
	case !found:
		l.shared = q.shared
	case at >= 0 && l.shared && !q.shared:
		return l, at, errUpgrade, true
	case at >= 0:
		if q.reentrant && l.holders[at].holds == math.MaxInt64 {
			return l, at, resp.Err("ERR the lock was taken too often"), true
		}
	case !l.shared || !q.shared || len(l.holders) == 0: // it is held, or its delay is not over
		return l, at, resp.NullArray, true
	case len(l.holders) >= maxHolders:
		return l, at, resp.Err("ERR " + strconv.Itoa(maxHolders) + " share the lock already"), true
	}
	return l, at, refusal, false
}

// lockWait returns for how many milliseconds a LOCK.ACQUIRE waits, 0 for ever, -1 if it
// does not.
func lockWait(args [][]byte) int64 {
	wait := int64(-1)
	for i := 4; i+1 < len(args); i++ {
		switch {
		case is(args[i], "WAIT"):
			i++
			wait, _ = parseInt(args[i])
		case is(args[i], "DELAY"), is(args[i], "META"):
			i++
		}
	}
	return wait
}

func lockAcquireCmd(t *Tx, args [][]byte) resp.Value {
	q, fault := parseLockRequest(&t.View, args)
	if fault.IsError() {
		return fault
	}
	key := args[1]
	l, at, refusal, refused := q.claim(&t.View, key)
	switch {
	case refused:
		return refusal
	case at < 0 && l.shared && len(l.holders) > 0 && among(t.m.lined, t.db, key):
		return resp.NullArray // who waits for it alone comes first
	}
	l.delay = max(l.delay, q.delay)
	var h holder
	if at < 0 {
		h = holder{owner: q.owner, holds: 1, since: t.now(), until: t.now() + q.ttl}
		if q.meta != nil {
			h.meta = *q.meta
		}
		h = t.grant(key, l, h)
	} else {
		h = l.holders[at]
		l.shared = q.shared
		if q.reentrant {
			h.holds++
		}
		if h.until != 0 {
			h.until = max(h.until, t.now()+q.ttl)
		}
		if q.meta != nil {
			h.meta = *q.meta
		}
		l.holders[at] = h
		t.putLock(key, l)
	}
	return resp.List(resp.Int64(int64(h.token)), resp.Int64(remaining(&t.View, h.until)), resp.Int64(h.holds))
}

// lockAcquireRefuse answers who cannot have the lock.
func lockAcquireRefuse(v *View, args [][]byte) (resp.Value, bool) {
	q, fault := parseLockRequest(v, args)
	if fault.IsError() {
		return fault, true
	}
	_, _, refusal, refused := q.claim(v, args[1])
	return refusal, refused
}

// remaining is for how many ms more, -1 for ever.
func remaining(v *View, until int64) int64 {
	if until == 0 {
		return -1
	}
	return until - v.now()
}

// holding finds the holder with a token: at is -1, and none the reply, if there is none.
func holding(v *View, key, token []byte, lost resp.Value) (l lock, at int, none resp.Value) {
	n, err := strconv.ParseUint(string(token), 10, 64)
	if err != nil {
		return l, -1, errToken
	}
	l, _, ok := v.lockUnder(key)
	if !ok {
		return l, -1, resp.ErrWrongType
	}
	return l, l.byToken(n), lost
}

func lockRenewCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := lockRenewRefuse(&t.View, args); ok {
		return reply
	}
	key := args[1]
	l, at, _ := holding(&t.View, key, args[2], resp.Null)
	ttl, _ := parseLockTTL(&t.View, args[3])
	h := &l.holders[at]
	h.until = t.now() + ttl
	h.renewals++
	t.putLock(key, l)
	t.notify(EventGeneric, "expire", key)
	return resp.Int(1)
}

func lockRenewRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, fault := parseLockTTL(v, args[3]); fault.IsError() {
		return fault, true
	}
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	return none, at < 0
}

func lockReleaseCmd(t *Tx, args [][]byte) resp.Value {
	key := args[1]
	l, at, none := holding(&t.View, key, args[2], resp.Null)
	if at < 0 {
		return none
	}
	h := &l.holders[at]
	if h.holds--; h.holds > 0 {
		t.putLock(key, l)
		return resp.Int64(h.holds)
	}
	l.holders = append(l.holders[:at], l.holders[at+1:]...)
	if len(l.holders) == 0 {
		t.delete(key)
	} else {
		t.putLock(key, l)
	}
	return resp.Int(0)
}

func lockReleaseRefuse(v *View, args [][]byte) (resp.Value, bool) {
	_, at, none := holding(v, args[1], args[2], resp.Null)
	return none, at < 0
}

func lockCheckCmd(v *View, args [][]byte) resp.Value {
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	if at < 0 {
		return none
	}
	return resp.Int(1)
}

func lockForceCmd(t *Tx, args [][]byte) resp.Value {
	l, at, none := holding(&t.View, args[1], args[2], resp.Int(0))
	if at < 0 {
		return none
	}
	t.lose(args[1], l, at)
	return resp.Int(1)
}

func lockForceRefuse(v *View, args [][]byte) (resp.Value, bool) {
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	return none, at < 0
}

func lockInfoCmd(v *View, args [][]byte) resp.Value {
	l, found, ok := v.lockUnder(args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case !found:
		return resp.Null
	}
	mode := "exclusive"
	if l.shared {
		mode = "shared"
	}
	holders := make([]resp.Value, len(l.holders))
	for i, h := range l.holders {
		held := int64(-1)
		if h.since != 0 {
			held = v.now() - h.since
		}
		holders[i] = resp.Pairs(
			resp.Str("owner"), resp.Str(h.owner), resp.Str("token"), resp.Int64(int64(h.token)), resp.Str("holds"), resp.Int64(h.holds),
			resp.Str("held-ms"), resp.Int64(held), resp.Str("expires-in-ms"), resp.Int64(remaining(v, h.until)),
			resp.Str("renewals"), resp.Int64(h.renewals), resp.Str("meta"), resp.Str(h.meta),
		)
	}
	e := v.find(args[1])
	return resp.Pairs(
		resp.Str("mode"), resp.Str(mode), resp.Str("native"), resp.Flag(e.lock != nil), resp.Str("delay-ms"), resp.Int64(l.delay),
		resp.Str("free-in-ms"), resp.Int64(remaining(v, e.deadline)), resp.Str("holders"), resp.List(holders...),
	)
}
