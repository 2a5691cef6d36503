package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"phonond/cluster/proctest"
)

// rig is everything that runs: the cluster, what breaks it, and those who look.
type rig struct {
	o     options
	dir   string
	began time.Time

	lab      *lab             // nil on loopback
	disks    map[string]*disk // of each node; empty on loopback
	password string           // of clients

	cluster *proctest.Cluster
	keepers []*keeper
	groups  []string // that clients can write to, the names of regions

	faults  *violations
	health  *health
	measure *measure
	leads   *leads
	digests *digests
	clients *clients

	cancel  context.CancelFunc
	running sync.WaitGroup
	stopped sync.Once
}

// clusterName is the cluster's, as proctest names it: it is in certificates.
const clusterName = "proctest"

// startTimeout bounds how long the cluster takes to be made.
const startTimeout = 90 * time.Second

// settings of the nodes: snapshots come often, so that faults meet them, and nodes
// that were away need them.
var settings = []string{"--log-format=json", "--snapshot-interval=20s", "--snapshot-entries=2048"}

// build starts everything but the clients, and waits until the nodes are ready.
func build(ctx context.Context, o options) (_ *rig, err error) {
	r := &rig{o: o, began: time.Now(), disks: map[string]*disk{}, measure: newMeasure()}
	r.faults = &violations{say: r.say, first: make(chan struct{})}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if !o.loopback {
		if err := sweep(); err != nil {
			return nil, err
		}
	}
	if r.dir, err = os.MkdirTemp(o.dir, fmt.Sprintf("%s%d-", labPrefix, os.Getpid())); err != nil {
		return nil, err
	}
	r.say("seed %d, %s", o.seed, r.dir)
	if err := r.makeCluster(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, n := range r.cluster.Nodes() {
		names = append(names, n.ID)
	}
	r.health = newHealth(names)
	r.digests, r.leads = newDigests(r), newLeads(r)
	running, cancel := context.WithCancel(context.Background()) // until close
	r.cancel = cancel
	for _, n := range r.cluster.Nodes() {
		k := newKeeper(n, r)
		r.keepers = append(r.keepers, k)
		r.running.Go(func() { k.run(running) })
	}
	starting, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	if err := r.awaitReady(starting); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.cluster.Logs())
	}
	if err := r.learnGroups(); err != nil {
		return nil, err
	}
	r.running.Go(func() { r.leads.follow(running) })
	r.running.Go(func() { r.digests.follow(running) })
	r.running.Go(func() { r.measure.count(running, r.health) })
	r.clients = newClients(r)
	for _, work := range append(r.clients.workers(), r.probes()...) {
		r.running.Go(func() { work(running) })
	}
	return r, nil
}

// makeCluster builds the program and prepares the nodes and their hosts.
func (r *rig) makeCluster(ctx context.Context) (err error) {
	var flags []string
	if r.o.race {
		flags = append(flags, "-race")
	}
	program, err := proctest.Build(ctx, r.dir, flags...)
	if err != nil {
		return err
	}
	o := proctest.Options{Program: program, Dir: r.dir, Regions: r.o.topology}
	var rules []string
	for _, region := range r.o.topology {
		r.groups = append(r.groups, region.Name)
		rules = append(rules, tagOf(region.Name)+"="+region.Name)
	}
	o.Flags = append(o.Flags, settings...)
	o.Flags = append(o.Flags, "--placement-rules="+strings.Join(rules, ";"), "--survival-goal="+r.o.goal)
	if r.o.store != "" {
		o.Flags = append(o.Flags, "--log-store="+r.o.store)
	}
	var made *secrets
	if !r.o.loopback {
		if r.lab, err = newLab(); err != nil {
			return err
		}
		if made, err = newSecrets(r.dir); err != nil {
			return err
		}
		r.password, o.Password = made.password, made.password
	}
	o.Host = func(node, region string) (proctest.Host, error) { return r.host(node, region, made) }
	r.cluster, err = proctest.New(o)
	return err
}

// tagOf begins the keys that live in a group.
func tagOf(group string) string { return "at-" + group + ":" }

// The ports of a node in its own namespace.
const (
	respPort    = "6379"
	clusterPort = "7379"
	gossipPort  = "7946"
)

// host makes what a node runs on.
func (r *rig) host(node, region string, s *secrets) (h proctest.Host, err error) {
	h.Flags = []string{"--wall-file=" + r.wallFile(node)}
	if r.lab == nil {
		return h, nil
	}
	if err := r.lab.add(node); err != nil {
		return h, err
	}
	// The first node of each region, which leads its group at first, has a disk that
	// can hang. That takes a file system of its own; those in memory are faster.
	mount, make := filepath.Join(r.dir, "disk-"+node), newTmpfs
	if strings.HasSuffix(node, "-1") {
		make = newImage
	}
	d, err := make(mount, diskSize)
	if err != nil {
		return h, err
	}
	r.disks[node] = d
	secret, err := s.flags(clusterName, region, node)
	if err != nil {
		return h, err
	}
	h.DataDir, h.Enter, h.Flags = d.dataDir(), r.lab.enter(node), append(h.Flags, secret...)
	h.Move = func() (resp, cluster, gossip string, err error) {
		addr, err := r.lab.move(node)
		return addr + ":" + respPort, addr + ":" + clusterPort, addr + ":" + gossipPort, err
	}
	return h, nil
}

// wallFile says how far a node's wall clock is off.
func (r *rig) wallFile(node string) string { return filepath.Join(r.dir, node+".wall") }

// diskSize is the size of the file system of each node, in bytes.
const diskSize = 512 << 20

// awaitReady waits until every node is, and nothing is wrong with it.
func (r *rig) awaitReady(ctx context.Context) error {
	return proctest.Until(ctx, func() error {
		for _, k := range r.keepers {
			if !r.health.allWell(k.node.ID) {
				return fmt.Errorf("%s is not ready", k.node.ID)
			}
		}
		return nil
	})
}

// learnGroups asks for the voters, which never change.
func (r *rig) learnGroups() error {
	groups, err := r.keepers[0].node.Groups()
	if err != nil {
		return err
	}
	voters := map[string][]string{}
	for _, g := range groups {
		for _, name := range r.groups {
			if g.Name == name {
				voters[name] = g.Voters
			}
		}
	}
	if len(voters) != len(r.groups) {
		return fmt.Errorf("the cluster has groups %v, not one for each of %v", groups, r.groups)
	}
	r.health.setGroups(voters)
	return nil
}

// keeper returns that of a node, nil if there is none.
func (r *rig) keeper(node string) *keeper {
	for _, k := range r.keepers {
		if k.node.ID == node {
			return k
		}
	}
	return nil
}

// say prints a line of progress.
func (r *rig) say(format string, args ...any) {
	fmt.Printf("%8s  %s\n", time.Since(r.began).Round(100*time.Millisecond), fmt.Sprintf(format, args...))
}

// keepEvidence copies the data off the file systems that are about to go.
func (r *rig) keepEvidence() error {
	r.stop()
	var errs []error
	for node, d := range r.disks {
		errs = append(errs, os.CopyFS(filepath.Join(r.dir, "data-"+node), os.DirFS(d.dataDir())))
	}
	return errors.Join(errs...)
}

// stop ends all processes, and everything that looks at them.
func (r *rig) stop() { r.stopped.Do(r.stopAll) }

func (r *rig) stopAll() {
	for _, d := range r.disks {
		if d.freeze {
			thaw(d.mount) // nothing could end on it
		}
	}
	if r.cancel != nil {
		r.cancel()
		if r.clients != nil {
			r.clients.gate.Unlock() // it is held when there is no round
		}
		r.running.Wait()
	}
	if r.cluster != nil {
		r.cluster.Close()
	}
}

// close ends all and removes all, but the directory after a violation.
func (r *rig) close() {
	r.stop()
	for node, d := range r.disks {
		if err := d.close(); err != nil {
			fmt.Fprintf(os.Stderr, "torture: the disk of %s is left behind: %v\n", node, err)
		}
	}
	if r.lab != nil {
		if err := r.lab.close(); err != nil {
			fmt.Fprintln(os.Stderr, "torture: namespaces are left behind:", err)
		}
	}
	if r.dir != "" && !r.o.keep && !r.faults.any() {
		os.RemoveAll(r.dir)
	}
}

// violations are what must not be, and was.
type violations struct {
	say   func(format string, args ...any)
	first chan struct{} // closed at the first

	mu   sync.Mutex
	list []string
	more int // that are not kept
}

// maxViolations bounds how many are kept: the first ones tell the most.
const maxViolations = 20

func (v *violations) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.list) == 0 && v.more == 0 {
		close(v.first)
	}
	if len(v.list) == maxViolations {
		v.more++
		return
	}
	v.list = append(v.list, text)
	v.say("VIOLATION: %s", text)
}

func (v *violations) any() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.list) > 0
}
