package main

import (
	"errors"
	"slices"
	"testing"

	"phonond/cluster/proctest"
)

func TestScheduleIsThatOfItsSeed(t *testing.T) {
	deal := func(seed uint64) (rounds []string, seeds []uint64) {
		s := newSchedule(seed, nemeses())
		for range 100 {
			plan := s.next()
			rounds = append(rounds, title(plan))
			for _, p := range plan {
				seeds = append(seeds, p.seed)
			}
		}
		return rounds, seeds
	}
	rounds, seeds := deal(7)
	again, seedsAgain := deal(7)
	other, _ := deal(8)
	if !slices.Equal(rounds, again) || !slices.Equal(seeds, seedsAgain) {
		t.Error("the same seed makes another schedule")
	}
	if slices.Equal(rounds, other) {
		t.Error("two seeds make the same schedule")
	}
}

func TestScheduleDealsEveryFault(t *testing.T) {
	list := nemeses()
	s := newSchedule(1, list)
	alone, mixed := map[string]int{}, map[string]int{}
	for round := 1; round <= 3*len(list); round++ {
		plan := s.next()
		if want := round%3 == 0; want != (len(plan) > 1) || len(plan) > mostMixed {
			t.Fatalf("round %d has %s", round, title(plan))
		}
		for i, p := range plan {
			if slices.ContainsFunc(plan[:i], func(q planned) bool { return q.nemesis == p.nemesis }) {
				t.Errorf("round %d has a fault twice: %s", round, title(plan))
			}
			if len(plan) == 1 {
				alone[p.name]++
			} else {
				mixed[p.name]++
			}
		}
	}
	for _, n := range list {
		if alone[n.name] != 2 || mixed[n.name] < 1 {
			t.Errorf("%s came %d times alone and %d times with others", n.name, alone[n.name], mixed[n.name])
		}
	}
	one := newSchedule(1, list[:1])
	for range 9 {
		if plan := one.next(); len(plan) != 1 {
			t.Errorf("of one fault came %s", title(plan))
		}
	}
}

func TestChoose(t *testing.T) {
	all := len(nemeses())
	four := []proctest.Region{{Name: "a", Nodes: 2}, {Name: "b", Nodes: 2}}
	three, two, one := []proctest.Region{{Name: "a", Nodes: 3}}, []proctest.Region{{Name: "a", Nodes: 2}}, []proctest.Region{{Name: "a", Nodes: 1}}
	for _, c := range []struct {
		name string
		o    options
		want int // 0 for an error
	}{
		{"all", options{topology: four}, all},
		{"those of one region", options{topology: three}, all - 1},
		{"those of two nodes", options{topology: two}, all - 2},
		{"those of one node", options{topology: one}, all - 7},
		{"those of loopback", options{topology: four, loopback: true}, all - 11},
		{"some", options{nemeses: []string{"kill-all", "disk-full"}}, 2},
		{"what one node has not", options{topology: one, nemeses: []string{"one-way"}}, 0},
		{"what one region has not", options{topology: three, nemeses: []string{"region-cut"}}, 0},
		{"none such", options{nemeses: []string{"kill-all", "nothing"}}, 0},
		{"twice", options{nemeses: []string{"kill-all", "kill-all"}}, 0},
		{"what loopback has not", options{loopback: true, nemeses: []string{"halves"}}, 0},
	} {
		list, err := choose(c.o)
		if len(list) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d faults, %v", c.name, len(list), err)
		}
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-topology", "a=2,b=1", "-seed", "7", "-short", "-nemeses", "clock,halves"})
	if err != nil || len(o.topology) != 2 || o.topology[0].Nodes != 2 || o.topology[1].Name != "b" || o.seed != 7 ||
		o.duration != shortDuration || !slices.Equal(o.nemeses, []string{"clock", "halves"}) {
		t.Errorf("%+v, %v", o, err)
	}
	if err := run(t.Context(), []string{"kill-all"}); !errors.Is(err, proctest.ErrUsage) {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{
		{"-topology", "a"}, {"-topology", "a=0"}, {"-topology", "=1"}, {"-topology", "a=2,a=2"}, {"-topology", "a=5,b=5"},
		{"-duration", "0s"}, {"-duration", "-1s"}, {"-clients", "0"}, {"-short", "loopback"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
