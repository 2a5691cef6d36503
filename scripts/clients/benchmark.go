package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// benchmarks are the lines that redis-benchmark 7.0 prints for its default list.
var benchmarks = []string{
	"PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN",
	"LPUSH (needed to benchmark LRANGE)", "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)",
	"LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)", "MSET (10 keys)",
}

// rate is a line that tells how a test went.
var rate = regexp.MustCompile(`^(.*): ([\d.]+) requests per second`)

// redisBenchmark runs redis-benchmark as it comes: every test ends with a rate.
func redisBenchmark(ctx context.Context, r *report) error {
	var checks []check
	for _, args := range []string{"-n 2000 -c 10", "-n 4000 -c 10 -P 16", "-n 1000 -c 10 -r 1000 -d 100"} {
		checks = append(checks, check{args, func(ctx context.Context) error { return r.benchmark(ctx, strings.Fields(args)) }})
	}
	return r.all(ctx, checks)
}

func (r *report) benchmark(ctx context.Context, args []string) error {
	cmd, err := r.tool(ctx, "redis-benchmark", append(args, "-q")...)
	if err != nil {
		return err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	var done []string
	for line := range strings.FieldsFuncSeq(string(out), func(c rune) bool { return c == '\r' || c == '\n' }) {
		line = strings.TrimSpace(line)
		switch m := rate.FindStringSubmatch(line); {
		case m != nil:
			done = append(done, m[1])
		case line != "" && !strings.Contains(line, "rps="): // how far it is
			return fmt.Errorf("redis-benchmark says: %s", line)
		}
	}
	if !slices.Equal(done, benchmarks) {
		return fmt.Errorf("tests that were done: %q, not %q", done, benchmarks)
	}
	return nil
}
