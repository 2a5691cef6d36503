package clustertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// held is who holds a key, "" for nobody.
func held(client *Client, key string) string {
	info := client.Do("LOCK.INFO", key)
	if len(info.Elems) == 0 {
		return ""
	}
	return pair(pair(info, "holders").Elems[0], "owner").Str
}

// pair returns what a map reply has under a name.
func pair(v resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if v.Elems[i].Str == name {
			return v.Elems[i+1]
		}
	}
	return resp.Value{}
}

// TestSessionHoldsLocksOfAllRegions: one lease for the keys of two groups. It ends in both,
// by its time, when it is closed, or when one of them has lost it.
func TestSessionHoldsLocksOfAllRegions(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		east, west := c.keyIn("east"), c.keyIn("west")
		client, other := c.Client("west-1"), c.Client("east-1")
		defer client.Close()
		defer other.Close()
		open := func() string {
			t.Helper()
			id := client.Do("SESSION.OPEN", "5000", "NAME", "worker").Str
			for i, key := range []string{west, east} {
				if v := []*Client{client, other}[i].Do("LOCK.ACQUIRE", key, "me", "0", "SESSION", id); v.Kind != resp.Array {
					t.Fatalf("%s: %+v", key, v)
				}
			}
			return id
		}
		free := func() bool { return held(other, east) == "" && held(other, west) == "" }

		id := open()
		if !strings.HasSuffix(id, "@west") {
			t.Errorf("the session of a client in west is %s", id)
		}
		for range 10 {
			time.Sleep(3 * time.Second)
			if v := other.Do("SESSION.KEEPALIVE", id); v.Kind != resp.Array || v.Elems[0].Int != 5000 {
				t.Fatalf("%+v", v)
			}
		}
		if owns := pair(other.Do("SESSION.INFO", id), "owns"); len(owns.Elems) != 2 {
			t.Errorf("it holds %+v", owns)
		}
		if list := other.Do("SESSION.LIST"); len(list.Elems) != 1 {
			t.Errorf("%d sessions", len(list.Elems))
		}
		silent := time.Now()
		c.Wait("the locks of a silent client to be free", free)
		if since := time.Since(silent); since < 5*time.Second || since > 6*time.Second {
			t.Errorf("it ended after %v", since)
		}

		id = open()
		if v := other.Do("SESSION.CLOSE", id); v.Int != 1 || !free() {
			t.Errorf("closed: %+v; %q and %q hold the locks", v, held(other, east), held(other, west))
		}

		// The regions are cut off from each other: the session is heard of in the west only.
		id = client.Do("SESSION.OPEN", "15000").Str
		client.Do("LOCK.ACQUIRE", west, "me", "0", "SESSION", id)
		client.Do("LOCK.ACQUIRE", east, "me", "0", "SESSION", id)
		c.Wait("leaders at home", func() bool {
			return strings.HasPrefix(c.Leader("east"), "east") && strings.HasPrefix(c.Leader("west"), "west")
		})
		for _, a := range []string{"east-1", "east-2"} {
			for _, b := range []string{"west-1", "west-2"} {
				c.Net.Cut(a, b)
			}
		}
		for range 4 {
			if v := client.Do("SESSION.KEEPALIVE", id); !v.IsError() {
				t.Errorf("kept without the east: %+v", v)
			}
		}
		if held(client, west) != "me" || held(other, east) != "" {
			t.Errorf("in the west %q has the lock, in the east %q", held(client, west), held(other, east))
		}
		c.Net.HealAll()
		c.Wait("the loss of a part to be the loss of the session", func() bool {
			return strings.HasPrefix(client.Do("SESSION.KEEPALIVE", id).Str, "NOSESSION ")
		})
		if held(client, west) != "" {
			t.Error("a session that has ended in the east holds a lock in the west")
		}
	}, twoByTwo...)
}

// TestSessionOfAConnection ends with it, unless another has taken it over.
func TestSessionOfAConnection(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		watcher := c.Client("east-2")
		defer watcher.Close()
		first := c.Client("east-1")
		id := first.Do("SESSION.OPEN", "4000", "CONN", "GRACE", "1000").Str
		first.Do("LOCK.ACQUIRE", key, "me", "0", "SESSION", id)
		time.Sleep(time.Minute)
		if held(watcher, key) != "me" {
			t.Fatal("the node does not keep the session of an open connection alive")
		}
		first.Close()
		time.Sleep(500 * time.Millisecond)
		second := c.Client("west-1")
		if v := second.Do("SESSION.KEEPALIVE", id, "CONN"); v.Kind != resp.Array {
			t.Fatalf("%+v", v)
		}
		time.Sleep(time.Minute)
		if held(watcher, key) != "me" {
			t.Fatal("the session of a connection that was taken over has ended")
		}
		second.Close()
		closed := time.Now()
		c.Wait("the lock to be free", func() bool { return held(watcher, key) == "" })
		if since := time.Since(closed); since < time.Second || since > 1500*time.Millisecond {
			t.Errorf("it ended %v after the connection", since)
		}
	}, twoByTwo...)
}

// TestEventsGoOn: what is told of locks is told once and in order, through a change of
// leaders and from a cursor.
func TestEventsGoOn(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		node := "west-1"
		client, reader := c.Client(node), c.Client(node)
		defer client.Close()
		defer reader.Close()
		cursor := reader.Do("EVENTS", key, "FROM", "$").Elems[0].Str
		waiting := make(chan resp.Value, 1)
		go func() {
			v, _ := reader.Try("EVENTS", key, "FROM", cursor, "BLOCK", "0")
			waiting <- v
		}()
		time.Sleep(30 * time.Second)
		var seen []string
		note := func(v resp.Value) {
			if v.Kind != resp.Array {
				t.Fatalf("%+v", v)
			}
			cursor = v.Elems[0].Str
			for _, e := range v.Elems[1].Elems {
				seen = append(seen, pair(e, "event").Str+" "+pair(e, "owner").Str)
			}
		}
		began := time.Now()
		token := client.Do("LOCK.ACQUIRE", key, "a", "60000").Elems[0].Int
		note(<-waiting)
		if since := time.Since(began); since > time.Second {
			t.Errorf("told after %v", since)
		}
		if down := c.Leader("east"); down != node {
			c.Crash(down)
			c.Wait("another leader", func() bool { return c.Leader("east") != "" && c.Leader("east") != down })
		}
		client.Do("LOCK.RELEASE", key, strconv.FormatInt(token, 10))
		for i := range 3 {
			v := client.Do("LOCK.ACQUIRE", key, fmt.Sprint("owner-", i), "60000")
			client.Do("LOCK.FORCE", key, strconv.FormatInt(v.Elems[0].Int, 10), "REASON", "test")
		}
		for len(seen) < 8 {
			before := len(seen)
			if note(reader.Do("EVENTS", key, "FROM", cursor, "COUNT", "3")); len(seen) == before {
				break
			}
		}
		want := "granted a,released a,granted owner-0,forced owner-0,granted owner-1,forced owner-1,granted owner-2,forced owner-2"
		if got := strings.Join(seen, ","); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if v := reader.Do("EVENTS", key, "FROM", "east:999999"); !v.IsError() {
			t.Errorf("a cursor from the future: %+v", v)
		}
		if v := reader.Do("EVENTS", "*", "FROM", "0"); len(v.Elems) != 2 || len(v.Elems[1].Elems) != 8 {
			t.Errorf("all events: %+v", v)
		}
		if top := reader.Do("LOCK.TOP"); len(top.Elems) != 1 {
			t.Errorf("top: %+v", top)
		}
	}, twoByTwo...)
}
