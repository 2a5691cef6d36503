package simdisk

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
	"phonond/cluster/group"
)

// Names that raft's file snapshot store uses.
const (
	snapshotDir = "snapshots"
	unfinished  = ".tmp"
	stateFile   = "state.bin"
)

// snapshots is the snapshot store of a handle.
type snapshots struct{ h *handle }

func (s snapshots) List() ([]*raft.SnapshotMeta, error) { return read(s.h, s.h.Snapshots.List) }

func (s snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	var r io.ReadCloser
	meta, err := read(s.h, func() (meta *raft.SnapshotMeta, err error) {
		meta, r, err = s.h.Snapshots.Open(id)
		return meta, err
	})
	if err != nil {
		return nil, nil, err
	}
	return meta, source{r, s.h}, nil
}

func (s snapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	created := &sink{h: s.h, index: index, term: term}
	err := s.h.volume.disk.write(s.h, change{
		on: s.h.volume.snapshots, room: 1,
		do: func() (err error) {
			if created.SnapshotSink, err = s.h.Snapshots.Create(version, index, term, c, ci, t); err == nil {
				s.h.sinks[created] = true
			}
			return err
		},
		done: func(*group.Storage) bool { return false },
		tell: func(Observer) {},
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// source reads a snapshot.
type source struct {
	io.ReadCloser
	h *handle
}

func (s source) Read(b []byte) (int, error) {
	return read(s.h, func() (int, error) { return s.ReadCloser.Read(b) })
}

// sink writes a snapshot.
type sink struct {
	raft.SnapshotSink
	h           *handle
	index, term uint64
}

func (s *sink) Write(b []byte) (n int, err error) {
	err = s.h.volume.disk.write(s.h, change{
		on: s.h.volume.snapshots, room: 1,
		do:   func() (err error) { n, err = s.SnapshotSink.Write(b); return err },
		half: func() { n, _ = s.SnapshotSink.Write(b[:len(b)/2]) },
		done: func(*group.Storage) bool { return false },
		tell: func(Observer) {},
	})
	return n, err
}

func (s *sink) Close() error {
	err := s.h.volume.disk.write(s.h, change{
		on: s.h.volume.snapshots, room: 1,
		do: func() error {
			delete(s.h.sinks, s)
			return s.SnapshotSink.Close()
		},
		half: func() {
			delete(s.h.sinks, s)
			s.SnapshotSink.Cancel()
		},
		done: func(opened *group.Storage) bool {
			_, r, err := opened.Snapshots.Open(s.ID())
			if err == nil {
				err = r.Close()
			}
			return err == nil
		},
		tell: func(o Observer) { o.Kept(s.h.volume.group, s.index, s.term) },
	})
	return err
}

// Cancel removes what was written, unless that belongs to the next start already.
func (s *sink) Cancel() error {
	d := s.h.volume.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.h.gone() {
		return ErrGone
	}
	delete(s.h.sinks, s)
	return s.SnapshotSink.Cancel()
}

// abandon closes the files and leaves them as they are. Cancel, the only way to
// close them, removes the directory, and so it gets another name first.
func (s *sink) abandon() {
	dir := filepath.Join(s.h.volume.snapshots.dir, s.ID())
	os.Rename(dir+unfinished, dir+"-left"+unfinished)
	s.SnapshotSink.Cancel()
}

// snapshotFiles is the directory of snapshots.
type snapshotFiles struct {
	dir    string
	before string // a copy of it before the last write; "" = the last write was another
}

func (f *snapshotFiles) begin() {
	f.before = f.dir + ".before"
	must(merge(f.before, f.dir, nil))
}

func (f *snapshotFiles) crash(rng *rand.Rand, when Tear) {
	if f.before != "" {
		switch {
		case when == Lost, when == Torn && rng.IntN(2) == 0:
			must(os.RemoveAll(f.dir))
			must(os.Rename(f.before, f.dir))
		case when == Torn: // it was removing older ones
			must(merge(f.dir, f.before, rng))
			fallthrough
		default:
			must(os.RemoveAll(f.before))
		}
		f.before = ""
	}
	must(tear(f.dir, rng))
}

// merge gives the directory to files of the directory from: all, or some of those
// it lacks. Of unfinished snapshots only all.
func merge(to, from string, some *rand.Rand) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case e.IsDir() && some != nil && strings.HasSuffix(path, unfinished):
			return filepath.SkipDir
		case e.IsDir():
			return os.MkdirAll(target, 0o700)
		case some == nil || some.IntN(2) == 0:
			if err := os.Link(path, target); !errors.Is(err, os.ErrExist) {
				return err
			}
		}
		return nil
	})
}

// tear cuts what was not synced: the state of unfinished snapshots.
func tear(dir string, rng *rand.Rand) error {
	states, err := filepath.Glob(filepath.Join(dir, "*"+unfinished, stateFile))
	if err != nil {
		return err
	}
	for _, path := range states {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if err := os.Truncate(path, rng.Int64N(info.Size()+1)); err != nil {
			return err
		}
	}
	return nil
}

// must ends the test when the machine it runs on fails.
func must(err error) {
	if err != nil {
		panic("simdisk: " + err.Error())
	}
}
