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
	hash   hasher
	weight func(*node[V]) int64 // what a node takes in memory, in bytes
	n      int
	bytes  int64 // what all of them take
	tree   btree.Map[uint64, *node[V]]
}

// node is an entry, and the head of those with an equal hash, which are sorted
// by key. Nodes are immutable: clones share them.
type node[V any] struct {
	key  string
	val  V
	next *node[V]
}

func newDict[V any](h hasher, weight func(*node[V]) int64) *dict[V] {
	return &dict[V]{hash: h, weight: weight}
}

// newElements returns an empty dict for the elements of a value, which is cloned
// by each command that changes it.
func newElements[V any](h hasher, weight func(*node[V]) int64) *dict[V] {
	return &dict[V]{hash: h, weight: weight, tree: *btree.NewMap[uint64, *node[V]](elementsDegree)}
}

// elementsDegree is the degree of the trees in values. A change after a clone
// copies a node at each level, so these nodes are smaller than those of the key
// space, whose default is 32.
const elementsDegree = 8

func (d *dict[V]) len() int { return d.n }

// clone returns a copy that shares everything with d until one of them changes.
func (d *dict[V]) clone() *dict[V] {
	c := *d
	c.tree = *d.tree.Copy()
	return &c
}

// edit returns a copy to be changed of a dict that will not be changed any more: it
// leaves no mark in d, so that several may edit the same value at once.
func (d *dict[V]) edit() *dict[V] {
	c := *d
	c.tree = *c.tree.Copy()
	return &c
}

// get returns the entry of key, or nil.
func (d *dict[V]) get(key []byte) *node[V] {
	n, _ := d.tree.Get(d.hash.sum(key))
	for n != nil && n.key != string(key) { // not find, for which key would be copied
		n = n.next
	}
	return n
}

// find returns the entry of key in a chain, or nil.
func (n *node[V]) find(key string) *node[V] {
	for n != nil && n.key != key {
		n = n.next
	}
	return n
}

// has reports whether key is there.
func (d *dict[V]) has(key []byte) bool { return d.get(key) != nil }

// set stores val under key and reports whether the key is new.
func (d *dict[V]) set(key string, val V) bool {
	h := d.hash.sum([]byte(key))
	n := &node[V]{key: key, val: val}
	prev, _ := d.tree.Set(h, n)
	old := prev.find(key)
	if prev != nil && (old == nil || prev.next != nil) {
		d.tree.Set(h, insert(prev, key, val))
	}
	d.bytes += d.weight(n)
	if old == nil {
		d.n++
		return true
	}
	d.bytes -= d.weight(old)
	return false
}

func insert[V any](n *node[V], key string, val V) *node[V] {
	if n == nil || key < n.key {
		return &node[V]{key, val, n}
	}
	if n.key == key {
		return &node[V]{key, val, n.next}
	}
	return &node[V]{n.key, n.val, insert(n.next, key, val)}
}

// delete removes key and reports whether it was there.
func (d *dict[V]) delete(key []byte) bool {
	h := d.hash.sum(key)
	head, _ := d.tree.Get(h)
	old := head.find(string(key))
	if old == nil {
		return false
	}
	if chain := remove(head, old); chain == nil {
		d.tree.Delete(h)
	} else {
		d.tree.Set(h, chain)
	}
	d.n--
	d.bytes -= d.weight(old)
	return true
}

// remove returns the chain without old, which is in it.
func remove[V any](n, old *node[V]) *node[V] {
	if n == old {
		return n.next
	}
	return &node[V]{n.key, n.val, remove(n.next, old)}
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
	n := &node[V]{key: key, val: val}
	last, head, some := d.tree.Max()
	switch {
	case !some || h > last:
		d.tree.Load(h, n)
	case h == last && head.end().key < key:
		d.tree.Set(h, insert(head, key, val))
	default:
		return false
	}
	d.n++
	d.bytes += d.weight(n)
	return true
}

// end returns the last node of a chain.
func (n *node[V]) end() *node[V] {
	for n.next != nil {
		n = n.next
	}
	return n
}
