package fsm

import "github.com/tidwall/btree"

// Databases is the number of databases that SELECT can choose from.
const Databases = 16

// entry is what a key holds, with what the machine knows about it. It is
// immutable: a command replaces it.
type entry struct {
	str      string // the value when obj is nil
	obj      object // a hash, list, set or sorted set
	deadline int64  // ms of the cluster clock at which the key is gone, 0 for never
	version  uint64 // grows with every change of the key
	token    uint64 // fencing token: given when the key came to be
}

// object is a value that is not a string. Objects are copy-on-write: whoever
// changes one changes a clone and stores that.
type object interface {
	kind() kind
	len() int
	// encode writes the elements, whose number has been written, to a snapshot.
	encode(e *encoder)
}

// kind is the type of a value, as TYPE prints it and as snapshots number it.
type kind byte

const (
	kindString kind = iota
	kindList
	kindSet
	kindZSet
	kindHash
)

func (k kind) String() string {
	return [...]string{"string", "list", "set", "zset", "hash"}[k]
}

func (e *entry) kind() kind {
	if e.obj == nil {
		return kindString
	}
	return e.obj.kind()
}

// keyspace is the databases and the order in which their keys expire.
type keyspace struct {
	dbs [Databases]*dict[entry]
	due *btree.BTreeG[deadline]
}

// deadline is one key that will expire.
type deadline struct {
	at  int64
	db  int
	key string
}

func (a deadline) before(b deadline) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	if a.db != b.db {
		return a.db < b.db
	}
	return a.key < b.key
}

func newKeyspace(h hasher) *keyspace {
	ks := &keyspace{due: btree.NewBTreeGOptions(deadline.before, btree.Options{NoLocks: true})}
	for i := range ks.dbs {
		ks.dbs[i] = newDict[entry](h)
	}
	return ks
}

// clone returns a copy in O(1) that may be read while ks goes on changing.
func (ks *keyspace) clone() *keyspace {
	c := &keyspace{due: ks.due.Copy()}
	for i, d := range ks.dbs {
		c.dbs[i] = d.clone()
	}
	return c
}

// put stores e and keeps the order of deadlines.
func (ks *keyspace) put(db int, key string, old *node[entry], e entry) {
	if old != nil && old.val.deadline != 0 && old.val.deadline != e.deadline {
		ks.due.Delete(deadline{old.val.deadline, db, key})
	}
	if e.deadline != 0 && (old == nil || old.val.deadline != e.deadline) {
		ks.due.Set(deadline{e.deadline, db, key})
	}
	ks.dbs[db].set(key, e)
}

// drop removes a key that is there.
func (ks *keyspace) drop(db int, old *node[entry]) {
	if old.val.deadline != 0 {
		ks.due.Delete(deadline{old.val.deadline, db, old.key})
	}
	ks.dbs[db].delete([]byte(old.key))
}

// nextDeadline returns the earliest deadline, 0 if no key has one.
func (ks *keyspace) nextDeadline() int64 {
	d, ok := ks.due.Min()
	if !ok {
		return 0
	}
	return d.at
}

// dueIn counts the keys of a database whose deadline has passed but which have
// not been removed yet.
func (ks *keyspace) dueIn(db int, now int64) int {
	n := 0
	ks.due.Scan(func(d deadline) bool {
		if d.at > now {
			return false
		}
		if d.db == db {
			n++
		}
		return true
	})
	return n
}
