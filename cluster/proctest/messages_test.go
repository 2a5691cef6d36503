package proctest_test

import (
	"fmt"
	"testing"
	"time"
)

// TestMessagesBetweenProcesses: subscribers at one node get, in order, what is published
// through another and what happens to keys, before and after a third is killed.
func TestMessagesBetweenProcesses(t *testing.T) {
	c := start(t)
	nodes := c.Nodes()
	victim := nodes[0] // leads, as it is the first of its region
	publisher, listener := dial(t, nodes[1].RESP), dial(t, nodes[3].RESP)
	do(t, publisher, "CONFIG", "SET", "notify-keyspace-events", "K$")
	do(t, listener, "PSUBSCRIBE", "news", "__keyspace@0__:counter")
	if _, err := listener.Next(); err != nil { // of the second pattern
		t.Fatal(err)
	}
	expect := func(channel, payload string) {
		t.Helper()
		v, err := listener.Next()
		must(t, err)
		if len(v.Elems) != 4 || v.Elems[2].Str != channel || v.Elems[3].Str != payload {
			t.Fatalf("got %+v where %q was to come on %s", v, payload, channel)
		}
	}
	round := func(name string) {
		t.Helper()
		for i := range 200 {
			text := fmt.Sprint(name, " ", i)
			do(t, publisher, "PUBLISH", "news", text)
			expect("news", text)
			if i%20 == 0 {
				do(t, publisher, "INCR", "counter")
				expect("__keyspace@0__:counter", "incrby")
			}
		}
	}
	round("all are there")
	must(t, c.Kill(victim))
	began := time.Now()
	round("one was killed")
	if took := time.Since(began); took > pauseLimit+2*time.Second {
		t.Errorf("publishing without a node took %v", took)
	}
	must(t, c.Start(within(t, patience)))
	back := dial(t, victim.RESP)
	do(t, back, "SUBSCRIBE", "other")
	deadline := time.Now().Add(patience)
	for do(t, publisher, "PUBLISH", "other", "x").Int != 1 {
		if time.Now().After(deadline) {
			t.Fatal("the node that was started again gets no messages")
		}
	}
	round("it is back")
	settled(t, c)
}
