package redisproto

import (
	"sync"
	"time"
)

const (
	// rateEvery is how often a busy server takes a sample, and rateSamples how many
	// it keeps, by Redis's numbers.
	rateEvery   = 100 * time.Millisecond
	rateSamples = 16
)

// rates tells how much the server does in a second. Samples are taken by the
// connections themselves: a server that has nothing to do does nothing.
type rates struct {
	stats *Stats

	mu      sync.Mutex
	samples [rateSamples]rateSample // a ring
	next    int
}

type rateSample struct {
	at                      time.Time
	commands, input, output int64
}

func (r *rates) sample(now time.Time) rateSample {
	return rateSample{now, r.stats.Commands.Load(), r.stats.InputBytes.Load(), r.stats.OutputBytes.Load()}
}

// note takes a sample if it is time for one. It waits for nobody.
func (r *rates) note(now time.Time) {
	if !r.mu.TryLock() {
		return
	}
	defer r.mu.Unlock()
	last := &r.samples[(r.next+rateSamples-1)%rateSamples]
	if now.Sub(last.at) >= rateEvery {
		r.samples[r.next] = r.sample(now)
		r.next = (r.next + 1) % rateSamples
	}
}

// since returns what was done a second since the oldest sample that is of any interest:
// of the last two seconds, or the latest if there is none.
func (r *rates) since(what func(rateSample) int64) float64 {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	base := r.samples[(r.next+rateSamples-1)%rateSamples]
	for i := range rateSamples {
		s := r.samples[(r.next+i)%rateSamples]
		if !s.at.IsZero() && now.Sub(s.at) <= 2*time.Second {
			base = s
			break
		}
	}
	took := now.Sub(base.at)
	if base.at.IsZero() || took < rateEvery {
		return 0
	}
	return max(float64(what(r.sample(now))-what(base)), 0) / took.Seconds()
}

func (r *rates) commands() int64 {
	return int64(r.since(func(s rateSample) int64 { return s.commands }))
}

// input and output are in KiB a second.
func (r *rates) input() float64 {
	return r.since(func(s rateSample) int64 { return s.input }) / 1024
}

func (r *rates) output() float64 {
	return r.since(func(s rateSample) int64 { return s.output }) / 1024
}
