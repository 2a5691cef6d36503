package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/resp"
)

// judgeSemaphore is judge for a semaphore: it is granted while there are permits.
func (q *claim) judgeSemaphore(l lock, at int, found bool) (_ lock, _ int, refusal resp.Value, refused bool) {
	if !found {
		if q.limit == 0 {
			return l, at, resp.Err("ERR there is no such semaphore: LIMIT makes one"), true
		}
		l.mode, l.limit = semaphore, q.limit
	}
	switch {
	case q.limit != 0 && q.limit != l.limit:
		return l, at, resp.Err("ERR the semaphore has " + strconv.FormatInt(l.limit, 10) + " permits, not " + strconv.FormatInt(q.limit, 10)), true
	case at >= 0 && l.holders[at].holds != q.permits:
		return l, at, resp.Err("ERR the owner has another number of permits"), true
	case at >= 0:
		return l, at, refusal, false
	case q.permits > l.limit:
		return l, at, resp.Err("ERR the semaphore has no more than " + strconv.FormatInt(l.limit, 10) + " permits"), true
	case q.permits > l.limit-l.taken():
		return l, at, resp.NullArray, true
	case len(l.holders) >= maxHolders:
		return l, at, errHolders, true
	}
	return l, at, refusal, false
}

// taken is how many permits are held.
func (l *lock) taken() (n int64) {
	for i := range l.holders {
		n += l.holders[i].holds
	}
	return n
}

// SEM.LIMIT key limit
func semLimitCmd(t *Tx, args [][]byte) resp.Value {
	limit, ok := parseInt(args[2])
	if !ok || limit < 0 || limit > math.MaxInt32 {
		return errLimit
	}
	l, found, ok := t.lockUnder(args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case found && !l.isSemaphore():
		return errNoSem
	case limit == 0 && !found:
		return resp.Int(1)
	case limit == 0:
		if l.kept = false; len(l.holders) == 0 {
			t.delete(args[1])
			return resp.Int(1)
		}
	default:
		l.mode, l.limit, l.kept = semaphore, limit, true
	}
	t.putLock(args[1], l)
	return resp.Int(1)
}
