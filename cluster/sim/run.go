package sim

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"phonond/cluster/clustertest"
	"phonond/cluster/clustertest/simdisk"
	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/group"
	"phonond/cluster/history"
)

// The bounds of what a cluster owes its clients and its operators.
const (
	// answerWithin is how long a call may take: the request timeout and what it takes
	// to tell.
	answerWithin = 13 * time.Second
	// wholeWithin is how long it may take after the last fault until every node
	// serves every group: a hung disk is noticed after 10 s, a supervisor waits,
	// raft tries a replica that was away every 10 s.
	wholeWithin = 60 * time.Second
	// calm is for how long clients go on after that: all locks must end in time.
	calm = 8 * time.Second
	// wellAfter is how much later the last request may be refused: once a second a
	// leader hears how much room the others have.
	wellAfter = 2 * time.Second
	// lockGrace is how late a lock may be given up then: the lead may yet go home.
	lockGrace = 3 * time.Second
	// notice is how long it may take then until a client that waits is given what is
	// there, and nothing is given to one that is gone.
	notice = 2 * time.Second
	// putBack is how long what was on its way to clients that have gone away at the end
	// may take to get back into its list.
	putBack = 3 * time.Second
	// patience is how long a client waits before it gives a connection up.
	patience = 15 * time.Second
	// readyWithin is how long one look at a node may take: it asks every group, some
	// of them from far away.
	readyWithin = 15 * time.Second
	// backOff is how long a supervisor waits before it starts a node again.
	backOff = time.Second
)

// run is a cluster, its clients, and what befalls them.
type run struct {
	t        *testing.T
	plan     plan
	seed     uint64
	cluster  *clustertest.Cluster
	nodes    map[string]*node
	faults   *schedule
	watch    *watch
	recorder *history.Recorder
	work     *history.Workload
	queues   []*history.Queues
	healed   time.Duration // when the cluster was whole again, since the start
	lived    time.Duration // when it was ended
	stacks   string        // of all goroutines, if it did not become whole
	recovery time.Duration

	ended      chan struct{} // closed when the clients are to stop
	ending     atomic.Bool   // no node is started any more
	restarting sync.WaitGroup
}

// node is a node and its supervisor.
type node struct {
	name string
	disk *simdisk.Disk

	life lock // held while it is started or ended
	up   bool
	// down is how many faults want it to stay down.
	down int
	// troubles is how many faults there are of its disk, by what a process may give
	// as its reason to end itself; excuses are those that this one has seen.
	troubles map[excuse]int
	excuses  map[excuse]bool

	dying atomic.Bool   // its process has given the reason why it ends itself
	room  atomic.Uint64 // the most that the node is told is free on its disk, if not 0
}

// lowSpace is how much room is little: enough for a while, but less than nodes need
// to feel well.
const lowSpace = 64 << 20

// noSpace is what makes a disk count as full for whatever can wait. It is not: votes
// and what else needs a little still find it.
const noSpace = 1 << 20

// space is what the node is told of the room on its disk.
func (n *node) space() (free, total uint64, err error) {
	free, total = n.disk.Free()
	if room := n.room.Load(); room > 0 {
		free = min(free, room)
	}
	return free, total, nil
}

// lock is a mutex that may be held while virtual time passes: a bubble does not
// know that who waits for a [sync.Mutex] waits.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// excuse is what a process may say that ends itself.
type excuse string

const (
	diskHangs excuse = "has hung"
	diskFails excuse = "input/output error"
	diskFull  excuse = "no space left" // for the little without which no group has a leader
)

// trouble begins (1) or ends (-1) a fault of the disk that is an excuse.
func (n *node) trouble(why excuse, by int) {
	n.life.Lock()
	defer n.life.Unlock()
	n.troubles[why] += by
	if n.troubles[why] > 0 {
		n.excuses[why] = true
	}
}

// mayEnd reports whether a process ended itself for what its disk did to it. When the
// power fails it may say so before it is gone.
func (n *node) mayEnd(err error) bool {
	if strings.Contains(err.Error(), simdisk.ErrGone.Error()) {
		return true
	}
	for why := range n.excuses {
		if strings.Contains(err.Error(), string(why)) {
			return true
		}
	}
	return false
}

// healDisk ends all faults of the disk.
func (n *node) healDisk() {
	n.disk.Disarm()
	n.disk.Resume()
	n.disk.Slow(0, 0)
	n.disk.Fail(nil)
	n.disk.Fill(false)
	n.room.Store(0)
}

func newRun(t *testing.T, o Options) *run {
	p, err := makePlan(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{
		t: t, plan: p, seed: o.Seed, nodes: map[string]*node{}, watch: newWatch(), ended: make(chan struct{}),
	}
	start := time.Now()
	r.recorder = history.NewRecorder(func() time.Duration { return time.Since(start) })
	r.work = history.NewWorkload(random(o.Seed, "work"), history.Options{})
	for i := range queues {
		r.queues = append(r.queues, history.NewQueues(random(o.Seed, "queues"), fmt.Sprint("queue:", i)))
	}
	r.watch.now = func() time.Duration { return time.Since(start) }
	r.cluster = clustertest.New(t, p.regions...)
	r.cluster.Goal, r.cluster.Settle = p.goal, p.settle
	r.cluster.Limits = func(l *group.Limits) { *l = p.limits }
	r.cluster.Storage = func(name, group string) (*group.Storage, error) { return r.nodes[name].disk.Storage(group) }
	r.cluster.Space = func(name string) (uint64, uint64, error) { return r.nodes[name].space() }
	r.cluster.Fatal = r.onFatal
	dir := o.Dir
	if dir == "" {
		dir = t.TempDir()
	}
	for _, name := range r.cluster.Names() {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		d := simdisk.New(at, p.store, random(o.Seed, "disk "+name))
		d.Observe(r.watch.disk(name))
		r.nodes[name] = &node{name: name, disk: d, life: make(lock, 1), troubles: map[excuse]int{}, excuses: map[excuse]bool{}}
	}
	r.faults = newSchedule(r)
	return r
}

// live is the whole life of the cluster.
func (r *run) live() {
	r.climate()
	for _, name := range r.cluster.Names() {
		r.start(name)
	}
	r.cluster.WaitReady(r.cluster.Names()...)
	var watching, clients sync.WaitGroup
	stopWatch := make(chan struct{})
	watching.Go(func() { r.watch.poll(r.cluster, stopWatch) })
	for i := range r.plan.clients {
		clients.Go(func() { r.client(i) })
	}
	for i, q := range r.queues {
		for n := range producers {
			clients.Go(func() { r.producer(q, producerNumbers+10*i+n) })
		}
		for n := range consumers {
			clients.Go(func() { r.consumer(q, consumerNumbers+10*i+n) })
		}
	}
	r.faults.play()
	whole := r.mend()
	r.healed = r.watch.now()
	if whole {
		time.Sleep(calm)
	}
	close(r.ended)
	clients.Wait()
	if whole {
		time.Sleep(putBack)
		r.lastReads()
		r.cluster.CheckDigests()
	}
	close(stopWatch)
	watching.Wait()
	r.lived = r.watch.now()
	r.end()
}

// climate makes the links as they are when nothing is wrong.
func (r *run) climate() {
	net, rng := r.cluster.Net, random(r.seed, "climate")
	for i, a := range r.plan.regions {
		for _, b := range r.plan.regions[:i] {
			net.Latency(a.Name, b.Name, time.Duration((0.5+rng.Float64())*float64(r.plan.far)))
		}
		net.Latency(a.Name, a.Name, r.plan.near)
	}
	net.SetWeather(r.weather())
}

// weather is a little of everything that networks do on good days.
func (r *run) weather() simnet.Weather {
	return simnet.Weather{Rand: random(r.seed, "weather"), Jitter: r.plan.near + time.Millisecond, Loss: 0.01, Duplicate: 0.01}
}

// mend ends all faults and waits until the cluster is whole. It reports whether it
// came to be.
func (r *run) mend() bool {
	start := time.Now()
	r.climate()
	r.cluster.Net.HealAll()
	for _, n := range r.nodes {
		n.healDisk()
		r.start(n.name)
	}
	for {
		missing := r.missing()
		if missing == nil {
			r.recovery = time.Since(start)
			return true
		}
		if time.Since(start) > wholeWithin {
			r.watch.violation("the cluster is not whole again %v after the last fault: %v", wholeWithin, missing)
			r.stacks = allStacks()
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// allStacks returns where every goroutine is.
func allStacks() string {
	b := make([]byte, 16<<20)
	return string(b[:runtime.Stack(b, true)])
}

// missing returns nil if every node runs and serves every group.
func (r *run) missing() error {
	for _, name := range r.cluster.Names() {
		n := r.nodes[name]
		n.life.Lock()
		running := r.cluster.Node(name)
		n.life.Unlock()
		if running == nil {
			return fmt.Errorf("node %s does not run", name)
		}
		ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
		err := running.Ready(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("node %s: %w", name, err)
		}
	}
	return nil
}

// end ends the cluster, after which nothing of it runs any more.
func (r *run) end() {
	r.ending.Store(true)
	r.restarting.Wait()
	for _, name := range r.cluster.Names() {
		n := r.nodes[name]
		n.life.Lock()
		n.up = false
		n.life.Unlock()
	}
	r.cluster.Close()
	for _, n := range r.nodes {
		if err := n.disk.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// start starts a node unless it runs or is to stay down.
func (r *run) start(name string) {
	n := r.nodes[name]
	n.life.Lock()
	defer n.life.Unlock()
	if n.up || n.down > 0 || r.ending.Load() {
		return
	}
	n.up = true
	n.dying.Store(false)
	maps.DeleteFunc(n.excuses, func(why excuse, _ bool) bool { return n.troubles[why] == 0 })
	if err := r.cluster.TryStart(name); err != nil {
		r.watch.violation("node %s does not start: %v", name, err)
		n.up = false
	}
}

// crash ends a node as a power failure does, and reports whether it ran.
func (r *run) crash(name string) bool {
	n := r.nodes[name]
	n.life.Lock()
	defer n.life.Unlock()
	if !n.up {
		return false
	}
	n.up = false
	n.disk.Crash()
	r.cluster.Crash(name)
	return true
}

// killTimeout is when a process that was asked to end ends whatever hangs.
const killTimeout = 9500 * time.Millisecond

// stop ends a node as SIGTERM does, and reports whether it ran.
func (r *run) stop(name string) bool {
	n := r.nodes[name]
	n.life.Lock()
	defer n.life.Unlock()
	if !n.up {
		return false
	}
	n.up = false
	kill := time.AfterFunc(killTimeout, n.disk.Crash)
	r.cluster.Stop(name)
	kill.Stop()
	n.disk.Crash()
	return true
}

// keepDown keeps nodes down for a while that have been ended.
func (r *run) keepDown(names []string, end func(name string) bool, d time.Duration) {
	for _, name := range names {
		n := r.nodes[name]
		n.life.Lock()
		n.down++
		n.life.Unlock()
	}
	var ending sync.WaitGroup
	for _, name := range names {
		ending.Go(func() { end(name) })
	}
	ending.Wait()
	r.faults.pause(d)
	for _, name := range names {
		n := r.nodes[name]
		n.life.Lock()
		n.down--
		n.life.Unlock()
		r.start(name)
	}
}

// onFatal is what the system does when a process ends itself. What is left of it
// here for a while longer reaches neither disk nor network.
func (r *run) onFatal(name string, err error) {
	n := r.nodes[name]
	if n.dying.Swap(true) {
		return // what comes after the first reason is due to it
	}
	n.disk.Crash()
	r.cluster.Net.Crash(name)
	r.restarting.Go(func() {
		n.life.Lock()
		excused, up := n.mayEnd(err), n.up
		n.life.Unlock()
		if !up {
			return // it was ending anyway
		}
		if !excused {
			r.watch.violation("node %s ended itself: %v", name, err)
		}
		r.crash(name)
		time.Sleep(backOff)
		r.start(name)
	})
}
