// Package sim breaks clusters in virtual time and judges what their clients saw.
// A seed makes a cluster (regions, latencies, log store, limits), the work of its
// clients and a schedule of faults; all of it runs in one testing/synctest bubble,
// minutes of a cluster's life in about a second. What the seed does not decide is
// which goroutine goes first: a failing seed fails again often, not always, so it
// is run many times to be looked at. Only tests use it: "make sim".
package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/history"
)

// Options are what a run may be told instead of leaving it to its seed.
type Options struct {
	Seed   uint64
	Faults []string // only these kinds; all that the seed picks when empty
	Store  string   // "bolt" or "wal"
	Shape  string   // such as "2+2": how many nodes each region has
	Dir    string   // where the disks are, which is left behind; default a temporary one
}

// Result is what a run has done and found.
type Result struct {
	Seed       uint64
	What       string // the cluster and the kinds of faults
	Virtual    time.Duration
	Operations int
	Unknown    int // of these, operations whose outcome their client never learned
	Refused    int // and that certainly were not applied
	Elements   int // that were waited for
	Swallowed  int // of these, elements that went to clients that had gone away
	Faults     map[string]int
	Recovery   time.Duration // from the last fault's end to a cluster that is whole
	Violations []string
	Log        string // what the nodes said, if there are violations
}

// Run makes one run.
func Run(t *testing.T, o Options) Result {
	res := Result{Seed: o.Seed, Faults: map[string]int{}}
	var ops []history.Op
	var healed time.Duration
	var said string
	synctest.Test(t, func(t *testing.T) {
		r := newRun(t, o)
		r.live()
		healed, res.Virtual = r.healed, r.lived
		res.What, res.Recovery = r.plan.String(), r.recovery
		maps.Copy(res.Faults, r.faults.count)
		res.Violations = r.watch.violations()
		said = r.cluster.Said() + r.stacks
		ops = r.recorder.Ops()
	})
	// Out of the bubble, as porcupine bounds its work by the real time.
	report := history.Check(ops, history.CheckOptions{MaxDuration: answerWithin, Healed: healed, Grace: lockGrace, Well: healed + wellAfter, Notice: notice})
	res.Operations, res.Unknown, res.Refused = report.Ops, report.Unknowns, report.Refusals
	res.Elements, res.Swallowed = report.Elements, report.Swallowed
	for _, v := range report.Violations {
		res.Violations = append(res.Violations, v.String())
	}
	if len(res.Violations) > 0 {
		res.Log = said
	}
	return res
}

func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s; %d operations (%d unknown, %d refused), %d elements (%d swallowed) in %v, whole again after %v; faults:",
		r.Seed, r.What, r.Operations, r.Unknown, r.Refused, r.Elements, r.Swallowed, r.Virtual.Round(time.Second), r.Recovery.Round(time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
		fmt.Fprintf(&b, " %s %d", name, r.Faults[name])
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "\nVIOLATION %s", v)
	}
	return b.String()
}

// random makes a source that depends on the seed and on what it is for, so that
// one use does not shift the numbers of another.
func random(seed uint64, use string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(use) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}

// between returns a duration from min to max; short ones are likelier.
func between(rng *rand.Rand, min, max time.Duration) time.Duration {
	x := rng.Float64()
	return min + time.Duration(x*x*float64(max-min))
}
