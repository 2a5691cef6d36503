package system

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// slots is the number of slots, which belong to regions in ranges without a gap.
const slots = 16384

const (
	// maxEpoch is the last epoch of the state: short of what could overflow.
	maxEpoch = 1<<63 - 1
	// maxRegionEpoch is the last epoch of a region: fencing tokens have 16 bits for it.
	maxRegionEpoch = 1<<16 - 1
)

// validate checks that the parts of a state fit each other, so that nobody who acts
// on it has to.
func (s *State) validate() error {
	if id, err := hex.DecodeString(s.ID); err != nil || len(id) != 16 {
		return fmt.Errorf("cluster id %q is not 32 hex digits", s.ID)
	}
	if s.Features < 1 {
		return fmt.Errorf("feature level %d", s.Features)
	}
	if s.Goal != "node" && s.Goal != "region" {
		return fmt.Errorf("survival goal %q", s.Goal)
	}
	if s.Epoch > maxEpoch {
		return fmt.Errorf("epoch %d", s.Epoch)
	}
	for _, r := range s.Regions {
		if r.Epoch < 1 || r.Epoch > maxRegionEpoch {
			return fmt.Errorf("region %q has epoch %d", r.Name, r.Epoch)
		}
	}
	regions := names(s.Regions, func(r *Region) string { return r.Name })
	nodes := names(s.Nodes, func(n *Node) string { return n.ID })
	groups := names(s.Groups, func(g *Group) string { return g.Name })
	return errors.Join(
		unique("region", slices.Concat(regions, s.Witnesses)), unique("node", nodes), unique("group", groups),
		known("region", slices.Concat(regions, s.Witnesses), names(s.Nodes, func(n *Node) string { return n.Region })),
		known("region", regions, names(s.Rules, func(r *Rule) string { return r.Region })),
		known("region", regions, names(s.Groups, func(g *Group) string { return g.Home })),
		s.validateSlots(regions), s.validateGroups(nodes), s.validateSettings(),
	)
}

func (s *State) validateSlots(regions []string) error {
	next := 0
	for _, r := range s.Slots {
		if int(r.First) != next || r.Last < r.First {
			return fmt.Errorf("slots %d to %d after slot %d", r.First, r.Last, next-1)
		}
		next = int(r.Last) + 1
	}
	if next != slots {
		return fmt.Errorf("the slots end with %d", next-1)
	}
	return known("region", regions, names(s.Slots, func(r *Slots) string { return r.Region }))
}

func (s *State) validateGroups(nodes []string) error {
	for i := range s.Groups {
		g := &s.Groups[i]
		if len(g.Voters) == 0 {
			return fmt.Errorf("group %q has no voters", g.Name)
		}
		replicas := g.Replicas()
		if err := errors.Join(unique("replica", replicas), known("node", nodes, replicas), known("voter", g.Voters, g.Leaders)); err != nil {
			return fmt.Errorf("group %q: %w", g.Name, err)
		}
	}
	return nil
}

// The bounds of the settings, which every change of the state copies.
const (
	maxSettings     = 64
	maxSettingName  = 64
	maxSettingValue = 4096
)

func (s *State) validateSettings() error {
	if len(s.Settings) > maxSettings {
		return fmt.Errorf("%d settings", len(s.Settings))
	}
	for name, value := range s.Settings {
		if name == "" || len(name) > maxSettingName || len(value) > maxSettingValue || !utf8.ValidString(name+value) {
			return fmt.Errorf("setting %q is empty, too long or not text", name)
		}
	}
	return nil
}

// names lists what name says of the elements.
func names[T any](of []T, name func(*T) string) []string {
	list := make([]string, len(of))
	for i := range of {
		list[i] = name(&of[i])
	}
	return list
}

// unique refuses a list with a name twice, or without one.
func unique(what string, list []string) error {
	seen := make(map[string]bool, len(list))
	for _, name := range list {
		if name == "" || seen[name] {
			return fmt.Errorf("%s %q is there twice, or has no name", what, name)
		}
		seen[name] = true
	}
	return nil
}

// known refuses names that are not among those there are.
func known(what string, there, list []string) error {
	for _, name := range list {
		if !slices.Contains(there, name) {
			return fmt.Errorf("there is no %s %q", what, name)
		}
	}
	return nil
}
