package clustertest

import (
	"fmt"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// What a connection keeps between commands works across nodes: transactions, waiting
// for keys, subscriptions.
func TestConnectionsAcrossNodes(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		a, b := c.Client("east-1"), c.Client("west-2")
		defer a.Close()
		defer b.Close()
		for i, key := range []string{c.keyIn("east"), c.keyIn("west")} {
			// A transaction is one, and depends on what it watches.
			expect(t, a.Pipeline([]string{"WATCH", key}, []string{"MULTI"}, []string{"SET", key, "1"}, []string{"INCR", key}, []string{"PING"}, []string{"EXEC"}),
				"OK OK QUEUED QUEUED QUEUED [OK 2 PONG]")
			expect(t, a.Pipeline([]string{"WATCH", key}, []string{"MULTI"}, []string{"INCR", key}), "OK OK QUEUED")
			expect(t, []resp.Value{b.Do("INCR", key)}, "3")
			expect(t, []resp.Value{a.Do("EXEC"), a.Do("GET", key)}, "nil 3")
			// A key that was not there, and came and went since, has changed all the same.
			gone := fmt.Sprintf("{%s}.gone", key)
			expect(t, []resp.Value{a.Do("WATCH", gone), b.Do("SET", gone, "1"), a.Do("GET", gone), b.Do("DEL", gone)}, "OK OK 1 1")
			expect(t, a.Pipeline([]string{"MULTI"}, []string{"INCR", key}, []string{"EXEC"}), "OK QUEUED nil")
			expect(t, a.Pipeline([]string{"WATCH", gone}, []string{"MULTI"}, []string{"GET", key}, []string{"EXEC"}), "OK OK QUEUED [3]")

			// One who waits is served by a push through another node.
			list := fmt.Sprintf("{%s}.list", key)
			served := make(chan resp.Value)
			go func() { served <- a.Do("BLPOP", list, "0") }()
			time.Sleep(time.Second)
			expect(t, []resp.Value{b.Do("RPUSH", list, "x")}, "1")
			expect(t, []resp.Value{<-served}, "["+list+" x]")
			began := time.Now()
			expect(t, []resp.Value{a.Do("BLPOP", list, "2")}, "nil")
			if d := time.Since(began); d < 2*time.Second || d > 3*time.Second {
				t.Errorf("waited %v", d)
			}

			// One who dies while it waits takes nothing.
			dead := c.Client("west-1")
			go dead.Try("BLPOP", list, "0")
			time.Sleep(time.Second)
			dead.Close()
			time.Sleep(time.Second)
			expect(t, []resp.Value{b.Do("RPUSH", list, "y"), a.Do("BLPOP", list, "0")}, "1 ["+list+" y]")

			channel := fmt.Sprint("channel-", i)
			s := c.Client("west-1")
			expect(t, []resp.Value{s.Do("SUBSCRIBE", channel)}, "[subscribe "+channel+" 1]")
			expect(t, []resp.Value{a.Do("PUBLISH", channel, "hello"), s.Do("PING")}, "1 [message "+channel+" hello]")
			expect(t, []resp.Value{b.Do("PUBSUB", "NUMSUB", channel), b.Do("PUBSUB", "CHANNELS")}, "["+channel+" 1] ["+channel+"]")
			s.Close()
			time.Sleep(time.Second)
		}
		if v := a.Do("WAIT", "1", "0"); v.Int < 1 {
			t.Errorf("WAIT: %+v", v)
		}
		c.CheckDigests()
	}, twoByTwo...)
}

func expect(t *testing.T, got []resp.Value, want string) {
	t.Helper()
	text := ""
	for _, v := range got {
		text += " " + short(v)
	}
	if text[1:] != want {
		t.Errorf("got %s, want %s", text[1:], want)
	}
}

// short is a reply in a few letters.
func short(v resp.Value) string {
	switch v.Kind {
	case resp.Nil, resp.NilArray:
		return "nil"
	case resp.Integer:
		return fmt.Sprint(v.Int)
	case resp.Array:
		text := ""
		for _, e := range v.Elems {
			text += " " + short(e)
		}
		return "[" + text[min(1, len(text)):] + "]"
	}
	return v.Str
}
