package group

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// watchedSnapshots watches the writes of snapshots. Unlike the log a snapshot may
// find the disk full: nothing depends on it yet. It is given up then, and what was
// written of it is removed.
type watchedSnapshots struct {
	raft.SnapshotStore
	w   *watchedStore
	dir string // where they are files, "" if they are not

	// turn holds a token while one is begun or removed. A mutex would do, but that a
	// disk is waited for behind one is not seen in virtual time.
	turn  chan struct{}
	open  map[string]bool // ids of those that are being written
	begun time.Time       // when the last one was
}

func watchSnapshots(s *Storage, w *watchedStore) *watchedSnapshots {
	watched := &watchedSnapshots{SnapshotStore: s.Snapshots, w: w, turn: make(chan struct{}, 1), open: map[string]bool{}}
	if _, files := s.Snapshots.(*raft.FileSnapshotStore); files {
		watched.dir = filepath.Join(s.Path, snapshotDir)
	}
	return watched
}

// The names that the library gives to the directory of snapshots, and to those that
// are not finished.
const (
	snapshotDir = "snapshots"
	unfinished  = ".tmp"
	stateFile   = "state.bin"
)

// Open notes why a snapshot cannot be read: raft only says that none can.
func (s *watchedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		err = fmt.Errorf("snapshot %s: %w", id, err)
		s.w.mu.Lock()
		s.w.unread = err
		s.w.mu.Unlock()
	}
	return meta, r, err
}

// Create begins a snapshot.
func (s *watchedSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	space := s.w.space()
	if space.Level == SpaceFull {
		return nil, errNoRoom
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	// The library names snapshots by entry and millisecond: one that is taken here and
	// one that comes from the leader would share a directory.
	time.Sleep(time.Millisecond - time.Since(s.begun))
	defer func() { s.begun = time.Now() }()
	var sink raft.SnapshotSink
	err := s.write("creating a snapshot", func() (err error) {
		sink, err = s.SnapshotStore.Create(v, index, term, c, ci, t)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.sweep())
	}
	s.open[sink.ID()] = true
	return &watchedSink{SnapshotSink: sink, s: s, spare: min(space.Room/2, spareRoom)}, nil
}

// write runs one write to a snapshot, which must not fail but for want of room, or
// because the same one is there already, as after a clock that was set back.
func (s *watchedSnapshots) write(what string, f func() error) error {
	err := s.w.tryWrite(what, f)
	if err != nil && !noRoom(err) && !errors.Is(err, fs.ErrExist) {
		s.w.failed(what, err)
	}
	return err
}

// sweep removes what failed snapshots have left. The turn is taken.
func (s *watchedSnapshots) sweep() error {
	if s.dir == "" {
		return nil
	}
	return s.w.timed("removing a snapshot", func() error {
		list, err := os.ReadDir(s.dir)
		if err != nil {
			return err
		}
		var errs []error
		for _, e := range list {
			id, failed := strings.CutSuffix(e.Name(), unfinished)
			if !failed || s.open[id] {
				continue
			}
			path := filepath.Join(s.dir, e.Name())
			// The library may have left the file open, and with it its space taken.
			if err := os.Truncate(filepath.Join(path, stateFile), 0); !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
			errs = append(errs, os.RemoveAll(path))
		}
		return errors.Join(errs...)
	})
}

// done ends a snapshot, and removes what is left of it if it has failed.
func (s *watchedSnapshots) done(id string, failed bool) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	delete(s.open, id)
	if failed {
		return s.sweep()
	}
	return nil
}

// What a snapshot leaves to the log: half of the room that there was when it began,
// but no more than spareRoom, at which it looks every roomStep bytes.
const (
	spareRoom = 256 << 20
	roomStep  = 1 << 20
)

// watchedSink is a snapshot that is being written.
type watchedSink struct {
	raft.SnapshotSink
	s       *watchedSnapshots
	spare   uint64
	written int // since room was looked at
}

func (k *watchedSink) Write(b []byte) (n int, err error) {
	if k.written += len(b); k.written >= roomStep {
		k.written = 0
		if space := k.s.w.space(); space.Level == SpaceFull || space.Room < k.spare {
			return 0, errNoRoom
		}
	}
	err = k.s.write("writing a snapshot", func() (err error) {
		n, err = k.SnapshotSink.Write(b)
		return err
	})
	return n, err
}

func (k *watchedSink) Close() error {
	err := k.s.write("closing a snapshot", k.SnapshotSink.Close)
	return errors.Join(err, k.s.done(k.ID(), err != nil))
}

// Cancel ends a snapshot that has failed. That it cannot write what it had in hand is
// of no interest.
func (k *watchedSink) Cancel() error {
	err := k.s.w.timed("giving up a snapshot", k.SnapshotSink.Cancel)
	if noRoom(err) {
		err = nil
	}
	return errors.Join(err, k.s.done(k.ID(), true))
}
