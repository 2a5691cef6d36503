package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
)

// need is what a fault takes that not every machine, or cluster, has.
type need int

const (
	nothing    need = iota
	tracing         // to tamper with processes of the same user
	privileges      // namespaces and mounts, that is to be root on Linux
	twoNodes        // privileges, and another node to be cut off from
	threeNodes      // privileges, and a majority without the node
	twoRegions      // privileges, and another region to be cut off from
)

// nemesis is a kind of fault.
type nemesis struct {
	name  string
	what  string
	needs need
	// run injects the fault, keeps it up for a while, and takes it back, also when
	// ctx ends before.
	run func(ctx context.Context, s *scene) error
}

// scene is where one fault takes place.
type scene struct {
	*rig
	rng   *rand.Rand
	alone bool // no other fault is injected meanwhile
}

// nemeses are all kinds of faults.
func nemeses() []*nemesis {
	return slices.Concat(processFaults, networkFaults, diskFaults, otherFaults)
}

// errIdle is returned by a fault that could do nothing, because of another one.
var errIdle = errors.New("nothing was done")

// lacks returns what a fault takes that is not there, "" if it can be injected.
func (n *nemesis) lacks(o options) string {
	nodes := 0
	for _, r := range o.topology {
		nodes += r.Nodes
	}
	switch {
	case n.needs == tracing && !canTrace():
		return "the right to trace processes"
	case n.needs >= privileges && o.loopback:
		return "namespaces and mounts"
	case n.needs == twoNodes && nodes < 2:
		return "two nodes"
	case n.needs == threeNodes && nodes < 3:
		return "three nodes"
	case n.needs == twoRegions && len(o.topology) < 2:
		return "two regions"
	}
	return ""
}

// canTrace reports whether strace may attach to a process that it has not started.
func canTrace() bool {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return os.Geteuid() == 0 || err != nil || strings.TrimSpace(string(scope)) == "0"
}

// choose returns those that the options name and that can be injected here.
func choose(o options) (list []*nemesis, err error) {
	for _, n := range nemeses() {
		lacks := n.lacks(o)
		wanted := slices.Contains(o.nemeses, n.name)
		if wanted && lacks != "" {
			return nil, fmt.Errorf("-nemeses: %s takes %s", n.name, lacks)
		}
		if lacks == "" && (wanted || o.nemeses == nil) {
			list = append(list, n)
		}
	}
	if o.nemeses != nil && len(list) != len(o.nemeses) {
		return nil, fmt.Errorf("-nemeses: not all of %v are there, or some twice", o.nemeses)
	}
	return list, nil
}

// describeNemeses lists them for -help.
func describeNemeses() string {
	var b strings.Builder
	for _, n := range nemeses() {
		fmt.Fprintf(&b, "  %-15s %s\n", n.name, n.what)
	}
	return b.String()
}

// The schedule: after so many faults alone come some at once.
const (
	aloneInRow = 2
	leastMixed = 2
	mostMixed  = 3
)

// schedule says which faults come. It deals them like cards, so that each comes
// before any comes again.
type schedule struct {
	rng        *rand.Rand
	list       []*nemesis
	alone, mix []*nemesis // what is left of the two packs
	round      int
}

// planned is a fault to be injected, and the seed of its choices.
type planned struct {
	*nemesis
	seed uint64
}

func newSchedule(seed uint64, list []*nemesis) *schedule {
	return &schedule{rng: rand.New(rand.NewPCG(seed, 0)), list: list}
}

// next returns what is injected at once.
func (s *schedule) next() []planned {
	pack, n := &s.alone, 1
	if s.round++; s.round%(aloneInRow+1) == 0 && len(s.list) > 1 {
		pack, n = &s.mix, min(leastMixed+s.rng.IntN(mostMixed-leastMixed+1), len(s.list))
	}
	var plan []planned
	for len(plan) < n {
		if len(*pack) == 0 {
			*pack = slices.Clone(s.list)
			s.rng.Shuffle(len(*pack), func(i, j int) { (*pack)[i], (*pack)[j] = (*pack)[j], (*pack)[i] })
		}
		next := (*pack)[0]
		*pack = (*pack)[1:]
		if !slices.ContainsFunc(plan, func(p planned) bool { return p.nemesis == next }) {
			plan = append(plan, planned{next, s.rng.Uint64()})
		}
	}
	return plan
}

// title names what is injected at once.
func title(plan []planned) string {
	var names []string
	for _, p := range plan {
		names = append(names, p.name)
	}
	return strings.Join(names, " + ")
}

// last keeps a fault up for a time between least and most, a fifth of it with
// -short.
func (s *scene) last(ctx context.Context, least, most time.Duration) {
	wait(ctx, s.between(least, most))
}

func (s *scene) between(least, most time.Duration) time.Duration {
	d := least + time.Duration(s.rng.Int64N(int64(most-least)))
	if s.o.short {
		d /= 5
	}
	return d
}

// someone returns any node.
func (s *scene) someone() *keeper { return s.keepers[s.rng.IntN(len(s.keepers))] }

// some returns at least a number of nodes, in any order.
func (s *scene) some(least int) []*keeper {
	list := slices.Clone(s.keepers)
	s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	least = min(least, len(list))
	return list[:least+s.rng.IntN(len(list)-least+1)]
}

// leader returns the node that leads a group, any node when nobody knows.
func (s *scene) leader() (k *keeper, group string) {
	group = s.groups[s.rng.IntN(len(s.groups))]
	if k := s.leaderOf(group); k != nil {
		return k, group
	}
	return s.someone(), group
}

// leaderOf asks the nodes that are well, nil for no leader.
func (r *rig) leaderOf(group string) *keeper {
	for _, k := range r.keepers {
		if !r.health.allWell(k.node.ID) {
			continue
		}
		if g, err := k.node.Group(group); err == nil && g.Leader != "" {
			return r.keeper(g.Leader)
		}
	}
	return nil
}

// names lists nodes.
func names(list []*keeper) string {
	var ids []string
	for _, k := range list {
		ids = append(ids, k.node.ID)
	}
	return strings.Join(ids, ", ")
}
