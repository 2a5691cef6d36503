package main

import (
	"context"
	"crypto/sha1"
	_ "embed" // limiter.lua
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"phonond/cluster/proctest"
)

// target is a server to be loaded.
type target struct{ name, addr string }

// result is one line of redis-benchmark.
type result struct {
	rate     float64 // requests per second
	p50, p99 float64 // ms
}

func (r result) latency() string { return fmt.Sprintf("%.2f/%.2f", r.p50, r.p99) }

// median returns the result with the median rate.
func median(rs []result) result {
	sorted := slices.SortedFunc(slices.Values(rs), func(a, b result) int {
		if a.rate < b.rate {
			return -1
		}
		return 1
	})
	return sorted[len(sorted)/2]
}

// measure runs redis-benchmark with n requests.
func measure(ctx context.Context, at target, test string, pipeline, n int, o options) (result, error) {
	host, port, err := net.SplitHostPort(at.addr)
	if err != nil {
		return result{}, err
	}
	args := []string{
		"-h", host, "-p", port, "-c", strconv.Itoa(o.clients), "-P", strconv.Itoa(pipeline),
		"-n", strconv.Itoa(n), "-r", strconv.Itoa(o.keys), "--csv",
	}
	if test == limiter {
		args = append(args, limiterCall...)
	} else {
		args = append(args, "-t", test)
	}
	out, err := exec.CommandContext(ctx, "redis-benchmark", args...).CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("redis-benchmark %v: %w\n%s", args, err, out)
	}
	r, err := parseCSV(string(out))
	if err != nil {
		return r, fmt.Errorf("redis-benchmark %v against %s: %w\n%s", args, at.name, err, out)
	}
	return r, nil
}

// limiter is the test of a script: a rate limiter that all clients ask, with one key.
const limiter = "limiter"

//go:embed limiter.lua
var limiterScript string

// limiterCall calls it by its SHA1, which [bench.loadLimiter] makes known.
var limiterCall = []string{"EVALSHA", fmt.Sprintf("%x", sha1.Sum([]byte(limiterScript))), "1", "limiter", "1000", "1000"}

// loadLimiter makes the script known to a server.
func loadLimiter(at target) error {
	sha, err := proctest.Ask(at.addr, "SCRIPT", "LOAD", limiterScript)
	if err == nil && sha.Str != limiterCall[1] {
		err = fmt.Errorf("SCRIPT LOAD at %s answers %q", at.name, sha.Str)
	}
	return err
}

// parseCSV reads the output with --csv: a line of names and one of values.
func parseCSV(out string) (r result, err error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(out))).ReadAll()
	if err != nil {
		return r, err
	}
	if len(rows) != 2 {
		return r, fmt.Errorf("%d lines, not 2", len(rows))
	}
	for i, name := range rows[0] {
		var field *float64
		switch name {
		case "rps":
			field = &r.rate
		case "p50_latency_ms":
			field = &r.p50
		case "p99_latency_ms":
			field = &r.p99
		default:
			continue
		}
		if *field, err = strconv.ParseFloat(rows[1][i], 64); err != nil {
			return r, err
		}
	}
	if r.rate <= 0 {
		return r, fmt.Errorf("no rate")
	}
	return r, nil
}

// facts describe the machine and the program.
func facts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cores, %s/%s, %s; load average at the start: %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), loadAverage())
	commit := firstLine(exec.Command("git", "rev-parse", "--short", "HEAD"))
	if changes := firstLine(exec.Command("git", "status", "--porcelain")); changes != "" {
		commit += " with changes"
	}
	fmt.Fprintf(&b, "\ncommit %s; %s\n", commit, firstLine(exec.Command("redis-server", "--version")))
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/hashicorp/raft" {
				fmt.Fprintf(&b, "raft %s\n", d.Version)
			}
		}
	}
	return b.String()
}

// firstLine returns the first line that a command prints, "" when it fails.
func firstLine(cmd *exec.Cmd) string {
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// loadAverage returns the three load averages, where the system tells them.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
