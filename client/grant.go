package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// cleanTime bounds what is done to let go of something when the caller's context has
// ended.
const cleanTime = 5 * time.Second

// grant is what a process holds by a token: a lock, several, or permits.
type grant struct {
	p     *Process
	kind  string // of commands: LOCK or SEM
	keys  []string
	owner string
	token uint64
	ctx   context.Context
	end   context.CancelCauseFunc
	timer *time.Timer // of one with a time of its own
}

// Token returns the fencing token: larger than that of any grant of the key before it.
// Whoever changes what the lock protects should be given it, and refuse one that is
// smaller than the largest he has seen.
func (g *grant) Token() uint64 { return g.token }

// Context ends when what is held is lost, or cannot be proven to be held: its cause wraps
// [ErrLost] or [ErrSessionLost]; when it is released, it is [context.Canceled].
func (g *grant) Context() context.Context { return g.ctx }

// Key returns the key, the first of several.
func (g *grant) Key() string { return g.keys[0] }

// claim is what is asked for.
type claim struct {
	command string // LOCK.ACQUIRE, LOCK.MULTI or SEM.ACQUIRE
	kind    string
	keys    []string
	ttl     time.Duration // 0: as long as the session
	options []any
}

// acquire takes what is claimed. Without wait it fails with ErrNotAcquired if others have
// it; else it waits until ctx ends.
func (p *Process) acquire(ctx context.Context, q claim, wait bool) (*grant, error) {
	g := &grant{p: p, kind: q.kind, keys: q.keys, owner: p.o.Name + "/" + randomID()}
	args := []any{q.command}
	if q.command == "LOCK.MULTI" {
		args = append(args, len(q.keys))
	}
	for _, k := range q.keys {
		args = append(args, k)
	}
	args = append(args, g.owner, q.ttl.Milliseconds(), "SESSION", p.id)
	args = append(args, q.options...)
	var sent time.Time
	// To ask again is safe: the owner has the same grant.
	reply, err := retry(ctx, func() ([]int64, error) {
		if err := p.Err(); err != nil {
			return nil, err
		}
		sent = time.Now()
		return numbers(p.c.Do(ctx, args...))
	})
	if errors.Is(err, redis.Nil) && wait {
		args = append(args, "WAIT", 0)
		reply, err = retry(ctx, func() ([]int64, error) {
			if err := p.Err(); err != nil {
				return nil, err
			}
			v, err := p.c.wait(ctx, p.ctx, args...)
			sent = time.Time{} // since when it is ours is not known
			return numbers(v, err)
		})
	}
	switch {
	case errors.Is(err, redis.Nil):
		return nil, ErrNotAcquired
	case err != nil:
		g.abandon(err)
		if redis.HasErrorPrefix(err, "NOSESSION") {
			err = fmt.Errorf("%w: %w", ErrSessionLost, err)
			p.lose(err)
		}
		return nil, err
	case len(reply) != 3:
		return nil, errReply
	}
	g.token = uint64(reply[0])
	g.begin(q.ttl, sent)
	if err := context.Cause(g.ctx); err != nil { // it came too late
		g.release(ctx)
		return nil, err
	}
	return g, nil
}

// begin starts the time in which the grant is valid.
func (g *grant) begin(ttl time.Duration, sent time.Time) {
	p := g.p
	g.ctx, g.end = context.WithCancelCause(p.ctx)
	p.mu.Lock()
	p.held[g] = struct{}{}
	p.mu.Unlock()
	if ttl > 0 {
		g.setTimer(ttl, sent)
	}
}

// setTimer ends the grant when its own time is over, counted from before it was asked for.
// One that was waited for is renewed at once, for it may be ours for longer than we know.
func (g *grant) setTimer(ttl time.Duration, sent time.Time) {
	if sent.IsZero() {
		sent = time.Now()
		if err := g.renew(g.ctx, ttl); err != nil {
			g.lose(err)
			return
		}
	}
	left := time.Until(sent.Add(ttl - ttl/drift))
	over := func() { g.lose(fmt.Errorf("%w: its time is over", ErrLost)) }
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = time.AfterFunc(left, over)
}

// renew lets the grant last for ttl from now on.
func (g *grant) renew(ctx context.Context, ttl time.Duration) error {
	for _, key := range g.keys {
		n, err := retry(ctx, func() (int64, error) {
			return number(g.p.c.Do(ctx, g.kind+".RENEW", key, decimal(g.token), ttl.Milliseconds()))
		})
		switch {
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("%w: %s", ErrLost, key)
		}
	}
	return nil
}

// lose ends the grant for the given reason.
func (g *grant) lose(err error) {
	g.forget()
	g.end(err)
}

// forget lets the process forget about the grant.
func (g *grant) forget() {
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	delete(g.p.held, g)
	if g.timer != nil {
		g.timer.Stop()
	}
}

// check asks whether all keys are still held.
func (g *grant) check(ctx context.Context) bool {
	for _, key := range g.keys {
		if n, err := number(g.p.c.Do(ctx, g.kind+".CHECK", key, decimal(g.token))); err == nil && n == 0 {
			return false
		}
	}
	return true
}

// release gives back what is held. When ctx has ended it does so all the same, for five
// seconds at most. It returns an error that wraps ErrLost if it was lost before.
func (g *grant) release(ctx context.Context) error {
	lost := context.Cause(g.ctx)
	if errors.Is(lost, context.Canceled) {
		return fmt.Errorf("%w: %s was released", ErrLost, g.keys[0])
	}
	g.forget()
	g.end(context.Canceled)
	args := []any{g.kind + ".RELEASE", g.keys[0], decimal(g.token)}
	for _, k := range g.keys[1:] {
		args = append(args, k)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	// A release that is repeated cannot touch a newer grant: it goes by the token.
	tries := 0
	_, err := retry(ctx, func() (any, error) { tries++; return g.p.c.Do(ctx, args...) })
	switch {
	case errors.Is(err, redis.Nil) && lost != nil:
		return lost
	case errors.Is(err, redis.Nil) && tries == 1:
		return fmt.Errorf("%w: %s", ErrLost, g.keys[0])
	case errors.Is(err, redis.Nil):
		return nil // an earlier attempt has released it
	}
	return err
}

// abandon gives back what may have been granted although nobody was told.
func (g *grant) abandon(why error) {
	if !errors.Is(why, ErrUnknownOutcome) && !errors.Is(why, context.Canceled) && !errors.Is(why, context.DeadlineExceeded) {
		return
	}
	ctx, cancel := detached(context.Background())
	defer cancel()
	for _, key := range g.keys {
		holders, err := retry(ctx, func() ([]any, error) { return holdersOf(g.p.c.Do(ctx, "LOCK.INFO", key)) })
		if err != nil {
			return // it ends with the session at the latest
		}
		for _, h := range holders {
			if pairs(h)["owner"] == g.owner {
				if token, ok := pairs(h)["token"].(int64); ok {
					retry(ctx, func() (any, error) { return g.p.c.Do(ctx, g.kind+".RELEASE", key, decimal(uint64(token))) })
				}
			}
		}
	}
}

func holdersOf(v any, err error) ([]any, error) {
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	list, _ := pairs(v)["holders"].([]any)
	return list, err
}

// pairs reads a map, which RESP2 has as a list.
func pairs(v any) map[string]any {
	m := map[string]any{}
	switch v := v.(type) {
	case map[any]any:
		for k, e := range v {
			m[fmt.Sprint(k)] = e
		}
	case []any:
		for i := 0; i+1 < len(v); i += 2 {
			m[fmt.Sprint(v[i])] = v[i+1]
		}
	}
	return m
}

// detached returns ctx, or one that lives for a little while if it has ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithTimeout(ctx, DefaultTimeout)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
}
