package fsm

// slewPPM is by how much, in parts per million of the time that has passed, the
// cluster's wall time is drawn towards the leader's.
const slewPPM = 500

// advance moves both clocks by an entry of the current term.
//
// The clock is what deadlines are measured by. Leaders stamp it from a
// monotonic source that starts at the clock they found, so it never runs faster
// than real time, stands still while there is no leader, and knows nothing of
// anybody's wall clock.
//
// The wall time is for people and for EXPIREAT. It moves with the clock and is
// drawn slowly towards the leader's wall clock. Only a new leader moves it ahead at
// once, to its own: after a stop of the whole group nothing else knows how long that
// was. So a leader whose wall clock is ahead takes TIME and EXPIREAT with it, and
// nothing takes them back but the slow way.
func (m *Machine) advance(e *Entry, term uint64) {
	passed := max(e.Stamp-m.clock, 0)
	m.clock += passed
	ahead := e.Wall - (m.wall + passed)
	if ahead > 0 && term != m.term {
		m.wall, m.slew = e.Wall, 0
		return
	}
	// Stamps are milliseconds apart, so the part of one that each allows is saved
	// up; more than a second's worth of time is never made good at once.
	m.slew = min(m.slew+passed*slewPPM, 1e9)
	step := min(m.slew/1e6, max(ahead, -ahead))
	m.slew -= step * 1e6
	if ahead < 0 {
		step = -min(step, passed)
	}
	m.wall += passed + step
}

// expired reports whether an entry's deadline has passed. Stamps are cut to whole
// milliseconds, so a deadline is reached only when the clock is beyond it.
func (m *Machine) expired(e *entry) bool { return e.deadline != 0 && e.deadline < m.clock }

// Reaped returns how many keys have expired since the machine was made. It is no part
// of the state. The caller holds off Apply.
func (m *Machine) Reaped() int64 { return m.reaped }

// reap removes up to limit keys whose deadline has passed, in the order of
// deadline, database and key, and holders that have lost what they share with others.
func (m *Machine) reap(limit int) {
	for limit > 0 {
		first, db := m.ks.nextLapse()
		if first.at == 0 || first.at >= m.clock {
			break
		}
		m.lapse(db, first.key)
		limit--
	}
	for ; limit > 0; limit-- {
		first, db := m.ks.nextDeadline()
		if first.at == 0 || first.at >= m.clock {
			return
		}
		d := &m.ks[db]
		n := d.keys.get([]byte(first.key))
		m.loseAll(db, n)
		m.version++
		m.bury(db, first.key)
		d.drop(n)
		m.sum.deleted(db, first.key)
		m.changed(db, first.key, true)
		m.reaped++
		if m.wanted&EventExpired != 0 {
			m.events = append(m.events, Event{EventExpired, "expired", db, first.key})
		}
	}
}

// lapse takes a key from those of its holders whose time is over. The key stays.
func (m *Machine) lapse(db int, key string) {
	t := &m.tx
	t.reset(m, db)
	e := t.find([]byte(key))
	if e == nil { // it goes in the same entry
		d := &m.ks[db]
		n := d.keys.get([]byte(key))
		d.lapses.Delete(deadline{n.val.lapse(), key})
		return
	}
	t.lapsed([]byte(key), e)
	changed := *e
	l := e.lock.now(&t.View)
	changed.lock = &l
	t.stage(db, []byte(key), false, changed)
	t.commit()
}

// lapsed tells of the holders of e whose time is over.
func (t *Tx) lapsed(key []byte, e *entry) {
	for i := range e.lock.holders {
		if h := &e.lock.holders[i]; h.until != 0 && h.until < t.now() {
			t.tell(expired, key, h, "")
			t.took(h.session)
		}
	}
}

// loseAll tells of the holders of a key that goes as its time is over.
func (m *Machine) loseAll(db int, n *node[entry]) {
	if n.val.lock == nil {
		return
	}
	t := &m.tx
	t.reset(m, db)
	t.lapsed([]byte(n.key), &n.val)
	t.commit()
}
