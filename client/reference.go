package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reference is this process's reference to a resource. It is counted together with those
// of all other processes, of phonon's Python clients too, and ends with the process.
type Reference struct {
	p        *Process
	resource string

	// Generation is the number of the references that there are at one time: it grows
	// each time the resource gets its first one.
	Generation uint64
}

// Completion is what is to be done when the last reference of a generation is gone.
//
// It is executed by one process at a time, those of a resource in the order of their
// generations. If that process dies after it has stored a result, and before the cluster
// knows, another executes it again: so whoever stores the result stores the Generation
// with it, and leaves out one that is not larger than the last. Then it counts exactly once.
type Completion struct {
	Resource   string
	Generation uint64
	// Token is the right to execute it; a later executor's is larger.
	Token uint64
	// TimesModified is how often [Reference.Modified] was called.
	TimesModified int64
	// Payload is what the key of the resource's name held, nil if there was nothing.
	Payload []byte
}

// Complete executes a completion. When it returns an error, another process, or this one,
// executes it later. ctx ends if this process's session is lost.
type Complete func(ctx context.Context, c Completion) error

// Reference takes a reference to a resource. A process has one at most of each: another
// call returns the same. A resource may be named like a key.
func (p *Process) Reference(ctx context.Context, resource string) (*Reference, error) {
	p.mu.Lock()
	known := p.references[resource]
	p.mu.Unlock()
	if known != nil {
		return known, p.Err()
	}
	reply, err := retry(ctx, func() ([]int64, error) {
		if err := p.Err(); err != nil {
			return nil, err
		}
		return numbers(p.c.Do(ctx, "REF.ACQUIRE", resource, p.o.Name, "SESSION", p.id))
	})
	switch {
	case err != nil:
		return nil, p.orLost(err)
	case len(reply) != 2:
		return nil, errReply
	}
	r := &Reference{p: p, resource: resource, Generation: uint64(reply[1])}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.references[resource]; known != nil {
		return known, nil
	}
	p.references[resource] = r
	return r, nil
}

// orLost ends the process if an error says that its session has ended.
func (p *Process) orLost(err error) error {
	if redis.HasErrorPrefix(err, "NOSESSION") {
		err = fmt.Errorf("%w: %w", ErrSessionLost, err)
		p.lose(err)
	}
	return err
}

// Resource returns the name of the resource.
func (r *Reference) Resource() string { return r.resource }

// Count returns how many references there are.
func (r *Reference) Count(ctx context.Context) (int, error) {
	n, err := retry(ctx, func() (int64, error) { return number(r.p.c.Do(ctx, "REF.COUNT", r.resource)) })
	return int(n), err
}

// Lock waits for the lock of the resource, the one that phonon's clients take.
func (r *Reference) Lock(ctx context.Context) (*Lock, error) {
	return r.p.Lock(ctx, r.resource+".lock", LockOptions{})
}

// Modified counts one more modification, and returns how many there are. After an error
// that wraps [ErrUnknownOutcome] it may have been counted.
func (r *Reference) Modified(ctx context.Context) (int64, error) {
	return r.touch(numbers(r.p.c.Do(ctx, "REF.TOUCH", r.resource, r.p.o.Name, "MODIFIED")))
}

// TimesModified returns how often the resource was modified in this generation.
func (r *Reference) TimesModified(ctx context.Context) (int64, error) {
	return r.touch(retry(ctx, func() ([]int64, error) {
		return numbers(r.p.c.Do(ctx, "REF.TOUCH", r.resource, r.p.o.Name))
	}))
}

func (r *Reference) touch(reply []int64, err error) (int64, error) {
	switch {
	case errors.Is(err, redis.Nil):
		return 0, fmt.Errorf("%w: the reference to %s", ErrLost, r.resource)
	case err != nil:
		return 0, err
	case len(reply) != 3:
		return 0, errReply
	}
	return reply[1], nil
}

// Release drops the reference. If it was the last one of all, complete is called with what is
// to be done, and Release returns true with its error. With a nil complete it is left to
// a process that has said [Process.OnCompletion].
func (r *Reference) Release(ctx context.Context, complete Complete) (last bool, err error) {
	r.p.mu.Lock()
	delete(r.p.references, r.resource)
	r.p.mu.Unlock()
	// To ask again is safe: who was the last is told the same again.
	reply, err := retry(ctx, func() (any, error) { return r.p.c.Do(ctx, "REF.RELEASE", r.resource, r.p.o.Name) })
	if errors.Is(err, redis.Nil) {
		return false, nil // it was released by an attempt before, or has gone with the session
	}
	if err != nil {
		return false, err
	}
	c, last, err := released(r.resource, reply)
	if err != nil || !last {
		return false, err
	}
	return true, r.p.complete(ctx, c, complete)
}

// released reads the reply of REF.RELEASE.
func released(resource string, reply any) (c Completion, last bool, err error) {
	list, ok := reply.([]any)
	if !ok || len(list) != 6 {
		return c, false, errReply
	}
	numbers, ok := integers(list[:4])
	if !ok {
		return c, false, errReply
	}
	c = Completion{Resource: resource, TimesModified: numbers[2], Generation: uint64(numbers[3])}
	if token, ok := list[4].(int64); ok {
		c.Token = uint64(token)
	}
	if payload, ok := list[5].(string); ok {
		c.Payload = []byte(payload)
	}
	return c, numbers[1] == 1, nil
}

func integers(list []any) (ns []int64, ok bool) {
	for _, e := range list {
		n, ok := e.(int64)
		if !ok {
			return nil, false
		}
		ns = append(ns, n)
	}
	return ns, true
}

// complete has a completion executed by which this process has the right to, or waits for
// its turn behind an older one.
func (p *Process) complete(ctx context.Context, c Completion, f Complete) error {
	if f == nil {
		if c.Token != 0 {
			p.yield(c)
		}
		return nil
	}
	for generation := c.Generation; ; {
		if c.Token == 0 {
			next, err := p.waitForCompletion(ctx, c.Resource)
			if err != nil {
				return err
			}
			c = next
		}
		if err := p.execute(ctx, c, f); err != nil || c.Generation >= generation {
			return err
		}
		c.Token = 0 // that was an older one, which somebody else has left
	}
}

// execute executes a completion, and says that it is done.
func (p *Process) execute(ctx context.Context, c Completion, f Complete) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(p.Err()) })()
	if err := f(inner, c); err != nil {
		p.yield(c)
		return err
	}
	_, err := retry(ctx, func() (int64, error) { return number(p.c.Do(ctx, "REF.DONE", c.Resource, decimal(c.Token))) })
	return err
}

// yield leaves a completion to another process.
func (p *Process) yield(c Completion) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTime)
	defer cancel()
	retry(ctx, func() (any, error) { return p.c.Do(ctx, "REF.YIELD", c.Resource, decimal(c.Token)) })
}

// waitForCompletion waits until this process is to execute the oldest completion of a
// resource.
func (p *Process) waitForCompletion(ctx context.Context, resource string) (Completion, error) {
	return p.elected(resource, func() (any, error) {
		return retry(ctx, func() (any, error) {
			if err := p.Err(); err != nil {
				return nil, err
			}
			return p.c.wait(ctx, p.ctx, "REF.WAITLAST", resource, p.o.Name, "SESSION", p.id, "WAIT", 0)
		})
	})
}

// elected reads the reply of REF.WAITLAST.
func (p *Process) elected(resource string, ask func() (any, error)) (c Completion, err error) {
	reply, err := ask()
	if err != nil {
		return c, p.orLost(err)
	}
	list, ok := reply.([]any)
	if !ok || len(list) != 4 {
		return c, errReply
	}
	numbers, ok := integers(list[:3])
	if !ok {
		return c, errReply
	}
	c = Completion{Resource: resource, TimesModified: numbers[0], Generation: uint64(numbers[1]), Token: uint64(numbers[2])}
	if payload, ok := list[3].(string); ok {
		c.Payload = []byte(payload)
	}
	return c, nil
}

type completionHandler struct {
	wants func(resource string) bool
	f     Complete
}

// OnCompletion has completions executed that nobody executes, as those of processes that
// died, if they are of resources that wants accepts. It looks for them about twice in a
// session's time to live.
func (p *Process) OnCompletion(wants func(resource string) bool, f Complete) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers = append(p.handlers, completionHandler{wants, f})
	if !p.pending {
		p.pending = true
		p.done.Go(p.lookForCompletions)
	}
}

func (p *Process) lookForCompletions() {
	for pause(p.ctx, jitter(p.o.TTL/2)) {
		p.takeOver(p.ctx)
	}
}

// takeOver executes the completions that nobody executes.
func (p *Process) takeOver(ctx context.Context) {
	reply, err := p.c.Do(ctx, "REF.PENDING")
	list, _ := reply.([]any)
	if err != nil {
		return
	}
	p.mu.Lock()
	handlers := p.handlers
	p.mu.Unlock()
	for _, e := range list {
		resource, _ := e.(string)
		for _, h := range handlers {
			if !h.wants(resource) {
				continue
			}
			c, err := p.elected(resource, func() (any, error) {
				return p.c.Do(ctx, "REF.WAITLAST", resource, p.o.Name, "SESSION", p.id)
			})
			if err == nil {
				limit, cancel := context.WithTimeout(ctx, max(p.o.TTL, time.Minute))
				p.execute(limit, c, h.f)
				cancel()
			}
			break
		}
	}
}
