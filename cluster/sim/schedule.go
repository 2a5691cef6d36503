package sim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// fault is a kind of fault. inject breaks something, waits, and mends it; it
// reports whether it found something to break. One source of random numbers is
// its own.
type fault struct {
	name   string
	inject func(r *run, rng *rand.Rand) bool
}

// maxAtOnce is how many faults may overlap.
const maxAtOnce = 3

// schedule is the faults of a run on their way.
type schedule struct {
	r     *run
	slots chan struct{}
	over  chan struct{} // closed when all faults are to end
	all   sync.WaitGroup

	mu    sync.Mutex
	count map[string]int
}

func newSchedule(r *run) *schedule {
	return &schedule{r: r, slots: make(chan struct{}, maxAtOnce), over: make(chan struct{}), count: map[string]int{}}
}

// play injects faults for as long as the plan says, and returns when all of them
// are over.
func (s *schedule) play() {
	rng := random(s.r.seed, "faults")
	end := time.Now().Add(s.r.plan.faulty)
	for time.Now().Before(end) {
		f, own := s.r.plan.faults[rng.IntN(len(s.r.plan.faults))], rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		s.slots <- struct{}{}
		s.all.Go(func() {
			if f.inject(s.r, own) {
				s.mu.Lock()
				s.count[f.name]++
				s.mu.Unlock()
			}
			<-s.slots
		})
		time.Sleep(between(rng, 0, s.r.plan.gap))
	}
	close(s.over)
	s.all.Wait()
}

// pause waits for as long as a fault is to last, or until all are to end.
func (s *schedule) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.over:
	}
}
