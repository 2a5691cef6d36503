package clustertest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test of a cluster in virtual time.
func bubble(t *testing.T, test func(t *testing.T, c *Cluster), regions ...Region) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New(t, regions...)
		c.StartAll()
		test(t, c)
		c.Close()
	})
}

var twoByTwo = []Region{{"east", 2}, {"west", 2}}

func TestEveryNodeServesEveryKey(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		for i, to := range c.Names() {
			w := c.Client(to)
			key, value := fmt.Sprintf("key-%d", i), fmt.Sprintf("value-%d", i)
			if v := w.Do("SET", key, value); v.Str != "OK" {
				t.Fatalf("SET through %s: %+v", to, v)
			}
			w.Close()
			for _, from := range c.Names() {
				r := c.Client(from)
				if v := r.Do("GET", key); v.Str != value {
					t.Errorf("GET through %s of what was set through %s: %+v", from, to, v)
				}
				r.Close()
			}
		}
		c.CheckDigests()
	}, twoByTwo...)
}

func TestIncrementsSurviveTheLossOfLeaders(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		const clients, increments = 8, 60
		var wg sync.WaitGroup
		// The clients are of nodes that stay up: one of each region.
		for i := range clients {
			via := []string{"east-2", "west-2"}[i%2]
			wg.Go(func() {
				client := c.Client(via)
				defer client.Close()
				for n := range increments {
					key := fmt.Sprintf("own-%d", i)
					if v := client.Do("INCR", key); v.Int != int64(n+1) {
						t.Errorf("%s: increment %d through %s answered %+v", key, n+1, via, v)
					}
					client.Do("INCR", "shared")
					time.Sleep(250 * time.Millisecond)
				}
			})
		}
		for _, name := range []string{"east-1", "west-1", "east-1"} {
			time.Sleep(2 * time.Second)
			for _, g := range []string{"system", "east", "west"} {
				if c.Leader(g) != name && g != "west" && name == "east-1" {
					c.Transfer(g, name)
				}
			}
			c.Crash(name)
			time.Sleep(3 * time.Second)
			c.Start(name)
			c.WaitReady(name)
		}
		wg.Wait()
		client := c.Client("west-2")
		defer client.Close()
		if v := client.Do("GET", "shared"); v.Str != fmt.Sprint(clients*increments) {
			t.Errorf("shared counter is %+v, not %d", v, clients*increments)
		}
		c.CheckDigests()
	}, twoByTwo...)
}
