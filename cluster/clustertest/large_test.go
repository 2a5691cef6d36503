package clustertest

import (
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// TestReadsBehindAWriteTakeNoPlaceInTheLog: a pipeline that reads much behind a
// write gets all of it, in its order, and leaves little behind.
func TestReadsBehindAWriteTakeNoPlaceInTheLog(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		old, changed := strings.Repeat("o", 100<<10), strings.Repeat("n", 100<<10)
		for _, via := range []string{c.Leader("east"), c.Leader("west")} {
			client := c.Client(via)
			client.Do("SET", "{k}big", old)
			commands := [][]string{{"GET", "{k}big"}, {"SET", "{k}z", "1"}}
			for range 20 {
				commands = append(commands, []string{"GET", "{k}big"})
			}
			commands = append(commands, []string{"SET", "{k}big", changed}, []string{"GET", "{k}big"}, []string{"INCR", "{k}z"})
			for i, v := range client.Pipeline(commands...) {
				want := resp.Str(old)
				switch {
				case commands[i][0] == "SET":
					want = resp.OK
				case commands[i][0] == "INCR":
					want = resp.Int(2)
				case i == len(commands)-2:
					want = resp.Str(changed)
				}
				if v.Kind != want.Kind || v.Str != want.Str || v.Int != want.Int {
					t.Errorf("command %d, %s: kind %d, %d bytes, %d", i, commands[i][0], v.Kind, len(v.Str), v.Int)
				}
			}
			client.Close()
		}
		c.CheckDigests()
	}, twoByTwo...)
}

// TestRepliesThatFitNoFrame: they are an error for who asked, and nothing to the
// others on the same link.
func TestRepliesThatFitNoFrame(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		client := c.Client("west-1")
		defer client.Close()
		client.Do("SET", key, strings.Repeat("v", 1<<20))
		mget := []string{"MGET"}
		for range 70 {
			mget = append(mget, key)
		}
		if v := client.Do(mget...); !v.IsError() || !strings.HasPrefix(v.Str, "ERR the replies to this pipeline are larger") {
			t.Errorf("MGET of 70 MiB: kind %d, %.80s", v.Kind, v.Str)
		}
		if v := client.Do("STRLEN", key); v.Int != 1<<20 {
			t.Errorf("STRLEN afterwards: %+v", v)
		}
	}, twoByTwo...)
}
