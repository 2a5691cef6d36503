package client

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Update says how a cache works with updates of type T: phonon's Update.
type Update[T any] struct {
	// Merge returns what is known after from, given what was known before. It must not
	// change either.
	Merge func(before, from T) T
	// Execute stores the whole record when no process has a reference to its resource any
	// more. See [Completion] for how it counts exactly once. The name is that given to
	// [Cache.Set].
	Execute func(ctx context.Context, name string, c Completion, record T) error
	// Encode and Decode make bytes of a record for the other processes. Default: JSON.
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
}

// CacheOptions bound a cache. All are optional.
type CacheOptions struct {
	// Prefix is before the names in the keys of the cluster. It keeps caches apart that
	// hold different things. Default "phonon_".
	Prefix string
	// Size is how many updates are kept in this process; beyond it the one that was
	// used longest ago is expired. Default [DefaultCacheSize].
	Size int
	// Soft expires an update that was not touched for so long. Default
	// [DefaultSoftSession].
	Soft time.Duration
	// Hard expires one that was begun so long ago, however often it was touched. Default
	// [DefaultHardSession].
	Hard time.Duration
	// OnError is told when an update could not be expired in the background; it is tried
	// again. It must not block.
	OnError func(name string, err error)
}

// Defaults of CacheOptions.
const (
	DefaultPrefix      = "phonon_"
	DefaultCacheSize   = 10_000
	DefaultSoftSession = 30 * time.Second
	DefaultHardSession = 5 * time.Minute
)

// Cache gathers updates of many resources in this process, and merges them with those of other
// processes: each resource has a record in the cluster that grows while any process has a
// reference to it. When an update expires here, it is merged into the record; the last process
// to do so executes the record, once for each generation of references.
//
// What has not expired yet is known to this process alone, and lost with it. Whoever feeds the
// cache from a stream keeps in the record how far it has come: that is stored in the same
// step.
type Cache[T any] struct {
	p *Process
	u Update[T]
	o CacheOptions

	mu      sync.Mutex
	entries map[string]*cached[T]
	order   *list.List // of *cached, the one touched last first
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// cached is an update in this process.
type cached[T any] struct {
	name    string
	record  T
	began   time.Time
	touched time.Time
	place   *list.Element
	// leaving is closed when an update that expires has left the cache.
	leaving chan struct{}
}

// NewCache makes a cache for updates of a process. Errors wrap [ErrConfig].
func NewCache[T any](p *Process, u Update[T], o CacheOptions) (*Cache[T], error) {
	if u.Merge == nil || u.Execute == nil {
		return nil, fmt.Errorf("%w: a cache needs Merge and Execute", ErrConfig)
	}
	if u.Encode == nil {
		u.Encode = func(v T) ([]byte, error) { return json.Marshal(v) }
	}
	if u.Decode == nil {
		u.Decode = func(b []byte) (v T, err error) { err = json.Unmarshal(b, &v); return v, err }
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Size <= 0 {
		o.Size = DefaultCacheSize
	}
	if o.Soft <= 0 {
		o.Soft = DefaultSoftSession
	}
	if o.Hard <= 0 {
		o.Hard = DefaultHardSession
	}
	if o.OnError == nil {
		o.OnError = func(string, error) {}
	}
	ctx, stop := context.WithCancel(p.ctx)
	c := &Cache[T]{p: p, u: u, o: o, entries: map[string]*cached[T]{}, order: list.New(), stop: stop}
	p.OnCompletion(func(resource string) bool { return strings.HasPrefix(resource, o.Prefix) }, c.execute)
	c.done.Go(func() { c.expireInTime(ctx) })
	return c, nil
}

// Set merges an update into what this process knows of a resource. For a new one it takes a
// reference first.
func (c *Cache[T]) Set(ctx context.Context, name string, update T) error {
	for {
		c.mu.Lock()
		e := c.entries[name]
		if e != nil && e.leaving == nil {
			e.record, e.touched = c.u.Merge(e.record, update), time.Now()
			c.order.MoveToFront(e.place)
			c.mu.Unlock()
			return c.p.Err()
		}
		c.mu.Unlock()
		if e != nil {
			select {
			case <-e.leaving:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := c.p.Reference(ctx, c.o.Prefix+name); err != nil {
			return err
		}
		if c.add(name, update) {
			return c.shrink(ctx)
		}
	}
}

// add makes an entry, unless there is one.
func (c *Cache[T]) add(name string, update T) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[name] != nil {
		return false
	}
	e := &cached[T]{name: name, record: update, began: time.Now(), touched: time.Now()}
	e.place = c.order.PushFront(e)
	c.entries[name] = e
	return true
}

// shrink expires what is too much.
func (c *Cache[T]) shrink(ctx context.Context) error {
	for {
		c.mu.Lock()
		var oldest string
		if c.order.Len() > c.o.Size {
			oldest = c.order.Back().Value.(*cached[T]).name
		}
		c.mu.Unlock()
		if oldest == "" {
			return nil
		}
		if err := c.Expire(ctx, oldest); err != nil {
			return err
		}
	}
}

// Get returns what this process knows of a resource that it has not let expire.
func (c *Cache[T]) Get(name string) (record T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[name]; e != nil && e.leaving == nil {
		e.touched = time.Now()
		c.order.MoveToFront(e.place)
		return e.record, true
	}
	return record, false
}

// Len returns how many updates are kept in this process.
func (c *Cache[T]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

// Expire merges what this process knows of a resource into the record that all share, and
// drops its reference; if that was the last one, the record is executed. An update that could
// not be merged is kept.
func (c *Cache[T]) Expire(ctx context.Context, name string) error {
	c.mu.Lock()
	e := c.entries[name]
	if e == nil || e.leaving != nil {
		c.mu.Unlock()
		return nil
	}
	e.leaving = make(chan struct{})
	c.mu.Unlock()

	done, last, err := c.merge(ctx, e)

	c.mu.Lock()
	close(e.leaving)
	if err == nil {
		delete(c.entries, name)
		c.order.Remove(e.place)
	} else {
		e.leaving = nil
	}
	c.mu.Unlock()
	if err != nil || !last {
		return err
	}
	return c.p.complete(ctx, done, c.execute)
}

// merge merges an update into the record and drops the reference, in one step. It tells
// what is to be completed if that was the last reference.
//
// When the answer is lost, the next attempt finds out what has become of it: the reference
// is gone if it was done. One that comes late finds the record changed, and is not done.
func (c *Cache[T]) merge(ctx context.Context, e *cached[T]) (done Completion, last bool, err error) {
	resource := c.o.Prefix + e.name
	for maybe := false; ; {
		if err := c.p.Err(); err != nil {
			return done, false, err
		}
		reply, err := c.step(ctx, resource, e.record)
		maybe = maybe || errors.Is(err, ErrUnknownOutcome)
		switch {
		case err == nil:
			c.p.forgetReference(resource)
			return released(resource, reply)
		case errors.Is(err, redis.TxFailedErr): // another process has merged meanwhile
			continue
		case errors.Is(err, errNoReference) && !maybe:
			return done, false, fmt.Errorf("%w: the reference to %s", ErrLost, resource)
		case errors.Is(err, errNoReference):
			// Who was the last is told so again.
			reply, err = retry(ctx, func() (any, error) { return c.p.c.Do(ctx, "REF.RELEASE", resource, c.p.o.Name) })
			if err != nil && !errors.Is(err, redis.Nil) {
				return done, false, err
			}
			c.p.forgetReference(resource)
			if err != nil {
				return done, false, nil
			}
			return released(resource, reply)
		case !maybe && !errors.Is(err, ErrNotApplied), !pause(ctx, jitter(retryEvery)):
			return done, false, c.p.orLost(err)
		}
	}
}

func (p *Process) forgetReference(resource string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.references, resource)
}

var errNoReference = errors.New("client: the process has no such reference")

// step is one attempt to merge: it fails if the record, or the reference, is changed meanwhile.
func (c *Cache[T]) step(ctx context.Context, resource string, update T) (reply any, err error) {
	nodes := "phonon_" + resource + ".nodelist"
	err = c.p.c.redis.Watch(ctx, func(tx *redis.Tx) error {
		has, err := tx.HExists(ctx, nodes, c.p.o.Name).Result()
		if err != nil {
			return err
		}
		if !has {
			return errNoReference
		}
		record := update
		switch before, err := tx.Get(ctx, resource).Bytes(); {
		case err == nil:
			old, err := c.u.Decode(before)
			if err != nil {
				return fmt.Errorf("client: the record of %s: %w", resource, err)
			}
			record = c.u.Merge(old, update)
		case !errors.Is(err, redis.Nil):
			return err
		}
		encoded, err := c.u.Encode(record)
		if err != nil {
			return err
		}
		var release *redis.Cmd
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.Set(ctx, resource, encoded, 0)
			pipe.Do(ctx, "REF.TOUCH", resource, c.p.o.Name, "MODIFIED")
			release = pipe.Do(ctx, "REF.RELEASE", resource, c.p.o.Name)
			return nil
		})
		if err != nil {
			return err
		}
		reply, err = release.Result()
		return err
	}, resource)
	if errors.Is(err, redis.TxFailedErr) || errors.Is(err, errNoReference) {
		return nil, err
	}
	return reply, Classify(err)
}

// execute hands a completion to Update.Execute.
func (c *Cache[T]) execute(ctx context.Context, done Completion) error {
	var record T
	if done.Payload != nil {
		var err error
		if record, err = c.u.Decode(done.Payload); err != nil {
			return fmt.Errorf("client: the record of %s: %w", done.Resource, err)
		}
	}
	return c.u.Execute(ctx, strings.TrimPrefix(done.Resource, c.o.Prefix), done, record)
}

// ExpireAll expires all updates of this process. It goes on after one that fails, and
// returns all errors.
func (c *Cache[T]) ExpireAll(ctx context.Context) error {
	return c.expire(ctx, func(*cached[T]) bool { return true }, func(string, error) {})
}

func (c *Cache[T]) expire(ctx context.Context, which func(*cached[T]) bool, failed func(string, error)) error {
	c.mu.Lock()
	var names []string
	for name, e := range c.entries {
		if e.leaving == nil && which(e) {
			names = append(names, name)
		}
	}
	c.mu.Unlock()
	var errs []error
	for _, name := range names {
		if err := c.Expire(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			failed(name, err)
		}
	}
	return errors.Join(errs...)
}

// expireInTime expires updates whose sessions are over, until ctx ends.
func (c *Cache[T]) expireInTime(ctx context.Context) {
	for pause(ctx, max(min(c.o.Soft, c.o.Hard)/4, time.Millisecond)) {
		now := time.Now()
		c.expire(ctx, func(e *cached[T]) bool {
			return now.Sub(e.touched) >= c.o.Soft || now.Sub(e.began) >= c.o.Hard
		}, c.o.OnError)
	}
}

// Close expires all updates and ends what goes on in the background. The process stays
// open.
func (c *Cache[T]) Close(ctx context.Context) error {
	c.stop()
	c.done.Wait()
	return c.ExpireAll(ctx)
}
