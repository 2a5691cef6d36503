package clustertest

import (
	"fmt"
	"testing"
)

// TestScansGoOnThroughOtherNodesAndLeaders: what is there all the while is found, though
// each page is asked of another node, the leads move, and other keys and elements come
// and go.
func TestScansGoOnThroughOtherNodesAndLeaders(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		const lasting = 300
		c.WaitReady(c.Names()...)
		clients := map[string]*Client{}
		for _, name := range c.Names() {
			clients[name] = c.Client(name)
			clients[name].Do("SELECT", "3")
		}
		filler := clients["east-1"]
		for i := range lasting {
			name := fmt.Sprint("lasting-", i)
			filler.Pipeline([]string{"SET", name, "v"}, []string{"HSET", "hash", name, "v"}, []string{"SADD", "set", name}, []string{"ZADD", "zset", "1", name})
		}
		filler.Do("SET", "tag", "other database")
		for _, scan := range [][]string{{"SCAN"}, {"HSCAN", "hash"}, {"SSCAN", "set"}, {"ZSCAN", "zset"}} {
			found, pages := map[string]bool{}, 0
			names := c.Names()
			for cursor := "0"; pages == 0 || cursor != "0"; pages++ {
				page := clients[names[pages%len(names)]].Do(append(append([]string{}, scan...), cursor, "COUNT", "10")...)
				if page.IsError() {
					t.Fatalf("%s: %+v", scan, page)
				}
				cursor = page.Elems[0].Str
				for _, e := range page.Elems[1].Elems {
					found[e.Str] = true
				}
				passing := fmt.Sprint("passing-", pages)
				filler.Pipeline([]string{"SET", passing, "v"}, []string{"HSET", "hash", passing, "v"}, []string{"SADD", "set", passing}, []string{"ZADD", "zset", "1", passing})
				gone := fmt.Sprint("passing-", pages-5)
				filler.Pipeline([]string{"DEL", gone}, []string{"HDEL", "hash", gone}, []string{"SREM", "set", gone}, []string{"ZREM", "zset", gone})
				if pages%8 == 3 {
					for _, region := range []string{"east", "west"} {
						c.Transfer(region, region+"-"+fmt.Sprint(1+pages/8%2))
					}
				}
			}
			for i := range lasting {
				if name := fmt.Sprint("lasting-", i); !found[name] {
					t.Errorf("%s: %s is missing after %d pages", scan, name, pages)
				}
			}
		}
		c.CheckDigests()
	}, Region{"east", 2}, Region{"west", 2})
}
