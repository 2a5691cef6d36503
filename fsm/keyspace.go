package fsm

import (
	"sort"

	"github.com/tidwall/btree"
)

// Databases is the number of databases that SELECT can choose from.
const Databases = 16

// entry is what a key holds, with what the machine knows about it. It is
// immutable: a command replaces it.
type entry struct {
	str      string // the value when obj is nil
	obj      object // a hash, list, set or sorted set
	lock     *lock  // who holds it, if that is known
	deadline int64  // ms of the cluster clock at which the key is gone, 0 for never
	version  uint64 // grows with every change of the key
	token    uint64 // fencing token: given when the key came to be
}

// object is a value that is not a string. Objects are copy-on-write: whoever
// changes one changes a clone and stores that.
type object interface {
	kind() kind
	len() int
	// bytes is about how much memory it takes.
	bytes() int64
	// encode writes the elements, whose number has been written, to a snapshot.
	encode(e *encoder)
	// encoding is what OBJECT ENCODING says of it.
	encoding() string
}

// kind is the type of a value, as snapshots number it.
type kind byte

const (
	kindString kind = iota
	kindList
	kindSet
	kindZSet
	kindHash
)

// String returns the name that TYPE prints.
func (k kind) String() string {
	return [...]string{"string", "list", "set", "zset", "hash"}[k]
}

func (e *entry) kind() kind {
	if e.obj == nil {
		return kindString
	}
	return e.obj.kind()
}

// keyspace is the databases.
type keyspace [Databases]database

// database is keys, the order in which they expire and in which holders lose them, and
// what sessions hold. An empty one is never changed but replaced by the first key, so that
// clones need not copy it.
type database struct {
	keys   *dict[entry]
	due    *btree.BTreeG[deadline]
	lapses *btree.BTreeG[deadline]
	owned  owned
}

// deadline is one key that will expire.
type deadline struct {
	at  int64
	key string
}

func (a deadline) before(b deadline) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.key < b.key
}

func newKeyspace(h hasher) *keyspace {
	ks, empty := &keyspace{}, newDatabase(h)
	for i := range ks {
		ks[i] = empty
	}
	return ks
}

func newDatabase(h hasher) database {
	return database{newDict(h, keyWeight), newDeadlines(), newDeadlines(), newOwned()}
}

func newDeadlines() *btree.BTreeG[deadline] {
	return btree.NewBTreeGOptions(deadline.before, btree.Options{NoLocks: true})
}

// clone returns a copy in O(1) that may be read while ks goes on changing.
func (ks *keyspace) clone() *keyspace {
	c := *ks
	for i := range c {
		if d := &c[i]; d.keys.len() > 0 {
			*d = database{d.keys.clone(), d.due.Copy(), d.lapses.Copy(), d.owned.clone()}
		}
	}
	return &c
}

// own makes an empty database one that may be changed.
func (d *database) own() {
	if d.keys.len() == 0 {
		*d = newDatabase(d.keys.hash)
	}
}

// put stores e in the place of old, which is nil if the key is new, and keeps
// the order of deadlines.
func (d *database) put(key string, old *node[entry], e entry) {
	d.own()
	if old != nil && old.val.deadline != 0 && old.val.deadline != e.deadline {
		d.due.Delete(deadline{old.val.deadline, old.key})
	}
	if e.deadline != 0 && (old == nil || old.val.deadline != e.deadline) {
		d.due.Set(deadline{e.deadline, key})
	}
	d.hold(key, old, &e)
	d.keys.set(key, e)
}

// drop removes a key that is there.
func (d *database) drop(old *node[entry]) {
	if old.val.deadline != 0 {
		d.due.Delete(deadline{old.val.deadline, old.key})
	}
	d.hold(old.key, old, nil)
	d.keys.delete([]byte(old.key))
}

// hold notes who holds e in the place of old. Either may be nil.
func (d *database) hold(key string, old *node[entry], e *entry) {
	var was *entry
	if old != nil {
		was = &old.val
	}
	if (was == nil || was.lock == nil) && (e == nil || e.lock == nil) {
		return
	}
	if was != nil {
		if at := was.lapse(); at != 0 {
			d.lapses.Delete(deadline{at, key})
		}
	}
	if e != nil {
		if at := e.lapse(); at != 0 {
			d.lapses.Set(deadline{at, key})
		}
	}
	d.owned.replace(key, was, e)
}

// nextDeadline returns the earliest deadline and the database it is in, 0 if no
// key has one.
func (ks *keyspace) nextDeadline() (first deadline, db int) {
	return ks.first(func(d *database) *btree.BTreeG[deadline] { return d.due })
}

// nextLapse returns when and where the next of several holders loses a key.
func (ks *keyspace) nextLapse() (first deadline, db int) {
	return ks.first(func(d *database) *btree.BTreeG[deadline] { return d.lapses })
}

func (ks *keyspace) first(of func(*database) *btree.BTreeG[deadline]) (first deadline, db int) {
	for i := range ks {
		if d, ok := of(&ks[i]).Min(); ok && (first.at == 0 || d.at < first.at) {
			first, db = d, i
		}
	}
	return first, db
}

// expired counts the keys whose deadline has passed but which have not been
// removed yet.
func (d *database) expired(now int64) int {
	if first, ok := d.due.Min(); !ok || first.at >= now {
		return 0
	}
	return sort.Search(d.due.Len(), func(i int) bool {
		next, _ := d.due.GetAt(i)
		return next.at >= now
	})
}
