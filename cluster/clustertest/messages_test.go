package clustertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// subscribeEverywhere has a subscriber at every node.
func (c *Cluster) subscribeEverywhere(command string, channels ...string) map[string]*Subscriber {
	c.t.Helper()
	all := map[string]*Subscriber{}
	for _, name := range c.Names() {
		all[name] = c.Subscribe(name, command, channels...)
	}
	return all
}

func closeAll(all map[string]*Subscriber) {
	for _, s := range all {
		s.Close()
	}
}

// TestMessagesReachAllNodesInOrder publishes through every node, in pipelines one after
// the other.
func TestMessagesReachAllNodesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.Net.Latency("east-1", "west-1", 80*time.Millisecond)
		subscribers := c.subscribeEverywhere("SUBSCRIBE", "news")
		patterns := c.Subscribe("west-2", "PSUBSCRIBE", "n*")
		want := map[string][]string{}
		for _, name := range c.Names() {
			client := c.Client(name)
			for range 5 {
				var pipeline [][]string
				for range 20 {
					text := fmt.Sprint(name, " ", len(want[name]))
					pipeline = append(pipeline, []string{"PUBLISH", "news", text})
					want[name] = append(want[name], "news "+text)
				}
				for i, v := range client.Pipeline(pipeline...) {
					if v.Int != 5 {
						t.Errorf("message %d through %s: %+v", i, name, v)
					}
				}
			}
			if v := client.Do("PUBLISH", "others", "x"); v.Kind != resp.Integer || v.Int != 0 {
				t.Errorf("a channel without subscribers: %+v", v)
			}
			client.Close()
		}
		all := slices.Concat(want["east-1"], want["east-2"], want["west-1"], want["west-2"])
		for name, s := range subscribers {
			c.Wait("all messages at "+name, func() bool { return len(s.Got()) >= len(all) })
			if got := s.Got(); !slices.Equal(got, all) {
				t.Errorf("%s got %d messages: %q", name, len(got), got)
			}
		}
		c.Wait("all messages for the pattern", func() bool { return len(patterns.Got()) >= len(all) })
		if got := patterns.Got(); !slices.Equal(got, all) {
			t.Errorf("the pattern got %d messages", len(got))
		}
		patterns.Close()
		closeAll(subscribers)
	}, twoByTwo...)
}

// TestPublishersAtOnce: several at several nodes; each one's messages keep their order.
func TestPublishersAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.Net.Latency("east-2", "west-2", 30*time.Millisecond)
		subscribers := c.subscribeEverywhere("SSUBSCRIBE", "news")
		const each = 100
		done := make(chan struct{})
		for _, name := range c.Names() {
			go func() {
				defer func() { done <- struct{}{} }()
				client := c.Client(name)
				defer client.Close()
				for i := range each {
					if v := client.Do("SPUBLISH", "news", fmt.Sprint(name, " ", i)); v.Int != 4 {
						t.Errorf("message %d through %s: %+v", i, name, v)
					}
				}
			}()
		}
		for range c.Names() {
			<-done
		}
		for name, s := range subscribers {
			c.Wait("all messages at "+name, func() bool { return len(s.Got()) >= each*len(c.Names()) })
			next := map[string]int{}
			for _, text := range s.Got() {
				var channel, from string
				var i int
				fmt.Sscan(text, &channel, &from, &i)
				if i != next[from] {
					t.Fatalf("%s got %q where %d was to come", name, text, next[from])
				}
				next[from]++
			}
			for _, from := range c.Names() {
				if next[from] != each {
					t.Errorf("%s got %d messages of %s", name, next[from], from)
				}
			}
		}
		closeAll(subscribers)
	}, twoByTwo...)
}

// TestPublishersDoNotWaitForNodesThatAreAway: one waits, once. The node gets messages
// again when it is back.
func TestPublishersDoNotWaitForNodesThatAreAway(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		far := c.Subscribe("west-2", "SUBSCRIBE", "news")
		near := c.Subscribe("east-2", "SUBSCRIBE", "news")
		client := c.Client("east-1")
		if v := client.Do("PUBLISH", "news", "before"); v.Int != 2 {
			t.Errorf("before: %+v", v)
		}
		c.Net.Isolate("west-2")
		c.Net.Heal("west-2", "client")
		began := time.Now()
		const n = 200
		for i := range n {
			if v := client.Do("PUBLISH", "news", fmt.Sprint(i)); v.Int != 1 {
				t.Errorf("message %d: %+v", i, v)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if held := time.Since(began) - n*50*time.Millisecond; held > 1100*time.Millisecond {
			t.Errorf("%d messages were held up for %v", n, held)
		}
		c.Wait("the near one to have all", func() bool { return len(near.Got()) == n+1 })
		c.Net.HealAll()
		c.Wait("messages to come again", func() bool {
			v := client.Do("PUBLISH", "news", "after")
			got := far.Got()
			return v.Int == 2 && got[len(got)-1] == "news after"
		})
		last := -1 // what had been on its way may have come, in order
		for _, text := range far.Got() {
			var channel string
			var i int
			if k, _ := fmt.Sscan(text, &channel, &i); k == 2 {
				if i <= last {
					t.Errorf("%d came after %d", i, last)
				}
				last = i
			}
		}
		client.Close()
		near.Close()
		far.Close()
	}, twoByTwo...)
}

// TestPublishWithoutANode: one that is down is not waited for, and when it is started
// again it is among those that get messages.
func TestPublishWithoutANode(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.Crash("west-2")
		client := c.Client("east-1")
		near := c.Subscribe("west-1", "SUBSCRIBE", "news")
		began := time.Now()
		for range 50 {
			if v := client.Do("PUBLISH", "news", "x"); v.Int != 1 {
				t.Errorf("%+v", v)
			}
		}
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("50 messages took %v", took)
		}
		c.Start("west-2")
		c.WaitReady("west-2")
		back := c.Subscribe("west-2", "SUBSCRIBE", "news")
		c.Wait("two to be counted", func() bool { return client.Do("PUBLISH", "news", "x").Int == 2 })
		client.Close()
		near.Close()
		back.Close()
	}, twoByTwo...)
}

// TestPubSubAsksAllNodes: what is subscribed to anywhere is seen anywhere.
func TestPubSubAsksAllNodes(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		all := map[string]*Subscriber{
			"a": c.Subscribe("east-1", "SUBSCRIBE", "one", "two"), "b": c.Subscribe("west-1", "SUBSCRIBE", "two"),
			"c": c.Subscribe("west-2", "PSUBSCRIBE", "t*"), "d": c.Subscribe("east-2", "SSUBSCRIBE", "shard"),
		}
		for _, name := range c.Names() {
			client := c.Client(name)
			channels := []string{}
			for _, v := range client.Do("PUBSUB", "CHANNELS").Elems {
				channels = append(channels, v.Str)
			}
			slices.Sort(channels)
			if !slices.Equal(channels, []string{"one", "two"}) {
				t.Errorf("channels at %s: %q", name, channels)
			}
			if v := client.Do("PUBSUB", "NUMSUB", "two", "none"); len(v.Elems) != 4 || v.Elems[1].Int != 2 || v.Elems[3].Int != 0 {
				t.Errorf("NUMSUB at %s: %+v", name, v)
			}
			if v := client.Do("PUBSUB", "NUMPAT"); v.Int != 1 {
				t.Errorf("NUMPAT at %s: %+v", name, v)
			}
			if v := client.Do("PUBSUB", "SHARDCHANNELS"); len(v.Elems) != 1 || v.Elems[0].Str != "shard" {
				t.Errorf("SHARDCHANNELS at %s: %+v", name, v)
			}
			client.Close()
		}
		closeAll(all)
	}, twoByTwo...)
}
