package placement

import (
	"fmt"
	"slices"
	"strings"
)

// StopsWithout returns the names of the groups that have no quorum of voters
// while the given nodes are away, in the order of the plan.
func (p Placement) StopsWithout(away ...string) []string {
	var stopped []string
	for _, g := range p.Groups {
		left := 0
		for _, id := range g.Voters {
			if !slices.Contains(away, id) {
				left++
			}
		}
		if left < len(g.Voters)/2+1 {
			stopped = append(stopped, g.Name)
		}
	}
	return stopped
}

// StopsWithoutRegion is StopsWithout for all nodes of a region.
func (p Placement) StopsWithoutRegion(region string) []string {
	return p.StopsWithout(p.nodesIn(region)...)
}

func (p Placement) nodesIn(region string) []string {
	var ids []string
	for _, n := range p.nodes {
		if n.Region == region {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// Warnings says in sentences for an operator what this cluster does not survive
// although its users may think so. It is empty when any one node may fail, there
// is more than one region, and every region has nodes. That the goal "node" does
// not survive the loss of a region is no warning; see StopsWithoutRegion.
func (p Placement) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }

	stops := map[string][]string{} // what stops: the single nodes that do it
	var order []string
	for _, n := range p.nodes {
		if groups := strings.Join(p.StopsWithout(n.ID), ", "); groups != "" {
			if stops[groups] == nil {
				order = append(order, groups)
			}
			stops[groups] = append(stops[groups], n.ID)
		}
	}
	if len(p.nodes) == 1 {
		warn("one node: everything stops while it is away, and all is lost with its disk; add two nodes")
	} else {
		for _, groups := range order {
			warn("no node to spare: while %s is away, these groups stop: %s; add nodes until there are three",
				strings.Join(stops[groups], " or "), groups)
		}
	}
	if len(p.regions) == 1 {
		warn("one region: everything stops while %s is away; add nodes in a second region", p.regions[0])
	}
	for _, r := range p.regions {
		if len(p.nodesIn(r)) == 0 {
			warn("region %s has no node: its group is kept and led elsewhere; add nodes in %s", r, r)
		}
	}
	return warnings
}
