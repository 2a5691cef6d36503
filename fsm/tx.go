package fsm

import "phonond/redisproto/resp"

// View is what a reading command sees: one database at the machine's clock.
// Keys whose deadline has passed are not there, removed or not.
type View struct {
	m  *Machine
	db int
	tx *Tx // the command that is running, nil for a read beside the log
}

// now returns the cluster clock in ms.
func (v *View) now() int64 { return v.m.clock }

// wallNow returns the cluster's wall time in unix ms: for TIME and the absolute
// deadlines of EXPIREAT, never for deciding what has expired.
func (v *View) wallNow() int64 { return v.m.wall }

// find returns what key holds in the selected database, or nil.
func (v *View) find(key []byte) *entry { return v.findIn(v.db, key) }

// findIn returns what key holds in database db, or nil.
func (v *View) findIn(db int, key []byte) *entry {
	if v.tx != nil {
		if c := v.tx.staged(db, key); c != nil {
			if c.gone {
				return nil
			}
			return &c.entry
		}
	}
	if n := v.lookup(db, key); n != nil && !v.m.expired(&n.val) {
		return &n.val
	}
	return nil
}

// lookup returns the node of key in database db as it is before the command,
// expired or not, or nil. A command mostly changes the key that it has just
// looked at, so that is remembered.
func (v *View) lookup(db int, key []byte) *node[entry] {
	t := v.tx
	switch {
	case t == nil:
		return v.m.ks[db].keys.get(key)
	case t.flushed[db]:
		return nil
	case !t.seen.valid || t.seen.db != db || string(t.seen.key) != string(key):
		t.seen.db, t.seen.key, t.seen.valid = db, key, true
		t.seen.node = v.m.ks[db].keys.get(key)
	}
	return t.seen.node
}

// get returns the object of type T under key: its zero value when there is no
// such key, ok false when the key holds another type.
func get[T object](v *View, key []byte) (obj T, ok bool) {
	e := v.find(key)
	if e == nil {
		return obj, true
	}
	obj, ok = e.obj.(T)
	return obj, ok
}

// Tx is what a writing command sees: a view of the state with the command's own
// changes staged on top. They are committed together when the command returns,
// and dropped when it returns an error or panics: a command is all or nothing.
type Tx struct {
	View
	changes []change
	index   map[dbKey]int // finds changes once there are many
	flushed [Databases]bool
	swapped [2]int // databases that change places, if they are two
	tokens  uint64 // fencing tokens given by this command
	events  []Event
	seen    struct {
		valid bool
		db    int
		key   []byte
		node  *node[entry]
	}

	sessions []sessionChange
	told     []Told
	audits   []audit

	scripts        []loadedScript // made known to EVALSHA
	scriptsFlushed bool           // after the others were forgotten
}

type loadedScript struct{ sha, text string }

// change is what a command did to one key.
type change struct {
	dbKey
	old   *node[entry] // what the state has, expired or not
	gone  bool
	entry entry
}

type dbKey struct {
	db  int
	key string
}

// fewChanges is the number up to which a list is searched faster than a map.
const fewChanges = 8

func (t *Tx) reset(m *Machine, db int) {
	t.View = View{m: m, db: db, tx: t}
	clear(t.changes)
	t.changes = t.changes[:0]
	t.index = nil
	t.swapped = [2]int{}
	t.flushed = [Databases]bool{}
	t.tokens, t.events = 0, nil
	t.scripts, t.scriptsFlushed = nil, false
	t.sessions, t.told, t.audits = nil, nil, nil
	t.seen.valid, t.seen.node = false, nil
}

func (t *Tx) staged(db int, key []byte) *change {
	if t.index != nil {
		if i, ok := t.index[dbKey{db, string(key)}]; ok {
			return &t.changes[i]
		}
		return nil
	}
	for i := range t.changes {
		if c := &t.changes[i]; c.db == db && c.key == string(key) {
			return c
		}
	}
	return nil
}

func (t *Tx) stage(db int, key []byte, gone bool, e entry) {
	if c := t.staged(db, key); c != nil {
		c.gone, c.entry = gone, e
		return
	}
	old := t.lookup(db, key)
	name := ""
	if old != nil {
		name = old.key
	} else {
		name = string(key)
	}
	t.changes = append(t.changes, change{dbKey{db, name}, old, gone, e})
	if len(t.changes) <= fewChanges {
		return
	}
	if t.index == nil {
		t.index = make(map[dbKey]int, 4*fewChanges)
		for i, c := range t.changes {
			t.index[c.dbKey] = i
		}
	}
	t.index[dbKey{db, name}] = len(t.changes) - 1
}

// putIn stores e under key in database db. A key that is not there gets a new
// fencing token, one that is there keeps its own. A lock does not outlast it; references
// do, which are held by fields of the hash.
func (t *Tx) putIn(db int, key []byte, e entry) {
	e.lock = nil
	if old := t.findIn(db, key); old != nil {
		e.token = old.token
		t.dispossess(db, key, old)
		if old.lock != nil && old.lock.mode == references && e.obj != nil && e.obj.kind() == kindHash {
			e.lock = old.lock
		}
	} else {
		t.notifyNew(db, key)
		t.tokens++
		e.token = t.m.token(t.tokens)
	}
	t.stage(db, key, false, e)
}

// setString stores a string with the given deadline, 0 for none.
func (t *Tx) setString(key []byte, s string, deadline int64) {
	t.putIn(t.db, key, entry{str: s, deadline: deadline})
	t.notify(EventString, "set", key)
}

// setObject stores an object under key, which keeps its deadline if it has one, and
// tells of the event. An empty object removes the key.
func (t *Tx) setObject(key []byte, o object, event string) {
	class := o.kind().events()
	if o.len() == 0 {
		t.notify(class, event, key)
		t.delete(key)
		return
	}
	e := entry{obj: o}
	if old := t.find(key); old != nil {
		e.deadline = old.deadline
	}
	t.putIn(t.db, key, e)
	t.notify(class, event, key)
}

// replaceObject stores an object under key, whatever it held, without a deadline,
// and tells of the event. An empty object removes the key.
func (t *Tx) replaceObject(key []byte, o object, event string) {
	if o.len() == 0 {
		t.delete(key)
		return
	}
	t.putIn(t.db, key, entry{obj: o})
	t.notify(o.kind().events(), event, key)
}

// setDeadline changes when a key that is there expires, 0 for never. A deadline
// that has passed removes the key.
func (t *Tx) setDeadline(key []byte, at int64) {
	e := t.find(key)
	if e == nil {
		return
	}
	if at != 0 && at <= t.now() {
		t.delete(key)
		return
	}
	changed := *e
	changed.deadline = at
	if e.lock != nil && e.obj == nil {
		changed.lock = e.lock.endAt(at)
		changed.deadline = changed.lock.free(t.now())
	}
	t.stage(t.db, key, false, changed)
	switch {
	case at != 0:
		t.notify(EventGeneric, "expire", key)
	case e.deadline != 0:
		t.notify(EventGeneric, "persist", key)
	}
}

// delete removes key and reports whether it was there.
func (t *Tx) delete(key []byte) bool {
	deleted := t.deleteIn(t.db, key)
	if deleted {
		t.notify(EventGeneric, "del", key)
	}
	return deleted
}

// deleteIn removes key from database db, of which it tells nobody, and reports
// whether it was there.
func (t *Tx) deleteIn(db int, key []byte) bool {
	e := t.findIn(db, key)
	if e == nil {
		return false
	}
	t.dispossess(db, key, e)
	t.stage(db, key, true, entry{})
	return true
}

// dispossess tells of the holders of a lock or semaphore that another command, such as DEL
// or SET, replaces or removes.
func (t *Tx) dispossess(db int, key []byte, e *entry) {
	if e.lock == nil || e.obj != nil {
		return
	}
	back := t.db
	t.db = db
	for i := range e.lock.holders {
		if h := &e.lock.holders[i]; h.until == 0 || h.until >= t.now() {
			t.tell(forced, key, h, "by another command")
			t.took(h.session)
		}
	}
	t.db = back
}

// flush removes every key of database db.
func (t *Tx) flush(db int) {
	t.flushed[db] = true
	t.m.ks[db].owned.sessions(t.took)
	kept := t.changes[:0]
	for _, c := range t.changes {
		if c.db != db {
			kept = append(kept, c)
		}
	}
	t.changes = kept
	t.index = nil
	t.seen.valid = false
}

// loadScript makes a script known to EVALSHA.
func (t *Tx) loadScript(sha string, text []byte) {
	if !t.hasScript(sha) {
		t.scripts = append(t.scripts, loadedScript{sha, string(text)})
	}
}

// flushScripts makes EVALSHA forget all scripts.
func (t *Tx) flushScripts() { t.scripts, t.scriptsFlushed = nil, true }

// keepScripts drops what was staged but for scripts: EVALSHA knows one that EVAL has
// run, whatever came of it.
func (t *Tx) keepScripts() {
	clear(t.changes)
	t.changes, t.index, t.flushed, t.tokens, t.events = t.changes[:0], nil, [Databases]bool{}, 0, nil
	t.sessions, t.told, t.audits = nil, nil, nil
}

// commit makes the staged changes part of the state and of the digest.
func (t *Tx) commit() {
	m := t.m
	if a, b := t.swapped[0], t.swapped[1]; a != b {
		m.swapDBs(a, b)
	}
	for db, flushed := range t.flushed {
		if flushed {
			m.flushDB(db)
		}
	}
	for i := range t.changes {
		c := &t.changes[i]
		d := &m.ks[c.db]
		m.version++
		if c.gone {
			if c.old != nil {
				m.bury(c.db, c.key)
				d.drop(c.old)
			}
			m.sum.deleted(c.db, c.key)
			m.changed(c.db, c.key, true)
			continue
		}
		c.entry.version = m.version
		d.put(c.key, c.old, c.entry)
		m.sum.stored(c.db, c.key, &c.entry)
		m.changed(c.db, c.key, false)
	}
	t.commitSessions()
	m.journal.add(t.told)
	m.audit(t.audits)
	m.counter += t.tokens
	m.events = append(m.events, t.events...)
	if t.scriptsFlushed {
		m.scripts = newScripts(m.hasher())
		m.sum.scriptsFlushed()
	}
	for _, s := range t.scripts {
		m.scripts.add(s.sha, s.text)
		m.sum.scriptLoaded(s.sha)
	}
}

func (m *Machine) changed(db int, key string, gone bool) {
	if m.cfg.Changed != nil {
		m.cfg.Changed(db, key, gone)
	}
}

// run executes a command that was found in the table. A panic is a defect: it
// becomes the same error on every replica, with nothing applied, instead of
// stopping them all at this entry for ever.
func (m *Machine) run(cmd *Command, db int, args [][]byte) (reply resp.Value) {
	if !cmd.ArityOK(len(args)) {
		return resp.ErrArity(cmd.Name)
	}
	t := &m.tx
	t.reset(m, db)
	defer func() {
		if p := recover(); p != nil {
			m.onPanic(cmd.Name, p)
			reply = resp.ErrInternal
		}
	}()
	if cmd.Write == nil {
		return cmd.Read(&t.View, args)
	}
	if reply = cmd.Write(t, args); reply.IsError() {
		t.keepScripts()
	}
	t.commit()
	return reply
}
