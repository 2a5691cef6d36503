package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"phonond/cluster/clustertest"
	"phonond/cluster/clustertest/simdisk"
	"phonond/cluster/group"
	"phonond/cluster/placement"
)

// The bounds of a run.
const (
	minFaulty = 20 * time.Second // for how long faults come
	maxFaulty = 90 * time.Second
	maxGap    = 6 * time.Second // between the beginnings of two faults
)

// plan is what a seed decides before anything runs.
type plan struct {
	regions  []clustertest.Region
	goal     placement.Goal
	store    simdisk.Kind
	far      time.Duration // the round trip between regions
	near     time.Duration // and within one
	clients  int
	faulty   time.Duration
	gap      time.Duration // between faults, at most
	faults   []fault       // from which it is drawn
	limits   group.Limits
	settle   time.Duration
	thinking time.Duration // between two operations of a client, at most
}

// shapes are the clusters that seeds choose from, by the nodes of each region.
var shapes = []string{"2+2", "2+2", "2+2", "2+2+1", "2+2+1", "2+1+1", "1+1+1", "3+2", "3", "1+1"}

func makePlan(o Options) (plan, error) {
	rng := random(o.Seed, "plan")
	p := plan{
		goal:     placement.GoalNode,
		store:    []simdisk.Kind{simdisk.Bolt, simdisk.WAL}[rng.IntN(2)],
		far:      between(rng, time.Millisecond, 150*time.Millisecond),
		near:     between(rng, 0, 5*time.Millisecond),
		clients:  3 + rng.IntN(4),
		faulty:   between(rng, minFaulty, maxFaulty),
		gap:      between(rng, time.Second, maxGap),
		limits:   randomLimits(rng),
		settle:   between(rng, time.Second, 30*time.Second),
		thinking: between(rng, 20*time.Millisecond, 400*time.Millisecond),
	}
	shape := shapes[rng.IntN(len(shapes))]
	if o.Shape != "" {
		shape = o.Shape
	}
	for i, n := range strings.Split(shape, "+") {
		r := clustertest.Region{Name: []string{"east", "west", "north"}[i]}
		if _, err := fmt.Sscan(n, &r.Nodes); err != nil {
			return p, fmt.Errorf("shape %q: %w", shape, err)
		}
		p.regions = append(p.regions, r)
	}
	if shape == "2+2+1" && rng.IntN(2) == 0 {
		p.goal = placement.GoalRegion
	}
	if o.Store != "" {
		p.store = simdisk.Kind(o.Store)
	}
	var err error
	p.faults, err = pickFaults(rng, o.Faults)
	return p, err
}

// randomLimits are limits at which snapshots come all the time, and at which a
// replica that was away for a moment has to be sent one.
func randomLimits(rng *rand.Rand) group.Limits {
	l := group.DefaultLimits()
	l.SnapshotInterval = between(rng, 100*time.Millisecond, 20*time.Second)
	l.SnapshotEntries = 1 + rng.Int64N(200)
	l.TrailingBytes, l.TrailingEntries = 1, 1+rng.Uint64N(60)
	return l
}

// pickFaults chooses the kinds of faults of a run: one alone, or some mixed.
func pickFaults(rng *rand.Rand, only []string) ([]fault, error) {
	if len(only) == 0 {
		n := 1
		if rng.IntN(4) > 0 {
			n = 2 + rng.IntN(5)
		}
		var picked []fault
		for _, i := range rng.Perm(len(faults))[:n] {
			picked = append(picked, faults[i])
		}
		return picked, nil
	}
	var picked []fault
	for _, name := range only {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no fault is called %q", name)
		}
		picked = append(picked, faults[i])
	}
	return picked, nil
}

func (p plan) String() string {
	var shape, kinds []string
	for _, r := range p.regions {
		shape = append(shape, fmt.Sprint(r.Nodes))
	}
	for _, f := range p.faults {
		kinds = append(kinds, f.name)
	}
	return fmt.Sprintf("%s nodes, goal %s, %s, %v apart, %d clients, %s for %v", strings.Join(shape, "+"), p.goal, p.store,
		p.far.Round(time.Millisecond), p.clients, strings.Join(kinds, " and "), p.faulty.Round(time.Second))
}
