package simdisk

import (
	"encoding/binary"

	"github.com/hashicorp/raft"
)

// Observer is told of every write that is on the disk for good: also of one that
// was there when the power failed, or that returned an error and was done all the
// same. The calls come in the order of the writes, before the writer knows and with
// the disk locked: they must be quick and must not use the disk. Of a write at which
// the store itself failed it is told when the storage is opened again; of what
// opening changes it is not told.
type Observer interface {
	// Stored: entries were appended. They belong to raft and are not to be changed.
	Stored(group string, logs []*raft.Log)
	// Deleted: the entries of an index from from to to, if there were any, are gone.
	Deleted(group string, from, to uint64)
	// Termed: the replica has seen a term.
	Termed(group string, term uint64)
	// Voted: the replica votes for a candidate in a term.
	Voted(group string, term uint64, candidate []byte)
	// Kept: a snapshot of everything up to an index is complete.
	Kept(group string, index, term uint64)
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Stored(string, []*raft.Log)     {}
func (nobody) Deleted(string, uint64, uint64) {}
func (nobody) Termed(string, uint64)          {}
func (nobody) Voted(string, uint64, []byte)   {}
func (nobody) Kept(string, uint64, uint64)    {}

// The keys of the stable store, of raft and of package group, that an observer is
// told about.
const (
	keyTerm = "CurrentTerm"
	keyVote = "PhononVote" // eight bytes of term, then the candidate
	// Raft's own two for a vote, which package group puts into one. What they say
	// between one write and the other counts as a vote.
	keyVoteTerm = "LastVoteTerm"
	keyVoteCand = "LastVoteCand"
)

// tellSet tells an observer of a key that was set.
func (v *volume) tellSet(o Observer, key, value []byte) {
	switch string(key) {
	case keyVote:
		if len(value) >= 8 {
			o.Voted(v.group, binary.BigEndian.Uint64(value), value[8:])
		}
	case keyVoteCand:
		v.halves.candidate = value
		o.Voted(v.group, v.halves.term, value)
	}
}

// tellSetUint64 tells an observer of a key that was set to a number.
func (v *volume) tellSetUint64(o Observer, key []byte, n uint64) {
	switch string(key) {
	case keyTerm:
		o.Termed(v.group, n)
	case keyVoteTerm:
		v.halves.term = n
		if v.halves.candidate != nil {
			o.Voted(v.group, n, v.halves.candidate)
		}
	}
}
