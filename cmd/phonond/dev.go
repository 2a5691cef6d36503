package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/cluster"
	"phonond/cluster/config"
	"phonond/cluster/group"
	"phonond/cluster/mux"
	"phonond/cluster/placement"
)

// The ports of node i: RESP is port+i, the others are as far away as they are in
// the defaults.
const (
	clusterPorts = 7379 - 6379
	gossipPorts  = 7946 - 6379
)

// electionTrips is how many round trips an election timeout should be.
const electionTrips = 7

// maxDevNodes bounds a cluster in one process.
const maxDevNodes = 64

// devCluster is what "phonond dev" is asked for.
type devCluster struct {
	topology []devRegion
	port     int
	dir      string
	goal     string
	verbose  bool
	latency  map[[2]string]time.Duration // round trip between two regions
}

type devRegion struct {
	name  string
	nodes int
}

// runDev runs a whole cluster until ctx is done.
func runDev(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	d := devCluster{latency: map[[2]string]time.Duration{}}
	fs := flag.NewFlagSet("phonond dev", flag.ContinueOnError)
	fs.SetOutput(stderr)
	topology := fs.String("topology", "us-east-1=2,us-west-1=2", "regions and how many `nodes` each has")
	fs.IntVar(&d.port, "port", 6379, "RESP `port` of the first node; node i has port+i")
	fs.StringVar(&d.dir, "dir", "", "`directory` to keep the cluster in; without it nothing is kept")
	fs.StringVar(&d.goal, "goal", string(placement.GoalNode), "what may fail: any one `node|region`")
	fs.BoolVar(&d.verbose, "verbose", false, "log what the nodes do")
	fs.Func("latency", "round trip `A:B=70ms` between two regions; may be repeated", d.setLatency)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if err := d.setTopology(*topology); err != nil {
		fmt.Fprintln(stderr, "phonond dev:", err)
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "phonond dev: unexpected argument %q\n", fs.Arg(0))
		return 2
	}
	if err := d.run(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "phonond dev:", err)
		return 1
	}
	return 0
}

// setTopology reads "us-east-1=2,us-west-1=2".
func (d *devCluster) setTopology(s string) error {
	total := 0
	for part := range strings.SplitSeq(s, ",") {
		name, count, ok := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(count)
		if !ok || err != nil || n < 1 {
			return fmt.Errorf("--topology: %q is not REGION=NODES", part)
		}
		if d.region(name) >= 0 {
			return fmt.Errorf("--topology: region %s is listed twice", name)
		}
		d.topology = append(d.topology, devRegion{name, n})
		total += n
	}
	if total > maxDevNodes {
		return fmt.Errorf("--topology: %d nodes, at most %d are supported", total, maxDevNodes)
	}
	for pair := range d.latency {
		if d.region(pair[0]) < 0 || d.region(pair[1]) < 0 {
			return fmt.Errorf("--latency: %s:%s: there is no such region", pair[0], pair[1])
		}
	}
	return nil
}

func (d *devCluster) region(name string) int {
	return slices.IndexFunc(d.topology, func(r devRegion) bool { return r.name == name })
}

// setLatency reads "us-east-1:us-west-1=70ms".
func (d *devCluster) setLatency(s string) error {
	pair, value, ok := strings.Cut(s, "=")
	a, b, ok2 := strings.Cut(pair, ":")
	rtt, err := time.ParseDuration(value)
	if !ok || !ok2 || a == b || err != nil || rtt < 0 || rtt > 2*time.Second {
		return errors.New("write it as REGION:REGION=70ms, two regions and at most 2s")
	}
	d.latency[[2]string{a, b}], d.latency[[2]string{b, a}] = rtt, rtt
	return nil
}

// run starts the nodes, says "ready" when every group has a leader, and stops
// them when ctx is done.
func (d *devCluster) run(ctx context.Context, stdout, stderr io.Writer) error {
	dir := d.dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "phonond-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	failed := make(chan error, maxDevNodes)
	var nodes []*cluster.Node
	defer func() {
		stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		var wg sync.WaitGroup
		for _, n := range nodes {
			wg.Go(func() { n.Stop(stopping) })
		}
		wg.Wait()
	}()
	confs := d.nodes(dir)
	for _, conf := range confs {
		n, err := d.start(conf, stderr, func(err error) { failed <- err })
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	for i, n := range nodes {
		fmt.Fprintf(stdout, "node %-14s region %-12s redis-cli -p %d\n", n.ID(), confs[i].Region, d.port+i)
	}
	for _, n := range nodes {
		if err := n.Ready(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	fmt.Fprintln(stdout, "ready")
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// nodes returns the configuration of every node.
func (d *devCluster) nodes(dir string) []*config.Config {
	var regions config.Regions
	var confs []*config.Config
	for _, r := range d.topology {
		region := config.Region{Name: r.name}
		for i := range r.nodes {
			at := len(confs)
			c := config.Default()
			c.Node, c.Region = fmt.Sprintf("%s-%d", r.name, i+1), r.name
			c.DataDir = filepath.Join(dir, c.Node)
			c.SurvivalGoal = placement.Goal(d.goal)
			c.Cluster.Name = "dev"
			for _, rtt := range d.latency {
				c.Raft.ElectionTimeout = max(c.Raft.ElectionTimeout, electionTrips*rtt)
			}
			c.RESP.Listen = loopback(d.port + at)
			c.Cluster.Listen = loopback(d.port + at + clusterPorts)
			c.Gossip.Listen = loopback(d.port + at + gossipPorts)
			c.Disk.Reserve = 0 // its nodes share a disk
			c.Log.Level = "warn"
			if d.verbose {
				c.Log.Level = "info"
			}
			region.Hosts = append(region.Hosts, c.Cluster.Listen)
			confs = append(confs, c)
		}
		regions = append(regions, region)
	}
	for _, c := range confs {
		c.Regions = regions
	}
	return confs
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// start starts one node. Without a directory to keep it in, its groups are in
// memory.
func (d *devCluster) start(conf *config.Config, stderr io.Writer, fatal func(error)) (*cluster.Node, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	nc := cluster.Config{Config: conf, Version: version, Log: logger(conf.Log, stderr), Fatal: fatal}
	if d.dir == "" {
		nc.Storage = func(string) (*group.Storage, error) { return group.Memory(), nil }
	}
	if len(d.latency) > 0 {
		regionOf := map[string]string{}
		for _, r := range conf.Regions {
			for _, addr := range r.Hosts {
				regionOf[addr] = r.Name
			}
		}
		nc.Network = mux.Delay(mux.TCP(), func(addr string) time.Duration {
			return d.latency[[2]string{conf.Region, regionOf[addr]}] / 2
		})
	}
	return cluster.Start(nc)
}
