package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// watchedStore stands between raft and the disk. It
//   - stops the node at the first write that fails: what the disk holds then is
//     not known, and to try again may report pages as written that are lost;
//   - stops the node when a write hangs: raft's leader would go on sending
//     heartbeats and the group would wait for ever (hashicorp/raft#503);
//   - stores a vote in one write: in two, a crash between them makes the node
//     vote without looking at the candidate's log (hashicorp/raft#661).
//
// It is also where tests make a disk fail.
type watchedStore struct {
	raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	closer    io.Closer
	path      string
	limit     time.Duration
	fatal     func(error)

	mu      sync.Mutex
	writing map[int]*time.Timer // writes that have begun and not ended
	next    int
	closed  bool
	broken  error  // the first failure: nothing is written after it
	unread  error  // about the last snapshot that could not be opened
	term    uint64 // of a vote whose candidate comes next; raft's goroutine only
	hasTerm bool
	stored  [storedTimes]storedAt // when entries came, by index
}

// storedTimes is for how many entries it is remembered when they came: more than
// are ever stored and not yet applied by a follower that keeps up.
const storedTimes = 2048

type storedAt struct {
	index uint64
	at    time.Time
}

func watch(s *Storage, limit time.Duration, fatal func(error)) *watchedStore {
	w := &watchedStore{LogStore: s.Logs, stable: s.Stable, closer: s.Closer, path: s.Path, limit: limit, fatal: fatal, writing: map[int]*time.Timer{}}
	w.snapshots = watchedSnapshots{s.Snapshots, w}
	return w
}

func (w *watchedStore) close() error {
	w.mu.Lock()
	w.closed = true
	for _, t := range w.writing {
		t.Stop()
	}
	w.mu.Unlock()
	if w.closer == nil {
		return nil
	}
	return w.closer.Close()
}

// write runs one write to the disk.
func (w *watchedStore) write(what string, f func() error) error {
	w.mu.Lock()
	if broken := w.broken; broken != nil {
		w.mu.Unlock()
		return broken
	}
	id := w.next
	w.next++
	w.writing[id] = time.AfterFunc(w.limit, func() {
		w.fail(fmt.Errorf("%s in %s has hung for %v: the disk does not answer", what, w.path, w.limit))
	})
	w.mu.Unlock()
	err := f()
	w.mu.Lock()
	w.writing[id].Stop()
	delete(w.writing, id)
	w.mu.Unlock()
	if err != nil {
		w.fail(fmt.Errorf("%s in %s failed: %w", what, w.path, err))
	}
	return err
}

func (w *watchedStore) fail(err error) {
	w.mu.Lock()
	closed := w.closed
	if w.broken == nil {
		w.broken = err
	}
	w.mu.Unlock()
	if !closed {
		w.fatal(err)
	}
}

func (w *watchedStore) StoreLog(l *raft.Log) error { return w.StoreLogs([]*raft.Log{l}) }

func (w *watchedStore) StoreLogs(ls []*raft.Log) error {
	now := time.Now()
	w.mu.Lock()
	for _, l := range ls {
		w.stored[l.Index%storedTimes] = storedAt{l.Index, now}
	}
	w.mu.Unlock()
	return w.write("writing the log", func() error { return w.LogStore.StoreLogs(ls) })
}

// storedTime returns when an entry came to this replica, or the present if that is
// not known.
func (w *watchedStore) storedTime(index uint64) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.stored[index%storedTimes]; s.index == index {
		return s.at
	}
	return time.Now()
}

func (w *watchedStore) DeleteRange(from, to uint64) error {
	return w.write("trimming the log", func() error { return w.LogStore.DeleteRange(from, to) })
}

// GetLog reads an entry. That one is damaged is as bad as a write that failed:
// raft would go on without it.
func (w *watchedStore) GetLog(index uint64, l *raft.Log) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
			w.fail(fmt.Errorf("reading entry %d in %s failed: %w", index, w.path, err))
		}
	}()
	return w.LogStore.GetLog(index, l)
}

// The keys under which raft stores a vote, and ours that holds both.
const (
	keyVoteTerm = "LastVoteTerm"
	keyVoteCand = "LastVoteCand"
	keyVote     = "PhononVote"
)

// errNotFound has the text by which raft tells a missing key from a failure.
var errNotFound = errors.New("not found")

func (w *watchedStore) SetUint64(key []byte, n uint64) error {
	if string(key) == keyVoteTerm {
		w.term, w.hasTerm = n, true // written with the candidate, which comes next
		return nil
	}
	return w.write("writing the term", func() error { return w.stable.SetUint64(key, n) })
}

func (w *watchedStore) Set(key, value []byte) error {
	if string(key) != keyVoteCand {
		return w.write("writing the state", func() error { return w.stable.Set(key, value) })
	}
	if !w.hasTerm {
		return errors.New("a vote without a term")
	}
	w.hasTerm = false
	vote := append(binary.BigEndian.AppendUint64(nil, w.term), value...)
	return w.write("writing the vote", func() error { return w.stable.Set([]byte(keyVote), vote) })
}

func (w *watchedStore) GetUint64(key []byte) (uint64, error) {
	if string(key) != keyVoteTerm {
		return w.stable.GetUint64(key)
	}
	term, _, err := w.vote()
	return term, err
}

func (w *watchedStore) Get(key []byte) ([]byte, error) {
	if string(key) != keyVoteCand {
		return w.stable.Get(key)
	}
	_, candidate, err := w.vote()
	return candidate, err
}

func (w *watchedStore) vote() (term uint64, candidate []byte, err error) {
	v, err := w.stable.Get([]byte(keyVote))
	switch {
	case err != nil:
		return 0, nil, err
	case len(v) == 0:
		return 0, nil, errNotFound
	case len(v) < 8:
		return 0, nil, fmt.Errorf("%s: the vote is damaged", w.path)
	}
	return binary.BigEndian.Uint64(v), v[8:], nil
}

// watchedSnapshots watches the writes of snapshots.
type watchedSnapshots struct {
	raft.SnapshotStore
	w *watchedStore
}

// Open notes why a snapshot cannot be read: raft only says that none can.
func (s watchedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		err = fmt.Errorf("snapshot %s: %w", id, err)
		s.w.mu.Lock()
		s.w.unread = err
		s.w.mu.Unlock()
	}
	return meta, r, err
}

func (s watchedSnapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, ci uint64, t raft.Transport) (raft.SnapshotSink, error) {
	var sink raft.SnapshotSink
	err := s.w.write("creating a snapshot", func() (err error) {
		sink, err = s.SnapshotStore.Create(v, index, term, c, ci, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return watchedSink{sink, s.w}, nil
}

type watchedSink struct {
	raft.SnapshotSink
	w *watchedStore
}

func (s watchedSink) Write(b []byte) (n int, err error) {
	s.w.write("writing a snapshot", func() error {
		n, err = s.SnapshotSink.Write(b)
		return err
	})
	return n, err
}

func (s watchedSink) Close() error { return s.w.write("closing a snapshot", s.SnapshotSink.Close) }
