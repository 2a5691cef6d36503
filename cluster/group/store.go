package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// watchedStore stands between raft and the disk. It
//   - stops the node at the first write that fails: what the disk holds then is
//     not known, and to try again may report pages as written that are lost;
//   - stops the node when a write, or the reading of an entry, hangs: raft's leader
//     would go on sending heartbeats and the group would wait for ever
//     (hashicorp/raft#503);
//   - begins no write that the disk has no room for. A leader that finds out by
//     failing gives up the lead, wins it again and goes on like that
//     (hashicorp/raft#614): what opens a term is written as long as it goes, and
//     the rest is held back before it comes here, on followers here;
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
	space     func() Space
	fatal     func(error)

	running atomic.Bool   // raft is
	cut     atomic.Uint64 // where the end of the log was removed, for entries that come in its place

	mu      sync.Mutex
	busy    map[int]*time.Timer // what has begun and not ended
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

func watch(s *Storage, limit time.Duration, space func() Space, fatal func(error)) *watchedStore {
	w := &watchedStore{
		LogStore: s.Logs, stable: s.Stable, closer: s.Closer, path: s.Path, limit: limit, space: space, fatal: fatal, busy: map[int]*time.Timer{},
	}
	w.snapshots = watchSnapshots(s, w)
	return w
}

func (w *watchedStore) close() error {
	w.mu.Lock()
	w.closed = true
	for _, t := range w.busy {
		t.Stop()
	}
	w.mu.Unlock()
	if w.closer == nil {
		return nil
	}
	return w.closer.Close()
}

// write runs one write to the disk, which must not fail.
func (w *watchedStore) write(what string, f func() error) error {
	err := w.tryWrite(what, f)
	if err != nil {
		w.failed(what, err)
	}
	return err
}

// tryWrite runs one write to the disk, unless one has failed before.
func (w *watchedStore) tryWrite(what string, f func() error) error {
	if err := w.ending(); err != nil {
		return err
	}
	return w.timed(what, f)
}

// ending returns why the node is about to end, nil if it is not.
func (w *watchedStore) ending() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

func (w *watchedStore) failed(what string, err error) {
	w.fail(fmt.Errorf("%s in %s failed: %w", what, w.path, err))
}

// timed does something with the disk, which must not hang.
func (w *watchedStore) timed(what string, f func() error) error {
	w.mu.Lock()
	id := w.next
	w.next++
	w.busy[id] = time.AfterFunc(w.limit, func() {
		w.fail(fmt.Errorf("%s in %s has hung for %v: the disk does not answer", what, w.path, w.limit))
	})
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.busy[id].Stop()
		delete(w.busy, id)
	}()
	return f()
}

func (w *watchedStore) fail(err error) {
	w.mu.Lock()
	tell := !w.closed && w.broken == nil
	if w.broken == nil {
		w.broken = err
	}
	w.mu.Unlock()
	if tell {
		w.fatal(err)
	}
}

// fillHoles takes the space that the files of log and votes count as theirs.
func (w *watchedStore) fillHoles() error {
	return w.timed("setting space aside", func() error {
		return errors.Join(fillHoles(votesOf(kindBolt, w.path)), fillHoles(votesOf(kindWAL, w.path)))
	})
}

func (w *watchedStore) StoreLog(l *raft.Log) error { return w.StoreLogs([]*raft.Log{l}) }

func (w *watchedStore) StoreLogs(ls []*raft.Log) error {
	if cut := w.cut.Swap(0); (cut == 0 || cut != ls[0].Index) && !w.roomFor(ls) {
		return errNoRoom
	}
	now := time.Now()
	w.mu.Lock()
	for _, l := range ls {
		w.stored[l.Index%storedTimes] = storedAt{l.Index, now}
	}
	w.mu.Unlock()
	return w.write("writing the log", func() error { return w.LogStore.StoreLogs(ls) })
}

// roomFor reports whether entries may be written. A follower that says no is sent
// them again, with pauses that grow to ten seconds.
func (w *watchedStore) roomFor(ls []*raft.Log) bool {
	space, need := w.space(), uint64(0)
	for _, l := range ls {
		need += logRoom(len(l.Data))
	}
	// The entries that open a term are written as long as the disk takes them.
	return need <= space.Room && space.Level != SpaceFull || !slices.ContainsFunc(ls, func(l *raft.Log) bool { return !opensTerm(l) })
}

// opensTerm reports whether an entry is one of those that every new leader writes,
// or a change of the group's members.
func opensTerm(l *raft.Log) bool {
	if l.Type != raft.LogCommand {
		return true
	}
	e, err := open(l.Data)
	return err == nil && len(e.Requests) == 0 && e.CheckIndex == 0
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

// DeleteRange removes the oldest entries, or the newest. When a follower has to take
// its newest back, raft stores others in the same breath: were those refused, it would
// go on as if what it took back were still there, vouch for it to the next leader, and
// panic when that is committed. So it is refused to begin with, or both are done.
func (w *watchedStore) DeleteRange(from, to uint64) error {
	first, err1 := w.FirstIndex()
	last, err2 := w.LastIndex()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if to >= last {
		if from > first && w.space().Level == SpaceFull {
			return errNoRoom
		}
		w.cut.Store(from)
	}
	return w.write("trimming the log", func() error { return w.LogStore.DeleteRange(from, to) })
}

// GetLog reads an entry. That one is damaged is as bad as a write that failed:
// raft would go on without it.
func (w *watchedStore) GetLog(index uint64, l *raft.Log) error {
	err := w.timed("reading the log", func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%v", p)
			}
		}()
		return w.LogStore.GetLog(index, l)
	})
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	w.fail(fmt.Errorf("reading entry %d in %s failed: %w", index, w.path, err))
	if !w.running.Load() {
		return err
	}
	// Raft panics when it cannot read what it is about to apply. By then the node is
	// ending, for a reason that has been given. The entry that raft gets goes nowhere:
	// nothing is applied, written or sent any more. Whoever asks about it is told that
	// the log differs.
	*l = raft.Log{Index: index, Type: raft.LogNoop}
	return nil
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
	// Raft panics when it is told that its term was not written. By then the node is
	// ending, for a reason that has been given; and as nothing is written any more,
	// no vote and no entry of that term is either.
	_ = w.write("writing the term", func() error { return w.stable.SetUint64(key, n) })
	return nil
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
