package clustertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/redisproto/resp"
)

// requests returns how many requests a group has applied, as statuses tell.
func requests(all []group.Status, name string) int64 {
	for _, s := range all {
		if s.Group == name {
			return s.Requests
		}
	}
	return 0
}

// entries returns how many entries all replicas of the regions' groups have
// applied. The system group has its own life: nodes tell it where they are.
func entries(c *Cluster) (n int64) {
	for _, name := range c.Names() {
		if running := c.nodes[name].running.Load(); running != nil {
			for _, s := range running.Statuses() {
				if s.Group != placement.System {
					n += s.Entries
				}
			}
		}
	}
	return n
}

// TestDeposedLeaderServesNothingStale cuts a leader off from the other voters,
// but not from its client: what the others decide meanwhile must never be missing
// from what it answers.
func TestDeposedLeaderServesNothingStale(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		old := c.Leader("east")
		before := c.Client(old)
		defer before.Close()
		before.Do("SET", key, "old")
		for _, other := range c.Names() {
			if other != old {
				c.Net.Cut(old, other)
			}
		}
		c.Wait("a new leader", func() bool { l := c.Leader("east"); return l != "" && l != old })
		after := c.Client(c.Leader("east"))
		defer after.Close()
		if v := after.Do("SET", key, "new"); v.Str != "OK" {
			t.Fatalf("SET at the new leader: %+v", v)
		}
		// Cut off, it cannot know, and must not say.
		if v := before.Do("GET", key); !v.IsError() {
			t.Errorf("the deposed leader answered %+v", v)
		}
		c.Net.HealAll()
		c.Wait("the old leader to follow", func() bool { return before.Do("GET", key).Str == "new" })
		c.CheckDigests()
	}, twoByTwo...)
}

// TestWriteCutOffIsOfUnknownOutcome: the error of a write that a leader could not
// finish must not say that it was not applied.
func TestWriteCutOffIsOfUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		leader := c.Leader("east")
		client := c.Client(leader)
		defer client.Close()
		client.Do("SET", key, "1")
		c.Net.Isolate(leader)
		c.Net.Heal(leader, "client")
		v := client.Do("INCR", key)
		if !v.IsError() || v.Str[:7] != "TIMEOUT" {
			t.Errorf("INCR at a leader that is cut off: %+v", v)
		}
		// By now it knows that it does not lead, and sends nothing out.
		v = client.Do("INCR", key)
		if !v.IsError() {
			t.Errorf("INCR at a node that is cut off: %+v", v)
		}
		c.Net.HealAll()
		c.Wait("service", func() bool { return !client.Do("GET", key).IsError() })
		c.CheckDigests()
	}, twoByTwo...)
}

// TestAllNodesMove restarts the whole cluster with other addresses.
func TestAllNodesMove(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		client := c.Client("east-1")
		client.Do("SET", "k", "v")
		client.Close()
		for _, name := range c.Names() {
			c.Crash(name)
		}
		c.Move()
		c.StartAll()
		client = c.Client("west-2")
		defer client.Close()
		if v := client.Do("GET", "k"); v.Str != "v" {
			t.Errorf("GET after the move: %+v", v)
		}
		c.CheckDigests()
	}, twoByTwo...)
}

// TestLeadReturnsHome: a region gets the lead of its group back once its voters
// have been well for a while.
func TestLeadReturnsHome(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.Crash("east-1")
		c.Transfer("east", "west-1")
		c.Crash("east-2")
		c.Start("east-1")
		c.WaitReady("east-1", "west-1")
		if l := c.Leader("east"); l != "west-1" {
			t.Fatalf("%s leads east", l)
		}
		back := time.Now()
		c.Wait("the lead to return", func() bool { return c.Leader("east") == "east-1" })
		if after := time.Since(back); after < 20*time.Second {
			t.Errorf("the lead returned after %v, before the home voter could be trusted", after)
		}
		c.Start("east-2")
		c.WaitReady("east-2")
		c.CheckDigests()
	}, Region{"east", 2}, Region{"west", 1})
}

// TestPollersOfAHeldLockShareEntries: to refuse a lock costs no entry of its own.
func TestPollersOfAHeldLockShareEntries(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.Net.Latency("east", "west", 20*time.Millisecond) // so that polls meet
		key := c.keyIn("east")
		holder := c.Client("east-1")
		defer holder.Close()
		holder.Do("SET", key, "holder", "NX", "PX", "600000")
		before := requests(c.nodes[c.Leader("east")].running.Load().Statuses(), "east")
		entriesBefore := entries(c)
		var wg sync.WaitGroup
		const pollers, polls = 50, 20
		for i := range pollers {
			wg.Go(func() {
				client := c.Client(c.Names()[i%4])
				defer client.Close()
				for range polls {
					if v := client.Do("SET", key, fmt.Sprint(i), "NX", "PX", "1000"); v.Kind != resp.Nil {
						t.Errorf("a held lock was granted: %+v", v)
					}
				}
			})
		}
		wg.Wait()
		if n := requests(c.nodes[c.Leader("east")].running.Load().Statuses(), "east") - before; n != 0 {
			t.Errorf("%d refusals were written to the log", n)
		}
		if n := entries(c) - entriesBefore; n > pollers*polls {
			t.Errorf("%d polls cost %d entries on all replicas", pollers*polls, n)
		}
	}, twoByTwo...)
}

// TestPipelineKeepsItsOrder: what a pipeline reads is what it wrote before.
func TestPipelineKeepsItsOrder(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		for _, via := range c.Names() {
			client := c.Client(via)
			var commands [][]string
			for i := range 100 {
				key := fmt.Sprintf("%s-%d", via, i)
				commands = append(commands, []string{"SET", key, "1"}, []string{"INCR", key}, []string{"GET", key}, []string{"DEL", key}, []string{"GET", key})
			}
			for i, v := range client.Pipeline(commands...) {
				want := []resp.Value{resp.OK, resp.Int(2), resp.Str("2"), resp.Int(1), resp.Null}[i%5]
				if v.Kind != want.Kind || v.Int != want.Int || v.Str != want.Str {
					t.Errorf("%v: %+v", commands[i], v)
				}
			}
			client.Close()
		}
	}, twoByTwo...)
}

// TestCommandsOverSeveralGroups: they act as on one server.
func TestCommandsOverSeveralGroups(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		client := c.Client("west-1")
		defer client.Close()
		const keys = 40
		mset, mget, del := []string{"MSET"}, []string{"MGET"}, []string{"DEL", "absent"}
		for i := range keys {
			k := fmt.Sprintf("k%02d", i)
			mset, mget, del = append(mset, k, "v"+k), append(mget, k), append(del, k)
		}
		client.Do(mset...)
		for i, v := range client.Do(mget...).Elems {
			if want := fmt.Sprintf("vk%02d", i); v.Str != want {
				t.Errorf("MGET: element %d is %+v, not %s", i, v, want)
			}
		}
		if n := client.Do("DBSIZE").Int; n != keys {
			t.Errorf("DBSIZE is %d", n)
		}
		if n := len(client.Do("KEYS", "k*").Elems); n != keys {
			t.Errorf("KEYS finds %d", n)
		}
		seen, cursor := map[string]bool{}, "0"
		for {
			page := client.Do("SCAN", cursor, "COUNT", "7")
			for _, k := range page.Elems[1].Elems {
				seen[k.Str] = true
			}
			if cursor = page.Elems[0].Str; cursor == "0" {
				break
			}
		}
		if len(seen) != keys {
			t.Errorf("SCAN finds %d", len(seen))
		}
		if v := client.Do("RENAME", "k00", "k01"); v.Str != "OK" && v.Str[:9] != "CROSSSLOT" {
			t.Errorf("RENAME: %+v", v)
		}
		if n := client.Do(del...).Int; n < keys-1 {
			t.Errorf("DEL removes %d", n)
		}
		if n := client.Do("DBSIZE").Int; n != 0 {
			t.Errorf("DBSIZE is %d after DEL", n)
		}
	}, twoByTwo...)
}

// TestNodeStopsThoughNoMajorityTakesEntries: what is on its way then has no outcome, and
// is not waited for longer than a stop may take.
func TestNodeStopsThoughNoMajorityTakesEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Region{"east", 3})
		var roomy atomic.Pointer[string] // the only node with room on its disk, nil for all
		c.Space = func(node string) (free, total uint64, err error) {
			if only := roomy.Load(); only != nil && *only != node {
				return 1 << 20, 1 << 40, nil
			}
			return 1 << 39, 1 << 40, nil
		}
		c.StartAll()
		leader := c.Leader("east")
		client := c.Client(leader)
		client.Do("SET", "k", "v")
		roomy.Store(&leader)
		var asking sync.WaitGroup
		for range 10 { // until the leader hears of the others' disks
			writer := c.Client(leader)
			defer writer.Close()
			asking.Go(func() { writer.Try("SET", "k", "w") })
			time.Sleep(50 * time.Millisecond)
		}
		began := time.Now()
		c.Stop(leader)
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
		asking.Wait()
		roomy.Store(nil)
		c.Close()
	})
}

// TestNodeStopsThoughItsWaitsAreElsewhere: what became of a client that waits at a leader
// out of reach cannot be found out, and is not waited for longer than a stop may take.
func TestNodeStopsThoughItsWaitsAreElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key, name := c.keyIn("east"), "west-1"
		client := c.Client(name)
		defer client.Close()
		var waiting sync.WaitGroup
		waiting.Go(func() { client.Try("BLPOP", key, "0") })
		time.Sleep(time.Second) // virtual: it waits at the leader
		for _, other := range c.Names() {
			if other != name {
				c.Net.Cut(name, other)
			}
		}
		began := time.Now()
		c.Stop(name)
		if took := time.Since(began); took > 9500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		waiting.Wait()
		c.Net.HealAll()
		c.Start(name)
	}, twoByTwo...)
}
