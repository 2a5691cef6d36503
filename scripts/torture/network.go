package main

import (
	"context"
	"time"
)

// networkFaults are what happens between the nodes. Clients reach all of them, but
// for those whose interface is down.
var networkFaults = []*nemesis{
	{"link-down", "the interface of a node goes down", privileges, func(ctx context.Context, s *scene) error {
		return s.linkDown(ctx, s.someone(), 2*time.Second, 30*time.Second)
	}},
	{"link-flaps", "the interface of a leader goes down and up again and again", privileges, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		for range 3 + s.rng.IntN(5) {
			if err := s.linkDown(ctx, k, 300*time.Millisecond, 4*time.Second); err != nil {
				return err
			}
			s.last(ctx, 300*time.Millisecond, 4*time.Second)
		}
		return nil
	}},
	{"halves", "the nodes fall into two parts", twoNodes, func(ctx context.Context, s *scene) error {
		list := s.some(len(s.keepers))
		at := 1 + s.rng.IntN(len(list)-1)
		return s.separate(ctx, list[:at], list[at:])
	}},
	{"region-cut", "a region is cut off", twoRegions, func(ctx context.Context, s *scene) error {
		region := s.o.topology[s.rng.IntN(len(s.o.topology))].Name
		var in, out []*keeper
		for _, k := range s.keepers {
			if k.node.Region == region {
				in = append(in, k)
			} else {
				out = append(out, k)
			}
		}
		return s.separate(ctx, in, out)
	}},
	{"isolate-leader", "a leader is cut off from all other nodes", twoNodes, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		return s.separate(ctx, []*keeper{k}, s.others(k))
	}},
	{"bridge", "the nodes fall into two parts, and one node sees both", twoNodes, func(ctx context.Context, s *scene) error {
		list := s.some(len(s.keepers))
		if len(list) < 3 {
			return s.separate(ctx, list[:1], list[1:])
		}
		at := 2 + s.rng.IntN(len(list)-2)
		s.say("%s sees both sides", list[0].node.ID)
		return s.separate(ctx, list[1:at], list[at:])
	}},
	{"one-way", "a node, mostly a leader, hears nothing from some of the others, which hear it", twoNodes, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		if s.rng.IntN(3) == 0 {
			k = s.someone()
		}
		from := s.others(k)
		from = from[:1+s.rng.IntN(len(from))]
		s.say("%s hears nothing from %s", k.node.ID, names(from))
		return s.lose(ctx, between(from, []*keeper{k}))
	}},
	{"mute", "some of the others hear nothing from a node, mostly a leader, which hears them", twoNodes, func(ctx context.Context, s *scene) error {
		k, _ := s.leader()
		if s.rng.IntN(3) == 0 {
			k = s.someone()
		}
		to := s.others(k)
		to = to[:1+s.rng.IntN(len(to))]
		s.say("%s hear nothing from %s", names(to), k.node.ID)
		return s.lose(ctx, between([]*keeper{k}, to))
	}},
}

// others returns all nodes but one, in any order.
func (s *scene) others(not *keeper) (list []*keeper) {
	for _, k := range s.some(len(s.keepers)) {
		if k != not {
			list = append(list, k)
		}
	}
	return list
}

// between lists the directions from each of some nodes to each of others.
func between(from, to []*keeper) (list []direction) {
	for _, a := range from {
		for _, b := range to {
			list = append(list, direction{a.node.ID, b.node.ID})
		}
	}
	return list
}

// separate cuts two sets of nodes off from each other.
func (s *scene) separate(ctx context.Context, a, b []*keeper) error {
	s.say("cut %s off from %s", names(a), names(b))
	return s.lose(ctx, append(between(a, b), between(b, a)...))
}

// lose drops what is sent in some directions for a while.
func (s *scene) lose(ctx context.Context, list []direction) (err error) {
	s.health.drop(list, 1)
	if err := s.lab.drop(list); err != nil {
		return err
	}
	defer func() {
		err = s.lab.restore(list)
		s.health.drop(list, -1)
	}()
	s.last(ctx, 2*time.Second, 40*time.Second)
	return nil
}

// linkDown takes a node's interface down for a while.
func (s *scene) linkDown(ctx context.Context, k *keeper, least, most time.Duration) (err error) {
	s.say("link of %s down", k.node.ID)
	s.health.ail(k.node.ID, cutOff)
	if err := s.lab.link(k.node.ID, false); err != nil {
		return err
	}
	defer func() {
		err = s.lab.link(k.node.ID, true)
		s.health.recover(k.node.ID, cutOff)
	}()
	s.last(ctx, least, most)
	return nil
}
