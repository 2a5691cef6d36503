package fsm

import (
	"math"
	"slices"

	"phonond/redisproto/resp"
)

// lock is what a key has beside its string when it was taken with LOCK.ACQUIRE. The
// string is the name of its owner, the first of them if they share it: other clients
// see a key that is there, as for their own locks. It is immutable, as entries are.
//
// A holder loses a lock when its time is over. The key stays for the lock's delay
// after the last of them, and nobody gets it meanwhile.
type lock struct {
	shared  bool
	delay   int64    // ms
	holders []holder // by token, so in the order of their grants; one at most unless shared
}

// holder is one that has a lock.
type holder struct {
	owner    string
	token    uint64 // the fencing token of its grant
	holds    int64  // how often it is to release it
	since    int64  // ms of the cluster clock at which it was granted, 0 if that is not known
	until    int64  // and at which it is lost, 0 for never
	renewals int64
	meta     string
}

// maxHolders bounds how many share a lock: each change copies them.
const maxHolders = 1000

// lockUnder returns the lock under a key, with those holders that have not lost it. A
// string that was stored in another way, as by SET NX, is a lock, too, held by who knows
// the string. found is false if there is no such key, ok if it holds something else.
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
	l = *e.lock
	l.holders = slices.DeleteFunc(slices.Clone(l.holders), func(h holder) bool { return h.until != 0 && h.until < v.now() })
	return l, true, true
}

// byOwner returns the place of an owner among the holders, -1 if it is none.
func (l *lock) byOwner(owner string) int {
	return slices.IndexFunc(l.holders, func(h holder) bool { return h.owner == owner })
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

// grant adds a holder to a lock that it may have, and gives it a token.
func (t *Tx) grant(key []byte, l lock, h holder) holder {
	t.tokens++
	h.token = t.m.token(t.tokens)
	l.holders = append(l.holders, h)
	t.putLock(key, l)
	return h
}

// putLock stores a lock. One that nobody holds goes when its delay is over.
func (t *Tx) putLock(key []byte, l lock) {
	old := t.find(key)
	e := entry{lock: &l, deadline: l.free(t.now())}
	switch {
	case old == nil:
		t.notifyNew(t.db, key)
		t.notify(EventString, "set", key)
	default:
		e.str, e.token = old.str, old.token
	}
	if len(l.holders) > 0 {
		e.str, e.token = l.holders[0].owner, max(e.token, l.holders[len(l.holders)-1].token)
	}
	t.stage(t.db, key, false, e)
}

// lose takes a lock from a holder that has not released it.
func (t *Tx) lose(key []byte, l lock, at int) {
	l.holders = slices.Delete(l.holders, at, at+1)
	if len(l.holders) == 0 && l.delay == 0 {
		t.delete(key)
		return
	}
	t.putLock(key, l)
}

// bytes is about how much memory it takes.
func (l *lock) bytes() int64 {
	n := int64(lockBytes)
	for _, h := range l.holders {
		n += holderBytes + textBytes(h.owner) + textBytes(h.meta)
	}
	return n
}

func (e *encoder) lock(l *lock) {
	e.byte(byte(resp.Flag(l.shared).Int))
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
	}
}

func (d *snapshotReader) lock() *lock {
	l := &lock{shared: d.byte() == 1, delay: d.varint()}
	last := uint64(0)
	for range d.count() {
		h := holder{owner: d.string(), token: d.uvarint(), holds: d.varint(), since: d.varint(), until: d.varint(), renewals: d.varint(), meta: d.string()}
		d.ordered(h.token > last, "holder")
		if d.err != nil {
			return nil
		}
		last = h.token
		l.holders = append(l.holders, h)
	}
	if d.err == nil && (l.delay < 0 || len(l.holders) > maxHolders || len(l.holders) > 1 && !l.shared) {
		d.failf("a lock that cannot be")
	}
	return l
}

func (d *digest) lock(l *lock) {
	d.buf = append(d.buf, byte(resp.Flag(l.shared).Int))
	d.number(uint64(l.delay))
	for _, h := range l.holders {
		d.string(h.owner)
		for _, n := range []uint64{h.token, uint64(h.holds), uint64(h.since), uint64(h.until), uint64(h.renewals)} {
			d.number(n)
		}
		d.string(h.meta)
	}
	d.spill()
}
