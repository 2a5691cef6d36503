package simdisk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"phonond/cluster/clustertest/simdisk"
	"phonond/cluster/group"
)

var kinds = []simdisk.Kind{simdisk.Bolt, simdisk.WAL}

// newDisk returns a disk in memory if the machine has a file system there.
func newDisk(t testing.TB, kind simdisk.Kind, seed uint64) *simdisk.Disk {
	t.Helper()
	dir := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "simdisk"); err == nil {
		dir = shm
	}
	d := simdisk.New(dir, kind, rand.New(rand.NewPCG(seed, 0)))
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// content is what a storage holds, or should.
type content struct {
	first, last uint64
	logs        map[uint64]string
	term        uint64
	vote        string
	snapshots   map[string]string // the newest two at most
}

func (c content) clone() content {
	c.logs, c.snapshots = maps.Clone(c.logs), maps.Clone(c.snapshots)
	return c
}

func (c content) equal(o content) bool {
	return c.first == o.first && c.last == o.last && maps.Equal(c.logs, o.logs) && c.term == o.term && c.vote == o.vote && maps.Equal(c.snapshots, o.snapshots)
}

func (c content) String() string {
	return fmt.Sprintf("entries %d-%d (%d), term %d, vote %q, snapshots %q", c.first, c.last, len(c.logs), c.term, c.vote, slices.Sorted(maps.Keys(c.snapshots)))
}

// holds reads all of a storage.
func holds(t testing.TB, s *group.Storage) content {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := content{logs: map[uint64]string{}, snapshots: map[string]string{}}
	var err error
	c.first, err = s.Logs.FirstIndex()
	check(err)
	c.last, err = s.Logs.LastIndex()
	check(err)
	for i := c.first; i <= c.last && i > 0; i++ {
		var l raft.Log
		if err := s.Logs.GetLog(i, &l); err != nil {
			t.Fatalf("entry %d of %d to %d: %v", i, c.first, c.last, err)
		}
		if l.Index != i {
			t.Fatalf("entry %d calls itself %d", i, l.Index)
		}
		c.logs[i] = fmt.Sprint(l.Term, string(l.Data))
	}
	for _, beyond := range []uint64{c.last + 1, c.first - 1} {
		if err := s.Logs.GetLog(beyond, new(raft.Log)); c.first > 0 && !errors.Is(err, raft.ErrLogNotFound) {
			t.Fatalf("entry %d, of %d to %d: %v", beyond, c.first, c.last, err)
		}
	}
	if c.term, err = s.Stable.GetUint64([]byte("CurrentTerm")); err != nil && err.Error() != "not found" {
		t.Fatal(err)
	}
	vote, err := s.Stable.Get([]byte("PhononVote"))
	if err != nil && err.Error() != "not found" {
		t.Fatal(err)
	}
	c.vote = string(vote)
	list, err := s.Snapshots.List()
	check(err)
	for _, meta := range list {
		_, r, err := s.Snapshots.Open(meta.ID)
		check(err)
		b, err := io.ReadAll(r)
		check(errors.Join(err, r.Close()))
		c.snapshots[meta.ID] = string(b)
	}
	return c
}

// told counts what an observer is told, and checks it against the model.
type told struct{ stored, deleted, termed, voted, kept int }

func (o *told) Stored(string, []*raft.Log)     { o.stored++ }
func (o *told) Deleted(string, uint64, uint64) { o.deleted++ }
func (o *told) Termed(string, uint64)          { o.termed++ }
func (o *told) Voted(string, uint64, []byte)   { o.voted++ }
func (o *told) Kept(string, uint64, uint64)    { o.kept++ }

func (o *told) all() int { return o.stored + o.deleted + o.termed + o.voted + o.kept }

// writer writes at random, and knows what must be there.
type writer struct {
	t       testing.TB
	rng     *rand.Rand
	disk    *simdisk.Disk
	told    told
	storage *group.Storage
	content content
	writes  int
}

func newWriter(t testing.TB, kind simdisk.Kind, seed uint64) *writer {
	w := &writer{t: t, rng: rand.New(rand.NewPCG(seed, 1)), disk: newDisk(t, kind, seed)}
	w.content = content{logs: map[uint64]string{}, snapshots: map[string]string{}}
	w.disk.Observe(&w.told)
	w.open()
	return w
}

func (w *writer) open() {
	w.t.Helper()
	s, err := w.disk.Storage("g")
	if err != nil {
		w.t.Fatalf("after %d writes: %v", w.writes, err)
	}
	w.storage = s
}

// reopen opens the storage again after a write that failed, and checks that it is
// there if an observer has been told, and not if not. told is what there was before.
func (w *writer) reopen(told int, would content) {
	w.t.Helper()
	w.open()
	if w.told.all() > told {
		w.content = would
	}
	w.check()
}

// check compares what the storage holds with what it should.
func (w *writer) check() {
	w.t.Helper()
	if got := holds(w.t, w.storage); !got.equal(w.content) {
		w.t.Fatalf("after %d writes there are\n%v\nwant\n%v", w.writes, got, w.content)
	}
}

// step does one write, which is now in content, or returns an error, and what there
// would be if it had been done all the same.
func (w *writer) step() (would content, err error) {
	w.writes++
	c := w.content.clone()
	before := w.told.all()
	told := 1
	switch n := w.rng.IntN(20); {
	case n < 12: // append
		var logs []*raft.Log
		for range 1 + w.rng.IntN(8) {
			c.last++
			// Half of them equal in length, so that remains of a batch may fit.
			size := 40
			if w.rng.IntN(2) == 0 {
				size = 1 << w.rng.IntN(13)
			}
			l := &raft.Log{Index: c.last, Term: c.term, Data: bytes.Repeat([]byte{byte('a' + w.rng.IntN(4))}, size)}
			logs = append(logs, l)
			c.logs[l.Index] = fmt.Sprint(l.Term, string(l.Data))
		}
		if c.first == 0 {
			c.first = logs[0].Index
		}
		err = w.storage.Logs.StoreLogs(logs)
	case n < 14: // cut off the head
		if c.last < c.first+10 {
			return w.step()
		}
		to := c.first + uint64(w.rng.IntN(int(c.last-c.first)))
		err = w.storage.Logs.DeleteRange(c.first, to)
		for ; c.first <= to; c.first++ {
			delete(c.logs, c.first)
		}
	case n < 16: // cut off the tail
		if c.last < c.first+2 {
			return w.step()
		}
		from := c.last - uint64(w.rng.IntN(int(min(c.last-c.first, 12))))
		err = w.storage.Logs.DeleteRange(from, c.last)
		for ; c.last >= from; c.last-- {
			delete(c.logs, c.last)
		}
	case n < 17:
		c.term++
		err = w.storage.Stable.SetUint64([]byte("CurrentTerm"), c.term)
	case n < 19:
		vote := append(binary.BigEndian.AppendUint64(nil, c.term), fmt.Sprintf("candidate %d", w.rng.Int())...)
		c.vote = string(vote)
		err = w.storage.Stable.Set([]byte("PhononVote"), vote)
	default:
		told, err = w.snapshot(c)
	}
	if n := w.told.all() - before; err == nil && n != told {
		w.t.Fatalf("an observer was told of %d writes instead of %d", n, told)
	}
	if err == nil {
		w.content = c
	}
	return c, err
}

// snapshot takes a snapshot. The time is part of its name.
func (w *writer) snapshot(c content) (told int, err error) {
	if c.first == 0 {
		return 0, nil
	}
	time.Sleep(2 * time.Millisecond)
	sink, err := w.storage.Snapshots.Create(1, c.first, c.term, raft.Configuration{}, 1, nil)
	if err != nil {
		return 0, err
	}
	state := bytes.Repeat([]byte{byte(w.rng.Int())}, w.rng.IntN(20_000))
	for part := range slices.Chunk(state, 5000) {
		if _, err := sink.Write(part); err != nil {
			return 0, errors.Join(err, sink.Cancel())
		}
	}
	c.keep(sink.ID(), string(state))
	return 1, sink.Close()
}

func (c content) keep(id, state string) {
	c.snapshots[id] = state
	for len(c.snapshots) > 2 {
		ids := slices.SortedFunc(maps.Keys(c.snapshots), func(a, b string) int { return bytes.Compare(order(a), order(b)) })
		delete(c.snapshots, ids[0])
	}
}

// order makes names of snapshots comparable: term, index and time.
func order(id string) []byte {
	var term, index, at uint64
	fmt.Sscanf(id, "%d-%d-%d", &term, &index, &at)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, term), index), at)
}

// TestWhatWasAcknowledgedStays: the power fails in the middle of a random write, or
// between two, or the process ends, over and over.
func TestWhatWasAcknowledgedStays(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 5
	}
	for _, kind := range kinds {
		for seed := range seeds {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWriter(t, kind, uint64(seed))
					for range 40 {
						w.life()
					}
				})
			})
		}
	}
}

// life is what happens to a storage from one start to the next.
func (w *writer) life() {
	w.t.Helper()
	when := simdisk.Tear(w.rng.IntN(3))
	fired := false
	w.disk.Arm(1+w.rng.IntN(25), when, func() { fired = true })
	for range 20 {
		told := w.told.all()
		would, err := w.step()
		if err == nil {
			continue
		}
		if !errors.Is(err, simdisk.ErrGone) {
			w.t.Fatal(err)
		}
		synctest.Wait()
		if !fired {
			w.t.Fatal("nobody was told of the power loss")
		}
		switch done := w.told.all() > told; {
		case done && when == simdisk.Lost:
			w.t.Fatal("a write that was lost is said to be done")
		case !done && when == simdisk.Done && !would.equal(w.content):
			w.t.Fatal("a write that was done is said to be lost")
		}
		w.reopen(told, would)
		return
	}
	if w.rng.IntN(2) == 0 {
		w.disk.Crash()
	} else if err := w.storage.Closer.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.disk.Disarm()
	w.reopen(w.told.all(), w.content)
}
