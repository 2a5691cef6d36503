package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"phonond/cluster/clustertest"
	"phonond/cluster/history"
)

// client is one client's life: it takes a node, works there for a while or until
// the connection breaks, and takes another. It never asks twice.
func (r *run) client(number int) {
	rng, work := random(r.seed, fmt.Sprint("client ", number)), r.work.Client(number)
	for !r.over() {
		name := r.anyNode(rng)
		conn, err := r.dial(name)
		if err != nil {
			time.Sleep(between(rng, 10*time.Millisecond, 500*time.Millisecond))
			continue
		}
		for n := rng.IntN(100); n >= 0 && !r.over(); n-- {
			conn.SetDeadline(time.Now().Add(patience))
			if err := work.Turn(r.recorder, name, conn.TryPipeline); err != nil {
				break
			}
			time.Sleep(between(rng, 0, r.plan.thinking))
		}
		conn.Close()
	}
}

func (r *run) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (r *run) anyNode(rng *rand.Rand) string {
	names := r.cluster.Names()
	return names[rng.IntN(len(names))]
}

func (r *run) dial(name string) (*clustertest.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return r.cluster.Dial(ctx, name)
}

// lastReads reads every key through every node: what they say has to fit what was
// acknowledged while the cluster was broken.
func (r *run) lastReads() {
	reads := history.FinalReads(r.recorder.Ops())
	for i, name := range r.cluster.Names() {
		conn, err := r.dial(name)
		if err != nil {
			r.watch.violation("node %s takes no client: %v", name, err)
			continue
		}
		for _, args := range reads {
			if _, err := r.recorder.Do(r.plan.clients+i, name, args, conn.Try); err != nil {
				r.watch.violation("reading through node %s: %v", name, err)
				break
			}
		}
		conn.Close()
	}
}
