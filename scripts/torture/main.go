// Command torture runs a phonond cluster of real processes and breaks it for a
// while: nodes are killed, stopped, moved, cut off, and their disks fill, slow
// down, fail and hang, one fault at a time and several at once, by a schedule that
// a seed decides. Clients write all the time through all nodes; what they saw is
// judged, and so is what must hold at any time. As root, every node has a network
// namespace and a small file system of its own, all of which are gone when it
// ends; otherwise everything runs on loopback, without the faults of networks and
// disks. It ends with code 1 if anything was violated, and then keeps the logs and
// the data; with code 2 if its arguments are wrong. "make torture" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"phonond/cluster/proctest"
)

// options are what the command line says.
type options struct {
	duration time.Duration
	topology []proctest.Region
	goal     string
	store    string
	seed     uint64
	nemeses  []string // names; empty for all
	clients  int
	dir      string
	short    bool // faults of seconds instead of up to a minute
	loopback bool
	race     bool
	keep     bool
	goOn     bool
}

var (
	// errViolated is returned when something was seen that must not be.
	errViolated = errors.New("the run has violations")
)

func main() {
	logging.Disable() // go-redis would report every connection that is refused
	proctest.Main("torture", run)
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	var list []*nemesis
	if err == nil {
		list, err = choose(o)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", proctest.ErrUsage, err)
	}
	r, err := build(ctx, o)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.torture(ctx, newSchedule(o.seed, list)); err != nil {
		r.faults.add("%v", err)
	}
	fmt.Print(r.report())
	if r.faults.any() {
		if err := r.keepEvidence(); err != nil {
			fmt.Fprintln(os.Stderr, "torture: what the nodes left behind could not be kept:", err)
		}
		return fmt.Errorf("%w: seed %d, logs and data are in %s", errViolated, o.seed, r.dir)
	}
	return ctx.Err()
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("torture", flag.ContinueOnError)
	topology := fs.String("topology", "east=2,west=2", "regions and how many nodes each has")
	nemeses := fs.String("nemeses", "", "faults that are injected, by `name`; default all that this machine can do:\n"+describeNemeses())
	fs.DurationVar(&o.duration, "duration", time.Hour, "how long faults are injected")
	fs.StringVar(&o.goal, "goal", "node", "the survival goal: node or region")
	fs.StringVar(&o.store, "store", "", "log_store of the nodes, bolt or wal; default theirs")
	fs.Uint64Var(&o.seed, "seed", 0, "decides which faults come, when, and what clients do; default one drawn by lot")
	fs.IntVar(&o.clients, "clients", 14, "clients whose histories are judged")
	fs.StringVar(&o.dir, "dir", "", "`directory` for logs and data; default that for temporary files")
	fs.BoolVar(&o.short, "short", false, "faults of seconds and, unless -duration says otherwise, 100 seconds of them")
	fs.BoolVar(&o.loopback, "loopback", false, "make no namespaces and mounts, as root neither")
	fs.BoolVar(&o.race, "race", false, "build the nodes with the race detector")
	fs.BoolVar(&o.keep, "keep", false, "keep logs and data without a violation too")
	fs.BoolVar(&o.goOn, "continue", false, "go on after a violation")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", fs.Arg(0))
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.short && !given["duration"] {
		o.duration = shortDuration
	}
	if !given["seed"] {
		o.seed = rand.Uint64() >> 32 // short enough to be typed
	}
	if *nemeses != "" {
		o.nemeses = strings.Split(*nemeses, ",")
	}
	o.loopback = o.loopback || os.Geteuid() != 0
	if o.clients < 1 || o.duration <= 0 {
		return o, errors.New("-clients and -duration are above 0")
	}
	o.topology, err = parseTopology(*topology)
	return o, err
}

// shortDuration is how long -short injects faults.
const shortDuration = 100 * time.Second

// maxNodes bounds a cluster: more than that this machine would not carry.
const maxNodes = 9

// parseTopology reads regions such as east=2,west=2.
func parseTopology(s string) (regions []proctest.Region, err error) {
	total := 0
	for part := range strings.SplitSeq(s, ",") {
		name, count, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || name == "" {
			return nil, fmt.Errorf("-topology: %q is not REGION=NODES", part)
		}
		if slices.ContainsFunc(regions, func(r proctest.Region) bool { return r.Name == name }) {
			return nil, fmt.Errorf("-topology: %q is there twice", name)
		}
		regions = append(regions, proctest.Region{Name: name, Nodes: n})
		total += n
	}
	if total > maxNodes {
		return nil, fmt.Errorf("-topology: %d nodes are more than %d", total, maxNodes)
	}
	return regions, nil
}
