// Package route knows which group owns a key and how a command gets there: to
// the group here, or to its leader's node. The node's RESP backend calls it; it
// never answers a client with a redirection, and holds no state of keys.
package route

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"phonond/cluster/placement"
)

// MaxRules is the most placement rules a table has: they are tried one after the
// other for every command.
const MaxRules = 256

// ErrTable is returned when slot ranges or rules cannot make a table.
var ErrTable = errors.New("route: invalid slot table")

// Tag returns the part of a key that decides where the key lives; keys with equal
// tags live in one group. It is, in this order:
//
//  1. the text between the first '{' and the next '}', if there is any, exactly as
//     in Redis Cluster;
//  2. the resource R, for the keys phonon keeps beside a resource:
//     phonon_R.nodelist, phonon_R.refcount, phonon_R.times_modified,
//     phonon_R.reflist, phonon_R.completions, and R.lock;
//  3. the key itself, which is what phonon's payload key R is.
//
// The prefix phonon_ is taken off once, and not from a lock's key: phonon's own
// resources may be named phonon_..., and their locks phonon_....lock. Where R
// would be empty, the key itself is the tag.
//
// The result is a part of key, not a copy.
func Tag(key []byte) []byte {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if n := bytes.IndexByte(key[open+1:], '}'); n > 0 {
			return key[open+1 : open+1+n]
		}
	}
	if resource, ok := resource(key); ok && len(resource) > 0 {
		return resource
	}
	return key
}

// resource returns R of a key that phonon keeps beside R.
func resource(key []byte) ([]byte, bool) {
	dot := bytes.LastIndexByte(key, '.')
	if dot < 0 {
		return nil, false
	}
	switch string(key[dot:]) { // the compiler makes no copy for this
	case ".lock":
		return key[:dot], true
	case ".nodelist", ".refcount", ".times_modified", ".reflist", ".completions":
		const prefix = "phonon_"
		if dot >= len(prefix) && string(key[:len(prefix)]) == prefix {
			return key[len(prefix):dot], true
		}
	}
	return nil, false
}

// Slot returns the slot of a key: CRC16(Tag(key)) mod 16384. For keys that are
// not of phonon's shapes it is what CLUSTER KEYSLOT says in Redis.
func Slot(key []byte) uint16 { return slotOf(Tag(key)) }

func slotOf(tag []byte) uint16 { return crc16(tag) % placement.SlotCount }

// crc16 is CRC-16/XMODEM: polynomial 0x1021, start 0, nothing reflected
// (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
func crc16(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^c]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		table[i] = crc
	}
	return table
}()

// Rules are placement rules, longest prefix first.
//
// A rule looks at a key's tag, not at the key, so that all keys of a resource go
// the same way: "eu:" takes eu:User.1, phonon_eu:User.1.nodelist and
// eu:User.1.lock alike, and a multi-key command on them stays in one group. It
// also means that eu:{x} is not taken by it: whoever writes braces says that the
// text between them decides.
type Rules []placement.Rule

// region returns the region of the longest prefix that fits the tag.
func (rs Rules) region(tag []byte) (string, bool) {
	for _, r := range rs {
		if len(tag) >= len(r.Prefix) && string(tag[:len(r.Prefix)]) == r.Prefix {
			return r.Region, true
		}
	}
	return "", false
}

// Table says which region's group owns a key. It is immutable and safe for use
// by many goroutines; a change is a new table with a higher epoch.
type Table struct {
	epoch  uint64
	ranges []placement.Range // by slot, without gaps
	rules  Rules
}

// NewTable makes a table. The ranges, in any order, must cover all slots, none
// twice; prefixes must be different and not empty. Errors wrap ErrTable.
func NewTable(epoch uint64, ranges []placement.Range, rules []placement.Rule) (*Table, error) {
	t := &Table{epoch: epoch, ranges: slices.Clone(ranges), rules: slices.Clone(rules)}
	slices.SortFunc(t.ranges, func(a, b placement.Range) int { return cmp.Compare(a.First, b.First) })
	next := 0
	for _, r := range t.ranges {
		switch {
		case r.Region == "":
			return nil, fmt.Errorf("%w: slots %d-%d have no region", ErrTable, r.First, r.Last)
		case int(r.First) != next || r.Last < r.First:
			return nil, fmt.Errorf("%w: after slot %d comes the range %d-%d", ErrTable, next-1, r.First, r.Last)
		}
		next = int(r.Last) + 1
	}
	if next != placement.SlotCount {
		return nil, fmt.Errorf("%w: the ranges end with slot %d, the last slot is %d", ErrTable, next-1, placement.SlotCount-1)
	}
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%w: %d rules, at most %d are supported", ErrTable, len(rules), MaxRules)
	}
	slices.SortFunc(t.rules, func(a, b placement.Rule) int {
		return cmp.Or(cmp.Compare(len(b.Prefix), len(a.Prefix)), cmp.Compare(a.Prefix, b.Prefix))
	})
	for i, r := range t.rules {
		switch {
		case r.Prefix == "" || r.Region == "":
			return nil, fmt.Errorf("%w: the rule %q -> %q lacks a prefix or a region", ErrTable, r.Prefix, r.Region)
		case i > 0 && r.Prefix == t.rules[i-1].Prefix:
			return nil, fmt.Errorf("%w: two rules for %q", ErrTable, r.Prefix)
		}
	}
	return t, nil
}

// Region returns the region whose group owns the key.
func (t *Table) Region(key []byte) string {
	tag := Tag(key)
	if region, ok := t.rules.region(tag); ok {
		return region
	}
	return t.Owner(slotOf(tag))
}

// Owner returns the region that a slot below [placement.SlotCount] belongs to. A
// key of the slot may live elsewhere by a rule.
func (t *Table) Owner(slot uint16) string {
	i, _ := slices.BinarySearchFunc(t.ranges, slot, func(r placement.Range, slot uint16) int {
		return cmp.Compare(r.Last, slot)
	})
	return t.ranges[i].Region
}

// Epoch counts the changes of the table.
func (t *Table) Epoch() uint64 { return t.epoch }

// Ranges returns a copy of the slot ranges, in order.
func (t *Table) Ranges() []placement.Range { return slices.Clone(t.ranges) }

// Rules returns a copy of the placement rules, longest prefix first.
func (t *Table) Rules() Rules { return slices.Clone(t.rules) }
