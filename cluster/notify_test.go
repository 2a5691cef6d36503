package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"phonond/fsm"
	"phonond/redisproto"
)

func TestEventsBecomeMessages(t *testing.T) {
	e := fsm.Event{Class: fsm.EventString, Name: "set", DB: 3, Key: "a b"}
	space := redisproto.Message{Channel: "__keyspace@3__:a b", Payload: "set"}
	event := redisproto.Message{Channel: "__keyevent@3__:set", Payload: "a b"}
	for channels, want := range map[fsm.EventClass][]redisproto.Message{
		0: nil, fsm.KeyspaceChannel: {space}, fsm.KeyeventChannel: {event}, fsm.KeyspaceChannel | fsm.KeyeventChannel: {space, event},
	} {
		if got := appendEvent(nil, e, channels); !slices.Equal(got, want) {
			t.Errorf("%q: %v, not %v", channels, got, want)
		}
	}
}

// TestEventsArePublishedInOrder: all that fit, and what does not is counted.
func TestEventsArePublishedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var dropped atomic.Int64
		var got []string
		batches := 0
		q := newNotifier(func() fsm.EventClass { return fsm.KeyeventChannel }, func(messages []redisproto.Message) {
			batches++
			for _, m := range messages {
				got = append(got, m.Payload[:9])
			}
		}, &dropped)
		long := strings.Repeat("x", 8<<10)
		const n = 2000 // of which half fit
		for i := range n / 4 {
			var events []fsm.Event
			for j := range 4 {
				events = append(events, fsm.Event{Name: "set", Key: fmt.Sprintf("%09d%s", 4*i+j, long)})
			}
			q.add(events)
		}
		go q.run(ctx)
		synctest.Wait()
		for i, key := range got {
			if key != fmt.Sprintf("%09d", i) {
				t.Fatalf("%s is the one at %d", key, i)
			}
		}
		if len(got) < n/2 || len(got) > n/2+n/20 || int(dropped.Load()) != n-len(got) || batches < 8<<20/eventBatch {
			t.Errorf("%d events of %d came in %d batches, %d were dropped", len(got), n, batches, dropped.Load())
		}
		q.add([]fsm.Event{{Name: "set", Key: "and after"}})
		synctest.Wait()
		if got[len(got)-1] != "and after" {
			t.Errorf("the last is %q", got[len(got)-1])
		}
	})
}

// What is kept of notify-keyspace-events is all that was set, unlike what CONFIG GET
// says of it.
func TestEventClassesAreKeptWhole(t *testing.T) {
	for _, set := range []string{"", "KEA", "KEAn", "Kgn", "E$lshzxetdn", "KEAnm"} {
		classes, ok := fsm.ParseEventClasses(set)
		kept, okKept := fsm.ParseEventClasses(classLetters(classes))
		if !ok || !okKept || kept != classes {
			t.Errorf("%s is kept as %s", set, classLetters(classes))
		}
	}
}
