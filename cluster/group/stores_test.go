package group

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"phonond/redisproto/command"
)

// onFiles lets a replica keep what it has in dir. With short segments: raft-wal gives
// back what was removed from the one that it writes to.
func onFiles(t *testing.T, kind, dir string) func(*Config) {
	return func(c *Config) {
		s, err := reopen(kind, dir, nil)
		must(t, err)
		c.Storage = s
	}
}

// TestGroupOnFiles has a group live on each kind of store: a replica that was away
// is sent a snapshot, which would leave a gap in its log. Not every log takes that.
func TestGroupOnFiles(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, _ func(string) (*Storage, error)) {
		dir := t.TempDir()
		bubble(t, func(r *rig) {
			r.config = func(c *Config) {
				c.Limits.TrailingBytes = 1
				onFiles(t, kind, filepath.Join(dir, c.Node))(c)
			}
			r.openAll()
			n := r.leader()
			n.must("SET", "before", "1")
			r.level()
			away := r.follower()
			had := away.raft.LastIndex()
			r.crash(away.name)
			const more = 600
			for i := range more {
				n.must("SET", fmt.Sprintf("key-%d", i), "v")
			}
			time.Sleep(2 * snapshotPoll) // the log is sized
			must(t, n.Snapshot())
			if first, _ := n.store.FirstIndex(); first <= had+1 {
				t.Fatalf("the leader still has entry %d, which the replica lacks", first)
			}
			for range 3 { // is sent a snapshot, and then starts from it
				back := r.open(away.name)
				r.level()
				n.must("INCR", "before")
				r.level()
				if list, err := back.store.snapshots.List(); err != nil || len(list) == 0 {
					t.Errorf("the replica was sent no snapshot (%v)", err)
				}
				if v := back.Read([]command.Call{call("DBSIZE")}); v[0].Int != more+1 {
					t.Errorf("the replica has %+v", v)
				}
				r.crash(away.name)
			}
			r.open(away.name)
			for name := range r.disks { // each leads once, with what it has
				r.crash(name)
				r.leader().must("INCR", "before")
				r.open(name)
				r.level()
			}
			if v := r.leader().must("GET", "before"); v.Str != "7" {
				t.Errorf("the count is %s", v.Str)
			}
		}, "n1", "n2", "n3")
	})
}

// BenchmarkAppend is one entry of 200 bytes, as raft has it written.
func BenchmarkAppend(b *testing.B) {
	for _, s := range stores {
		b.Run(s.kind, func(b *testing.B) {
			storage, err := s.open(b.TempDir(), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer storage.Closer.Close()
			var next uint64 = 1
			var took []time.Duration
			for b.Loop() {
				ls, began := entries(next, 1, 1, 200), time.Now()
				if err := storage.Logs.StoreLogs(ls); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
				next++
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/p99")
		})
	}
}
