package vm

import (
	"math"
	"math/bits"
)

// Table is Lua's one structure: an array of what has the keys 1 to n, and a hash
// with chains inside its own nodes. The sizes grow, and colliding keys move, as in
// the reference implementation (ltable.c): the order of iteration and the length
// of a table with holes follow from it.
type Table struct {
	array  []Value
	nodes  []node // a power of two, or none
	free   int    // all nodes from here on are taken
	meta   *Table
	id     uint32 // stands for an address
	mark   uint32
	locked bool // scripts cannot change it
	shared bool // used by many states: locked, and charged to none
}

type node struct {
	key, val Value
	next     int32 // the chain's next node, as its index plus one
}

const (
	tableBytes = 96
	nodeBytes  = 56
	valueBytes = 24
)

// NewShared returns an empty table for a library, to be filled with [Table.Define]
// and closed with [Table.Share].
func NewShared() *Table { return &Table{} }

// Define sets a field of a library's table.
func (t *Table) Define(name string, v Value) {
	t.put(nil, Const(name), v)
}

// SetMeta gives a library's table a metatable.
func (t *Table) SetMeta(meta *Table) { t.meta = meta }

// Share locks a library's table and those within: from now on it is read by many
// states at once.
func (t *Table) Share() {
	if t.shared {
		return
	}
	t.locked, t.shared = true, true
	for _, n := range t.nodes {
		if inner := n.val.Table(); inner != nil {
			inner.Share()
		}
	}
	if t.meta != nil {
		t.meta.Share()
	}
}

// Locked reports whether scripts must not change t.
func (t *Table) Locked() bool { return t.locked }

// Meta returns the metatable or nil.
func (t *Table) Meta() *Table { return t.meta }

// Get reads a field without metamethods.
func (t *Table) Get(key Value) Value {
	switch k := key.ref.(type) {
	case nil:
		return Nil
	case number:
		return t.getNumber(key.num)
	case *String:
		return t.getString(k)
	}
	if n := t.find(key); n != nil {
		return n.val
	}
	return Nil
}

// GetInt reads t[i] without metamethods.
func (t *Table) GetInt(i int) Value {
	if uint(i-1) < uint(len(t.array)) {
		return t.array[i-1]
	}
	return t.getNumber(float64(i))
}

func (t *Table) getNumber(f float64) Value {
	if i := int(f); float64(i) == f && uint(i-1) < uint(len(t.array)) {
		return t.array[i-1]
	}
	if len(t.nodes) == 0 {
		return Nil
	}
	for i := t.hashMod(hashNumber(f)); ; {
		n := &t.nodes[i]
		if _, ok := n.key.ref.(number); ok && n.key.num == f {
			return n.val
		}
		if n.next == 0 {
			return Nil
		}
		i = int(n.next) - 1
	}
}

func (t *Table) getString(s *String) Value {
	if len(t.nodes) == 0 {
		return Nil
	}
	for i := int(s.hashing()) & (len(t.nodes) - 1); ; {
		n := &t.nodes[i]
		if k, ok := n.key.ref.(*String); ok && (k == s || k.s == s.s) {
			return n.val
		}
		if n.next == 0 {
			return Nil
		}
		i = int(n.next) - 1
	}
}

func (t *Table) hashMod(h uint32) int { return int(h % (uint32(len(t.nodes)-1) | 1)) }

// position is where a key's chain begins.
func (t *Table) position(key Value) int {
	mask := uint32(len(t.nodes) - 1)
	switch k := key.ref.(type) {
	case number:
		return t.hashMod(hashNumber(key.num))
	case *String:
		return int(k.hashing() & mask)
	case boolean:
		if k {
			return int(1 & mask)
		}
		return 0
	case *Table:
		return t.hashMod(k.id)
	case *Closure:
		return t.hashMod(k.id)
	}
	return 0
}

func (t *Table) find(key Value) *node {
	if len(t.nodes) == 0 {
		return nil
	}
	for i := t.position(key); ; {
		n := &t.nodes[i]
		if Equal(n.key, key) {
			return n
		}
		if n.next == 0 {
			return nil
		}
		i = int(n.next) - 1
	}
}

// slot returns where the value of a key is, nil if the table has no place for it.
func (t *Table) slot(key Value) *Value {
	if _, ok := key.ref.(number); ok {
		if i := int(key.num); float64(i) == key.num && uint(i-1) < uint(len(t.array)) {
			return &t.array[i-1]
		}
	}
	if n := t.find(key); n != nil {
		return &n.val
	}
	return nil
}

// put sets a field; key is neither nil nor not-a-number. The state pays for growth.
func (t *Table) put(st *State, key, val Value) {
	if p := t.slot(key); p != nil {
		*p = val
		return
	}
	t.insert(st, key, val)
}

// insert makes a place for a new key (luaH_newkey).
func (t *Table) insert(st *State, key, val Value) {
	if len(t.nodes) == 0 {
		t.rehash(st, key)
		t.put(st, key, val)
		return
	}
	at := t.position(key)
	if !t.nodes[at].val.IsNil() {
		free := -1
		for t.free > 0 {
			t.free--
			if t.nodes[t.free].key.IsNil() {
				free = t.free
				break
			}
		}
		if free < 0 {
			t.rehash(st, key)
			t.put(st, key, val)
			return
		}
		main := &t.nodes[at]
		if other := t.position(main.key); other != at {
			// The node that is there belongs to another chain: it moves.
			for int(t.nodes[other].next)-1 != at {
				other = int(t.nodes[other].next) - 1
			}
			t.nodes[other].next = int32(free) + 1
			t.nodes[free] = *main
			main.next = 0
		} else {
			t.nodes[free].next = main.next
			main.next = int32(free) + 1
			at = free
		}
	}
	t.nodes[at].key, t.nodes[at].val = key, val
}

// maxArrayBits bounds the array part.
const maxArrayBits = 26

// arrayBin is the power of two at or above a key that could be in the array, -1
// for all other keys.
func arrayBin(key Value) int {
	if _, ok := key.ref.(number); !ok {
		return -1
	}
	i := int(key.num)
	if float64(i) != key.num || i < 1 || i > 1<<maxArrayBits {
		return -1
	}
	return bits.Len(uint(i - 1))
}

// rehash finds the largest array that is more than half full, with the new key,
// and makes the hash just large enough for the rest.
func (t *Table) rehash(st *State, extra Value) {
	var bins [maxArrayBits + 1]int
	total := 1
	for i, v := range t.array {
		if !v.IsNil() {
			bins[bits.Len(uint(i))]++
			total++
		}
	}
	candidates := total - 1
	for i := range t.nodes {
		if n := &t.nodes[i]; !n.val.IsNil() {
			total++
			if b := arrayBin(n.key); b >= 0 {
				bins[b]++
				candidates++
			}
		}
	}
	if b := arrayBin(extra); b >= 0 {
		bins[b]++
		candidates++
	}
	inArray, size, below := 0, 0, 0
	for b, power := 0, 1; power/2 < candidates; b, power = b+1, power*2 {
		if b > maxArrayBits {
			break
		}
		below += bins[b]
		if below > power/2 {
			size, inArray = power, below
		}
	}
	t.resize(st, size, total-inArray)
}

// resize gives the table new parts and puts what it had into them.
func (t *Table) resize(st *State, arraySize, hashSize int) {
	hashCap := 0
	if hashSize > 0 {
		hashCap = 1 << bits.Len(uint(hashSize-1))
	}
	if st != nil {
		grown := max(arraySize-len(t.array), 0)*valueBytes + hashCap*nodeBytes
		st.Charge(grown)
		st.Spend(grown / 64)
	}
	oldArray, oldNodes := t.array, t.nodes
	t.nodes, t.free = nil, 0
	if hashCap > 0 {
		t.nodes, t.free = make([]node, hashCap), hashCap
	}
	if arraySize > len(oldArray) {
		t.array = make([]Value, arraySize)
		copy(t.array, oldArray)
	} else if arraySize < len(oldArray) {
		t.array = append(make([]Value, 0, arraySize), oldArray[:arraySize]...)
		for i := arraySize; i < len(oldArray); i++ {
			if !oldArray[i].IsNil() {
				t.put(st, Int(i+1), oldArray[i])
			}
		}
	}
	for i := len(oldNodes) - 1; i >= 0; i-- {
		if n := &oldNodes[i]; !n.val.IsNil() {
			t.put(st, n.key, n.val)
		}
	}
}

// Len is a border of the table: t[n] is there and t[n+1] is not.
func (t *Table) Len() int {
	j := len(t.array)
	if j > 0 && t.array[j-1].IsNil() {
		i := 0
		for j-i > 1 {
			if m := (i + j) / 2; t.array[m-1].IsNil() {
				j = m
			} else {
				i = m
			}
		}
		return i
	}
	if len(t.nodes) == 0 {
		return j
	}
	i := j
	j++
	for !t.GetInt(j).IsNil() {
		i = j
		j *= 2
		if j > math.MaxInt32 {
			i = 1
			for !t.GetInt(i).IsNil() {
				i++
			}
			return i - 1
		}
	}
	for j-i > 1 {
		if m := (i + j) / 2; t.GetInt(m).IsNil() {
			j = m
		} else {
			i = m
		}
	}
	return i
}

// Next returns the field after the one with the given key, the first one for nil.
// At the end key is nil; ok is false if there is no such field.
func (t *Table) Next(key Value) (k, v Value, ok bool) {
	i := 0
	if !key.IsNil() {
		if n := int(key.num); arrayBin(key) >= 0 && n <= len(t.array) {
			i = n
		} else {
			i = -1
			if len(t.nodes) > 0 {
				for at := t.position(key); at >= 0; at = int(t.nodes[at].next) - 1 {
					if Equal(t.nodes[at].key, key) {
						i = len(t.array) + at + 1
						break
					}
				}
			}
			if i < 0 {
				return Nil, Nil, false
			}
		}
	}
	for ; i < len(t.array); i++ {
		if !t.array[i].IsNil() {
			return Int(i + 1), t.array[i], true
		}
	}
	for at := i - len(t.array); at < len(t.nodes); at++ {
		if n := &t.nodes[at]; !n.val.IsNil() {
			return n.key, n.val, true
		}
	}
	return Nil, Nil, true
}

// Lock keeps scripts from changing t.
func (t *Table) Lock() { t.locked = true }
