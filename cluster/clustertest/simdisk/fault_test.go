package simdisk_test

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"phonond/cluster/clustertest/simdisk"
)

// forKinds runs a test in a bubble for each kind of store.
func forKinds(t *testing.T, test func(t *testing.T, w *writer)) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newWriter(t, kind, 1)) })
		})
	}
}

// TestFailedWrites: whether a write that failed was done is only known afterwards.
func TestFailedWrites(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		done := map[bool]int{}
		for range 60 {
			for range 10 {
				if _, err := w.step(); err != nil {
					t.Fatal(err)
				}
			}
			w.disk.Fail(syscall.EIO)
			told := w.told.all()
			would, err := w.step()
			if err == nil && !would.equal(w.content) || err != nil && !errors.Is(err, syscall.EIO) {
				t.Fatalf("the disk is broken, and a write says %v", err)
			}
			w.disk.Fail(nil)
			w.storage.Closer.Close()
			w.reopen(told, would)
			done[w.told.all() > told]++
		}
		if done[true] == 0 || done[false] == 0 {
			t.Errorf("of the writes that failed, done or not: %v", done)
		}
	})
}

// TestFullDisk: whatever fails for want of room leaves what was acknowledged.
func TestFullDisk(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		for range 60 {
			for range 10 {
				if _, err := w.step(); err != nil {
					t.Fatal(err)
				}
			}
			w.disk.Fill(true)
			if free, all := w.disk.Free(); free != 0 || all == 0 {
				t.Fatalf("%d of %d bytes are free", free, all)
			}
			var err error
			var would content
			told := 0
			for n := 0; err == nil; n++ {
				if n == 1000 {
					t.Fatal("1000 writes find room on a full disk")
				}
				told = w.told.all()
				would, err = w.step()
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk is full, and a write says %v", err)
			}
			if w.rng.IntN(2) == 0 {
				w.disk.Crash()
			} else {
				w.storage.Closer.Close()
			}
			w.disk.Fill(false)
			if free, _ := w.disk.Free(); free == 0 {
				t.Fatal("no byte is free")
			}
			w.reopen(told, would)
		}
	})
}

// TestStalledWritesWait until the disk answers, or they never will be done.
func TestStalledWritesWait(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		for name, tc := range map[string]struct {
			end  func()
			want error
		}{
			"resume": {w.disk.Resume, nil},
			"crash":  {w.disk.Crash, simdisk.ErrGone},
			"close":  {func() { w.storage.Closer.Close() }, simdisk.ErrGone},
		} {
			before := w.content.last
			w.disk.Stall()
			outcome := make(chan error, 1)
			go func() {
				outcome <- w.storage.Logs.StoreLog(&raft.Log{Index: before + 1})
			}()
			time.Sleep(time.Hour)
			select {
			case err := <-outcome:
				t.Fatalf("%s: before it, the write returned %v", name, err)
			default:
			}
			if last, err := w.storage.Logs.LastIndex(); last != before || err != nil {
				t.Fatalf("%s: before it, the last entry is %d, %v", name, last, err)
			}
			tc.end()
			if err := <-outcome; !errors.Is(err, tc.want) {
				t.Errorf("%s: the write returns %v", name, err)
			}
			w.disk.Resume()
			w.storage.Closer.Close()
			w.open()
			last, err := w.storage.Logs.LastIndex()
			if want := before + 1; err != nil || (last == want) != (tc.want == nil) {
				t.Errorf("%s: the last entry is %d, %v", name, last, err)
			}
			w.content.last = last
		}
	})
}

func TestSlowWrites(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		w.disk.Slow(time.Second, 3*time.Second)
		var shortest, longest time.Duration = time.Hour, 0
		for i := range 50 {
			began := time.Now()
			if err := w.storage.Logs.StoreLog(&raft.Log{Index: uint64(i + 1)}); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			shortest, longest = min(shortest, took), max(longest, took)
		}
		if shortest < time.Second || longest > 3*time.Second || longest-shortest < time.Second {
			t.Errorf("writes took between %v and %v", shortest, longest)
		}
		w.disk.Slow(0, 0)
		began := time.Now()
		if err := w.storage.Stable.SetUint64([]byte("n"), 1); err != nil || time.Since(began) > 0 {
			t.Errorf("on a fast disk a write took %v: %v", time.Since(began), err)
		}
	})
}

// TestNothingIsDoneAfterACrash: a node that has lost its disk goes on for a while.
func TestNothingIsDoneAfterACrash(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		for w.content.last < 20 || len(w.content.snapshots) == 0 {
			if _, err := w.step(); err != nil {
				t.Fatal(err)
			}
		}
		old := w.storage
		list, err := old.Snapshots.List()
		if err != nil {
			t.Fatal(err)
		}
		_, source, err := old.Snapshots.Open(list[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		create := func() (raft.SnapshotSink, error) {
			return old.Snapshots.Create(1, 9, 9, raft.Configuration{}, 1, nil)
		}
		sink, err := create()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
		w.disk.Crash()
		w.open()
		for name, use := range map[string]func() error{
			"FirstIndex":  func() error { _, err := old.Logs.FirstIndex(); return err },
			"LastIndex":   func() error { _, err := old.Logs.LastIndex(); return err },
			"GetLog":      func() error { return old.Logs.GetLog(w.content.last, new(raft.Log)) },
			"StoreLog":    func() error { return old.Logs.StoreLog(&raft.Log{Index: w.content.last + 1}) },
			"DeleteRange": func() error { return old.Logs.DeleteRange(1, w.content.last) },
			"Set":         func() error { return old.Stable.Set([]byte("PhononVote"), make([]byte, 9)) },
			"Get":         func() error { _, err := old.Stable.Get([]byte("PhononVote")); return err },
			"SetUint64":   func() error { return old.Stable.SetUint64([]byte("CurrentTerm"), 1) },
			"GetUint64":   func() error { _, err := old.Stable.GetUint64([]byte("CurrentTerm")); return err },
			"List":        func() error { _, err := old.Snapshots.List(); return err },
			"Open":        func() error { _, _, err := old.Snapshots.Open(list[0].ID); return err },
			"Create":      func() error { _, err := create(); return err },
			"Read":        func() error { _, err := io.ReadAll(source); return err },
			"Write":       func() error { _, err := sink.Write([]byte("x")); return err },
			"Close":       sink.Close,
			"Cancel":      sink.Cancel,
		} {
			if err := use(); !errors.Is(err, simdisk.ErrGone) {
				t.Errorf("%s of a storage that is gone returns %v", name, err)
			}
		}
		if err := errors.Join(source.Close(), old.Closer.Close()); err != nil {
			t.Errorf("closing what is gone: %v", err)
		}
		w.check()
	})
}

// TestPowerFailsForAllGroups of the node at once.
func TestPowerFailsForAllGroups(t *testing.T) {
	forKinds(t, func(t *testing.T, w *writer) {
		other, err := w.disk.Storage("h")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.disk.Storage("h"); !errors.Is(err, simdisk.ErrInUse) {
			t.Errorf("a second storage of a group: %v", err)
		}
		if err := other.Logs.StoreLog(&raft.Log{Index: 7, Data: []byte("kept")}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		w.disk.Arm(1, simdisk.Lost, func() { ended <- errors.Join(w.storage.Closer.Close(), other.Closer.Close()) })
		if err := other.Logs.StoreLog(&raft.Log{Index: 8}); !errors.Is(err, simdisk.ErrGone) {
			t.Fatalf("the write at which the power fails: %v", err)
		}
		if err := w.storage.Logs.StoreLog(&raft.Log{Index: 1}); !errors.Is(err, simdisk.ErrGone) {
			t.Errorf("a write of another group: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if other, err = w.disk.Storage("h"); err != nil {
			t.Fatal(err)
		}
		var l raft.Log
		if err := other.Logs.GetLog(7, &l); err != nil || string(l.Data) != "kept" {
			t.Errorf("what was stored before: %q, %v", l.Data, err)
		}
		if last, err := other.Logs.LastIndex(); err != nil || last != 7 {
			t.Errorf("the last entry is %d, %v", last, err)
		}
	})
}

// TestSameSeedSameDisk: what is torn is up to rng alone.
func TestSameSeedSameDisk(t *testing.T) {
	for _, kind := range kinds {
		var all []string
		for range 2 {
			synctest.Test(t, func(t *testing.T) {
				w := newWriter(t, kind, 5)
				for range 20 {
					w.life()
				}
				all = append(all, fmt.Sprint(w.content, w.writes, w.told))
			})
		}
		if all[0] != all[1] {
			t.Errorf("%s: once\n%s\nand once\n%s", kind, all[0], all[1])
		}
	}
}

// BenchmarkStart is a start, one write, and a power loss in the middle of the next.
func BenchmarkStart(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			d := newDisk(b, kind, 1)
			var last uint64
			for b.Loop() {
				s, err := d.Storage("g")
				if err != nil {
					b.Fatal(err)
				}
				if last, err = s.Logs.LastIndex(); err != nil {
					b.Fatal(err)
				}
				if last > 0 {
					s.Logs.DeleteRange(0, last-min(last, 100))
				}
				d.Arm(2, simdisk.Torn, nil)
				for err == nil {
					last++
					err = s.Logs.StoreLog(&raft.Log{Index: last, Data: make([]byte, 200)})
				}
				if !errors.Is(err, simdisk.ErrGone) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStoreLogs is what a write costs.
func BenchmarkStoreLogs(b *testing.B) {
	for _, kind := range kinds {
		b.Run(string(kind), func(b *testing.B) {
			s, err := newDisk(b, kind, 1).Storage("g")
			if err != nil {
				b.Fatal(err)
			}
			index := uint64(0)
			for b.Loop() {
				index++
				if err := s.Logs.StoreLog(&raft.Log{Index: index, Data: make([]byte, 200)}); err != nil {
					b.Fatal(err)
				}
				if index%1000 == 0 {
					if err := s.Logs.DeleteRange(1, index-100); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
