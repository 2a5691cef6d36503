package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// locker is one client of a contender, with one lock.
type locker interface {
	lock(ctx context.Context) error
	unlock(ctx context.Context) error
	close()
}

// contender makes lockers: client i's, for a lock with the given name.
type contender struct {
	name string
	open func(ctx context.Context, i int, name string) (locker, error)
}

// result is what was measured.
type result struct {
	acquisitions int
	perSecond    float64
	p50, p99     time.Duration
	fairness     float64 // the most of any client by the fewest
	entries      float64 // of the log, per acquisition
}

// openAll opens the lockers of so many clients.
func openAll(ctx context.Context, c contender, n int, name func(i int) string) ([]locker, func(), error) {
	var all []locker
	closeAll := func() {
		for _, l := range all {
			l.close()
		}
	}
	for i := range n {
		l, err := c.open(ctx, i, name(i))
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		all = append(all, l)
	}
	return all, closeAll, nil
}

// contend has clients take one lock in turns. A hand-off is from just before the call of a
// release until another client has the lock.
func contend(ctx context.Context, c contender, clients int, d time.Duration) (result, error) {
	name := fmt.Sprint("lockbench:", time.Now().UnixNano())
	all, closeAll, err := openAll(ctx, c, clients, func(int) string { return name })
	if err != nil {
		return result{}, err
	}
	defer closeAll()
	var (
		handoffs []time.Duration // these are changed by who has the lock
		last     time.Time
		by       int
	)
	counts := make([]int, clients)
	end := time.Now().Add(d)
	err = sideBySide(all, func(i int, l locker) error {
		for time.Now().Before(end) {
			if err := l.lock(ctx); err != nil {
				return err
			}
			if now := time.Now(); !last.IsZero() && by != i {
				handoffs = append(handoffs, now.Sub(last))
			}
			counts[i]++
			time.Sleep(hold)
			last, by = time.Now(), i
			if err := l.unlock(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	r := summary(handoffs)
	r.acquisitions = 0
	for _, n := range counts {
		r.acquisitions += n
	}
	r.perSecond = float64(r.acquisitions) / d.Seconds()
	r.fairness = float64(slices.Max(counts)) / float64(max(slices.Min(counts), 1))
	return r, err
}

// uncontended has each client take and release a lock of its own.
func uncontended(ctx context.Context, c contender, clients int, d time.Duration) (result, error) {
	at := time.Now().UnixNano()
	all, closeAll, err := openAll(ctx, c, clients, func(i int) string { return fmt.Sprint("lockbench:", at, ":", i) })
	if err != nil {
		return result{}, err
	}
	defer closeAll()
	var mu sync.Mutex
	var times []time.Duration
	end := time.Now().Add(d)
	err = sideBySide(all, func(_ int, l locker) error {
		var mine []time.Duration
		for time.Now().Before(end) {
			began := time.Now()
			if err := l.lock(ctx); err != nil {
				return err
			}
			if err := l.unlock(ctx); err != nil {
				return err
			}
			mine = append(mine, time.Since(began))
		}
		mu.Lock()
		defer mu.Unlock()
		times = append(times, mine...)
		return nil
	})
	r := summary(times)
	r.perSecond = float64(len(times)) / d.Seconds()
	return r, err
}

func sideBySide(all []locker, work func(i int, l locker) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() { errs[i] = work(i, l) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// summary has the percentiles of times.
func summary(times []time.Duration) (r result) {
	if len(times) == 0 {
		return r
	}
	slices.Sort(times)
	r.p50, r.p99 = times[len(times)/2], times[len(times)*99/100]
	return r
}

// median takes the median of each figure.
func median(rs []result) result {
	of := func(f func(result) float64) float64 {
		var list []float64
		for _, r := range rs {
			list = append(list, f(r))
		}
		slices.Sort(list)
		return list[len(list)/2]
	}
	return result{
		perSecond: of(func(r result) float64 { return r.perSecond }),
		p50:       time.Duration(of(func(r result) float64 { return float64(r.p50) })),
		p99:       time.Duration(of(func(r result) float64 { return float64(r.p99) })),
		fairness:  of(func(r result) float64 { return r.fairness }),
		entries:   of(func(r result) float64 { return r.entries }),
	}
}
