package group

import (
	"fmt"
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
		for i := range 2 * DefaultLimits().TrailingEntries {
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
		if v := back.Read([]command.Call{call("GET", "before"), call("DBSIZE")}); v[0].Str != "2" || v[1].Int != 2*int64(DefaultLimits().TrailingEntries)+1 {
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
