package mux_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

// stream is a group's share of a Mux as raft wants it. Servers are addressed by
// their ids.
type stream struct {
	net.Listener
	mux *mux.Mux
}

func (s stream) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return mux.WithProgress(c, mux.RaftIdle), nil
}

func (s stream) Dial(node raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := s.mux.DialNode(ctx, string(node), mux.Raft, "us", 0)
	if err != nil {
		return nil, err
	}
	return mux.WithProgress(c, mux.RaftIdle), nil
}

// journal is a state machine that remembers what was applied.
type journal struct {
	mu      sync.Mutex
	applied []string
}

func (j *journal) Apply(l *raft.Log) any {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.applied = append(j.applied, string(l.Data))
	return nil
}
func (j *journal) Snapshot() (raft.FSMSnapshot, error) { return nil, fmt.Errorf("not in this test") }
func (j *journal) Restore(io.ReadCloser) error         { return nil }

type raftNode struct {
	*raft.Raft
	name    string
	journal *journal
	trans   *raft.NetworkTransport
	mux     *mux.Mux
}

func startRaft(t *testing.T, n *simnet.Network, name string, servers []raft.Server) *raftNode {
	t.Helper()
	node := &raftNode{name: name, journal: &journal{}, mux: start(t, n, name, nil)}
	node.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  stream{node.mux.Handle(mux.Raft, "us"), node.mux},
		MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 5 * time.Second, Logger: hclog.NewNullLogger(),
	})
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(name)
	conf.Logger = hclog.NewNullLogger()
	store := raft.NewInmemStore()
	snapshots := raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(conf, store, store, snapshots, node.trans, raft.Configuration{Servers: servers}); err != nil {
		t.Fatal(err)
	}
	var err error
	if node.Raft, err = raft.NewRaft(conf, node.journal, store, store, snapshots, node.trans); err != nil {
		t.Fatal(err)
	}
	return node
}

// stop ends a node; none of its goroutines may be left.
func (n *raftNode) stop() {
	n.Shutdown().Error()
	n.trans.Close()
	n.trans.CloseStreams()
	n.mux.Close()
}

// leader waits in virtual time for a leader that is not the old one.
func leader(t *testing.T, nodes []*raftNode, old *raftNode) *raftNode {
	t.Helper()
	for range 60 {
		time.Sleep(time.Second)
		for _, n := range nodes {
			if n != old && n.State() == raft.Leader {
				return n
			}
		}
	}
	t.Fatal("no leader within a minute")
	return nil
}

func TestRaftElectsLosesItsLeaderAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		n.Latency("us", "us", 2*time.Millisecond)
		var servers []raft.Server
		for _, name := range []string{"a", "b", "c"} {
			servers = append(servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
		}
		var nodes []*raftNode
		for _, s := range servers {
			nodes = append(nodes, startRaft(t, n, string(s.ID), servers))
		}
		apply := func(n *raftNode, entry string) {
			t.Helper()
			if err := n.Apply([]byte(entry), time.Second).Error(); err != nil {
				t.Fatalf("%s: %v", n.name, err)
			}
		}
		first := leader(t, nodes, nil)
		apply(first, "one")
		time.Sleep(time.Second)

		n.Isolate(first.name)
		lost := first.Apply([]byte("lost"), time.Second)
		second := leader(t, nodes, first)
		apply(second, "two")
		if err := lost.Error(); err == nil {
			t.Fatal("a leader that was cut off committed an entry")
		}
		time.Sleep(time.Minute) // connections break, pools fill up again
		n.HealAll()
		time.Sleep(time.Minute)
		apply(leader(t, nodes, nil), "three")
		time.Sleep(5 * time.Second)

		for _, node := range nodes {
			node.journal.mu.Lock()
			if want := []string{"one", "two", "three"}; !slices.Equal(node.journal.applied, want) {
				t.Errorf("%s applied %q, want %q", node.name, node.journal.applied, want)
			}
			node.journal.mu.Unlock()
		}
		for _, node := range nodes {
			node.stop()
		}
		time.Sleep(time.Minute) // raft's own timers
	})
}
