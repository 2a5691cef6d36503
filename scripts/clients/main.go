// Command clients has clients that people use do what they do, against a cluster
// of two regions with two nodes each, through a node of the second region that
// leads none of its groups: go-redis and redsync in here, redis-py in python,
// node-redis, ioredis, bee-queue, node-redlock and redis-semaphore in node, and
// Redis's own tools. It prints a line for each check and fails when one does. With
// -redis they talk to a redis-server: what fails there too is wrong in the check.
// "make clients" installs what they need and runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

// The bounds of what one client does, and of each thing that it does.
const (
	suiteTimeout = 90 * time.Second
	checkTimeout = 30 * time.Second
)

// suites are the clients, in the order in which they run.
var suites = []suite{
	{"go-redis", goRedis},
	{"redsync", redSync},
	{"redis-py", program("/usr/bin/python3", "python/redispy.py")},
	{"node-redis", program("node", "node/noderedis.mjs")},
	{"ioredis", program("node", "node/ioredis.mjs")},
	{"bee-queue", program("node", "node/beequeue.mjs")},
	{"node-redlock", program("node", "node/redlock.mjs")},
	{"redis-semaphore", program("node", "node/semaphore.mjs")},
	{"redis-cli", redisCLI},
	{"redis-benchmark", redisBenchmark},
	{fleetSuite, mixedFleet},
}

// fleetSuite needs locks that a redis-server does not have.
const fleetSuite = "mixed fleet"

// suite is what one client does.
type suite struct {
	name string
	run  func(context.Context, *report) error
}

func main() { proctest.Main("clients", run) }

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("clients", flag.ContinueOnError)
	redis := fs.Bool("redis", false, "talk to a redis-server instead of a cluster")
	programs := fs.String("programs", "scripts/clients", "`directory` with those in other languages than Go")
	lasts := fs.Duration("fleet", fleetTime, "how long the mixed fleet `fights`")
	only := fs.String("only", "", "the clients that are run, as a regular expression")
	if err := fs.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	dir, err := os.MkdirTemp("", "phonond-clients-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	start := startCluster
	if *redis {
		start = startRedis
	}
	servers, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer servers.stop()
	var failed []string
	for _, s := range suites {
		if !wanted.MatchString(s.name) || *redis && s.name == fleetSuite {
			continue
		}
		if err := s.against(ctx, &report{client: s.name, programs: *programs, nodes: servers.nodes, fleet: *lasts}); err != nil {
			fmt.Printf("FAILED %s: %v\n", s.name, err)
			failed = append(failed, s.name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed != nil {
		fmt.Print(servers.logs())
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// against runs the suite on an empty key space.
func (s suite) against(ctx context.Context, r *report) error {
	ctx, cancel := context.WithTimeout(ctx, suiteTimeout)
	defer cancel()
	if _, err := proctest.Ask(r.node(), "FLUSHALL"); err != nil {
		return fmt.Errorf("FLUSHALL: %w", err)
	}
	start := time.Now()
	if err := s.run(ctx, r); err != nil {
		return err
	}
	fmt.Printf("%s: %.1f s\n", s.name, time.Since(start).Seconds())
	return nil
}

// report is what a suite is given: the nodes it may use, and where it says what
// it has checked.
type report struct {
	client   string
	fleet    time.Duration // how long the mixed fleet fights
	programs string        // the directory of programs in other languages
	nodes    []string      // addresses; the first is the one to be used, the last another way in
}

// node is the address that the client is connected to.
func (r *report) node() string { return r.nodes[0] }

// other is the address of another node, which shows what the client has done.
func (r *report) other() string { return r.nodes[len(r.nodes)-1] }

// ok says that a check has passed.
func (r *report) ok(check string) { fmt.Printf("ok %s: %s\n", r.client, check) }

// check is one thing that a client written in Go does.
type check struct {
	name string
	run  func(context.Context) error
}

// all runs checks until one fails.
func (r *report) all(ctx context.Context, checks []check) error {
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		err := c.run(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.ok(c.name)
	}
	return nil
}
