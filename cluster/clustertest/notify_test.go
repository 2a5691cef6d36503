package clustertest

import (
	"fmt"
	"slices"
	"testing"
)

// TestKeyspaceEventsReachAllNodes: whichever node a write goes through, subscribers at
// every node hear of it, in the order of the writes and behind what it changed.
func TestKeyspaceEventsReachAllNodes(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		set := c.Client("west-2")
		if v := set.Do("CONFIG", "SET", "notify-keyspace-events", "KEA"); v.Str != "OK" {
			t.Fatalf("CONFIG SET: %+v", v)
		}
		subscribers := c.subscribeEverywhere("PSUBSCRIBE", "__key*")
		var want []string
		for i, name := range c.Names() {
			client := c.Client(name)
			if v := client.Do("CONFIG", "GET", "notify-keyspace-events"); len(v.Elems) != 2 || v.Elems[1].Str != "AKE" {
				t.Errorf("CONFIG GET at %s: %+v", name, v)
			}
			client.Do("SELECT", fmt.Sprint(i))
			client.Pipeline([]string{"SET", key, "v"}, []string{"DEL", key})
			for _, event := range []string{"set", "del"} {
				want = append(want, fmt.Sprintf("__keyspace@%d__:%s %s", i, key, event), fmt.Sprintf("__keyevent@%d__:%s %s", i, event, key))
			}
			client.Close()
		}
		for name, s := range subscribers {
			c.Wait("the events at "+name, func() bool { return len(s.Got()) >= len(want) })
			if got := s.Got(); !slices.Equal(got, want) {
				t.Errorf("%s got %q, not %q", name, got, want)
			}
		}
		set.Close()
		closeAll(subscribers)
	}, twoByTwo...)
}

// TestEventsFollowTheSetting: once CONFIG SET is answered, every write that begins is
// told of or not, whichever node leads. The setting survives the nodes.
func TestEventsFollowTheSetting(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		keys := map[string]string{"east": c.keyIn("east"), "west": c.keyIn("west")}
		s := c.Subscribe("east-1", "PSUBSCRIBE", "__keyevent@0__:*")
		want := 0
		check := func(what string) {
			t.Helper()
			c.Wait(what, func() bool { return len(s.Got()) >= want })
			if got := s.Got(); len(got) != want {
				t.Fatalf("%s: %d events where there should be %d: %q", what, len(got), want, got)
			}
		}
		for round := range 3 {
			for _, name := range c.Names() {
				for _, value := range []string{"KEA", "", "E$", "Kg", "Eg", ""} {
					client := c.Client(name)
					if v := client.Do("CONFIG", "SET", "notify-keyspace-events", value); v.Str != "OK" {
						t.Fatalf("CONFIG SET at %s: %+v", name, v)
					}
					for _, key := range keys {
						client.Do("SET", key, "v")
						if value == "KEA" || value == "E$" {
							want++
						}
					}
					client.Close()
				}
			}
			check(fmt.Sprint("round ", round))
			for _, group := range []string{"east", "west"} {
				for _, to := range []string{group + "-1", group + "-2"} {
					if c.Leader(group) != to {
						c.Transfer(group, to)
						break
					}
				}
			}
		}
		client := c.Client("east-1")
		client.Do("CONFIG", "SET", "notify-keyspace-events", "E$")
		client.Close()
		s.Close()
		for _, name := range c.Names() {
			c.Crash(name)
		}
		c.StartAll()
		s = c.Subscribe("west-1", "PSUBSCRIBE", "__keyevent@0__:*")
		want = 0
		for _, name := range c.Names() {
			client := c.Client(name)
			for _, key := range keys {
				client.Do("SET", key, "v")
				want++
			}
			client.Close()
		}
		check("after a restart")
		s.Close()
	}, twoByTwo...)
}

// TestEventsAfterAChangeOfLeader: the next one tells of its own entries.
func TestEventsAfterAChangeOfLeader(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		client := c.Client("west-1")
		client.Do("CONFIG", "SET", "notify-keyspace-events", "KA")
		s := c.Subscribe("west-2", "PSUBSCRIBE", "__keyspace@0__:*")
		var want []string
		incr := func(n int) {
			for range n {
				if v := client.Do("INCR", key); v.IsError() {
					t.Fatalf("INCR: %+v", v)
				}
				want = append(want, "__keyspace@0__:"+key+" incrby")
			}
			c.Wait("the events", func() bool { return len(s.Got()) >= len(want) })
		}
		incr(10)
		old := c.Leader("east")
		c.Crash(old)
		incr(10)
		c.Start(old)
		c.WaitReady(old)
		c.Transfer("east", old)
		client.Do("PEXPIRE", key, "50")
		want = append(want, "__keyspace@0__:"+key+" expire", "__keyspace@0__:"+key+" expired")
		c.Wait("the key to expire", func() bool { return len(s.Got()) >= len(want) })
		incr(10)
		if got := s.Got(); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		client.Close()
		s.Close()
	}, twoByTwo...)
}

// TestConfigSetOfEvents: what is no class is refused, and changes nothing; and a node
// that cannot be reached does not hold it up for ever.
func TestConfigSetOfEvents(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		client := c.Client("east-1")
		const want = "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
		if v := client.Do("CONFIG", "SET", "notify-keyspace-events", "Kq"); v.Str != want {
			t.Errorf("a bad class: %+v", v)
		}
		if v := client.Do("CONFIG", "GET", "notify-keyspace-events"); v.Elems[1].Str != "" {
			t.Errorf("after that: %+v", v)
		}
		c.Net.Isolate("west-2")
		if v := client.Do("CONFIG", "SET", "notify-keyspace-events", "Kx"); v.Str != "OK" {
			t.Errorf("without a node: %+v", v)
		}
		c.Net.HealAll()
		far := c.Client("west-2")
		c.Wait("the node to follow", func() bool {
			return far.Do("CONFIG", "GET", "notify-keyspace-events").Elems[1].Str == "xK"
		})
		far.Close()
		client.Close()
	}, twoByTwo...)
}
