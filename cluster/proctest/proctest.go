// Package proctest is real phonond processes for tests: it builds the program
// once, starts nodes on free loopback ports with data in temporary directories,
// or on the hosts that its user makes for them, kills them by pid, starts them
// again, with addresses old or new, and collects their logs on failure. The tests
// beside it use it, the benchmark, and scripts/torture. It never leaves this
// machine, never ends a process that it did not start, and never waits without a
// deadline.
package proctest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Build builds the program from the module that the working directory is in, and
// returns its path in dir. The flags are those of go build.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	program := filepath.Join(dir, "phonond")
	args := append(append([]string{"build"}, flags...), "-o", program, "phonond/cmd/phonond")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
}

// Region is a region and how many nodes it has.
type Region struct {
	Name  string
	Nodes int
}

// Options are what a cluster is made from.
type Options struct {
	Program string // from [Build]
	Dir     string // for data, configuration and logs; exists
	Regions []Region
	// Flags are given to every node besides its configuration file.
	Flags []string
	// Host says where a node runs. Default: on this machine's loopback.
	Host func(node, region string) (Host, error)
	// Password is what clients say to the nodes. Default: nothing.
	Password string
}

// Host is where a node runs: a network namespace, a file system of its own. The
// zero value is this machine's loopback, and a directory below [Options.Dir].
type Host struct {
	// DataDir is the node's data directory.
	DataDir string
	// Move returns addresses that the node did not have before: for clients, for
	// nodes, and for gossip.
	Move func() (resp, cluster, gossip string, err error)
	// Enter is what stands in front of a command line that is to be run there. It
	// must become that command, with the same process id, as nsenter does.
	Enter []string
	// Flags are for this node alone.
	Flags []string
}

// Cluster is a cluster of processes. One goroutine at a time starts and ends
// them.
type Cluster struct {
	opts  Options
	nodes []*Node
	mu    sync.Mutex      // of the nodes' addresses, for those who ask for them while nodes move
	taken map[string]bool // addresses ever given out
}

// New prepares a cluster. Nothing runs yet.
func New(o Options) (*Cluster, error) {
	c := &Cluster{opts: o, taken: map[string]bool{}}
	for _, r := range o.Regions {
		for i := range r.Nodes {
			n := &Node{ID: fmt.Sprintf("%s-%d", r.Name, i+1), Region: r.Name, cluster: c}
			n.name, n.DataDir = n.ID, filepath.Join(o.Dir, n.ID)
			if err := n.settle(); err != nil {
				return nil, err
			}
			c.nodes = append(c.nodes, n)
		}
	}
	return c, c.configure()
}

// configure writes the configuration of every node.
func (c *Cluster) configure() error {
	for _, n := range c.nodes {
		if err := n.configure(c.regions()); err != nil {
			return err
		}
	}
	return nil
}

// regions is the list of regions as it stands in a configuration.
func (c *Cluster) regions() string {
	var b strings.Builder
	for _, r := range c.opts.Regions {
		var hosts []string
		for _, n := range c.nodes {
			if n.Region == r.Name {
				hosts = append(hosts, `"`+n.Cluster+`"`)
			}
		}
		fmt.Fprintf(&b, "  %s: [%s]\n", r.Name, strings.Join(hosts, ", "))
	}
	return b.String()
}

// Nodes returns the nodes by region.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Node returns the node with that id, nil if there is none.
func (c *Cluster) Node(id string) *Node {
	for _, n := range c.nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// Others returns all nodes but one.
func (c *Cluster) Others(not *Node) []*Node {
	var list []*Node
	for _, n := range c.nodes {
		if n != not {
			list = append(list, n)
		}
	}
	return list
}

// Start starts every node that does not run and waits until all are ready.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.nodes {
		if n.Running() {
			continue
		}
		if err := n.Start(); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Move gives new addresses to nodes that do not run, and writes them into the
// configuration of all: nodes that run keep what they have read.
func (c *Cluster) Move(nodes ...*Node) error {
	for _, n := range nodes {
		if n.Running() {
			return fmt.Errorf("node %s runs: it cannot be moved", n.ID)
		}
		if err := n.choose(); err != nil {
			return err
		}
	}
	return c.configure()
}

// Kill kills nodes with no time between them.
func (c *Cluster) Kill(nodes ...*Node) error {
	var errs []error
	for _, n := range nodes {
		if n.Running() {
			errs = append(errs, n.process.cmd.Process.Kill())
		}
	}
	for _, n := range nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(errs...)
}

// Close kills every node that runs.
func (c *Cluster) Close() error { return c.Kill(c.nodes...) }

// logTail is how much of each log is shown, in bytes.
const logTail = 8 << 10

// Logs returns the end of every node's log.
func (c *Cluster) Logs() string {
	var b strings.Builder
	for _, n := range c.nodes {
		text := n.Log()
		if len(text) > logTail {
			text = "..." + text[len(text)-logTail:]
		}
		fmt.Fprintf(&b, "--- log of %s (RESP %s, cluster %s)\n%s\n", n.ID, n.RESP, n.Cluster, text)
	}
	return b.String()
}

// pollEvery is the pace of [Until].
const pollEvery = 20 * time.Millisecond

// Until calls cond until it returns nil, and returns its last error when ctx
// ends before.
func Until(ctx context.Context, cond func() error) error {
	for {
		err := cond()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

// environ is the environment for nodes: without the variables that are read as
// settings.
func environ() []string {
	var list []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PHONOND_") {
			list = append(list, e)
		}
	}
	return list
}
