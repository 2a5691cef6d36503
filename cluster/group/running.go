package group

import (
	"context"
	"sync"
	"time"
)

// errKilled is the cause for which a killed script ends.
var errKilled error = killed{}

// killed has Redis's words.
type killed struct{}

func (killed) Error() string { return "Script killed by user with SCRIPT KILL..." }

// running are the evaluations that run now.
type running struct {
	mu   sync.Mutex
	next int
	now  map[int]runningScript
}

type runningScript struct {
	began time.Time
	kill  context.CancelCauseFunc
}

// begin notes that an evaluation runs, until end is called.
func (r *running) begin(parent context.Context) (ctx context.Context, end func()) {
	ctx, kill := context.WithCancelCause(parent)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		r.now = map[int]runningScript{}
	}
	r.next++
	id := r.next
	r.now[id] = runningScript{time.Now(), kill}
	return ctx, func() {
		r.mu.Lock()
		delete(r.now, id)
		r.mu.Unlock()
		kill(nil)
	}
}

// KillScripts ends the scripts that have run for longer than the log waits for one, and
// returns how many they are. None of what they did is kept.
func (g *Group) KillScripts() int {
	r := &g.running
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, s := range r.now {
		if time.Since(s.began) > scriptBox {
			s.kill(errKilled)
			n++
		}
	}
	return n
}
