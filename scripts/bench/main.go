// Command bench compares a phonond cluster with one redis-server that is as
// careful: it syncs its file before it answers. Both run on this machine with
// their data on the same disk; redis-benchmark loads the server, the leader of a
// group of three nodes, and one of its followers, in turn, several times over.
// What it prints is a table in Markdown. With -profile it also writes what the
// leader's CPU did in each test. "make bench" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

// options are what the command line says.
type options struct {
	rounds, clients, keys int
	seconds               float64
	tests                 []string
	pipelines             []int
	dir, profile          string
}

func main() { proctest.Main("bench", run) }

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "phonond-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer b.close()
	fmt.Println(facts())
	table, err := b.compare(ctx, o)
	if err != nil {
		return err
	}
	fmt.Print(table)
	fmt.Printf("\nload average at the end: %s\n", loadAverage())
	b.close() // profiles are of clusters that have the machine for themselves
	if o.profile == "" {
		return nil
	}
	return profiles(ctx, dir, b.program, o)
}

func parse(args []string) (o options, err error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.rounds, "rounds", 3, "how often each line is measured; the median counts")
	fs.IntVar(&o.clients, "clients", 64, "connections of redis-benchmark")
	fs.IntVar(&o.keys, "keys", 100_000, "keys that are drawn from")
	fs.Float64Var(&o.seconds, "seconds", 4, "about how long one measurement takes")
	fs.StringVar(&o.dir, "dir", "", "`directory` for the data, on the disk to be measured; default that for temporary files")
	fs.StringVar(&o.profile, "profile", "", "`directory` for CPU profiles of the leader")
	tests := fs.String("tests", "set,get,incr,limiter", "tests of redis-benchmark, and a rate limiter in Lua with one key")
	pipelines := fs.String("pipelines", "1,32", "commands that a client sends at a time")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.tests = strings.Split(*tests, ",")
	for p := range strings.SplitSeq(*pipelines, ",") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-pipelines: %q is not a number above 0", p)
		}
		o.pipelines = append(o.pipelines, n)
	}
	if o.rounds < 1 || o.clients < 1 || o.keys < 1 || o.seconds <= 0 {
		return o, errors.New("-rounds, -clients, -keys and -seconds are above 0")
	}
	return o, nil
}

// compare measures every test and returns the table.
func (b *bench) compare(ctx context.Context, o options) (string, error) {
	var t strings.Builder
	t.WriteString("| test | pipeline | redis ops/s | p50/p99 ms | leader ops/s | ratio | p50/p99 ms | follower ops/s | ratio | p50/p99 ms |\n")
	t.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, test := range o.tests {
		for _, pipeline := range o.pipelines {
			targets := []target{{"redis", b.redis.Addr}, {"leader", b.leader.RESP}, {"follower", b.follower.RESP}}
			results := make([][]result, len(targets))
			counts := make([]int, len(targets))
			for i, at := range targets {
				if test == limiter {
					if err := loadLimiter(at); err != nil {
						return "", err
					}
				}
				n, err := calibrate(ctx, at, test, pipeline, o)
				if err != nil {
					return "", err
				}
				counts[i] = n
			}
			for range o.rounds {
				for i, at := range targets {
					r, err := measure(ctx, at, test, pipeline, counts[i], o)
					if err != nil {
						return "", err
					}
					results[i] = append(results[i], r)
				}
			}
			redis, leader, follower := median(results[0]), median(results[1]), median(results[2])
			fmt.Fprintf(&t, "| %s | %d | %.0f | %s | %.0f | %.2f | %s | %.0f | %.2f | %s |\n", strings.ToUpper(test), pipeline,
				redis.rate, redis.latency(), leader.rate, leader.rate/redis.rate, leader.latency(), follower.rate, follower.rate/redis.rate, follower.latency())
			fmt.Fprintf(os.Stderr, "%s -P %d: redis %s, leader %s, follower %s\n", test, pipeline, all(results[0]), all(results[1]), all(results[2]))
		}
	}
	if slices.Contains(o.tests, limiter) {
		line, err := b.retries()
		if err != nil {
			return "", err
		}
		t.WriteString(line)
	}
	return t.String(), b.sameLeader()
}

// all lists the rates of every round.
func all(results []result) string {
	var parts []string
	for _, r := range results {
		parts = append(parts, fmt.Sprintf("%.0f", r.rate))
	}
	return strings.Join(parts, "/")
}

// calibrate returns how many requests take about as long as one measurement
// should.
func calibrate(ctx context.Context, at target, test string, pipeline int, o options) (int, error) {
	n := o.clients * pipeline * 10
	r, err := measure(ctx, at, test, pipeline, n, o)
	if err != nil {
		return 0, err
	}
	// The first run is short and cold, and says too little of a fast server.
	if n = max(n, int(r.rate*o.seconds/4)); r.rate*o.seconds/4 > float64(o.clients*pipeline*10) {
		if r, err = measure(ctx, at, test, pipeline, n, o); err != nil {
			return 0, err
		}
	}
	return max(int(r.rate*o.seconds), o.clients*pipeline), nil
}

// startTimeout bounds how long servers take to come up.
const startTimeout = 60 * time.Second
