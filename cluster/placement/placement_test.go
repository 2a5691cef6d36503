package placement

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// parseTown makes nodes from a description such as "a2 b1 w1!": two nodes a1 and a2 in
// region a, and so on; the mark makes a region a witness. The regions are those
// without the mark, in the order written.
func parseTown(t *testing.T, s string) (nodes []Node, regions []string) {
	t.Helper()
	for f := range strings.FieldsSeq(s) {
		f, witness := strings.CutSuffix(f, "!")
		var n int
		if _, err := fmt.Sscanf(f[1:], "%d", &n); err != nil {
			t.Fatalf("bad description %q: %v", s, err)
		}
		for i := range n {
			nodes = append(nodes, Node{ID: fmt.Sprintf("%c%d", f[0], i+1), Region: f[:1], Witness: witness})
		}
		if !witness {
			regions = append(regions, f[:1])
		}
	}
	return nodes, regions
}

// describe prints a group as "voters / learners / leaders".
func describe(g Group) string {
	return strings.Join(g.Voters, " ") + " / " + strings.Join(g.Learners, " ") + " / " + strings.Join(g.Leaders, " ")
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name, town string
		goal       Goal
		want       map[string]string // group: voters / learners / leaders
	}{
		{"one node", "a1", GoalNode, map[string]string{
			System: "a1 /  / a1",
			"a":    "a1 /  / a1",
		}},
		{"two nodes in one region both vote", "a2", GoalNode, map[string]string{
			System: "a1 a2 /  / a1 a2",
			"a":    "a1 a2 /  / a2 a1",
		}},
		{"one node in each of two regions", "a1 b1", GoalNode, map[string]string{
			System: "a1 b1 /  / a1 b1",
			"a":    "a1 b1 /  / a1 b1",
			"b":    "b1 a1 /  / b1 a1",
		}},
		{"the recommended minimum with two nodes a region", "a2 b2", GoalNode, map[string]string{
			System: "a1 b1 a2 / b2 / a1 a2 b1",
			"a":    "a1 a2 b2 /  / a2 a1 b2",
			"b":    "b1 b2 a1 /  / b1 b2 a1",
		}},
		{"four at home make three voters and a learner", "a4 b3", GoalNode, map[string]string{
			System: "a1 a2 b1 b2 a3 / a4 b3 / a1 a2 a3 b1 b2",
			"a":    "a4 a1 a2 / a3 b3 / a2 a4 a1",
			"b":    "b1 b2 b3 / a4 / b1 b2 b3",
		}},
		{"five at home make five voters, the sixth has no replica", "a6 b3", GoalNode, map[string]string{
			"a": "a4 a5 a6 a1 a2 / b3 / a2 a4 a5 a6 a1",
		}},
		{"each near region gives one before any gives two", "a1 b2 c2", GoalNode, map[string]string{
			"a": "a1 b1 c1 /  / a1 b1 c1",
		}},
		{"nearest first", "a2 b3 c3", GoalNode, map[string]string{
			"a": "a1 a2 b3 / c2 / a2 a1 b3",
			"c": "c1 c2 c3 / a2 b1 / c1 c2 c3",
		}},
		{"a region without nodes lives elsewhere", "a3 b0", GoalNode, map[string]string{
			"b": "a1 a2 a3 /  / a3 a1 a2",
		}},
		{"a witness votes where nobody else can, and never leads", "a1 b1 w1!", GoalNode, map[string]string{
			System: "a1 b1 w1 /  / a1 b1",
			"a":    "a1 b1 w1 /  / a1 b1",
		}},
		{"a witness holds nothing that others can hold", "a3 b3 w1!", GoalNode, map[string]string{
			System: "a1 a2 b1 w1 b2 / a3 b3 / a1 a2 b1 b2",
			"a":    "a3 a1 a2 / b3 / a2 a3 a1",
		}},
		{"three regions survive a region", "a2 b2 c2", GoalRegion, map[string]string{
			System: "a1 a2 b1 c1 b2 / c2 / a1 a2 b1 b2 c1",
			"a":    "a1 a2 b1 c2 b2 /  / a2 a1 b1 b2 c2",
			"b":    "b1 b2 a1 c1 a2 /  / b1 b2 a1 a2 c1",
			"c":    "c2 c1 b1 a1 b2 /  / c1 c2 b2 b1 a1",
		}},
		{"four regions give one each beside home", "a2 b2 c2 d2", GoalRegion, map[string]string{
			"a": "a1 a2 b2 c2 d2 /  / a2 a1 b2 c2 d2",
		}},
		{"two regions and a witness survive a region", "a2 b2 w1!", GoalRegion, map[string]string{
			"a": "a1 a2 b1 w1 b2 /  / a2 a1 b1 b2",
			"b": "b1 b2 a1 w1 a2 /  / b1 b2 a1 a2",
		}},
		{"home may have one node if the others have two", "a1 b2 c2", GoalRegion, map[string]string{
			"a": "a1 b1 c1 b2 c2 /  / a1 b1 b2 c1 c2",
		}},
		{"rather three system voters than a majority in one region", "a3 b1 c1", GoalNode, map[string]string{
			System: "a1 b1 c1 / a2 a3 / a1 b1 c1",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nodes, regions := parseTown(t, tt.town)
			p, err := Plan(nodes, regions, tt.goal)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tt.want {
				g, ok := p.Group(name)
				if !ok {
					t.Fatalf("no group %s", name)
				}
				if got := describe(g); got != want {
					t.Errorf("group %s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPlanByDistance(t *testing.T) {
	nodes, regions := parseTown(t, "a2 b2 c2")
	// c is next door to a, and b is far from both.
	distance := func(from, to string) int {
		if from != "b" && to != "b" {
			return 1
		}
		return 10
	}
	p, err := PlanBy(nodes, regions, GoalNode, distance)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := p.Group("a")
	if !strings.HasPrefix(g.Voters[2], "c") {
		t.Errorf("the third voter of a is %s, want one in c", g.Voters[2])
	}
}

func TestPlanRefuses(t *testing.T) {
	tests := []struct {
		name    string
		nodes   []Node
		regions []string
		goal    Goal
		want    error
		says    string
	}{
		{"no node", nil, []string{"a"}, GoalNode, ErrInput, "no node"},
		{"no region", []Node{{ID: "n", Region: "a"}}, nil, GoalNode, ErrInput, "no region"},
		{"unknown goal", []Node{{ID: "n", Region: "a"}}, []string{"a"}, "zone", ErrInput, `"zone"`},
		{"a node twice", []Node{{ID: "n", Region: "a"}, {ID: "n", Region: "a"}}, []string{"a"}, GoalNode, ErrInput, "node n is listed twice"},
		{"a region twice", []Node{{ID: "n", Region: "a"}}, []string{"a", "a"}, GoalNode, ErrInput, "region a is listed twice"},
		{"a node without id", []Node{{Region: "a"}}, []string{"a"}, GoalNode, ErrInput, "no id"},
		{"a region named system", []Node{{ID: "n", Region: System}}, []string{System}, GoalNode, ErrInput, "system"},
		{"a node in an unlisted region", []Node{{ID: "n", Region: "b"}}, []string{"a"}, GoalNode, ErrInput, "not listed"},
		{"a witness in a region with a group", []Node{{ID: "n", Region: "a", Witness: true}}, []string{"a"}, GoalNode, ErrInput, "witness"},
		{"too many nodes", make([]Node, MaxNodes+1), []string{"a"}, GoalNode, ErrInput, "at most 512"},
		{"too many regions", []Node{{ID: "n", Region: "a"}}, make([]string, MaxRegions+1), GoalNode, ErrInput, "at most 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Plan(tt.nodes, tt.regions, tt.goal)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v saying %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestPlanRefusesARegionGoalThatCannotBeMet(t *testing.T) {
	for town, says := range map[string]string{
		"a2 b2":     "add nodes in a third region, or in a witness region",
		"a9":        "here they are in 1 (a 9)",
		"a5 b5 c0":  "here they are in 2 (a 5, b 5, c 0)",
		"a1 b1 c1":  "the nodes give 3 (a 1, b 1, c 1); add 2 more",
		"a9 b1 c1":  "the nodes give 4 (a 9, b 1, c 1); add 1 more",
		"a2 b1 w1!": "add 1 more",
	} {
		nodes, regions := parseTown(t, town)
		_, err := Plan(nodes, regions, GoalRegion)
		if !errors.Is(err, ErrImpossible) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want it to say %q", town, err, says)
		}
	}
}

// randomTown has up to five regions of up to seven nodes, and sometimes a witness
// region.
func randomTown(r *rand.Rand) (nodes []Node, regions []string) {
	for i := range 1 + r.IntN(5) {
		region := string(rune('a' + i))
		regions = append(regions, region)
		for j := range r.IntN(8) {
			nodes = append(nodes, Node{ID: fmt.Sprintf("%s%d", region, j), Region: region})
		}
	}
	if r.IntN(3) == 0 {
		for j := range 1 + r.IntN(2) {
			nodes = append(nodes, Node{ID: fmt.Sprintf("w%d", j), Region: "w", Witness: true})
		}
	}
	return nodes, regions
}

// TestPlanKeepsItsPromises checks on many clusters what every plan promises.
func TestPlanKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	planned := map[Goal]int{}
	for range 4000 {
		nodes, regions := randomTown(r)
		for _, goal := range []Goal{GoalNode, GoalRegion} {
			p, err := Plan(nodes, regions, goal)
			if errors.Is(err, ErrImpossible) && goal == GoalRegion || len(nodes) == 0 {
				continue
			}
			if err != nil {
				t.Fatalf("%v %v: %v", nodes, regions, err)
			}
			planned[goal]++
			if bad := broken(p, nodes, regions); bad != "" {
				t.Fatalf("goal %s, nodes %v, regions %v: %s\n%+v", goal, nodes, regions, bad, p.Groups)
			}
		}
	}
	if planned[GoalNode] < 3000 || planned[GoalRegion] < 1000 {
		t.Fatalf("too few clusters could be planned to mean anything: %v", planned)
	}
}

// broken returns the promise that the plan breaks, if any.
func broken(p Placement, nodes []Node, regions []string) string {
	regionOf := map[string]Node{}
	for _, n := range nodes {
		regionOf[n.ID] = n
	}
	if len(p.Groups) != len(regions)+1 || p.Groups[0].Name != System {
		return "not one group per region and the system group"
	}
	for _, n := range nodes {
		if stops := p.StopsWithout(n.ID); len(nodes) >= 3 && len(stops) > 0 {
			return fmt.Sprintf("without node %s these stop: %v", n.ID, stops)
		}
		if stops := p.StopsWithoutRegion(n.Region); p.Goal == GoalRegion && len(stops) > 0 {
			return fmt.Sprintf("without region %s these stop: %v", n.Region, stops)
		}
	}
	for _, g := range p.Groups {
		replicas := slices.Concat(g.Voters, g.Learners)
		seen, where, atHome := map[string]bool{}, map[string]bool{}, 0
		for i, id := range replicas {
			if seen[id] {
				return g.Name + ": two replicas on " + id
			}
			seen[id], where[regionOf[id].Region] = true, true
			if i < len(g.Voters) && regionOf[id].Region == g.Home {
				atHome++
			}
		}
		if n := len(g.Voters); n == 0 || n > MaxVoters || n%2 == 0 && len(nodes) > 2 {
			return fmt.Sprintf("%s has %d voters", g.Name, n)
		}
		if g.Name == System && len(replicas) != len(nodes) {
			return "a node has no replica of the system group"
		}
		for _, n := range nodes {
			if !n.Witness && !where[n.Region] {
				return g.Name + " has no replica in " + n.Region
			}
		}
		if len(g.Leaders) > 0 && atHome > 0 && regionOf[g.Leaders[0]].Region != g.Home {
			return g.Name + " should be led at home"
		}
		for _, id := range g.Leaders {
			if regionOf[id].Witness || !slices.Contains(g.Voters, id) {
				return g.Name + " should not be led by " + id
			}
		}
	}
	return ""
}

func TestPlanDoesNotDependOnTheOrderOfNodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		nodes, regions := randomTown(r)
		if len(nodes) == 0 {
			continue
		}
		want, err := Plan(nodes, regions, GoalNode)
		if err != nil {
			t.Fatal(err)
		}
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		got, err := Plan(nodes, regions, GoalNode)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("another order, another plan (%v):\n%+v\n%+v", err, got.Groups, want.Groups)
		}
	}
}

// TestSeatsAreSpread: with equal regions no node holds many more replicas than
// another, and no two groups are led by the same node.
func TestSeatsAreSpread(t *testing.T) {
	nodes, regions := parseTown(t, "a2 b2 c2 d2")
	p, err := Plan(nodes, regions, GoalNode)
	if err != nil {
		t.Fatal(err)
	}
	seats, leads := map[string]int{}, map[string]int{}
	for _, g := range p.Groups {
		leads[g.Leaders[0]]++
		if g.Name != System {
			for _, id := range slices.Concat(g.Voters, g.Learners) {
				seats[id]++
			}
		}
	}
	for _, n := range nodes {
		if s := seats[n.ID]; s < 2 || s > 3 || leads[n.ID] > 1 {
			t.Errorf("%s holds %d replicas and leads %d groups: %v %v", n.ID, s, leads[n.ID], seats, leads)
		}
	}
}

func TestWarnings(t *testing.T) {
	for town, want := range map[string][]string{
		"a1":       {"one node: everything stops", "one region"},
		"a2":       {"while a1 or a2 is away, these groups stop: system, a", "one region"},
		"a3":       {"one region: everything stops while a is away"},
		"a1 b1":    {"while a1 or b1 is away, these groups stop: system, a, b"},
		"a3 b0":    {"region b has no node"},
		"a2 b2":    nil,
		"a1 b1 c1": nil,
	} {
		nodes, regions := parseTown(t, town)
		p, err := Plan(nodes, regions, GoalNode)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Warnings()
		if len(got) != len(want) {
			t.Errorf("%s: got %q, want %q", town, got, want)
			continue
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: got %q, want it to say %q", town, got[i], want[i])
			}
		}
	}
}

func TestSlots(t *testing.T) {
	for n := 1; n <= MaxRegions; n++ {
		regions := make([]string, n)
		for i := range regions {
			regions[i] = fmt.Sprint("r", i)
		}
		ranges := Slots(regions)
		if len(ranges) != n {
			t.Fatalf("%d regions: %d ranges", n, len(ranges))
		}
		next := 0
		for i, r := range ranges {
			size := int(r.Last) - int(r.First) + 1
			if int(r.First) != next || r.Region != regions[i] || size < SlotCount/n || size > SlotCount/n+1 {
				t.Fatalf("%d regions: range %d is %+v", n, i, r)
			}
			next = int(r.Last) + 1
		}
		if next != SlotCount {
			t.Fatalf("%d regions: the ranges end at %d", n, next)
		}
	}
	if Slots(nil) != nil {
		t.Error("no regions, yet somebody got slots")
	}
}
