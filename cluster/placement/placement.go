// Package placement says which node holds which replica: it is the rule, as a
// pure function of the nodes, the regions and the survival goal. The reconciler
// on the system group's leader calls it and compares the answer with what the
// Raft groups really look like; the routing layer takes its slot ranges from
// here. It does no I/O, keeps no state, and never looks at who is alive: a node
// has its seat until an operator takes it away.
package placement

import (
	"errors"
	"fmt"
	"slices"
)

// System is the name of the group that holds the cluster's own records. No
// region may have this name.
const System = "system"

// Limits of a plan.
const (
	// MaxVoters is the most voters a group has. Five survive two failures; each
	// further one makes every write wait for more disks.
	MaxVoters = 5
	// MaxRegions is the most regions. Each is a Raft group with a heartbeat
	// between every two of its nodes, which is cheap up to about fifty groups.
	MaxRegions = 64
	// MaxNodes is the most nodes: every one holds a replica of the system group,
	// and its leader sends to each.
	MaxNodes = 512
)

// Errors of Plan. The text that wraps them says what would be needed.
var (
	// ErrInput is returned when the nodes or regions contradict themselves: no
	// node, a name twice, a node in a region that is not listed.
	ErrInput = errors.New("placement: invalid cluster")
	// ErrImpossible is returned when the nodes cannot meet the survival goal.
	ErrImpossible = errors.New("placement: the survival goal cannot be met")
)

// Goal is what may fail without any group losing its quorum.
type Goal string

const (
	// GoalNode: any one node. A write is committed inside its home region as soon
	// as that has three nodes.
	GoalNode Goal = "node"
	// GoalRegion: any one region. Every write waits for a node of another region.
	GoalRegion Goal = "region"
)

// ParseGoal reads the name of a goal.
func ParseGoal(s string) (Goal, error) {
	if g := Goal(s); g == GoalNode || g == GoalRegion {
		return g, nil
	}
	return "", fmt.Errorf("unknown survival goal %q: write %q or %q", s, GoalNode, GoalRegion)
}

// Node is one place for replicas.
type Node struct {
	ID     string
	Region string
	// Witness is set on every node of a witness region: a region that votes, so
	// that two others survive the loss of either, but has no group of its own and
	// never leads. A witness is a full replica, as Raft here knows no lesser one.
	Witness bool
}

// Group is where the replicas of one Raft group belong.
type Group struct {
	Name string // System, or the region's name
	Home string // the region whose nodes should lead; the first region for System
	// Voters in the order in which they were chosen: home first, then nearest.
	Voters []string
	// Learners follow without a vote. Sorted by id.
	Learners []string
	// Leaders are the voters that may lead, the best first: the home region's,
	// then the nearest region's. Witnesses are not among them.
	Leaders []string
}

// Placement is the plan for all groups.
type Placement struct {
	Goal Goal
	// Groups holds the system group, then one group per region, in the order in
	// which the regions were given.
	Groups []Group

	nodes   []Node
	regions []string
}

// Group returns the plan of the named group.
func (p Placement) Group(name string) (Group, bool) {
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return p.Groups[i], true
}

// Distance says how far one region is from another, in any unit; smaller is
// nearer. It must depend on nothing but its arguments.
type Distance func(from, to string) int

// ByOrder is the distance of places in a list: list regions as they lie beside
// each other, such as us-west, us-east, eu-west.
func ByOrder(regions []string) Distance {
	at := make(map[string]int, len(regions))
	for i, r := range regions {
		at[r] = i
	}
	return func(from, to string) int {
		d := at[from] - at[to]
		return max(d, -d)
	}
}

// Plan places the groups of a cluster. Regions are the ones with a group of
// their own, the first being the system group's home; the order also says which
// are near each other (see [ByOrder]). Nodes may come in any order. The answer
// depends on nothing else, so every node computes the same one.
//
// # How many voters
//
// The number of voters is odd wherever there are enough nodes. A fourth voter
// raises the quorum from two to three: it survives no more failures than three
// voters do, and every write waits for one more disk. So four nodes at home make
// three voters and a learner, which is ready to be promoted when a voter is
// removed for good; five nodes make five voters and survive two failures.
//
// The exception is two nodes in all. One voter and a learner would be an odd
// number too, and would go on when the learner dies; but when the voter's disk
// dies, acknowledged locks die with it. Two voters stop when either is away and
// lose nothing. A lock service must rather stop than forget.
//
// # Where they are, under GoalNode
//
// A region's group has its voters at home, at most five. Where home has fewer
// than three nodes, others fill up to three, one region after the other, nearest
// first, and a second node of the same region only when all had their turn: a
// write still waits for the nearest of them alone, and the loss of one other
// region cannot take two voters.
//
// # Where they are, under GoalRegion
//
// Five voters, two at home and at most two in any region, so that the three
// that remain after the loss of a region are a quorum. Five rather than three:
// with three, one in each region, no node could even be restarted while a region
// is away. Of the regions that remain each gives one before any gives two.
//
// # The rest
//
// A home region keeps up to five replicas, voters or learners. Every other
// region without a voter, witnesses aside, holds a learner, from which a lost
// region can be brought back. The system group has five voters,
// two of them in the first region, or three, and no region has a majority of them
// where that can be helped; every other node is its learner. Where only some nodes of a region are needed,
// those with the fewest seats so far are taken.
func Plan(nodes []Node, regions []string, goal Goal) (Placement, error) {
	return PlanBy(nodes, regions, goal, ByOrder(regions))
}

// PlanBy is Plan with the nearness of regions given by distance.
func PlanBy(nodes []Node, regions []string, goal Goal, distance Distance) (Placement, error) {
	m, err := newTown(nodes, regions, goal, distance)
	if err != nil {
		return Placement{}, err
	}
	if goal == GoalRegion {
		if err := m.canLoseRegion(); err != nil {
			return Placement{}, err
		}
	}
	p := Placement{Goal: goal, nodes: m.nodes, regions: slices.Clone(regions)}
	p.Groups = append(p.Groups, m.system())
	for _, r := range regions {
		p.Groups = append(p.Groups, m.region(r))
	}
	return p, nil
}
