package clustertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// TestLocksGoRoundInOrder: clients at all nodes wait for one lock, some are gone before it
// is theirs, and the leader dies with them in line. Each that is still there gets it in
// its turn, alone, with a larger token.
func TestLocksGoRoundInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		key := c.keyIn("east")
		first := c.Client("west-2")
		if v := first.Do("LOCK.ACQUIRE", key, "first", "3600000"); v.Kind != resp.Array {
			t.Fatalf("%+v", v)
		}
		type grant struct {
			client int
			reply  resp.Value
		}
		grants := make(chan grant, 32)
		lines := map[int]*Client{}
		spare := "west-1" // of the region's leader nobody is a client: it is to crash
		for i := range 12 {
			name := c.Names()[i%4]
			if name == c.Leader("east") {
				name = spare
			}
			client := c.Client(name)
			lines[i] = client
			go func() {
				reply, _ := client.Try("LOCK.ACQUIRE", key, fmt.Sprint("owner-", i), "3600000", "WAIT", "0")
				grants <- grant{i, reply}
			}()
			time.Sleep(100 * time.Millisecond) // they come in this order, on the clocks of all nodes
		}
		for _, i := range []int{0, 5, 11} {
			lines[i].Close()
			<-grants
			delete(lines, i)
		}
		down := c.Leader("east")
		c.Crash(down)
		c.Wait("another leader", func() bool { return c.Leader("east") != "" && c.Leader("east") != down })
		leader := c.Client(c.Leader("east"))
		c.Wait("all to wait at the new leader", func() bool {
			return strings.Contains(leader.Do("INFO", "phonond").Str, fmt.Sprintf("waiting=%d,", len(lines)))
		})
		leader.Close()
		last := int64(0)
		held := first
		info := first.Do("LOCK.INFO", key)
		token := info.Elems[len(info.Elems)-3].Elems[0].Elems[3].Int
		for i := range 12 {
			if lines[i] == nil {
				continue
			}
			select {
			case g := <-grants:
				t.Fatalf("client %d got it while another had it: %+v", g.client, g.reply)
			default:
			}
			if v := held.Do("LOCK.RELEASE", key, strconv.FormatInt(token, 10)); v.Kind != resp.Integer || v.Int != 0 {
				t.Fatalf("release: %+v", v)
			}
			g := <-grants
			if g.client != i || g.reply.Kind != resp.Array {
				t.Fatalf("client %d got it before %d: %+v", g.client, i, g.reply)
			}
			if token = g.reply.Elems[0].Int; token <= last {
				t.Errorf("token %d after %d", token, last)
			}
			last, held = token, lines[i]
		}
		first.Close()
		for _, client := range lines {
			client.Close()
		}
	}, twoByTwo...)
}
