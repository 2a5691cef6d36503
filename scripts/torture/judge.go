package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"phonond/cluster/history"
)

// window is the history of one round. Its keys are its own: once the round is over
// it can be judged, however long what is of unknown outcome may still be under way.
type window struct {
	number  int
	start   time.Time
	rec     *history.Recorder
	clients []*history.Client
	// Those who bring elements, and those who wait for them.
	producers []*history.Producer
	consumers []*history.Consumer
	leave     chan struct{} // closed when nobody is to wait any longer
	healed    time.Duration // since start: from when on the cluster was well and left alone; 0 before
}

// heal says that from now on nothing is wrong.
func (w *window) heal() { w.healed = w.now() }

func newWindow(number, clients int, seed uint64) *window {
	w := &window{number: number, start: time.Now(), leave: make(chan struct{})}
	w.rec = history.NewRecorder(w.now)
	rng, name := rand.New(rand.NewPCG(seed, uint64(number))), fmt.Sprintf("w%d", number)
	work := history.NewWorkload(rng, history.Options{Name: name, MaxTTL: maxLockTTL, Spin: maxSpin})
	for i := range clients {
		w.clients = append(w.clients, work.Client(i))
	}
	for i := range queueClients / clientsOfQueue {
		q := history.NewQueues(rng, fmt.Sprint(name, ":queue:", i))
		for n := range clientsOfQueue {
			number := firstOfQueues + 2*(i*clientsOfQueue+n)
			w.producers, w.consumers = append(w.producers, q.Producer(number)), append(w.consumers, q.Consumer(number+1))
		}
	}
	return w
}

func (w *window) now() time.Duration { return time.Since(w.start) }

// readBatch is how many keys are read at once at the end.
const readBatch = 64

// finish reads every key through every node.
func (w *window) finish(r *rig) error {
	reads := history.FinalReads(w.rec.Ops())
	for i, k := range r.keepers {
		conn, err := k.node.Dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		for at := 0; at < len(reads); at += readBatch {
			batch := reads[at:min(at+readBatch, len(reads))]
			if _, err := w.rec.Pipeline(len(w.clients)+i, k.node.ID, batch, conn.Pipe); err != nil {
				return err
			}
		}
	}
	return nil
}

// judges judge one window at a time, beside the next round.
type judges struct{ busy sync.WaitGroup }

const (
	// clockSlack is what clocks may differ by: all are this machine's, but a millisecond
	// is the smallest that a node counts.
	clockSlack = 5 * time.Millisecond
	// maxLockTTL bounds what a lock is taken for, and expiryGrace how late it may
	// expire on a machine as busy as this one. Both together are less than calmAfter.
	maxLockTTL  = time.Second
	expiryGrace = 2 * time.Second
)

// maxSpin bounds how often a slow script goes round: for some 10 ms.
const maxSpin = 60_000

// wakeWithin is how long one who waits may be kept from what is there while nothing is
// wrong, and get something when he has gone. It is less than calmAfter.
const wakeWithin = 3 * time.Second

// checkOptions say how a window is judged. From when it was healed on, everything
// has to be answered, the reads at the end too.
func (w *window) checkOptions() history.CheckOptions {
	return history.CheckOptions{Slack: clockSlack, Healed: w.healed, Grace: expiryGrace, Well: w.healed, Notice: wakeWithin, Workers: 1}
}

// judge judges a window that is over.
func (j *judges) judge(r *rig, w *window) {
	j.busy.Wait()
	j.busy.Go(func() {
		ops := w.rec.Ops()
		report := history.Check(ops, w.checkOptions())
		r.measure.judged(report.Ops)
		if err := report.Err(); err != nil {
			file := filepath.Join(r.dir, fmt.Sprintf("history-%d.txt", w.number))
			text := fmt.Sprintf("%s\n%v\n", &report, err)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				r.faults.add("%v", err)
			}
			r.faults.add("the history of round %d, in %s: %.2000v", w.number, file, err)
		}
	})
}
