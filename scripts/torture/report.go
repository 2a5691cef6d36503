package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// progress is one line.
func (r *rig) progress() string {
	served, seconds := r.measure.availability()
	m := r.measure
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d operations, %d judged, availability %s, %d leads, %d digests compared", m.ops, m.checked, share(served, seconds), r.leads.seen(), r.digests.compared())
}

// report is what happened.
func (r *rig) report() string {
	served, seconds := r.measure.availability()
	m := r.measure
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	took := time.Since(r.began)
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("")
	line("seed %d, %s, goal %s, log store %q, %v with starting and judging", r.o.seed, describeTopology(r.o), r.o.goal, r.o.store, took.Round(time.Second))
	line("%d operations of %d clients, %.0f a second; %d judged in %d histories; %d connections broke", m.ops, r.o.clients, float64(m.ops)/took.Seconds(), m.checked, m.windows, m.broken)
	line("the longest wait for an answer of a node that had no reason to be silent: %v", m.answer.Round(time.Millisecond))
	line("%d leads, no two in one term; %d pairs of replicas compared at equal entries, all of them %d times at rest", r.leads.seen(), r.digests.compared(), m.rests)
	line("availability on the majority's side: %s of %d seconds", share(served, seconds), seconds)
	line("  (a second of one node and one group counts if, all through it, the node was well and within reach of every voter")
	line("  that could lead a majority; it is served if a client of that node had a write to that group acknowledged in it)")
	if len(m.hangs) > 0 {
		line("a leader's disk hung %d times: another leader took writes after %v at most", len(m.hangs), slices.Max(m.hangs).Round(time.Millisecond))
	}
	line("")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...any) { fmt.Fprintln(table, tabbed(cells)) }
	row("FAULT", "TIMES", "WORST PAUSE", "OF", "WORST RECOVERY", "MEDIAN")
	for _, name := range sortedKeys(m.faults) {
		f := m.faults[name]
		row(name, f.times(), f.pause.Round(10*time.Millisecond), f.at, f.recovery.Round(10*time.Millisecond), median(f.recoveries).Round(10*time.Millisecond))
	}
	table.Flush()
	line("  (pause: the longest that a client on the majority's side went without a write, from the fault to the recovery;")
	line("  recovery: from the fault's end until every node is ready and takes writes to every group)")
	line("")
	row("OUTCOME", "OPERATIONS")
	for _, name := range sortedKeys(m.outcomes) {
		row(name, m.outcomes[name])
	}
	table.Flush()
	line("")
	row("NODE", "MEMORY MOST", "AT REST, FIRST", "LAST", "DESCRIPTORS MOST", "FIRST", "LAST", "DISK MOST", "FIRST", "LAST")
	for _, k := range r.keepers {
		id := k.node.ID
		most, first, last := m.peak[id], m.baseline[id], m.latest[id]
		row(id, mib(most.rss), mib(first.rss), mib(last.rss), most.files, first.files, last.files, mib(most.disk), mib(first.disk), mib(last.disk))
	}
	table.Flush()
	if len(m.ends) > 0 {
		line("")
		line("nodes that ended by themselves, as they were meant to:")
		for _, reason := range sortedKeys(m.ends) {
			line("  %d times: %.200s", m.ends[reason], reason)
		}
	}
	line("")
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	if len(r.faults.list) == 0 {
		line("no violation")
	}
	for i, v := range r.faults.list {
		line("VIOLATION %d: %s", i+1, v)
	}
	if r.faults.more > 0 {
		line("and %d more", r.faults.more)
	}
	return b.String()
}

func tabbed(cells []any) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "%v\t", c)
	}
	return b.String()
}

// times is how often a fault was injected, alone or not.
func (f *faultFigures) times() any {
	if f.count == 0 {
		return len(f.recoveries)
	}
	return f.count
}

func (s seat) String() string {
	if s == (seat{}) {
		return "-"
	}
	return s.group + " through " + s.node
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

func describeTopology(o options) string {
	var parts []string
	for _, r := range o.topology {
		parts = append(parts, fmt.Sprintf("%s=%d", r.Name, r.Nodes))
	}
	return strings.Join(parts, ",")
}
