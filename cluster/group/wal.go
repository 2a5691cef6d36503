package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
	"go.etcd.io/bbolt"
)

const (
	walDir      = "wal" // in a group's directory
	walMetaFile = metadb.FileName
)

// segmentBytes is how long a segment of the log is made, in advance. A node has
// one begun for each of its groups, and a log is cut off at its head in whole
// segments, so they should be small; but each costs some six syncs more. The
// largest entry of small requests (maxEntryBytes) fits in many times. A longer
// one, or many that a follower gets at once, makes its segment so much longer.
const segmentBytes = 8 << 20

// OpenWAL opens or creates the storage in dir: a directory of log segments with a
// bbolt file that lists them and holds the votes, and a directory of snapshots. An
// error names the file and what to do; it is [ErrOtherStore] for a directory of
// [OpenBolt].
func OpenWAL(dir string, log *slog.Logger) (*Storage, error) {
	return openStorage(kindWAL, dir, log, func() (logStore, error) {
		if err := os.MkdirAll(filepath.Join(dir, walDir), 0o700); err != nil {
			return nil, err
		}
		if err := checkMeta(votesOf(kindWAL, dir)); err != nil {
			return nil, err
		}
		return NewWAL(WALConfig{Dir: filepath.Join(dir, walDir), Log: log})
	})
}

// checkMeta looks at the file that lists the segments. The library would wait for
// ever for its lock, fall over a file that is too short, and fill an empty one.
func checkMeta(file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() == 0 {
		err = errors.New("it is empty") // it gets its name when it is whole
	}
	if err == nil {
		err = checkLength(file)
	}
	if err != nil {
		return damaged(file, err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true, Timeout: fileLock})
	if err != nil {
		return boltError(file, err)
	}
	return db.Close()
}

// WALConfig is what a [WAL] is opened from.
type WALConfig struct {
	Dir string // it exists
	Log *slog.Logger

	// Files and Meta are where segments and the list of them are kept. Default: the
	// file system, and a bbolt file in Dir. Files are to be made as long as is asked.
	Files types.VFS
	Meta  types.MetaStore
	// SegmentBytes is the length of a segment. Default 8 MiB.
	SegmentBytes int
}

// WAL is raft-wal, opened after what a crash or damage left has been looked at: the
// library alone does not come back from some of it. See walkeeper.go.
//
// It takes no gaps, and says so by IsMonotonic, which raft is not to know: it would
// empty the log after a snapshot and go on believing in its old end. [inbox] empties it.
type WAL struct {
	*wal.WAL
	keeper *walKeeper
}

// NewWAL opens or creates a log and votes.
func NewWAL(c WALConfig) (_ *WAL, err error) {
	if c.Files == nil {
		c.Files = fs.New()
	}
	if c.Meta == nil {
		c.Meta = &metadb.BoltMetaDB{}
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = segmentBytes
	}
	k := &walKeeper{VFS: c.Files, MetaStore: c.Meta, segmentBytes: uint32(c.SegmentBytes)}
	w, err := wal.Open(c.Dir, wal.WithMetaStore(k), wal.WithSegmentFiler(segment.NewFiler(c.Dir, k)),
		wal.WithSegmentSize(c.SegmentBytes), wal.WithLogger(newRaftLogger(context.Background(), c.Log)))
	if err != nil {
		err = errors.Join(err, c.Meta.Close())
		for _, cause := range []error{wal.ErrCorrupt, os.ErrNotExist, io.EOF} {
			if errors.Is(err, cause) {
				return nil, damaged(c.Dir, err)
			}
		}
		return nil, fmt.Errorf("%s: %w", c.Dir, err)
	}
	return &WAL{w, k}, nil
}

// StoreLogs adds entries. The library changes to the next segment on a goroutine
// of its own, and says only in its log why it could not.
func (s *WAL) StoreLogs(ls []*raft.Log) error {
	err := s.WAL.StoreLogs(ls)
	if cause := s.keeper.first(); errors.Is(err, wal.ErrSealed) && cause != nil {
		return fmt.Errorf("no next segment: %w", cause)
	}
	return err
}

// StoreLog adds an entry.
func (s *WAL) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// failure remembers the first failure of what nobody waits for.
type failure struct {
	mu  sync.Mutex
	err error
}

func (f *failure) note(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	return err
}

func (f *failure) first() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
