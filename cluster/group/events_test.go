package group

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"phonond/fsm"
)

// TestEventsComeFromTheLeaderAlone: each entry's events are told once, where it was
// proposed, before and after a change of leader, and not again at a start.
func TestEventsComeFromTheLeaderAlone(t *testing.T) {
	bubble(t, func(r *rig) {
		var mu sync.Mutex
		told := map[string][]string{}
		r.config = func(c *Config) {
			name := c.Node
			c.Machine.Events = func() fsm.EventClass { return fsm.EventNew | fsm.EventExpired }
			c.Events = func(events []fsm.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					told[name] = append(told[name], e.Name+" "+e.Key)
				}
			}
		}
		r.openAll()
		first := r.leader()
		for i := range 3 {
			first.must("SET", fmt.Sprint("key-", i), "v")
		}
		first.must("SET", "short", "v", "PX", "100")
		time.Sleep(5 * time.Second)
		r.level()
		want := []string{"new key-0", "new key-1", "new key-2", "new short", "expired short"}
		mu.Lock()
		if got := told[first.name]; !slices.Equal(got, want) || len(told) != 1 {
			t.Errorf("%s told %q, of %v", first.name, got, told)
		}
		clear(told)
		mu.Unlock()
		r.crash(first.name)
		second := r.leader()
		second.must("SET", "key-3", "v")
		r.open(first.name)
		r.level()
		mu.Lock()
		defer mu.Unlock()
		if got := told[second.name]; !slices.Equal(got, []string{"new key-3"}) || len(told) != 1 {
			t.Errorf("after %s had crashed, %s told %q, of %v", first.name, second.name, got, told)
		}
	}, "n1", "n2", "n3")
}

// TestADeposedLeaderTellsNoOldNews: what was committed without a leader that was cut
// off is news of another's by the time it hears of it.
func TestADeposedLeaderTellsNoOldNews(t *testing.T) {
	bubble(t, func(r *rig) {
		var mu sync.Mutex
		var told []string
		r.config = func(c *Config) {
			name := c.Node
			c.Machine.Events = func() fsm.EventClass { return fsm.EventNew }
			c.Events = func(events []fsm.Event) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, name+" "+events[0].Key)
			}
		}
		r.openAll()
		old := r.leader()
		old.must("SET", "a", "1")
		// The others get the entry, and the leader no answer.
		for _, s := range r.servers {
			if string(s.ID) != old.name {
				r.net.CutOneWay(string(s.ID), old.name)
			}
		}
		out := old.submit(old.request(call("SET", "b", "2")))
		if got := <-out; got.err == nil {
			t.Fatal("the write was acknowledged")
		}
		next := r.leader(old.name)
		next.must("SET", "c", "3")
		r.net.HealAll()
		r.level()
		if v := old.Read(oneCall("GET", "b"))[0]; v.Str != "2" {
			t.Fatalf("the entry did not survive: %+v", v)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []string{old.name + " a", next.name + " c"}; !slices.Equal(told, want) {
			t.Errorf("told: %q, not %q", told, want)
		}
	}, "n1", "n2", "n3")
}
