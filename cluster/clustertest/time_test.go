package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"phonond/redisproto/resp"
)

// leaderless measures for how long a group had no leader, until stop is called.
func (c *Cluster) leaderless(group string) (stop func() time.Duration) {
	done, total := make(chan struct{}), make(chan time.Duration)
	go func() {
		var sum time.Duration
		last := time.Now()
		for {
			select {
			case <-done:
				total <- sum
				return
			case <-time.After(time.Millisecond):
			}
			if c.Leader(group) == "" {
				sum += time.Since(last)
			}
			last = time.Now()
		}
	}()
	return func() time.Duration { close(done); return <-total }
}

// keyIn returns a key that lives in the given region's group, found by asking.
func (c *Cluster) keyIn(region string) string {
	client := c.Client(c.Names()[0])
	defer client.Close()
	for _, key := range []string{"lock-a", "lock-b", "lock-c", "lock-d", "lock-e", "lock-f", "lock-g", "lock-h"} {
		n := c.nodes[c.Leader(region)].running.Load()
		before := requests(n.Statuses(), region)
		client.Do("SET", key, "probe")
		client.Do("DEL", key)
		if requests(n.Statuses(), region) > before {
			return key
		}
	}
	c.t.Fatalf("none of the keys lives in %s", region)
	return ""
}

// TestLockKeepsItsTimeToLive holds a lock of 30 s while the wall clocks of its
// group's nodes jump by an hour either way and the lead moves five times, once by
// a crash. The lock is never gone before 30 s of real time, and is gone after
// 30 s plus the time without a leader.
func TestLockKeepsItsTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, twoByTwo...)
		c.StartAll()
		key := c.keyIn("east")
		const ttl = 30 * time.Second

		client := c.Client("west-2")
		without := c.leaderless("east")
		asked := time.Now()
		if v := client.Do("SET", key, "me", "NX", "PX", "30000"); v.Str != "OK" {
			t.Fatalf("the lock was not granted: %+v", v)
		}
		granted := time.Now()

		gone := make(chan time.Time)
		go func() {
			poll := c.Client("west-1")
			defer poll.Close()
			for {
				v := poll.Do("GET", key)
				if v.Kind == resp.Nil {
					gone <- time.Now()
					return
				}
				if v.Str != "me" {
					t.Errorf("the lock reads %+v", v)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()

		for i, step := range []func(){
			func() { c.Transfer("east", "east-2") },
			func() { c.Transfer("east", "east-1") },
			func() { c.Transfer("east", "east-2") },
			func() { c.Crash("east-2") },
			func() { c.Start("east-2"); c.WaitReady("east-2"); c.Transfer("east", "east-2") },
		} {
			time.Sleep(3 * time.Second)
			for _, name := range c.Names() {
				hour := time.Hour
				if i%2 == 1 {
					hour = -hour
				}
				c.SetWall(name, hour)
			}
			step()
		}
		when := <-gone
		lost := without()
		if early := when.Sub(asked); early < ttl {
			t.Errorf("the lock was gone %v after it was asked for", early)
		}
		// A poll, and the entry that it waits for, take a moment more.
		if late := when.Sub(granted) - ttl; late > lost+500*time.Millisecond {
			t.Errorf("the lock was gone %v after %v, with %v without a leader", late, ttl, lost)
		}
		t.Logf("gone after %v; %v of it without a leader", when.Sub(asked), lost)
		client.Close()
		c.CheckDigests()
		c.Close()
	})
}

// TestTimeToLiveSurvivesAFullStop: while no node runs, no time passes for a lock,
// and of the time before at most what was not logged yet is counted again.
func TestTimeToLiveSurvivesAFullStop(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		client := c.Client("east-1")
		client.Do("SET", "k", "v", "PX", "60000")
		time.Sleep(20 * time.Second)
		client.Close()
		for _, name := range c.Names() {
			c.Crash(name)
		}
		time.Sleep(time.Hour)
		c.StartAll()
		client = c.Client("west-1")
		defer client.Close()
		if left := client.Do("PTTL", "k").Int; left < 35_000 || left > 51_000 {
			t.Errorf("%d ms are left of a minute after 20 s and a stop of an hour", left)
		}
		time.Sleep(51 * time.Second)
		if v := client.Do("GET", "k"); v.Kind != resp.Nil {
			t.Errorf("GET after the time to live: %+v", v)
		}
	}, twoByTwo...)
}

// TestExpiredKeysAreRemovedWithoutBeingAskedFor: the leader proposes what is due,
// and nothing when nothing is.
func TestExpiredKeysAreRemovedWithoutBeingAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		client := c.Client("east-1")
		defer client.Close()
		for range 3 {
			client.Do("SET", "k", "v", "PX", "5000")
		}
		c.CheckDigests() // the last replica has applied what was written
		before := entries(c)
		time.Sleep(3 * time.Second)
		if n := entries(c) - before; n != 0 {
			t.Errorf("%d entries were written while nothing was due", n)
		}
		due := time.Now()
		c.Wait("the key to be removed", func() bool { return entries(c) > before })
		if late := time.Since(due); late > 3*time.Second {
			t.Errorf("the key was removed %v after it was looked for, 2 s before it was due", late)
		}
		c.CheckDigests()
		idle := entries(c)
		time.Sleep(time.Minute)
		if n := entries(c) - idle; n != 0 {
			t.Errorf("%d entries were written by an idle cluster", n)
		}
	}, twoByTwo...)
}
