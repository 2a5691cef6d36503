package fsm

import (
	"slices"
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The commands for locks. A key is one lock for all clients: what SET NX or a lock
// script has stored is held, with the token that the key got, and what LOCK.ACQUIRE
// grants is a string for them.
var lockCommands = group("lock",
	write(lockAcquire, -4, 1, claimCmd, "key owner milliseconds "+claimSyntax,
		"Takes a lock for an owner, or waits for it: its fencing token, for how long it has it, and how often; nil if another has it.").
		flags(command.DenyOOM|command.NoScript|command.Clock|command.Blocking|command.Native).refuse(claimRefuse),
	write(lockMulti, -5, 0, claimCmd, "numkeys key [key ...] owner milliseconds "+claimSyntax,
		"Takes all of several locks, or none: one fencing token for all of them, and as LOCK.ACQUIRE.").
		numKeys(1).flags(command.DenyOOM|command.NoScript|command.Clock|command.Blocking|command.Native).refuse(claimRefuse),
	write("lock.renew", 4, 1, renewCmd, "key token milliseconds", "Lets who has a lock keep it from now on for so long: 1, or 0 if it was lost.").
		flags(command.Fast|command.NoScript|command.Clock).refuse(renewRefuse),
	write("lock.release", -3, 1, releaseCmd, "key token [key ...]", "Releases a lock, and others with the same token: how often the first is still to be released, nil if it was lost.").
		flags(command.Fast|command.NoScript).moreKeys(releaseKeys).refuse(releaseRefuse),
	write("lock.undo", -3, 1, undoCmd, "key token [key ...]", "Gives back a grant whose client was gone when it came, unless he was told of it elsewhere.").
		flags(command.Internal).moreKeys(releaseKeys),
	read("lock.check", 3, 1, checkCmd, "key token", "Whether the lock is held with a token.").
		flags(command.Fast|command.NoScript),
	read("lock.info", 2, 1, infoCmd, "key", "Who has a lock, until when, and who waits for it.").
		flags(command.NoScript|command.Clock),
	read("lock.list", -2, 0, lockListCmd, "cursor [MATCH pattern] [COUNT count] [OLDER milliseconds] [NOTTL]",
		"Some locks and semaphores, and the cursor to go on with.").
		flags(command.NoScript|command.Clock).scatter(command.AllGroups),
	write("lock.force", -3, 1, forceCmd, "key token [REASON text]", "Takes a lock from the holder with a token, and keeps a record of that.").
		flags(command.NoScript|command.Admin|command.Native).refuse(forceRefuse),
	read("lock.audit", -1, 0, lockAuditCmd, "[COUNT count]", "What was taken by LOCK.FORCE, the latest first.").
		flags(command.NoScript|command.Admin).scatter(command.AllGroups),
)

const claimSyntax = "[SHARED] [REENTRANT] [SESSION id] [DELAY milliseconds] [META text] [WAIT milliseconds]"

// The commands for semaphores.
var semCommands = group("lock",
	write(semAcquire, -4, 1, claimCmd, "key owner milliseconds [LIMIT limit] [PERMITS count] [SESSION id] [META text] [WAIT milliseconds]",
		"Takes permits of a semaphore, or waits for them: the fencing token, for how long it has them, and how many; nil if there are not so many.").
		flags(command.DenyOOM|command.NoScript|command.Clock|command.Blocking|command.Native).refuse(claimRefuse),
	write("sem.renew", 4, 1, renewCmd, "key token milliseconds", "Lets who has permits keep them from now on for so long: 1, or 0 if they were lost.").
		flags(command.Fast|command.NoScript|command.Clock).refuse(renewRefuse),
	write("sem.release", 3, 1, releaseCmd, "key token", "Releases the permits of a token: 0, or nil if they were lost.").
		flags(command.Fast|command.NoScript).refuse(releaseRefuse),
	read("sem.check", 3, 1, checkCmd, "key token", "Whether permits are held with a token.").
		flags(command.Fast|command.NoScript),
	write("sem.limit", 3, 1, semLimitCmd, "key limit", "Sets how many permits there are, for good; 0 lets the semaphore go when nobody holds it.").
		flags(command.DenyOOM|command.NoScript),
	read("sem.info", 2, 1, infoCmd, "key", "Who has permits of a semaphore, until when, and who waits for them.").
		flags(command.NoScript|command.Clock),
)

var errToken = resp.Err("ERR the token is not a number")

func parseToken(arg []byte) (token uint64, fault resp.Value) {
	token, err := strconv.ParseUint(string(arg), 10, 64)
	if err != nil {
		return 0, errToken
	}
	return token, fault
}

// holding finds the holder with a token: at is -1, and none the reply, if there is none.
func holding(v *View, key, token []byte, lost resp.Value) (l lock, at int, none resp.Value) {
	n, fault := parseToken(token)
	if fault.IsError() {
		return l, -1, fault
	}
	l, _, ok := v.lockUnder(key)
	if !ok {
		return l, -1, resp.ErrWrongType
	}
	return l, l.byToken(n), lost
}

func renewCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := renewRefuse(&t.View, args); ok {
		return reply
	}
	key := args[1]
	l, at, _ := holding(&t.View, key, args[2], resp.Null)
	ttl, _ := parseLockTTL(&t.View, args[3], false)
	h := &l.holders[at]
	h.until = t.now() + ttl
	h.renewals++
	t.putLock(key, l)
	t.notify(EventGeneric, "expire", key)
	return resp.Int(1)
}

func renewRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, fault := parseLockTTL(v, args[3], false); fault.IsError() {
		return fault, true
	}
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	return none, at < 0
}

// releaseKeys are those behind the first.
func releaseKeys(args [][]byte) [][]byte { return args[min(len(args), 3):] }

func releaseCmd(t *Tx, args [][]byte) resp.Value {
	first := resp.Null
	for i, key := range slices.Concat(args[1:2], releaseKeys(args)) {
		reply := t.release(key, args[2])
		if reply.IsError() {
			return reply
		}
		if i == 0 {
			first = reply
		}
	}
	return first
}

func undoCmd(t *Tx, args [][]byte) resp.Value {
	for _, key := range slices.Concat(args[1:2], releaseKeys(args)) {
		l, at, none := holding(&t.View, key, args[2], resp.Null)
		if at < 0 {
			return none
		}
		h := &l.holders[at]
		switch {
		case h.holds > 1 && !l.isSemaphore(): // it was counted
			h.holds--
			h.again = max(h.again-1, 0)
		case h.again > 0:
			h.again--
		default:
			t.release(key, args[2])
			continue
		}
		t.putLock(key, l)
	}
	return resp.Int(0)
}

// release releases what is held under a key with a token.
func (t *Tx) release(key, token []byte) resp.Value {
	l, at, none := holding(&t.View, key, token, resp.Null)
	if at < 0 {
		return none
	}
	h := &l.holders[at]
	if h.holds--; h.holds > 0 && !l.isSemaphore() {
		t.putLock(key, l)
		return resp.Int64(h.holds)
	}
	gone := *h
	t.lose(key, l, at, true)
	t.tell(released, key, &gone, "")
	return resp.Int(0)
}

func releaseRefuse(v *View, args [][]byte) (resp.Value, bool) {
	none := resp.Null
	for i, key := range slices.Concat(args[1:2], releaseKeys(args)) {
		_, at, reply := holding(v, key, args[2], resp.Null)
		if at >= 0 {
			return reply, false
		}
		if i == 0 || reply.IsError() {
			none = reply
		}
	}
	return none, true
}

func checkCmd(v *View, args [][]byte) resp.Value {
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	if at < 0 {
		return none
	}
	return resp.Int(1)
}

// forceRequest is the options of LOCK.FORCE.
func forceRequest(args [][]byte) (reason, client string, fault resp.Value) {
	for i := 3; i < len(args); i += 2 {
		switch {
		case i+1 == len(args) || len(args[i+1]) > maxMeta:
			return "", "", resp.ErrSyntax
		case is(args[i], "REASON"):
			reason = string(args[i+1])
		case is(args[i], "CLIENT"):
			client = string(args[i+1][:min(len(args[i+1]), maxClient)])
		default:
			return "", "", resp.ErrSyntax
		}
	}
	return reason, client, fault
}

func forceCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := forceRefuse(&t.View, args); ok {
		return reply
	}
	reason, client, _ := forceRequest(args)
	l, at, _ := holding(&t.View, args[1], args[2], resp.Int(0))
	h := l.holders[at]
	t.audits = append(t.audits, audit{
		wall: t.wallNow(), db: t.db, key: string(args[1]), owner: h.owner, holder: h.client, token: h.token, reason: reason, client: client,
	})
	t.lose(args[1], l, at, false)
	t.tell(forced, args[1], &h, reason)
	t.took(h.session)
	return resp.Int(1)
}

func forceRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, _, fault := forceRequest(args); fault.IsError() {
		return fault, true
	}
	_, at, none := holding(v, args[1], args[2], resp.Int(0))
	return none, at < 0
}
