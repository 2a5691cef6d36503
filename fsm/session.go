package fsm

import (
	"slices"
	"strings"

	"phonond/redisproto/resp"
)

// session is the lease of a client process on what it holds: locks, permits, references.
// When it ends, all of that is released in the same step. It is immutable.
//
// How long ago the client was heard of is not here: the leader keeps that in its memory,
// and ends a session by an entry of its own.
//
// A session lives in one group. Where it holds keys of another group it has a *part* there,
// with the same id, which ends by itself: see package cluster.
type session struct {
	id     string // name@group
	ttl    int64  // ms
	name   string
	meta   string
	client string // who opened it: an address, and a name
	opened int64  // ms of the cluster clock
	bound  string // the connection that keeps it, "" for none
	grace  int64  // ms that it outlives that
	losses int64  // how much was taken from it
	parts  []part // by group
}

// part is another group in which a session may hold keys.
type part struct {
	group  string
	since  int64 // ms of the cluster clock at which it was asked for
	opened bool
}

// The bounds of what a session is made from, in ms and in bytes.
const (
	MinSessionTTL  = 1000
	MaxSessionTTL  = 24 * 60 * 60 * 1000
	maxSessionText = 64
)

var errNoSession = resp.Err("NOSESSION the session is not known, or has ended")

// SessionGroup returns the group in which a session lives, "" if the id is none.
func SessionGroup(id string) string {
	name, group, ok := strings.Cut(id, "@")
	if !ok || !ValidSessionName(name) {
		return ""
	}
	return group
}

// ValidSessionName reports whether a session's id may begin with a text.
func ValidSessionName(s string) bool {
	return len(s) > 0 && len(s) <= maxSessionText && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	})
}

func newSessions(h hasher) *dict[session] { return newDict(h, sessionWeight) }

// Session is what the group's leader has to know of a session to keep it.
type Session struct {
	ID  string
	TTL int64 // ms
}

// Sessions calls f for every session, until it returns false. The caller holds off Apply.
func (m *Machine) Sessions(f func(Session) bool) {
	m.sessions.each(func(id string, s session) bool { return f(Session{id, s.ttl}) })
}

// HasSession reports whether a session is open here. The caller holds off Apply.
func (m *Machine) HasSession(id string) bool { return m.sessions.has([]byte(id)) }

// SessionCount returns how many are open. The caller holds off Apply.
func (m *Machine) SessionCount() int { return m.sessions.len() }

// Owned calls f for each key under which a session holds anything. The caller holds off
// Apply.
func (m *Machine) Owned(id string, f func(db int, key string)) {
	for db := range m.ks {
		m.ks[db].owned.each(id, func(key string) { f(db, key) })
	}
}

// session returns an open session, or nil.
func (v *View) session(id string) *session {
	if v.tx != nil {
		for i := len(v.tx.sessions) - 1; i >= 0; i-- {
			if c := &v.tx.sessions[i]; c.id == id {
				if c.gone {
					return nil
				}
				return &c.session
			}
		}
	}
	if v.m.sessions == nil {
		return nil
	}
	if n := v.m.sessions.get([]byte(id)); n != nil {
		return &n.val
	}
	return nil
}

// sessionChange is what a command did to a session.
type sessionChange struct {
	session
	gone bool
}

func (t *Tx) putSession(s session) { t.sessions = append(t.sessions, sessionChange{session: s}) }

// endSession releases all that a session holds, and the session. With a reason it ends
// uncleanly.
func (t *Tx) endSession(s session, reason string) {
	back := t.db
	for t.db = range Databases {
		var keys []string
		t.m.ks[t.db].owned.each(s.id, func(key string) { keys = append(keys, key) })
		for _, key := range keys {
			t.disown([]byte(key), s.id, reason)
		}
	}
	t.db = back
	t.sessions = append(t.sessions, sessionChange{session: s, gone: true})
	t.tell(sessionEnded, nil, &holder{owner: s.name, session: s.id, client: s.client}, reason)
}

// disown takes what a session holds under a key.
func (t *Tx) disown(key []byte, id, reason string) {
	e := t.find(key)
	if e == nil || e.lock == nil {
		return
	}
	switch e.lock.mode {
	case references:
		t.disownReferences(key, id, reason)
	case completions:
		t.yield(key, func(h *holder) bool { return h.session == id })
	default:
		for {
			l, _, _ := t.lockUnder(key)
			at := slices.IndexFunc(l.holders, func(h holder) bool { return h.session == id })
			if at < 0 {
				return
			}
			h := l.holders[at]
			t.lose(key, l, at, reason == "")
			t.tell(released, key, &h, reason)
		}
	}
}

// took counts what was taken from a session that goes on.
func (t *Tx) took(id string) {
	if s := t.session(id); s != nil {
		changed := *s
		changed.losses++
		t.putSession(changed)
	}
}

// commitSessions makes the staged changes part of the state and of the digest.
func (t *Tx) commitSessions() {
	m := t.m
	for i := range t.sessions {
		c := &t.sessions[i]
		m.sum.session(&c.session, c.gone)
		if c.gone {
			m.sessions.delete([]byte(c.id))
		} else {
			m.sessions.set(c.id, c.session)
		}
		if m.cfg.SessionChanged != nil {
			m.cfg.SessionChanged(Session{c.id, c.ttl}, c.gone)
		}
	}
}

// sessionBytes is what a session takes beside its texts.
const sessionBytes = 240

func sessionWeight(n *node[session]) int64 {
	s := &n.val
	total := sessionBytes + 2*textBytes(s.id) + textBytes(s.name) + textBytes(s.meta) + textBytes(s.client) + textBytes(s.bound)
	for _, p := range s.parts {
		total += 40 + textBytes(p.group)
	}
	return total
}

func (e *encoder) session(s *session) {
	e.string(s.id)
	e.varint(s.ttl)
	for _, text := range []string{s.name, s.meta, s.client, s.bound} {
		e.string(text)
	}
	for _, n := range []int64{s.opened, s.grace, s.losses} {
		e.varint(n)
	}
	e.uvarint(uint64(len(s.parts)))
	for _, p := range s.parts {
		e.string(p.group)
		e.varint(p.since)
		e.byte(byte(resp.Flag(p.opened).Int))
	}
}

func (d *snapshotReader) session() session {
	s := session{
		id: d.string(), ttl: d.varint(), name: d.string(), meta: d.string(), client: d.string(), bound: d.string(),
		opened: d.varint(), grace: d.varint(), losses: d.varint(),
	}
	for range d.count() {
		s.parts = append(s.parts, part{d.string(), d.varint(), d.byte() == 1})
		if d.err != nil {
			break
		}
	}
	return s
}

func (d *digest) session(s *session, gone bool) {
	d.buf = append(d.buf, digestSession, byte(resp.Flag(gone).Int))
	d.string(s.id)
	if gone {
		return
	}
	for _, n := range []int64{s.ttl, s.opened, s.grace, s.losses} {
		d.number(uint64(n))
	}
	for _, text := range []string{s.name, s.meta, s.client, s.bound} {
		d.string(text)
	}
	for _, p := range s.parts {
		d.string(p.group)
		d.number(uint64(p.since))
		d.buf = append(d.buf, byte(resp.Flag(p.opened).Int))
	}
	d.spill()
}
