// Command lockbench compares locks: those of a phonond cluster of two regions with two nodes
// each, of a redis-server that syncs before it answers, and of three etcd members, side by
// side in rounds. First sixteen clients want one lock that each keeps for a millisecond, then
// sixty-four have one of their own each. "make lockbench" runs it. It is a module of its own,
// so that etcd is no dependency of phonond.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

func main() { proctest.Main("lockbench", run) }

// hold is how long a client keeps the lock that all want.
const hold = time.Millisecond

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("lockbench", flag.ContinueOnError)
	program := fs.String("program", "../../bin/phonond", "the `phonond` to measure, as \"make build\" makes it")
	store := fs.String("store", "bolt", "the `kind` of log that phonond keeps: bolt or wal")
	each := fs.Duration("time", 5*time.Second, "how long each `round` of each contender is")
	rounds := fs.Int("rounds", 3, "how many `rounds`; the table has their medians")
	crowd := fs.Int("clients", 16, "`clients` that want one lock")
	alone := fs.Int("alone", 64, "`clients` with a lock of their own")
	if err := fs.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "phonond-lockbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := startServers(ctx, *program, *store, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Printf("load %s\n\n", load())

	contended := []contender{
		{"phonond LOCK.ACQUIRE WAIT", s.native(true)},
		{"redis-server, polled every 10 ms", s.polled()},
		{"etcd Mutex, 3 members", s.etcdMutex()},
	}
	fmt.Printf("%d clients, one lock, kept for %v\n", *crowd, hold)
	if err := compare(ctx, contended, *rounds, func(c contender) (result, error) {
		before, err := s.cluster.Entries()
		if err != nil {
			return result{}, err
		}
		r, err := contend(ctx, c, *crowd, *each)
		if err != nil {
			return r, err
		}
		after, err := s.cluster.Entries()
		if c.name == contended[0].name && r.acquisitions > 0 {
			r.entries = float64(after-before) / float64(r.acquisitions)
		}
		return r, err
	}, contendedTable); err != nil {
		return err
	}

	fmt.Printf("\n%d clients, each with a lock of its own\n", *alone)
	if err := compare(ctx, []contender{
		{"phonond LOCK.ACQUIRE, LOCK.RELEASE", s.native(false)},
		{"phonond SET NX, script", s.script()},
		{"etcd Mutex, 3 members", s.etcdMutex()},
	}, *rounds, func(c contender) (result, error) { return uncontended(ctx, c, *alone, *each) }, aloneTable); err != nil {
		return err
	}
	fmt.Printf("\nload %s\n", load())
	return nil
}

// compare has the contenders take turns, and prints the medians.
func compare(ctx context.Context, all []contender, rounds int, measure func(contender) (result, error), table func([]contender, []result)) error {
	results := make([][]result, len(all))
	for range rounds {
		for i, c := range all {
			r, err := measure(c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			results[i] = append(results[i], r)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	medians := make([]result, len(all))
	for i := range all {
		medians[i] = median(results[i])
	}
	table(all, medians)
	return nil
}

func contendedTable(all []contender, rs []result) {
	fmt.Printf("%-36s %10s %12s %12s %8s %8s\n", "", "locks/s", "hand-off p50", "p99", "max/min", "entries")
	for i, c := range all {
		r := rs[i]
		entries := "-"
		if r.entries > 0 {
			entries = fmt.Sprintf("%.2f", r.entries)
		}
		fmt.Printf("%-36s %10.0f %12v %12v %8.2f %8s\n", c.name, r.perSecond, r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), r.fairness, entries)
	}
	fmt.Printf("phonond makes %.1f times etcd's locks/s, and %.1f times redis's\n", rs[0].perSecond/rs[2].perSecond, rs[0].perSecond/rs[1].perSecond)
}

func aloneTable(all []contender, rs []result) {
	fmt.Printf("%-36s %10s %12s %12s\n", "", "pairs/s", "p50", "p99")
	for i, c := range all {
		fmt.Printf("%-36s %10.0f %12v %12v\n", c.name, rs[i].perSecond, rs[i].p50.Round(10*time.Microsecond), rs[i].p99.Round(10*time.Microsecond))
	}
	fmt.Printf("native is %.2f times SET NX and script, and %.1f times etcd\n", rs[0].perSecond/rs[1].perSecond, rs[0].perSecond/rs[2].perSecond)
}

// load is the load of the machine.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
