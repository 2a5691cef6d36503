package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

// redSync uses redsync's own mutex over go-redis.
func redSync(ctx context.Context, r *report) error {
	rdb := redis.NewClient(&redis.Options{Addr: r.node(), MaxRetries: -1})
	defer rdb.Close()
	other := redis.NewClient(&redis.Options{Addr: r.other(), MaxRetries: -1})
	defer other.Close()
	s := &syncs{redsync.New(goredis.NewPool(rdb)), redsync.New(goredis.NewPool(other)), rdb, other}
	return r.all(ctx, []check{
		{"lock, extend, unlock", s.flow},
		{"a lock that has expired", s.expired},
		{"no two holders", s.contention},
	})
}

// syncs makes mutexes through two nodes.
type syncs struct {
	here, there *redsync.Redsync
	rdb, other  *redis.Client
}

func (s *syncs) flow(ctx context.Context) error {
	mine := s.here.NewMutex("redsync:flow", redsync.WithExpiry(2*time.Second))
	yours := s.there.NewMutex("redsync:flow", redsync.WithExpiry(time.Minute), redsync.WithTries(1))
	if err := mine.LockContext(ctx); err != nil {
		return err
	}
	var taken *redsync.ErrTaken
	if err := yours.LockContext(ctx); !errors.As(err, &taken) {
		return fmt.Errorf("a lock that is held: %v", err)
	}
	for range 2 { // the second time its script is known
		if ok, err := yours.UnlockContext(ctx); ok || err == nil {
			return fmt.Errorf("unlocked by another: %v, %v", ok, err)
		}
		before := mine.Until()
		if ok, err := mine.ExtendContext(ctx); !ok || err != nil || !mine.Until().After(before) {
			return fmt.Errorf("extend: %v, %w", ok, err)
		}
	}
	if ttl, err := s.other.PTTL(ctx, "redsync:flow").Result(); err != nil || ttl <= 0 || ttl > 2*time.Second {
		return fmt.Errorf("time to live: %v, %w", ttl, err)
	}
	if ok, err := mine.UnlockContext(ctx); !ok || err != nil {
		return fmt.Errorf("unlock: %v, %w", ok, err)
	}
	if err := yours.LockContext(ctx); err != nil {
		return fmt.Errorf("a lock that is free: %w", err)
	}
	if ok, err := yours.UnlockContext(ctx); !ok || err != nil {
		return fmt.Errorf("unlock: %v, %w", ok, err)
	}
	return nil
}

// expired is about a holder that was too slow.
func (s *syncs) expired(ctx context.Context) error {
	slow := s.here.NewMutex("redsync:slow", redsync.WithExpiry(300*time.Millisecond))
	next := s.there.NewMutex("redsync:slow", redsync.WithExpiry(time.Minute), redsync.WithRetryDelay(10*time.Millisecond), redsync.WithTries(500))
	if err := slow.LockContext(ctx); err != nil {
		return err
	}
	if err := next.LockContext(ctx); err != nil {
		return fmt.Errorf("after it has expired: %w", err)
	}
	if ok, err := slow.ExtendContext(ctx); ok || err == nil {
		return fmt.Errorf("extended, though another has it: %v, %v", ok, err)
	}
	if ok, err := slow.UnlockContext(ctx); ok || err == nil {
		return fmt.Errorf("unlocked, though another has it: %v, %v", ok, err)
	}
	if ok, err := next.UnlockContext(ctx); !ok || err != nil {
		return fmt.Errorf("unlock: %v, %w", ok, err)
	}
	return nil
}

// contention has workers at two nodes take turns at a counter that is read and
// then written.
func (s *syncs) contention(ctx context.Context) error {
	const workers, rounds = 8, 10
	var inside atomic.Int64
	err := together(workers, func(worker int) error {
		from := s.here
		if worker%2 == 1 {
			from = s.there
		}
		for range rounds {
			m := from.NewMutex("redsync:contended", redsync.WithExpiry(20*time.Second), redsync.WithTries(5000), redsync.WithRetryDelay(5*time.Millisecond))
			if err := m.LockContext(ctx); err != nil {
				return err
			}
			if n := inside.Add(1); n != 1 {
				return fmt.Errorf("%d hold the lock", n)
			}
			n, err := s.other.Get(ctx, "redsync:count").Int()
			if err != nil && err != redis.Nil {
				return err
			}
			if err := s.rdb.Set(ctx, "redsync:count", n+1, 0).Err(); err != nil {
				return err
			}
			inside.Add(-1)
			if ok, err := m.UnlockContext(ctx); !ok || err != nil {
				return fmt.Errorf("unlock: %v, %w", ok, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if got, err := s.rdb.Get(ctx, "redsync:count").Result(); err != nil || got != strconv.Itoa(workers*rounds) {
		return fmt.Errorf("the counter is %q (%v)", got, err)
	}
	return nil
}
