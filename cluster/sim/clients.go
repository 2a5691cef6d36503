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

// The clients of queues.
const (
	queues    = 2
	producers = 1 // of each
	consumers = 2
	// The numbers under which they are in the history.
	producerNumbers, consumerNumbers = 100, 200
	// bringing is how long a producer waits between two elements, at most.
	bringing = 800 * time.Millisecond
)

// producer is the life of a client that fills queues.
func (r *run) producer(q *history.Queues, number int) {
	work := q.Producer(number)
	r.queueClient(number, func(name string, conn *clustertest.Client, rng *rand.Rand) error {
		conn.SetDeadline(time.Now().Add(patience))
		err := work.Turn(r.recorder, name, conn.TryPipeline)
		time.Sleep(between(rng, 0, bringing))
		return err
	})
}

// consumer is the life of a client that waits for what comes there.
func (r *run) consumer(q *history.Queues, number int) {
	work := q.Consumer(number)
	r.queueClient(number, func(name string, conn *clustertest.Client, _ *rand.Rand) error {
		conn.SetDeadline(time.Time{}) // it may be asked to wait for ever, and hangs up itself
		return work.Turn(r.recorder, name, conn.TryPipeline, conn.Close, r.ended)
	})
}

// queueClient lets a client work at one node after another, as client does.
func (r *run) queueClient(number int, turn func(name string, conn *clustertest.Client, rng *rand.Rand) error) {
	rng := random(r.seed, fmt.Sprint("client ", number))
	for !r.over() {
		name := r.anyNode(rng)
		conn, err := r.dial(name)
		if err != nil {
			time.Sleep(between(rng, 10*time.Millisecond, 500*time.Millisecond))
			continue
		}
		for n := rng.IntN(40); n >= 0 && !r.over() && err == nil; n-- {
			err = turn(name, conn, rng)
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
