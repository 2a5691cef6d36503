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
	lock     *lock  // of a string that LOCK.ACQUIRE has stored
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

// database is keys, and the order in which they expire. An empty one is never
// changed but replaced by the first key, so that clones need not copy it.
type database struct {
	keys *dict[entry]
	due  *btree.BTreeG[deadline]
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
	return database{newDict(h, keyWeight), btree.NewBTreeGOptions(deadline.before, btree.Options{NoLocks: true})}
}

// clone returns a copy in O(1) that may be read while ks goes on changing.
func (ks *keyspace) clone() *keyspace {
	c := *ks
	for i := range c {
		if d := &c[i]; d.keys.len() > 0 {
			*d = database{d.keys.clone(), d.due.Copy()}
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
	d.keys.set(key, e)
}

// drop removes a key that is there.
func (d *database) drop(old *node[entry]) {
	if old.val.deadline != 0 {
		d.due.Delete(deadline{old.val.deadline, old.key})
	}
	d.keys.delete([]byte(old.key))
}

// nextDeadline returns the earliest deadline and the database it is in, 0 if no
// key has one.
func (ks *keyspace) nextDeadline() (first deadline, db int) {
	for i := range ks {
		if d, ok := ks[i].due.Min(); ok && (first.at == 0 || d.at < first.at) {
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
