package client

import (
	"context"
	"time"
)

// LockOptions says how a lock is taken. The zero value is an exclusive lock that is held
// until it is released or the session ends.
type LockOptions struct {
	// Shared lets others have the lock at the same time, if they share it too.
	Shared bool
	// TTL, if it is not 0, is how long the lock is held at most; [Lock.Renew] makes it
	// longer. At least 1 ms.
	TTL time.Duration
	// Delay is for how long nobody gets the lock after it was lost rather than released:
	// the time that a holder may take to notice.
	Delay time.Duration
	// Meta is shown to operators, up to 4096 bytes.
	Meta string
}

func (o LockOptions) args() []any {
	var list []any
	if o.Shared {
		list = append(list, "SHARED")
	}
	if o.Delay > 0 {
		list = append(list, "DELAY", o.Delay.Milliseconds())
	}
	if o.Meta != "" {
		list = append(list, "META", o.Meta)
	}
	return list
}

// Lock is a lock that this process holds, or several with one token.
type Lock struct{ *grant }

// Lock waits for a lock and takes it. Who waits is served in the order of arrival. It is the
// same lock that Redis clients take with SET NX. When ctx ends it gives up, and leaves
// nothing behind.
func (p *Process) Lock(ctx context.Context, key string, o LockOptions) (*Lock, error) {
	return p.lock(ctx, []string{key}, o, true)
}

// TryLock takes a lock, or returns [ErrNotAcquired] at once if another holds it.
func (p *Process) TryLock(ctx context.Context, key string, o LockOptions) (*Lock, error) {
	return p.lock(ctx, []string{key}, o, false)
}

// LockAll waits until all of the keys are free and takes them together. They have to live in one
// group: as those of one resource do, or those with the same text in {braces}.
func (p *Process) LockAll(ctx context.Context, keys []string, o LockOptions) (*Lock, error) {
	return p.lock(ctx, keys, o, true)
}

func (p *Process) lock(ctx context.Context, keys []string, o LockOptions, wait bool) (*Lock, error) {
	q := claim{command: "LOCK.ACQUIRE", kind: "LOCK", keys: keys, ttl: o.TTL, options: o.args()}
	if len(keys) != 1 {
		q.command = "LOCK.MULTI"
	}
	g, err := p.acquire(ctx, q, wait)
	if err != nil {
		return nil, err
	}
	return &Lock{g}, nil
}

// WithLock runs f while the lock is held, with a context that ends when it is lost, and
// releases it. It returns f's error, else what was wrong with the lock.
func (p *Process) WithLock(ctx context.Context, key string, f func(ctx context.Context, l *Lock) error) error {
	l, err := p.Lock(ctx, key, LockOptions{})
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.Context(), func() { cancel(context.Cause(l.Context())) })()
	err = f(inner, l)
	if released := l.Unlock(ctx); err == nil {
		err = released
	}
	return err
}

// Unlock releases the lock, even when ctx has ended. An error that wraps [ErrLost] or
// [ErrSessionLost] says that it was lost before.
func (l *Lock) Unlock(ctx context.Context) error { return l.release(ctx) }

// Renew lets a lock with a TTL be held for ttl from now on.
func (l *Lock) Renew(ctx context.Context, ttl time.Duration) error {
	sent := time.Now()
	if err := l.renew(ctx, ttl); err != nil {
		return err
	}
	l.setTimer(ttl, sent)
	return nil
}

// RWLock is a lock that readers share.
type RWLock struct {
	p   *Process
	key string
}

// RWLock returns the lock for readers and writers under a key. A writer that waits is not
// overtaken by readers.
func (p *Process) RWLock(key string) RWLock { return RWLock{p, key} }

// RLock waits for the lock together with other readers.
func (rw RWLock) RLock(ctx context.Context) (*Lock, error) {
	return rw.p.Lock(ctx, rw.key, LockOptions{Shared: true})
}

// Lock waits for the lock alone.
func (rw RWLock) Lock(ctx context.Context) (*Lock, error) {
	return rw.p.Lock(ctx, rw.key, LockOptions{})
}

// Semaphore is a number of permits that processes share.
type Semaphore struct {
	p     *Process
	key   string
	limit int
}

// Semaphore returns the semaphore under a key, with so many permits: all who use it have to
// name the same number.
func (p *Process) Semaphore(key string, limit int) Semaphore { return Semaphore{p, key, limit} }

// Permits are permits of a semaphore that this process holds.
type Permits struct{ *grant }

// Acquire waits for n permits and takes them, in the order of arrival.
func (s Semaphore) Acquire(ctx context.Context, n int) (*Permits, error) {
	return s.acquire(ctx, n, true)
}

// TryAcquire takes n permits, or returns [ErrNotAcquired] at once.
func (s Semaphore) TryAcquire(ctx context.Context, n int) (*Permits, error) {
	return s.acquire(ctx, n, false)
}

func (s Semaphore) acquire(ctx context.Context, n int, wait bool) (*Permits, error) {
	g, err := s.p.acquire(ctx, claim{
		command: "SEM.ACQUIRE", kind: "SEM", keys: []string{s.key}, options: []any{"LIMIT", s.limit, "PERMITS", n},
	}, wait)
	if err != nil {
		return nil, err
	}
	return &Permits{g}, nil
}

// Release gives the permits back, even when ctx has ended.
func (p *Permits) Release(ctx context.Context) error { return p.release(ctx) }
