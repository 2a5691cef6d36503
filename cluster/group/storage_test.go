package group

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// stores are the two kinds of log store, opened as a node does.
var stores = []struct {
	kind string
	open func(dir string, log *slog.Logger) (*Storage, error)
}{{kindBolt, OpenBolt}, {kindWAL, OpenWAL}}

// onStores runs a test on each kind.
func onStores(t *testing.T, test func(t *testing.T, kind string, open func(dir string) (*Storage, error))) {
	for _, s := range stores {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			test(t, s.kind, func(dir string) (*Storage, error) { return s.open(dir, slog.New(slog.DiscardHandler)) })
		})
	}
}

// opened takes what Open returns, and gives it as raft has it.
func opened(t *testing.T) func(*Storage, error) *watchedStore {
	return func(s *Storage, err error) *watchedStore {
		t.Helper()
		must(t, err)
		return watch(s, time.Minute, plenty, func(err error) { t.Errorf("Fatal was told: %v", err) })
	}
}

// contents is all that a replica must not forget.
type contents struct {
	First, Last uint64 // 0 for an empty log
	Entries     map[uint64]string
	Term        uint64
	Vote        string
}

// contentsOf reads what is there.
func contentsOf(t *testing.T, w *watchedStore) contents {
	t.Helper()
	c := contents{Entries: map[uint64]string{}}
	var errs [3]error
	c.First, errs[0] = w.FirstIndex()
	c.Last, errs[1] = w.LastIndex()
	c.Term, errs[2] = w.GetUint64([]byte("CurrentTerm"))
	if errs[2] != nil && errs[2].Error() == "not found" {
		errs[2] = nil
	}
	for i := c.First; i > 0 && i <= c.Last; i++ {
		var l raft.Log
		if err := w.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			continue // a log of bbolt may have a gap behind a snapshot
		} else if err != nil {
			t.Fatal(err)
		}
		c.Entries[i] = entryText(&l)
	}
	term, err := w.GetUint64([]byte(keyVoteTerm))
	if cand, err2 := w.Get([]byte(keyVoteCand)); err == nil && err2 == nil {
		c.Vote = fmt.Sprintf("%d %s", term, cand)
	} else if err == nil || err.Error() != "not found" || err2 == nil || err2.Error() != "not found" {
		t.Fatalf("the vote reads %v, %v", err, err2)
	}
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return c
}

func entryText(l *raft.Log) string {
	return fmt.Sprintf("%d %d %v %q %q", l.Index, l.Term, l.Type, l.Data, l.Extensions)
}

// entries returns so many entries from an index on.
func entries(from uint64, n int, term uint64, size int) []*raft.Log {
	all := make([]*raft.Log, n)
	for i := range all {
		data := fmt.Appendf(nil, "%d in %d:", from+uint64(i), term)
		for len(data) < size {
			data = append(data, byte(len(data)*31)|1)
		}
		all[i] = &raft.Log{Index: from + uint64(i), Term: term, Type: raft.LogType(i % 2), Data: data, AppendedAt: time.Unix(1, 0)}
	}
	return all
}

func vote(w *watchedStore, term uint64, candidate string) error {
	return errors.Join(w.SetUint64([]byte("CurrentTerm"), term),
		w.SetUint64([]byte(keyVoteTerm), term), w.Set([]byte(keyVoteCand), []byte(candidate)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStorageSweepsWhatACrashLeft(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, open func(string) (*Storage, error)) {
		dir := t.TempDir()
		half, whole := filepath.Join(dir, "snapshots", "2-7-1.tmp"), filepath.Join(dir, "snapshots", "2-6-1")
		for _, d := range []string{half, whole} {
			must(t, os.MkdirAll(d, 0o700))
			must(t, os.WriteFile(filepath.Join(d, "state.bin"), []byte("x"), 0o600))
		}
		if Made(dir) {
			t.Error("there is a log before there is one")
		}
		s, err := open(dir)
		must(t, err)
		defer s.Closer.Close()
		if _, err := os.Stat(half); !os.IsNotExist(err) {
			t.Errorf("the half-written snapshot is still there (%v)", err)
		}
		if _, err := os.Stat(whole); err != nil {
			t.Error("a whole snapshot was removed")
		}
		if !Made(dir) {
			t.Error("Made does not see the log")
		}
	})
}

func TestStorageBelongsToOneProcess(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, open func(string) (*Storage, error)) {
		dir := t.TempDir()
		s, err := open(dir)
		must(t, err)
		began := time.Now()
		_, err = open(dir)
		if err == nil || !strings.Contains(err.Error(), "is in use by another process") || !strings.Contains(err.Error(), dir) {
			t.Errorf("a second Open says %v", err)
		}
		if took := time.Since(began); took > 10*fileLock {
			t.Errorf("it took %v to say so", took)
		}
		must(t, s.Closer.Close())
		s, err = open(dir)
		must(t, err)
		must(t, s.Closer.Close())
	})
}

// TestStorageKeepsItsKind: a second log beside the first would know nothing of its
// votes.
func TestStorageKeepsItsKind(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for i, s := range stores {
		other := stores[1-i]
		dir := t.TempDir()
		w := opened(t)(s.open(dir, log))
		must(t, vote(w, 3, "n1"))
		must(t, w.close())
		_, err := other.open(dir, log)
		if !errors.Is(err, ErrOtherStore) || !strings.Contains(err.Error(), dir) ||
			!strings.Contains(err.Error(), "log_store is "+other.kind) || !strings.Contains(err.Error(), "set log_store: "+s.kind) {
			t.Errorf("%s opened as %s: %v", s.kind, other.kind, err)
		}
		w = opened(t)(s.open(dir, log))
		if c := contentsOf(t, w); c.Vote != "3 n1" {
			t.Errorf("after that the vote is %q", c.Vote)
		}
		must(t, w.close())
	}
}

// TestVoteSurvivesTheDisk: the key of a vote is read back from real files.
func TestVoteSurvivesTheDisk(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, open func(string) (*Storage, error)) {
		dir := t.TempDir()
		want := contents{Entries: map[uint64]string{}}
		for i := range uint64(3) {
			w := opened(t)(open(dir))
			if has, err := raft.HasExistingState(w, w, w.snapshots); err != nil || has != (i > 0) {
				t.Errorf("raft finds state: %v (%v)", has, err)
			}
			if got := contentsOf(t, w); !reflect.DeepEqual(got, want) {
				t.Errorf("there is %+v, not %+v", got, want)
			}
			want.Term, want.Vote = i+1, fmt.Sprintf("%d n%d", i+1, i)
			must(t, vote(w, i+1, fmt.Sprintf("n%d", i)))
			must(t, w.close())
		}
	})
}

// TestLogThroughManyStarts opens and closes often, with the log cut at either end
// before each close (hashicorp/raft-wal#31).
func TestLogThroughManyStarts(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, _ func(string) (*Storage, error)) {
		dir := t.TempDir()
		want := contents{Entries: map[uint64]string{}}
		var next uint64 = 1
		for i := range uint64(100) {
			w := opened(t)(reopen(kind, dir, nil))
			if got := contentsOf(t, w); !reflect.DeepEqual(got, want) {
				t.Fatalf("at start %d there is %+v, not %+v", i, got, want)
			}
			ls := entries(next, 3, i, 200)
			must(t, w.StoreLogs(ls))
			for _, l := range ls {
				want.Entries[l.Index] = entryText(l)
			}
			want.Last = next + 2
			if want.First == 0 {
				want.First = 1
			}
			switch i % 3 {
			case 0: // another leader has other entries
				must(t, w.DeleteRange(want.Last, want.Last))
				delete(want.Entries, want.Last)
				want.Last--
			case 1: // a snapshot covers the older ones
				must(t, w.DeleteRange(want.First, want.First+1))
				delete(want.Entries, want.First)
				delete(want.Entries, want.First+1)
				want.First += 2
			}
			next = want.Last + 1
			must(t, w.close())
		}
	})
}

// TestSnapshotAheadOfTheLog plays the crash after a snapshot from the leader is on
// the disk, and before the log is emptied behind which it leaves a gap. One that
// cannot be restored leaves the log as it is.
func TestSnapshotAheadOfTheLog(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, _ func(string) (*Storage, error)) {
		for _, sound := range []bool{true, false} {
			dir := t.TempDir()
			bubble(t, func(r *rig) {
				r.config = onFiles(t, kind, dir)
				n := r.open("v")
				var state bytes.Buffer
				_, err := n.machine.Snapshot().WriteTo(&state)
				must(t, err)
				must(t, n.store.StoreLogs(entries(2, 4, 1, 50)))
				if !sound {
					state.WriteString("and more")
				}
				members := raft.Configuration{Servers: r.servers}
				sink, err := n.store.snapshots.Create(1, 9, 2, members, 1, n.trans)
				must(t, err)
				_, err = state.WriteTo(sink)
				must(t, err)
				must(t, sink.Close())
				r.crash("v")

				n, err = r.tryOpen("v")
				if (err == nil) != sound {
					t.Fatalf("sound: %v, error: %v", sound, err)
				}
				if !sound {
					s, err := reopen(kind, dir, nil)
					must(t, err)
					first, _ := s.Logs.FirstIndex()
					last, _ := s.Logs.LastIndex()
					if first != 1 || last != 5 {
						t.Errorf("what is left of the log is %d to %d", first, last)
					}
					must(t, s.Closer.Close())
					return
				}
				p := r.peer("a")
				defer p.trans.Close()
				if out := p.send(t, n, 2, 9, 11, 11); !out.Success {
					t.Errorf("the next entries: %+v", out)
				}
				if first, _ := n.store.FirstIndex(); first != 10 {
					t.Errorf("the log begins with entry %d", first)
				}
			}, "v", "a", "b")
		}
	})
}

// TestDamagedStorageIsRefused: with a message, and without taking what is left for
// the whole.
func TestDamagedStorageIsRefused(t *testing.T) {
	for _, tc := range []struct {
		kind, name, file string
		damage           func(b []byte) []byte // nil removes it
	}{
		{kindBolt, "cut off", boltFile, func(b []byte) []byte { return b[:len(b)/2] }},
		{kindBolt, "zeros", boltFile, func(b []byte) []byte { return make([]byte, len(b)) }},
		{kindWAL, "list cut off", "wal/wal-meta.db", func(b []byte) []byte { return b[:len(b)/2] }},
		{kindWAL, "list of zeros", "wal/wal-meta.db", func(b []byte) []byte { return make([]byte, len(b)) }},
		{kindWAL, "empty list", "wal/wal-meta.db", func(b []byte) []byte { return nil }},
		{kindWAL, "list gone", "wal/wal-meta.db", nil},
		{kindWAL, "first segment cut off", "wal/*-0000000000000000.wal", func(b []byte) []byte { return b[:len(b)/2] }},
		{kindWAL, "first segment gone", "wal/*-0000000000000000.wal", nil},
		{kindWAL, "first segment of zeros", "wal/*-0000000000000000.wal", func(b []byte) []byte { return make([]byte, len(b)) }},
		{kindWAL, "last segment cut off", "wal/*-0000000000000001.wal", func(b []byte) []byte { return b[:len(b)-1] }},
		{kindWAL, "last segment emptied", "wal/*-0000000000000001.wal", func(b []byte) []byte { return []byte{} }},
		{kindWAL, "last segment gone", "wal/*-0000000000000001.wal", nil},
		{kindWAL, "flipped byte in a batch", "wal/*-0000000000000001.wal", func(b []byte) []byte { b[100] ^= 1; return b }},
		{kindWAL, "flipped byte in a frame", "wal/*-0000000000000001.wal", func(b []byte) []byte { b[segmentHead] ^= 4; return b }},
		{kindWAL, "flipped byte in a length", "wal/*-0000000000000001.wal", func(b []byte) []byte { b[segmentHead+6] ^= 4; return b }},
	} {
		t.Run(tc.kind+" "+tc.name, func(t *testing.T) {
			dir := t.TempDir()
			w := opened(t)(reopen(tc.kind, dir, nil))
			must(t, vote(w, 1, "n1"))
			for i := uint64(1); i <= 12; i++ {
				must(t, w.StoreLogs(entries(i, 1, 1, testSegment/8)))
			}
			must(t, w.close())
			files, err := filepath.Glob(filepath.Join(dir, tc.file))
			if err != nil || len(files) != 1 {
				t.Fatalf("%s is %q (%v)", tc.file, files, err)
			}
			b, err := os.ReadFile(files[0])
			must(t, err)
			if tc.damage == nil {
				must(t, os.Remove(files[0]))
			} else if b = tc.damage(b); b == nil {
				must(t, os.WriteFile(files[0], nil, 0o600))
			} else {
				must(t, os.WriteFile(files[0], b, 0o600))
			}
			s, err := reopen(tc.kind, dir, nil)
			if err == nil {
				t.Fatalf("it is opened, with %+v", contentsOf(t, opened(t)(s, err)))
			}
			if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), Advice) {
				t.Errorf("the error is: %v", err)
			}
		})
	}
}
