package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"
	"testing"
	"time"

	"phonond/client"
	"phonond/cluster/proctest"
)

// cluster is two regions of one node each, started when the first example asks for it.
var cluster = sync.OnceValue(func() *proctest.Cluster {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "phonond-examples-")
	check(err)
	program, err := proctest.Build(ctx, dir)
	check(err)
	c, err := proctest.New(proctest.Options{Program: program, Dir: dir, Regions: []proctest.Region{{Name: "us-east-1", Nodes: 1}, {Name: "us-west-1", Nodes: 1}}})
	check(err)
	started, programDir = c, dir
	check(c.Start(ctx))
	return c
})

var (
	started    *proctest.Cluster
	programDir string
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		started.Close()
		os.RemoveAll(programDir)
	}
	os.Exit(code)
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// regions is what phonon.configure takes: the nodes of each region.
func regions() map[string][]string {
	return map[string][]string{
		"us-east-1": {cluster().Nodes()[0].RESP},
		"us-west-1": {cluster().Nodes()[1].RESP},
	}
}

// A process takes a lock, and gives the fencing token to what the lock protects.
func Example() {
	c, err := client.New(client.Config{Regions: regions(), Region: "us-west-1"})
	check(err)
	defer c.Close()
	ctx := context.Background()
	p, err := c.OpenProcess(ctx, client.ProcessOptions{Name: "worker-1"})
	check(err)
	defer p.Close(ctx)

	err = p.WithLock(ctx, "User.123.lock", func(ctx context.Context, l *client.Lock) error {
		fmt.Println("locked, with a token:", l.Token() > 0)
		return ctx.Err() // ctx ends if the lock is lost
	})
	fmt.Println(err)
	// Output:
	// locked, with a token: true
	// <nil>
}

func ExampleProcess_TryLock() {
	c, err := client.New(client.Config{Regions: regions()})
	check(err)
	defer c.Close()
	ctx := context.Background()
	one, err := c.OpenProcess(ctx, client.ProcessOptions{})
	check(err)
	defer one.Close(ctx)
	other, err := c.OpenProcess(ctx, client.ProcessOptions{})
	check(err)
	defer other.Close(ctx)

	l, err := one.TryLock(ctx, "report.lock", client.LockOptions{})
	check(err)
	_, err = other.TryLock(ctx, "report.lock", client.LockOptions{})
	fmt.Println(errors.Is(err, client.ErrNotAcquired))
	check(l.Unlock(ctx))
	_, err = other.TryLock(ctx, "report.lock", client.LockOptions{})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

func ExampleProcess_RWLock() {
	c, err := client.New(client.Config{Regions: regions()})
	check(err)
	defer c.Close()
	ctx := context.Background()
	p, err := c.OpenProcess(ctx, client.ProcessOptions{})
	check(err)
	defer p.Close(ctx)

	rw := p.RWLock("settings.lock")
	one, err := rw.RLock(ctx)
	check(err)
	other, err := rw.RLock(ctx)
	check(err)
	fmt.Println("two readers")
	check(one.Unlock(ctx))
	check(other.Unlock(ctx))
	writer, err := rw.Lock(ctx)
	check(err)
	fmt.Println("one writer")
	check(writer.Unlock(ctx))
	// Output:
	// two readers
	// one writer
}

func ExampleProcess_Semaphore() {
	c, err := client.New(client.Config{Regions: regions()})
	check(err)
	defer c.Close()
	ctx := context.Background()
	p, err := c.OpenProcess(ctx, client.ProcessOptions{})
	check(err)
	defer p.Close(ctx)

	uploads := p.Semaphore("uploads", 10)
	permits, err := uploads.Acquire(ctx, 8)
	check(err)
	_, err = uploads.TryAcquire(ctx, 3)
	fmt.Println(errors.Is(err, client.ErrNotAcquired))
	check(permits.Release(ctx))
	// Output: true
}

// Each worker has a reference to what it works on; whoever drops the last one writes the
// record.
func ExampleReference_Release() {
	c, err := client.New(client.Config{Regions: regions()})
	check(err)
	defer c.Close()
	ctx := context.Background()
	one, err := c.OpenProcess(ctx, client.ProcessOptions{Name: "one"})
	check(err)
	defer one.Close(ctx)
	other, err := c.OpenProcess(ctx, client.ProcessOptions{Name: "other"})
	check(err)
	defer other.Close(ctx)

	write := func(_ context.Context, done client.Completion) error {
		fmt.Printf("written, modified %d times: %s\n", done.TimesModified, done.Payload)
		return nil
	}
	a, err := one.Reference(ctx, "User.123")
	check(err)
	b, err := other.Reference(ctx, "User.123")
	check(err)
	n, err := a.Count(ctx)
	fmt.Println(n, err)
	check(c.Redis().Set(ctx, "User.123", "what is known", 0).Err())
	_, err = a.Modified(ctx)
	check(err)
	last, err := a.Release(ctx, write)
	fmt.Println(last, err)
	last, err = b.Release(ctx, write)
	fmt.Println(last, err)
	// Output:
	// 2 <nil>
	// false <nil>
	// written, modified 1 times: what is known
	// true <nil>
}

// Counts of page views are gathered in each process, merged in the cluster, and written
// once.
func ExampleCache() {
	type views map[string]int
	c, err := client.New(client.Config{Regions: regions()})
	check(err)
	defer c.Close()
	ctx := context.Background()
	update := client.Update[views]{
		Merge: func(before, from views) views {
			all := views{}
			for _, one := range []views{before, from} {
				for page, n := range one {
					all[page] += n
				}
			}
			return all
		},
		Execute: func(_ context.Context, name string, _ client.Completion, v views) error {
			fmt.Println("written:", name, v)
			return nil
		},
	}
	var caches []*client.Cache[views]
	for range 2 {
		p, err := c.OpenProcess(ctx, client.ProcessOptions{})
		check(err)
		defer p.Close(ctx)
		cache, err := client.NewCache(p, update, client.CacheOptions{Soft: time.Minute})
		check(err)
		caches = append(caches, cache)
		check(cache.Set(ctx, "User.7", views{"home": 1}))
		check(cache.Set(ctx, "User.7", views{"home": 1, "about": 1}))
	}
	for _, cache := range caches {
		check(cache.Expire(ctx, "User.7"))
	}
	// Output: written: User.7 map[about:2 home:4]
}
