package simdisk

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"

	"phonond/cluster/group"
)

// segmentSize is the size of raft-wal's segments, in bytes: so small that many are
// filled in a short simulation.
const segmentSize = 16 << 10

// segments is package group's raft-wal on a file system in memory. What raft-wal keeps in a bbolt
// file beside its segments, in transactions, is kept here as a whole.
type segments struct {
	dir string
	fs  *files
}

func newSegments(dir string) *segments { return &segments{dir, newFiles()} }

func (s *segments) path() string { return s.dir }

func (s *segments) fill(on bool) { s.fs.fill(on) }

func (s *segments) open() (*group.Storage, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	kept, err := group.OpenSnapshots(s.dir, log)
	if err != nil {
		return nil, err
	}
	w, err := group.NewWAL(group.WALConfig{
		Dir: s.dir, Log: log, Files: s.fs, Meta: metaStore{s.fs}, SegmentBytes: segmentSize,
	})
	if err != nil {
		return nil, err
	}
	return &group.Storage{Path: s.dir, Logs: settled{w}, Stable: w, Snapshots: kept, Closer: w}, nil
}

// settled is a log that has changed segments when a write returns. raft-wal does it
// on a goroutine of its own, and a seed would not always mean the same.
type settled struct{ *group.WAL }

func (s settled) StoreLogs(logs []*raft.Log) error {
	if err := s.WAL.StoreLogs(logs); err != nil {
		return err
	}
	beyond := logs[len(logs)-1].Index + 1
	return s.DeleteRange(beyond, beyond) // waits, and deletes nothing
}

func (s settled) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s *segments) begin() { s.fs.record() }

// crash puts another file system in the place of the one that is open, which
// refuses everything from now on: raft-wal may be at work in the background.
func (s *segments) crash(rng *rand.Rand, when Tear) {
	states := s.fs.end()
	left := states[len(states)-1]
	switch when {
	case Lost:
		left = states[0]
	case Torn:
		left = states[rng.IntN(len(states))]
	}
	s.fs = left.afterCrash(rng)
}

// metaStore is raft-wal's store for its list of segments and raft's votes.
type metaStore struct{ fs *files }

func (m metaStore) Load(string) (state types.PersistentState, err error) {
	err = m.fs.do(func() error {
		state = m.fs.list
		state.Segments = slices.Clone(state.Segments)
		return nil
	})
	return state, err
}

func (m metaStore) CommitState(state types.PersistentState) error {
	state.Segments = slices.Clone(state.Segments)
	return m.fs.do(func() error {
		m.fs.list = state
		m.fs.step()
		return nil
	})
}

func (m metaStore) GetStable(key []byte) (value []byte, err error) {
	err = m.fs.do(func() error {
		value = slices.Clone(m.fs.stable[string(key)])
		return nil
	})
	return value, err
}

func (m metaStore) SetStable(key, value []byte) error {
	return m.fs.do(func() error {
		m.fs.stable = maps.Clone(m.fs.stable)
		m.fs.stable[string(key)] = slices.Clone(value)
		m.fs.step()
		return nil
	})
}

func (m metaStore) Close() error { return nil }
