package fsm

import (
	"strings"

	"github.com/tidwall/btree"
)

// owned finds the keys of a database under which a session holds anything, and under the
// empty name completions that nobody executes. It follows from the keys, and is in no
// snapshot.
type owned struct{ tree *btree.BTreeG[ownedKey] }

type ownedKey struct{ session, key string }

func newOwned() owned {
	before := func(a, b ownedKey) bool {
		if c := strings.Compare(a.session, b.session); c != 0 {
			return c < 0
		}
		return a.key < b.key
	}
	return owned{btree.NewBTreeGOptions(before, btree.Options{NoLocks: true})}
}

func (o owned) clone() owned { return owned{o.tree.Copy()} }

// each calls f for the keys of a session, in order.
func (o owned) each(session string, f func(key string)) {
	o.tree.Ascend(ownedKey{session, ""}, func(k ownedKey) bool {
		if k.session != session {
			return false
		}
		f(k.key)
		return true
	})
}

// sessions calls f for each session that holds anything.
func (o owned) sessions(f func(session string)) {
	last := ""
	o.tree.Scan(func(k ownedKey) bool {
		if k.session != last {
			f(k.session)
			last = k.session
		}
		return true
	})
}

// replace notes that a key holds e in the place of old. Either may be nil.
func (o owned) replace(key string, old, e *entry) {
	if old != nil && old.lock != nil {
		old.lock.owners(func(session string) { o.tree.Delete(ownedKey{session, key}) })
	}
	if e != nil && e.lock != nil {
		e.lock.owners(func(session string) { o.tree.Set(ownedKey{session, key}) })
	}
}

// owners calls f for the sessions of all holders, some perhaps twice.
func (l *lock) owners(f func(session string)) {
	for i := range l.holders {
		if s := l.holders[i].session; s != "" {
			f(s)
		}
	}
	if l.mode == completions && len(l.holders) == 0 {
		f("")
	}
}

// lapse is the cluster clock at which the first of several holders loses what it holds,
// 0 if that is no earlier than the key goes.
func (e *entry) lapse() int64 {
	if e.lock == nil {
		return 0
	}
	first := int64(0)
	for i := range e.lock.holders {
		if at := e.lock.holders[i].until; at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	if first != 0 && e.deadline != 0 && first >= e.deadline {
		return 0
	}
	return first
}
