package fsm

import (
	"slices"
	"strings"

	"github.com/dchest/siphash"
	"github.com/tidwall/btree"
)

// CursorBits is the width of a scan cursor inside one machine: the hash by which
// entries are ordered. The bits above are left to whoever scans several machines,
// such as the groups of a cluster, with one 64-bit cursor.
const CursorBits = 48

// hasher places strings in dicts. Its key is the same on every replica and
// unknown to clients, who therefore cannot choose keys that collide.
type hasher struct{ k0, k1 uint64 }

func (h hasher) sum(key []byte) uint64 {
	return siphash.Hash(h.k0, h.k1, key) >> (64 - CursorBits)
}

// dict is a copy-on-write map from strings, ordered by their hashes: the key
// space of a database, the fields of a hash, the members of a set. The order
// makes a scan stateless (its cursor is the next hash) and the same on every
// replica; [dict.clone] costs O(1), whatever the size.
//
// A dict has one writer. Clones may be read beside it.
type dict[V any] struct {
	hash hasher
	n    int
	tree btree.Map[uint64, *node[V]]
}

// node is an entry, and the head of those with an equal hash, which are sorted
// by key. Nodes are immutable: clones share them.
type node[V any] struct {
	key  string
	val  V
	next *node[V]
}

func newDict[V any](h hasher) *dict[V] { return &dict[V]{hash: h} }

// newElements returns an empty dict for the elements of a value, which is cloned
// by each command that changes it.
func newElements[V any](h hasher) *dict[V] {
	return &dict[V]{hash: h, tree: *btree.NewMap[uint64, *node[V]](elementsDegree)}
}

// elementsDegree is the degree of the trees in values. A change after a clone
// copies a node at each level, so these nodes are smaller than those of the key
// space, whose default is 32.
const elementsDegree = 8

func (d *dict[V]) len() int { return d.n }

// clone returns a copy that shares everything with d until one of them changes.
func (d *dict[V]) clone() *dict[V] {
	return &dict[V]{hash: d.hash, n: d.n, tree: *d.tree.Copy()}
}

// edit returns a copy to be changed of a dict that will not be changed any more: it
// leaves no mark in d, so that several may edit the same value at once.
func (d *dict[V]) edit() *dict[V] {
	tree := d.tree
	return &dict[V]{hash: d.hash, n: d.n, tree: *tree.Copy()}
}

// get returns the entry of key, or nil.
func (d *dict[V]) get(key []byte) *node[V] {
	n, _ := d.tree.Get(d.hash.sum(key))
	for n != nil && n.key != string(key) {
		n = n.next
	}
	return n
}

// has reports whether key is there.
func (d *dict[V]) has(key []byte) bool { return d.get(key) != nil }

// set stores val under key and reports whether the key is new.
func (d *dict[V]) set(key string, val V) bool {
	h := d.hash.sum([]byte(key))
	prev, replaced := d.tree.Set(h, &node[V]{key: key, val: val})
	added := !replaced
	if replaced && (prev.key != key || prev.next != nil) {
		var chain *node[V]
		chain, added = insert(prev, key, val)
		d.tree.Set(h, chain)
	}
	if added {
		d.n++
	}
	return added
}

func insert[V any](n *node[V], key string, val V) (*node[V], bool) {
	if n == nil || key < n.key {
		return &node[V]{key, val, n}, true
	}
	if n.key == key {
		return &node[V]{key, val, n.next}, false
	}
	next, added := insert(n.next, key, val)
	return &node[V]{n.key, n.val, next}, added
}

// delete removes key and reports whether it was there.
func (d *dict[V]) delete(key []byte) bool {
	h := d.hash.sum(key)
	head, ok := d.tree.Get(h)
	if !ok {
		return false
	}
	chain, removed := remove(head, string(key))
	if !removed {
		return false
	}
	if chain == nil {
		d.tree.Delete(h)
	} else {
		d.tree.Set(h, chain)
	}
	d.n--
	return true
}

func remove[V any](n *node[V], key string) (*node[V], bool) {
	if n == nil {
		return nil, false
	}
	if n.key == key {
		return n.next, true
	}
	next, removed := remove(n.next, key)
	if !removed {
		return n, false
	}
	return &node[V]{n.key, n.val, next}, true
}

// each calls f for every entry in order until it returns false.
func (d *dict[V]) each(f func(key string, val V) bool) {
	d.tree.Scan(func(_ uint64, n *node[V]) bool { return visit(n, f) })
}

func visit[V any](n *node[V], f func(string, V) bool) bool {
	for ; n != nil; n = n.next {
		if !f(n.key, n.val) {
			return false
		}
	}
	return true
}

// listed returns all entries in the given order, or in their own if it is nil. Redis
// lists what it keeps packed in an order that one can see, such as integers by value,
// and who has seen it for small values may have come to expect it.
func (d *dict[V]) listed(order func(a, b *node[V]) int) []*node[V] {
	list := make([]*node[V], 0, d.n)
	d.tree.Scan(func(_ uint64, n *node[V]) bool {
		for ; n != nil; n = n.next {
			list = append(list, n)
		}
		return true
	})
	if order != nil {
		slices.SortFunc(list, order)
	}
	return list
}

// byName is an order of entries.
func byName[V any](a, b *node[V]) int { return strings.Compare(a.key, b.key) }

// scan calls f for at least count entries from cursor on, if there are as many,
// and returns the cursor to go on with, 0 at the end. An entry that is there
// from a scan's start to its end is visited; entries with equal hashes are
// visited together, so that none is passed over.
func (d *dict[V]) scan(cursor uint64, count int, f func(key string, val V)) uint64 {
	next, seen := uint64(0), 0
	d.tree.Ascend(cursor, func(h uint64, n *node[V]) bool {
		if seen >= count {
			next = h
			return false
		}
		for ; n != nil; n = n.next {
			f(n.key, n.val)
			seen++
		}
		return true
	})
	return next
}

// at returns an entry chosen by r, any number. Every hash is as likely as any
// other. The dict must not be empty.
func (d *dict[V]) at(r uint64) *node[V] {
	_, n, _ := d.tree.GetAt(int(r % uint64(d.tree.Len())))
	return n
}

// load appends an entry, as a snapshot lists them, and reports whether it does come
// after all others; otherwise nothing changes.
func (d *dict[V]) load(key string, val V) bool {
	h := d.hash.sum([]byte(key))
	last, head, some := d.tree.Max()
	switch {
	case !some || h > last:
		d.tree.Load(h, &node[V]{key: key, val: val})
	case h == last && head.end().key < key:
		chain, _ := insert(head, key, val)
		d.tree.Set(h, chain)
	default:
		return false
	}
	d.n++
	return true
}

// end returns the last node of a chain.
func (n *node[V]) end() *node[V] {
	for n.next != nil {
		n = n.next
	}
	return n
}
