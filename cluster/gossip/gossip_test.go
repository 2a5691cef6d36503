package gossip_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/gossip"
)

// simNode is a member on a simulated host.
type simNode struct {
	*gossip.Gossip
	mu        sync.Mutex
	told      []gossip.Member   // by OnChange, last
	conflicts []gossip.Conflict // by OnConflict, all
}

func self(id, region string, incarnation uint64) gossip.Member {
	return gossip.Member{ID: id, Region: region, ClusterAddr: id + ":7379", RESPAddr: id + ":6379", Version: "1.0", Incarnation: incarnation}
}

// startSim starts a member that looks for host us-1 first.
func startSim(t *testing.T, n *simnet.Network, host string, me gossip.Member, adjust func(*gossip.Config)) *simNode {
	t.Helper()
	h := n.Host(host, me.Region)
	transport, err := h.Gossip(7946)
	if err != nil {
		t.Fatal(err)
	}
	node := &simNode{}
	cfg := gossip.Config{
		Self: me, ClusterName: "test", Transport: transport, Lookup: h.Lookup,
		Seeds: func() []string { return []string{"us-1:7946"} },
		Log:   slog.New(slog.DiscardHandler),
		OnChange: func(members []gossip.Member) {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.told = members
		},
		OnConflict: func(c gossip.Conflict) {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.conflicts = append(node.conflicts, c)
		},
	}
	if adjust != nil {
		adjust(&cfg)
	}
	if node.Gossip, err = gossip.Start(cfg); err != nil {
		t.Fatal(err)
	}
	return node
}

// rest lets memberlist's own goroutines end before the bubble does.
func rest() { time.Sleep(2 * time.Minute) }

// alive lists who is believed alive, with the incarnation.
func alive(members []gossip.Member) []string {
	var ids []string
	for _, m := range members {
		if m.Alive {
			ids = append(ids, fmt.Sprintf("%s/%d", m.ID, m.Incarnation))
		}
	}
	return ids
}

// await waits until all nodes believe want to be alive, and have been told so,
// and returns how long that took.
func await(t *testing.T, limit time.Duration, want []string, nodes ...*simNode) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		agreed := true
		for _, n := range nodes {
			n.mu.Lock()
			told := n.told
			n.mu.Unlock()
			agreed = agreed && slices.Equal(alive(n.Members()), want) && slices.Equal(alive(told), want)
		}
		if agreed {
			return time.Since(begin)
		}
		if time.Since(begin) > limit {
			for i, n := range nodes {
				t.Errorf("node %d sees %v", i, alive(n.Members()))
			}
			t.Fatalf("%v are not agreed on after %v", want, limit)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// four starts us-1, us-2, eu-1 and eu-2 with 80 ms between the regions.
func four(t *testing.T, n *simnet.Network) []*simNode {
	t.Helper()
	n.Host("us-1", "us")
	n.Host("eu-1", "eu")
	n.Latency("us", "eu", 80*time.Millisecond)
	var nodes []*simNode
	for _, id := range []string{"eu-1", "eu-2", "us-1", "us-2"} {
		nodes = append(nodes, startSim(t, n, id, self(id, id[:2], 1), nil))
	}
	return nodes
}

var allFour = []string{"eu-1/1", "eu-2/1", "us-1/1", "us-2/1"}

func TestNodesDiscoverEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := four(t, simnet.New())
		await(t, 10*time.Second, allFour, nodes...)
		got := nodes[0].Members()[3]
		want := self("us-2", "us", 1)
		want.Alive, want.GossipAddr = true, nodes[3].Addr()
		if got != want || want.GossipAddr == "" {
			t.Errorf("eu-1 knows %+v, want %+v", got, want)
		}

		changed := self("us-2", "us", 1)
		changed.RESPAddr = "us-2:6380"
		if err := nodes[3].Update(changed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := nodes[0].Members()[3].RESPAddr; got != changed.RESPAddr {
			t.Errorf("eu-1 did not hear of the new address: %s", got)
		}
		changed.ID = "us-3"
		if err := nodes[3].Update(changed); err == nil {
			t.Error("a node became another")
		}
		for _, n := range nodes {
			n.Stop()
			n.Stop()
		}
		rest()
	})
}

func TestDeathIsNoticedAndTheNodeIsStillKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		nodes := four(t, n)
		await(t, 10*time.Second, allFour, nodes...)
		n.Crash("us-2")
		took := await(t, time.Minute, []string{"eu-1/1", "eu-2/1", "us-1/1"}, nodes[:3]...)
		if took < 2*time.Second {
			t.Errorf("a silent node was given up after %v", took)
		}
		if m := nodes[0].Members()[3]; m.ID != "us-2" || m.Alive || m.ClusterAddr != "us-2:7379" {
			t.Errorf("what is left of us-2: %+v", m)
		}
		for _, n := range nodes {
			n.Stop()
		}
		rest()
	})
}

func TestNodeReturnsWithANewAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		nodes := four(t, n)
		await(t, 10*time.Second, allFour, nodes...)
		old := nodes[3].Addr()
		n.Crash("us-2")
		nodes[3].Stop()
		n.Move("us-2")
		nodes[3] = startSim(t, n, "us-2", self("us-2", "us", 2), nil)
		took := await(t, time.Minute, []string{"eu-1/1", "eu-2/1", "us-1/1", "us-2/2"}, nodes...)
		if took > 10*time.Second {
			t.Errorf("the others took %v to believe in the new address", took)
		}
		for _, node := range nodes {
			if addr := node.Members()[3].GossipAddr; addr == old || addr != nodes[3].Addr() {
				t.Errorf("us-2 is sought at %s, was at %s, is at %s", addr, old, nodes[3].Addr())
			}
		}
		time.Sleep(5 * time.Minute) // the old self dies, and nobody minds
		await(t, 0, []string{"eu-1/1", "eu-2/1", "us-1/1", "us-2/2"}, nodes...)
		for _, node := range nodes {
			if len(node.conflicts) > 0 {
				t.Errorf("a restart was reported as a conflict: %v", node.conflicts)
			}
			node.Stop()
		}
		rest()
	})
}

func TestAllNodesReturnWithNewAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		nodes := four(t, n)
		await(t, 10*time.Second, allFour, nodes...)
		var want []string
		for _, id := range []string{"eu-1", "eu-2", "us-1", "us-2"} {
			n.Crash(id)
			n.Move(id)
		}
		for _, node := range nodes {
			node.Stop()
		}
		nodes = nil
		for _, id := range []string{"eu-1", "eu-2", "us-2", "us-1"} { // the seed last
			nodes = append(nodes, startSim(t, n, id, self(id, id[:2], 2), nil))
			want = append(want, id+"/2")
			time.Sleep(3 * time.Second)
		}
		slices.Sort(want)
		await(t, time.Minute, want, nodes...)
		for _, node := range nodes {
			node.Stop()
		}
		rest()
	})
}

func TestLongPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		nodes := four(t, n)
		await(t, 10*time.Second, allFour, nodes...)
		n.Cut("us", "eu")
		await(t, 2*time.Minute, []string{"eu-1/1", "eu-2/1"}, nodes[:2]...)
		await(t, 2*time.Minute, []string{"us-1/1", "us-2/1"}, nodes[2:]...)
		time.Sleep(10 * time.Minute) // memberlist has long forgotten the other side
		n.HealAll()
		if took := await(t, 5*time.Minute, allFour, nodes...); took > time.Minute {
			t.Errorf("the halves took %v to find each other", took)
		}
		for _, n := range nodes {
			n.Stop()
		}
		rest()
	})
}

func TestHalvesFindEachOtherWithoutSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		n.Host("us-1", "us")
		seeded := true // then the seeds are gone, as if the seed node had been removed
		seeds := func(c *gossip.Config) {
			names := c.Seeds
			c.Seeds = func() []string {
				if !seeded {
					return nil
				}
				return names()
			}
		}
		a := startSim(t, n, "us-1", self("us-1", "us", 1), seeds)
		b := startSim(t, n, "eu-1", self("eu-1", "eu", 1), seeds)
		await(t, 10*time.Second, []string{"eu-1/1", "us-1/1"}, a, b)
		seeded = false
		n.Cut("us", "eu")
		time.Sleep(10 * time.Minute)
		await(t, 0, []string{"us-1/1"}, a)
		n.HealAll()
		await(t, 2*time.Minute, []string{"eu-1/1", "us-1/1"}, a, b)
		a.Stop()
		b.Stop()
		rest()
	})
}

func TestLeaverIsForgottenAndStopperIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := four(t, simnet.New())
		await(t, 10*time.Second, allFour, nodes...)
		if err := nodes[0].Leave(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		nodes[0].Stop()
		nodes[1].Stop() // as at a restart
		if err := nodes[1].Leave(time.Second); !errors.Is(err, gossip.ErrStopped) {
			t.Errorf("leave after stop: %v", err)
		}
		await(t, 2*time.Minute, []string{"us-1/1", "us-2/1"}, nodes[2:]...)
		for _, node := range nodes[2:] {
			if known := node.Members(); len(known) != 3 || known[0].ID != "eu-2" {
				t.Errorf("known: %+v", known)
			}
			node.Stop()
		}
		rest()
	})
}

func TestTwoProcessesWithOneIdentityAreReported(t *testing.T) {
	for name, incarnation := range map[string]uint64{"same incarnation": 1, "another incarnation": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New()
				nodes := four(t, n)
				await(t, 10*time.Second, allFour, nodes...)
				clone := startSim(t, n, "clone", self("us-2", "us", incarnation), nil)
				time.Sleep(15 * time.Minute)
				for i, node := range append(nodes, clone) {
					node.mu.Lock()
					bystander := i < 3
					if bystander && len(node.conflicts) == 0 {
						t.Errorf("node %d was told of no conflict", i)
					}
					for _, c := range node.conflicts {
						if c.ID != "us-2" || c.Addrs[0] == c.Addrs[1] || !slices.Contains(c.Addrs[:], nodes[3].Addr()) {
							t.Errorf("node %d was told of %+v", i, c)
						}
					}
					node.mu.Unlock()
					node.Stop()
				}
				rest()
			})
		})
	}
}

func TestClustersDoNotMingle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a := startSim(t, n, "us-1", self("us-1", "us", 1), nil)
		b := startSim(t, n, "us-2", self("us-2", "us", 1), func(c *gossip.Config) { c.ClusterName = "other" })
		time.Sleep(5 * time.Minute)
		await(t, 0, []string{"us-1/1"}, a)
		await(t, 0, []string{"us-2/1"}, b)
		a.Stop()
		b.Stop()
		rest()
	})
}

func TestStopDoesNotWaitForTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		nodes := four(t, n)
		await(t, 10*time.Second, allFour, nodes...)
		n.Isolate("us-2")
		time.Sleep(5*time.Minute + 5*time.Second) // in the middle of an attempt to reach the others
		begin := time.Now()
		nodes[3].Stop()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("stop took %v", took)
		}
		for _, n := range nodes[:3] {
			n.Stop()
		}
		rest()
	})
}
