package fsm

import (
	"math"
	"slices"
	"strconv"

	"phonond/redisproto/resp"
)

// lock is who holds what is under a key, and how. A key that was taken with LOCK.ACQUIRE
// has it beside its string, the name of the owner, or of the first if they share it: other
// clients see a key that is there, as for their own locks. It is immutable, as entries are.
//
// A holder loses a lock when its time is over, or its session. The key stays for the lock's
// delay after the last of them, and nobody gets it meanwhile.
type lock struct {
	mode    mode
	kept    bool     // a semaphore that stays when nobody holds it
	limit   int64    // of a semaphore
	delay   int64    // ms
	holders []holder // by token, so in the order of their grants
}

// mode is how a key is held.
type mode byte

const (
	exclusive   mode = iota // a lock of one holder
	shared                  // a lock of many
	semaphore               // a string whose permits are held
	references              // a hash of processes, phonon's node list: who has a reference by a session
	completions             // a hash of completions: who executes the first of them
	modes
)

// String is how LOCK.INFO calls it.
func (m mode) String() string {
	return [...]string{"exclusive", "shared", "semaphore", "references", "completions"}[m]
}

// holder is one that has a lock, permits, a reference, or a completion.
type holder struct {
	owner    string
	token    uint64 // the fencing token of its grant
	holds    int64  // how often it is to release it, or how many permits it has
	since    int64  // ms of the cluster clock at which it was granted, 0 if that is not known
	until    int64  // and at which it is lost, 0 for never
	renewals int64
	meta     string
	session  string // with which it is lost, "" for none
	client   string // where it came from: an address, and a name
	// again counts how often the owner has asked again and was told of the same grant. Who
	// was not there to be told gives back only what nobody else was told of.
	again int64
}

// maxHolders bounds how many hold one thing: each change copies them.
const maxHolders = 10_000

var errHolders = resp.Err("ERR " + strconv.Itoa(maxHolders) + " hold it already")

func (l *lock) isSemaphore() bool { return l.mode == semaphore }

// lockUnder returns the lock or semaphore under a key, with those holders that have not
// lost it. A string that was stored in another way, as by SET NX, is a lock, too, held by
// who knows the string. found is false if there is no such key, ok if it holds something
// else.
func (v *View) lockUnder(key []byte) (l lock, found, ok bool) {
	e := v.find(key)
	switch {
	case e == nil:
		return l, false, true
	case e.obj != nil:
		return l, true, false
	case e.lock == nil:
		l.holders = []holder{{owner: e.str, token: e.token, holds: 1, until: e.deadline}}
		return l, true, true
	}
	return e.lock.now(v), true, true
}

// now returns a copy with those holders that have not lost it.
func (l lock) now(v *View) lock {
	l.holders = slices.DeleteFunc(slices.Clone(l.holders), func(h holder) bool { return h.until != 0 && h.until < v.now() })
	return l
}

// byOwner returns the place of an owner among the holders, -1 if it is none. What another
// session holds is another's, whatever its name is.
func (l *lock) byOwner(owner, session string) int {
	return slices.IndexFunc(l.holders, func(h holder) bool { return h.owner == owner && h.session == session })
}

// byToken returns the place of the one with a token, -1 if there is none.
func (l *lock) byToken(token uint64) int {
	return slices.IndexFunc(l.holders, func(h holder) bool { return h.token == token })
}

// free returns the cluster clock at which the lock of such holders is free, 0 for never.
func (l *lock) free(now int64) int64 {
	last := int64(0)
	for _, h := range l.holders {
		if h.until == 0 {
			return 0
		}
		last = max(last, h.until)
	}
	if len(l.holders) == 0 {
		last = now
	}
	return last + min(l.delay, math.MaxInt64-last)
}

// endAt lets all holders lose the lock at the given clock, 0 for never.
func (l *lock) endAt(at int64) *lock {
	c := *l
	c.holders = slices.Clone(l.holders)
	for i := range c.holders {
		c.holders[i].until = at
	}
	return &c
}

// putLock stores a lock or semaphore. One that nobody holds goes when its delay is over.
func (t *Tx) putLock(key []byte, l lock) {
	old := t.find(key)
	e := entry{lock: &l, deadline: l.free(t.now())}
	if l.isSemaphore() && l.kept {
		e.deadline = 0
	}
	switch {
	case old == nil:
		t.notifyNew(t.db, key)
		t.notify(EventString, "set", key)
	default:
		e.str, e.token = old.str, old.token
	}
	if len(l.holders) > 0 {
		e.token = max(e.token, l.holders[len(l.holders)-1].token)
		if !l.isSemaphore() {
			e.str = l.holders[0].owner
		}
	}
	t.stage(t.db, key, false, e)
}

// lose takes what is held under a key from a holder. After an unclean loss nobody gets a
// lock before its delay is over.
func (t *Tx) lose(key []byte, l lock, at int, clean bool) {
	l.holders = slices.Delete(l.holders, at, at+1)
	if len(l.holders) == 0 && (clean || l.delay == 0) && !l.kept {
		t.stage(t.db, key, true, entry{})
		t.notify(EventGeneric, "del", key)
		return
	}
	t.putLock(key, l)
}

// bytes is about how much memory it takes.
func (l *lock) bytes() int64 {
	n := int64(lockBytes)
	for _, h := range l.holders {
		n += holderBytes + textBytes(h.owner) + textBytes(h.meta) + textBytes(h.session) + textBytes(h.client)
	}
	return n
}

func (e *encoder) lock(l *lock) {
	e.byte(byte(l.mode))
	e.byte(byte(resp.Flag(l.kept).Int))
	e.varint(l.limit)
	e.varint(l.delay)
	e.uvarint(uint64(len(l.holders)))
	for _, h := range l.holders {
		e.string(h.owner)
		e.uvarint(h.token)
		e.varint(h.holds)
		e.varint(h.since)
		e.varint(h.until)
		e.varint(h.renewals)
		e.string(h.meta)
		e.string(h.session)
		e.string(h.client)
		e.varint(h.again)
	}
}

func (d *snapshotReader) lock() *lock {
	l := &lock{mode: mode(d.byte()), kept: d.byte() == 1, limit: d.varint(), delay: d.varint()}
	last := uint64(0)
	for range d.count() {
		h := holder{
			owner: d.string(), token: d.uvarint(), holds: d.varint(), since: d.varint(), until: d.varint(), renewals: d.varint(),
			meta: d.string(), session: d.string(), client: d.string(), again: d.varint(),
		}
		d.ordered(h.token > last, "holder")
		if d.err != nil {
			return nil
		}
		last = h.token
		l.holders = append(l.holders, h)
	}
	if d.err == nil && (l.mode >= modes || l.delay < 0 || len(l.holders) > maxHolders || len(l.holders) > 1 && l.mode == exclusive) {
		d.failf("a lock that cannot be")
	}
	return l
}

func (d *digest) lock(l *lock) {
	d.buf = append(d.buf, byte(l.mode), byte(resp.Flag(l.kept).Int))
	d.number(uint64(l.limit))
	d.number(uint64(l.delay))
	for _, h := range l.holders {
		d.string(h.owner)
		for _, n := range []uint64{h.token, uint64(h.holds), uint64(h.since), uint64(h.until), uint64(h.renewals), uint64(h.again)} {
			d.number(n)
		}
		d.string(h.meta)
		d.string(h.session)
		d.string(h.client)
	}
	d.spill()
}
