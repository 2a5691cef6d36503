package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"phonond/client"
)

// referee sees who holds what, as holders see it themselves: from the moment at which they
// are told until they give it back, or know that it is lost.
type referee struct {
	mu       sync.Mutex
	writers  map[string]int
	readers  map[string]int
	permits  map[string]int
	token    map[string]uint64 // the largest of an exclusive grant
	grants   int
	lost     int
	problems []string
}

const refereeLimit = 3

func (r *referee) enter(kind, key string, n int, token uint64) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grants++
	problem := func(format string, args ...any) { r.problems = append(r.problems, fmt.Sprintf(format, args...)) }
	switch kind {
	case "exclusive":
		if r.writers[key]+r.readers[key] > 0 {
			problem("%s: a writer with token %d beside %d writers and %d readers", key, token, r.writers[key], r.readers[key])
		}
		if token <= r.token[key] {
			problem("%s: token %d after %d", key, token, r.token[key])
		}
		r.token[key] = token
		r.writers[key]++
	case "shared":
		if r.writers[key] > 0 {
			problem("%s: a reader with token %d beside a writer", key, token)
		}
		if token <= r.token[key] {
			problem("%s: a reader's token %d after %d", key, token, r.token[key])
		}
		r.readers[key]++
	case "permits":
		if r.permits[key]+n > refereeLimit {
			problem("%s: %d permits and %d more", key, r.permits[key], n)
		}
		r.permits[key] += n
	}
	left := false
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if left {
			return
		}
		left = true
		switch kind {
		case "exclusive":
			r.writers[key]--
		case "shared":
			r.readers[key]--
		case "permits":
			r.permits[key] -= n
		}
	}
}

// hold holds something for a while. The clients sees its end no later than the cluster.
func (r *referee) hold(ctx context.Context, rnd *rand.Rand, kind, key string, n int, token uint64, valid context.Context, release func(context.Context) error) {
	leave := r.enter(kind, key, n, token)
	t := time.NewTimer(time.Duration(rnd.Int64N(int64(1500 * time.Millisecond))))
	defer t.Stop()
	select {
	case <-valid.Done():
		leave()
		r.mu.Lock()
		r.lost++
		r.mu.Unlock()
	case <-t.C:
		leave()
	}
	release(ctx)
}

// TestHoldersExcludeEachOther: locks, locks of readers and writers, and semaphores of the
// client library, while processes die, leaders crash and nodes are cut off: nobody who may
// believe to hold something does so beside another, and tokens grow.
func TestHoldersExcludeEachOther(t *testing.T) {
	for seed := range *holdersSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { holdersExclude(t, uint64(seed)) })
	}
}

func holdersExclude(t *testing.T, seed uint64) {
	bubble(t, func(t *testing.T, c *Cluster) {
		r := &referee{writers: map[string]int{}, readers: map[string]int{}, permits: map[string]int{}, token: map[string]uint64{}}
		keys := []string{c.keyIn("east"), c.keyIn("west")}
		end := time.Now().Add(2 * time.Minute)
		var workers sync.WaitGroup
		for w := range 8 {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			workers.Go(func() {
				for time.Now().Before(end) {
					c.holder(r, rnd, keys, end)
				}
			})
		}
		rnd := rand.New(rand.NewPCG(seed, 1000))
		for time.Now().Before(end) {
			time.Sleep(time.Second + time.Duration(rnd.Int64N(int64(8*time.Second))))
			group := []string{"east", "west"}[rnd.IntN(2)]
			name := c.Leader(group)
			if name == "" || rnd.IntN(3) == 0 {
				name = c.Names()[rnd.IntN(4)]
			}
			if rnd.IntN(2) == 0 {
				c.Crash(name)
				time.Sleep(time.Duration(rnd.Int64N(int64(5 * time.Second))))
				c.Start(name)
			} else {
				c.Net.Isolate(name)
				time.Sleep(time.Duration(rnd.Int64N(int64(8 * time.Second))))
				c.Net.HealAll()
			}
		}
		workers.Wait()
		for _, p := range r.problems {
			t.Error(p)
		}
		t.Logf("%d grants, %d of them lost while they were held", r.grants, r.lost)
		if r.grants == 0 {
			t.Error("nothing was tried")
		}
	}, twoByTwo...)
}

// holder is the life of a process, at the end of which it may die.
func (c *Cluster) holder(r *referee, rnd *rand.Rand, keys []string, end time.Time) {
	m := &mortal{}
	cl, p, err := c.process(m, client.ProcessOptions{TTL: 3 * time.Second})
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer cl.Close()
	dies := time.Now().Add(2*time.Second + time.Duration(rnd.Int64N(int64(20*time.Second))))
	if rnd.IntN(2) == 0 {
		t := time.AfterFunc(time.Until(dies), m.die)
		defer t.Stop()
	}
	for time.Now().Before(end) && time.Now().Before(dies) && p.Err() == nil {
		ctx, cancel := context.WithTimeout(p.Context(), 5*time.Second)
		key := keys[rnd.IntN(len(keys))]
		switch rnd.IntN(4) {
		case 0, 1:
			if l, err := p.Lock(ctx, key, client.LockOptions{}); err == nil {
				r.hold(ctx, rnd, "exclusive", key, 1, l.Token(), l.Context(), l.Unlock)
			}
		case 2:
			if l, err := p.RWLock(key).RLock(ctx); err == nil {
				r.hold(ctx, rnd, "shared", key, 1, l.Token(), l.Context(), l.Unlock)
			}
		case 3:
			n := 1 + rnd.IntN(2)
			if l, err := p.Semaphore(key+".permits", refereeLimit).Acquire(ctx, n); err == nil {
				r.hold(ctx, rnd, "permits", key, n, l.Token(), l.Context(), l.Release)
			}
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p.Close(ctx)
}
