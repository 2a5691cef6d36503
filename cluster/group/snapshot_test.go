package group

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// TestReplicaThatWasAwayGetsASnapshot: the log it lacks is no longer kept.
func TestReplicaThatWasAwayGetsASnapshot(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Limits.TrailingBytes = 1 }
		r.openAll()
		n := r.leader()
		n.must("SET", "before", "1")
		r.level()
		away := r.follower().name
		r.crash(away)
		had, _ := r.disks[away].LastIndex()
		for i := range 2 * minTrailing {
			n.must("SET", fmt.Sprintf("key-%d", i), "v")
		}
		time.Sleep(2 * snapshotPoll) // the log is sized
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
		if first, _ := r.disks[n.name].FirstIndex(); first <= had+1 {
			t.Fatalf("the leader still has entry %d, which the replica lacks", first)
		}
		back := r.open(away)
		r.level()
		n.must("INCR", "before")
		r.level()
		if v := back.Read([]command.Call{call("GET", "before"), call("DBSIZE")}); v[0].Str != "2" || v[1].Int != 2*minTrailing+1 {
			t.Errorf("the replica has %+v", v)
		}
		// And starts from the snapshot it was sent.
		r.crash(away)
		r.open(away)
		r.level()
	}, "n1", "n2", "n3")
}

func TestSnapshotTriggers(t *testing.T) {
	never := Limits{SnapshotInterval: 1000 * time.Hour, SnapshotEntries: 1 << 40, SnapshotBytes: 1 << 50, QueueBytes: 1 << 20, TrailingBytes: 1 << 20}
	for _, tc := range []struct {
		name  string
		limit func(*Limits)
		write func(n *replica)
		due   time.Duration // after the write
	}{
		{"entries", func(l *Limits) { l.SnapshotEntries = 20 }, func(n *replica) {
			for range 25 {
				n.must("INCR", "k")
			}
		}, snapshotPoll},
		{"bytes", func(l *Limits) { l.SnapshotBytes = 100_000 }, func(n *replica) {
			n.must("SET", "k", strings.Repeat("x", 100_000))
		}, snapshotPoll},
		{"time", func(l *Limits) { l.SnapshotInterval = time.Minute }, func(n *replica) { n.must("SET", "k", "v") }, time.Minute},
		{"none", func(*Limits) {}, func(n *replica) { n.must("SET", "k", "v") }, 1000 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.config = func(c *Config) { c.Limits = never; tc.limit(&c.Limits) }
				n := r.open("v")
				r.leader()
				tc.write(n)
				began := time.Now()
				var taken time.Duration
				for time.Since(began) < 10*time.Minute {
					if taken == 0 && n.Status().Snapshots > 0 {
						taken = time.Since(began)
					}
					time.Sleep(time.Second)
				}
				s := n.Status()
				switch {
				case tc.due > time.Hour:
					if s.Snapshots != 0 {
						t.Errorf("%d snapshots for nothing", s.Snapshots)
					}
				case s.Snapshots != 1:
					t.Errorf("%d snapshots in ten minutes, of which nine were idle", s.Snapshots)
				case taken > tc.due+2*snapshotPoll || taken < tc.due-2*snapshotPoll:
					t.Errorf("the snapshot came after %v, not %v", taken, tc.due)
				case s.SnapshotBytes == 0:
					t.Error("its size is not known")
				}
			}, "v")
		})
	}
}

// TestDivergedReplicaStops plants a command that depends on something beside the
// log. The replica that is alone with its state must not answer from it.
func TestDivergedReplicaStops(t *testing.T) {
	bubble(t, func(r *rig) {
		odd := ""
		r.config = func(c *Config) {
			c.Machine.Table = fsm.NewTable([]fsm.Command{{
				Spec: command.Spec{Name: "whoami", Arity: 1, Flags: command.Write},
				Write: func(*fsm.Tx, [][]byte) resp.Value {
					return resp.Flag(c.Node == odd)
				},
			}})
		}
		r.openAll()
		n := r.leader()
		n.must("WHOAMI")
		r.level()
		victim := r.follower()
		odd = victim.name
		n.must("WHOAMI")
		n.must("WHOAMI") // carries the digest after the one before
		wantFailure(t, victim, fsm.ErrDiverged, "the leader has digest")
		applied, _ := victim.Digest()
		for range 5 {
			n.must("WHOAMI")
		}
		time.Sleep(time.Minute)
		if now, _ := victim.Digest(); now != applied {
			t.Errorf("it went on from entry %d to %d", applied, now)
		}
		for _, other := range r.running {
			if other != victim && len(other.failures()) > 0 {
				t.Errorf("%s stops as well: %v", other.name, other.failures())
			}
		}
	}, "n1", "n2", "n3")
}

func TestOpenBoltSweepsWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	half, whole := filepath.Join(dir, "snapshots", "2-7-1.tmp"), filepath.Join(dir, "snapshots", "2-6-1")
	for _, d := range []string{half, whole} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "state.bin"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := OpenBolt(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Closer.Close()
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("the half-written snapshot is still there (%v)", err)
	}
	if _, err := os.Stat(whole); err != nil {
		t.Error("a whole snapshot was removed")
	}
	if !Made(dir) || Made(t.TempDir()) {
		t.Error("Made does not tell a log from none")
	}
	// The file belongs to one process.
	_, err = OpenBolt(dir, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "is in use by another process") || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second OpenBolt says %v", err)
	}
}

// TestVoteSurvivesTheDisk: the key of a vote is read back from a real file.
func TestVoteSurvivesTheDisk(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []string{"", "n1", "n2"} {
		s, err := OpenBolt(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		w := watch(s, time.Minute, func(err error) { t.Error(err) })
		term, termErr := w.GetUint64([]byte("LastVoteTerm"))
		cand, candErr := w.Get([]byte("LastVoteCand"))
		if want == "" {
			if termErr == nil || termErr.Error() != "not found" || candErr == nil || candErr.Error() != "not found" {
				t.Errorf("before any vote: %v, %v", termErr, candErr)
			}
		} else if termErr != nil || candErr != nil || term != uint64(i) || string(cand) != want {
			t.Errorf("the vote reads %d %q (%v, %v), not %d %q", term, cand, termErr, candErr, i, want)
		}
		if err := w.SetUint64([]byte("LastVoteTerm"), uint64(i+1)); err != nil {
			t.Fatal(err)
		}
		if err := w.Set([]byte("LastVoteCand"), fmt.Appendf(nil, "n%d", i+1)); err != nil {
			t.Fatal(err)
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}
}
