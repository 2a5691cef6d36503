package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"sync"
	"time"
)

// The times of a round.
const (
	calmBefore      = 3 * time.Second // before the faults
	shortCalmBefore = time.Second     // the same with -short
	recoverWithin   = 60 * time.Second
	// calmAfter is after the recovery. It is longer than a lock can be held that is
	// given up in time (maxLockTTL and expiryGrace): one that still is held when
	// everything is read at the end was not.
	calmAfter     = 4 * time.Second
	progressEvery = 30 * time.Second
)

var errNotReady = errors.New("it is not ready")

// torture injects faults, one round after the other, until the time is over or
// something is violated.
func (r *rig) torture(ctx context.Context, s *schedule) error {
	for _, tool := range tools(s.list) {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: scripts/install-tools.sh installs it", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { r.watch(ctx) })
	if !r.o.goOn {
		watch.Go(func() {
			select {
			case <-r.faults.first:
				cancel()
			case <-ctx.Done():
			}
		})
	}
	var j judges
	end := time.Now().Add(r.o.duration)
	for n := 1; time.Now().Before(end) && ctx.Err() == nil; n++ {
		j.judge(r, r.round(ctx, n, s.next()))
	}
	j.busy.Wait()
	cancel()
	watch.Wait()
	return nil
}

// round opens a window, injects faults, waits until the cluster has recovered, and
// closes the window and returns it.
func (r *rig) round(ctx context.Context, n int, plan []planned) *window {
	c := r.clients
	c.window = newWindow(n, r.o.clients, r.o.seed)
	r.health.setQuiet(false)
	c.gate.Unlock()

	kind := title(plan)
	if len(plan) > 1 {
		kind = "several at once"
	}
	r.measure.begin(kind)
	r.say("round %d: %s", n, title(plan))
	calm := calmBefore
	if r.o.short {
		calm = shortCalmBefore
	}
	wait(ctx, calm)
	var running sync.WaitGroup
	for _, p := range plan {
		s := &scene{rig: r, rng: rand.New(rand.NewPCG(p.seed, 0)), alone: len(plan) == 1}
		running.Go(func() {
			switch err := p.run(ctx, s); {
			case ctx.Err() != nil: // it was cut short
			case errors.Is(err, errIdle):
				r.say("%s: %v", p.name, err)
			case err != nil:
				r.faults.add("round %d, %s: %v", n, p.name, err)
			default:
				r.measure.injected(p.name)
			}
		})
	}
	running.Wait()
	healed := time.Now()
	recovering, cancel := context.WithTimeout(ctx, recoverWithin)
	err := errors.Join(r.awaitReady(recovering), r.reachable(recovering, healed))
	cancel()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.faults.add("round %d, %s: not recovered %v after the fault: %v", n, title(plan), recoverWithin, err)
	default:
		took := time.Since(healed)
		c.window.heal()
		r.measure.recovered(took)
		r.say("recovered after %v", took.Round(time.Millisecond))
	}
	wait(ctx, calmAfter)

	close(c.window.leave)
	c.gate.Lock() // once every operation under way is over
	r.health.setQuiet(true)
	if ctx.Err() != nil {
		return c.window // with what is known of it
	}
	r.rest(ctx)
	if err := c.window.finish(r); err != nil && ctx.Err() == nil {
		r.faults.add("round %d: reading at the end: %v", n, err)
	}
	return c.window
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// watch looks at the processes and says how it goes.
func (r *rig) watch(ctx context.Context) {
	look, tell := time.NewTicker(5*watchEvery), time.NewTicker(progressEvery)
	defer look.Stop()
	defer tell.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			r.peaks()
		case <-tell.C:
			r.say("%s", r.progress())
		}
	}
}

// tools are the programs that faults need.
func tools(list []*nemesis) []string {
	used := []string{}
	for _, n := range list {
		switch n.name {
		case "disk-slow", "disk-fails":
			used = append(used, "strace")
		case "disk-hangs":
			used = append(used, "fsfreeze")
		}
	}
	return used
}
