package cluster

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

// silent is a network on which nobody answers.
type silent struct{ mux.Network }

func (silent) Dial(ctx context.Context, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestRaftGivesUpDiallingSoon: a replica that is cut off asks for votes every second,
// and each question dials. In a partition of real nodes that came to 150 sockets.
func TestRaftGivesUpDiallingSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := mux.New(mux.Config{
			Network: silent{simnet.New().Host("a", "east")}, Addr: "a:1", Log: slog.New(slog.DiscardHandler),
			Self:    mux.Identity{ClusterName: "c", Region: "east", Node: "a"},
			Resolve: func(string) (string, bool) { return "b:1", true },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		start := time.Now()
		if _, err := (&stream{mux: m, node: "a", group: "east"}).Dial("b", 10*time.Second); err == nil {
			t.Error("somebody answered")
		}
		if took := time.Since(start); took != raftDial {
			t.Errorf("raft dialled for %v, not %v", took, raftDial)
		}
	})
}
