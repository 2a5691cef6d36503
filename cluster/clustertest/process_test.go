package clustertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phonond/client"
)

// mortal is the network of a client process that may die: from then on it reaches nobody,
// whatever goes on in it.
type mortal struct {
	mu    sync.Mutex
	dead  bool
	after int // dies after so many more writes, if it is not 0
	conns []net.Conn
}

var errDead = errors.New("the process is dead")

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, c := range m.conns {
		c.Close()
	}
}

// mortalConn counts writes.
type mortalConn struct {
	net.Conn
	m *mortal
}

func (c mortalConn) Write(b []byte) (int, error) {
	c.m.mu.Lock()
	dead, last := c.m.dead, false
	if c.m.after > 0 {
		c.m.after--
		last = c.m.after == 0
	}
	c.m.mu.Unlock()
	if dead {
		return 0, errDead
	}
	n, err := c.Conn.Write(b)
	if last { // what it has sent is on its way
		c.m.die()
	}
	return n, err
}

// process opens a process that may die.
func (c *Cluster) process(m *mortal, o client.ProcessOptions) (*client.Client, *client.Process, error) {
	regions := map[string][]string{}
	for _, name := range c.Names() {
		regions[name[:4]] = append(regions[name[:4]], addr(name, respPort))
	}
	cl, err := client.New(client.Config{
		Regions: regions, Region: "east", Password: password, DialTimeout: time.Second,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			conn, err := c.Net.Host("client", "").Dial(ctx, addr)
			if err != nil {
				return nil, err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.dead {
				conn.Close()
				return nil, errDead
			}
			m.conns = append(m.conns, conn)
			return mortalConn{conn, m}, nil
		},
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p, err := cl.OpenProcess(ctx, o)
	if err != nil {
		cl.Close()
		return nil, nil, err
	}
	return cl, p, nil
}

// TestLockOfADeadProcess: its holder knows that he has lost it before anybody else has it.
func TestLockOfADeadProcess(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		ctx := context.Background()
		m := &mortal{}
		var jeopardy, lost atomic.Int64
		began := time.Now()
		ca, a, err := c.process(m, client.ProcessOptions{TTL: 5 * time.Second,
			OnJeopardy: func(bool) { jeopardy.Store(int64(time.Since(began))) }, OnLost: func(error) { lost.Store(int64(time.Since(began))) }})
		if err != nil {
			t.Fatal(err)
		}
		defer ca.Close()
		cb, b, err := c.process(&mortal{}, client.ProcessOptions{TTL: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer cb.Close()
		key := c.keyIn("west")
		first, err := a.Lock(ctx, key, client.LockOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.TryLock(ctx, key, client.LockOptions{}); !errors.Is(err, client.ErrNotAcquired) {
			t.Fatal(err)
		}
		got := make(chan *client.Lock, 1)
		go func() {
			l, err := b.Lock(ctx, key, client.LockOptions{})
			if err != nil {
				t.Error(err)
			}
			got <- l
		}()
		time.Sleep(20 * time.Second)
		if first.Context().Err() != nil || len(got) > 0 {
			t.Fatal("a lock that is kept alive is lost")
		}
		m.die()
		died := time.Now()
		<-first.Context().Done()
		knew := time.Now()
		if !errors.Is(context.Cause(first.Context()), client.ErrSessionLost) {
			t.Errorf("it ended with %v", context.Cause(first.Context()))
		}
		second := <-got
		if since := time.Since(died); since > 6*time.Second {
			t.Errorf("handed on after %v", since)
		}
		if !knew.Before(time.Now()) {
			t.Errorf("the dead holder knew it %v before", time.Since(knew))
		}
		if second.Token() <= first.Token() || jeopardy.Load() == 0 || lost.Load() < jeopardy.Load() {
			t.Errorf("tokens %d and %d, jeopardy %d, lost %d", first.Token(), second.Token(), jeopardy.Load(), lost.Load())
		}
		if err := second.Unlock(ctx); err != nil {
			t.Error(err)
		}
		if err := first.Unlock(ctx); !errors.Is(err, client.ErrSessionLost) && !errors.Is(err, client.ErrNotApplied) {
			t.Errorf("the lost lock was released: %v", err)
		}
		a.Close(shortly(t))
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	}, twoByTwo...)
}

// shortly is a context for what need not succeed.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestLocksOfTheClient: what is taken is given back, what is given up leaves nothing, what
// is taken away is noticed.
func TestLocksOfTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		ctx := context.Background()
		cl, p, err := c.process(&mortal{}, client.ProcessOptions{TTL: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		// A wait that is given up.
		l, err := p.Lock(ctx, "{r}k", client.LockOptions{Meta: "test"})
		check(err)
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		if _, err := p.Lock(short, "{r}k", client.LockOptions{}); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, client.ErrUnknownOutcome) {
			t.Errorf("a wait that is given up: %v", err)
		}
		cancel()
		check(l.Unlock(ctx))
		if err := l.Unlock(ctx); !errors.Is(err, client.ErrLost) {
			t.Errorf("released twice: %v", err)
		}
		time.Sleep(time.Second)
		l, err = p.TryLock(ctx, "{r}k", client.LockOptions{})
		check(err)
		check(l.Unlock(ctx))

		// With a time of its own.
		l, err = p.Lock(ctx, "{r}k", client.LockOptions{TTL: time.Second})
		check(err)
		check(l.Renew(ctx, 4*time.Second))
		time.Sleep(3 * time.Second)
		check(l.Context().Err())
		<-l.Context().Done()
		if !errors.Is(context.Cause(l.Context()), client.ErrLost) {
			t.Error(context.Cause(l.Context()))
		}

		// Taken away by force: the holder is told with the next sign of life.
		l, err = p.Lock(ctx, "{r}k", client.LockOptions{})
		check(err)
		_, err = cl.Do(ctx, "LOCK.FORCE", "{r}k", fmt.Sprint(l.Token()), "REASON", "test")
		check(err)
		forced := time.Now()
		<-l.Context().Done()
		if since := time.Since(forced); since > 1100*time.Millisecond || !errors.Is(context.Cause(l.Context()), client.ErrLost) {
			t.Errorf("told after %v: %v", since, context.Cause(l.Context()))
		}

		// Readers, several keys, permits.
		rw := p.RWLock("{r}rw")
		r1, err := rw.RLock(ctx)
		check(err)
		r2, err := rw.RLock(ctx)
		check(err)
		if _, err := p.TryLock(ctx, "{r}rw", client.LockOptions{}); !errors.Is(err, client.ErrNotAcquired) {
			t.Error(err)
		}
		check(r1.Unlock(ctx))
		check(r2.Unlock(ctx))
		all, err := p.LockAll(ctx, []string{"{r}a", "{r}b"}, client.LockOptions{})
		check(err)
		check(all.Unlock(ctx))
		sem := p.Semaphore("{r}sem", 3)
		p1, err := sem.Acquire(ctx, 2)
		check(err)
		if _, err := sem.TryAcquire(ctx, 2); !errors.Is(err, client.ErrNotAcquired) {
			t.Error(err)
		}
		check(p1.Release(ctx))
		wrong := errors.New("wrong")
		if err := p.WithLock(ctx, "{r}k", func(context.Context, *client.Lock) error { return wrong }); err != wrong {
			t.Error(err)
		}
		check(p.Close(ctx))
		if v, err := cl.Do(ctx, "DBSIZE"); err != nil || v != int64(0) {
			t.Errorf("%v keys are left: %v", v, err)
		}
		if _, err := p.Lock(ctx, "k", client.LockOptions{}); !errors.Is(err, client.ErrClosed) {
			t.Errorf("a lock of a closed process: %v", err)
		}
	}, twoByTwo...)
}

// record is what the cache of the test merges: the ids of its updates.
type record []string

// store is where records are executed: it leaves out generations that it has.
type store struct {
	mu         sync.Mutex
	generation map[string]uint64
	stored     map[string][]uint64
	again      int
	ids        map[string]int
}

func (s *store) execute(_ context.Context, name string, done client.Completion, r record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done.Generation <= s.generation[name] {
		s.again++
		return nil
	}
	s.generation[name] = done.Generation
	s.stored[name] = append(s.stored[name], done.Generation)
	for _, id := range r {
		s.ids[id]++
	}
	return nil
}

var crashes = flag.Int("crashes", 150, "how many processes TestCacheExecutesOnce kills")

var holdersSeeds = flag.Int("holders", 2, "how many clusters TestHoldersExcludeEachOther breaks")

var merging = client.Update[record]{Merge: func(before, from record) record { return slices.Concat(before, from) }}

// TestCacheExecutesOnce: processes die at any step, leaders too; each update whose merging was
// confirmed is executed, no update twice, and no generation twice.
func TestCacheExecutesOnce(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		s := &store{generation: map[string]uint64{}, stored: map[string][]uint64{}, ids: map[string]int{}}
		update := merging
		update.Execute = s.execute
		var mu sync.Mutex
		confirmed := map[string]bool{}
		var died, next atomic.Int64
		var workers sync.WaitGroup
		for w := range 6 {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			workers.Go(func() {
				for died.Load() < int64(*crashes) {
					m := &mortal{after: 2 + rnd.IntN(120)}
					c.work(m, rnd, update, func() string { return fmt.Sprint("u-", next.Add(1)) }, func(ids []string) {
						mu.Lock()
						defer mu.Unlock()
						for _, id := range ids {
							confirmed[id] = true
						}
					})
					died.Add(1)
					time.Sleep(time.Duration(rnd.Int64N(int64(500 * time.Millisecond))))
				}
			})
		}
		stop := make(chan struct{})
		var faults sync.WaitGroup
		faults.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(15 * time.Second):
				}
				if down := c.Leader("east"); down != "" {
					c.Crash(down)
					time.Sleep(3 * time.Second)
					c.Start(down)
				}
			}
		})
		workers.Wait()
		close(stop)
		faults.Wait()
		c.WaitReady()

		// One that lives completes what is left.
		cl, p, err := c.process(&mortal{}, client.ProcessOptions{TTL: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		cache, err := client.NewCache(p, update, client.CacheOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		c.Wait("all to be completed", func() bool {
			keys, err := cl.Redis().Keys(ctx, "*").Result()
			return err == nil && len(keys) == 0
		})
		if err := cache.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		for id, n := range s.ids {
			if n != 1 {
				t.Errorf("update %s is stored %d times", id, n)
			}
		}
		for id := range confirmed {
			if s.ids[id] == 0 {
				t.Errorf("update %s was merged and is not stored", id)
			}
		}
		generations := 0
		for name, list := range s.stored {
			generations += len(list)
			if !slices.IsSorted(list) {
				t.Errorf("%s: generations %v", name, list)
			}
		}
		t.Logf("%d processes died; %d updates confirmed, %d stored, in %d generations, %d executed again", died.Load(), len(confirmed), len(s.ids), generations, s.again)
		if len(confirmed) == 0 || generations == 0 {
			t.Error("nothing was tried")
		}
	}, twoByTwo...)
}

// work is the life of a process, which ends when its network does.
func (c *Cluster) work(m *mortal, rnd *rand.Rand, update client.Update[record], id func() string, confirm func([]string)) {
	cl, p, err := c.process(m, client.ProcessOptions{TTL: 2 * time.Second})
	if err != nil {
		return
	}
	defer cl.Close()
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		m.die()
		p.Close(ctx)
	}()
	cache, err := client.NewCache(p, update, client.CacheOptions{Soft: time.Hour})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.Context(), 20*time.Second)
	defer cancel()
	for p.Err() == nil && ctx.Err() == nil {
		m.mu.Lock()
		dead := m.dead
		m.mu.Unlock()
		if dead {
			break
		}
		name := fmt.Sprint("user.", rnd.IntN(5))
		var ids []string
		for range 1 + rnd.IntN(3) {
			one := id()
			if cache.Set(ctx, name, record{one}) == nil {
				ids = append(ids, one)
			}
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(100 * time.Millisecond))))
		if err := cache.Expire(ctx, name); err == nil {
			confirm(ids)
		} else if !strings.Contains(err.Error(), "dead") {
			continue
		}
	}
	m.die()
	short, cancel2 := context.WithTimeout(context.Background(), time.Second)
	defer cancel2()
	cache.Close(short)
}
