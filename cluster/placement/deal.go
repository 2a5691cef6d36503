package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// town is the input of a plan, checked and sorted, and the seats dealt so far.
type town struct {
	goal     Goal
	nodes    []Node              // sorted by id
	regions  []string            // those with a group, as given
	witness  []string            // those without, sorted
	at       map[string][]string // region: ids, sorted
	regionOf map[string]string   // id: region
	distance Distance
	seats    map[string]int // id: replicas dealt to it
	leads    map[string]int // id: groups it is first choice to lead
}

func newTown(nodes []Node, regions []string, goal Goal, distance Distance) (*town, error) {
	if _, err := ParseGoal(string(goal)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	switch {
	case len(nodes) == 0:
		return nil, fmt.Errorf("%w: it has no node", ErrInput)
	case len(nodes) > MaxNodes:
		return nil, fmt.Errorf("%w: %d nodes, at most %d are supported", ErrInput, len(nodes), MaxNodes)
	case len(regions) == 0:
		return nil, fmt.Errorf("%w: it has no region", ErrInput)
	case len(regions) > MaxRegions:
		return nil, fmt.Errorf("%w: %d regions, at most %d are supported", ErrInput, len(regions), MaxRegions)
	}
	for i, r := range regions {
		switch {
		case r == "" || r == System:
			return nil, fmt.Errorf("%w: a region cannot be named %q", ErrInput, r)
		case slices.Contains(regions[:i], r):
			return nil, fmt.Errorf("%w: region %s is listed twice", ErrInput, r)
		}
	}
	t := &town{
		goal: goal, regions: regions, distance: distance,
		nodes: slices.SortedFunc(slices.Values(nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) }),
		at:    map[string][]string{}, regionOf: map[string]string{},
		seats: map[string]int{}, leads: map[string]int{},
	}
	for _, n := range t.nodes {
		_, twice := t.regionOf[n.ID]
		switch listed := slices.Contains(regions, n.Region); {
		case n.ID == "":
			return nil, fmt.Errorf("%w: a node in region %s has no id", ErrInput, n.Region)
		case twice:
			return nil, fmt.Errorf("%w: node %s is listed twice", ErrInput, n.ID)
		case n.Witness && listed:
			return nil, fmt.Errorf("%w: node %s is a witness, but its region %s has a group", ErrInput, n.ID, n.Region)
		case !n.Witness && !listed:
			return nil, fmt.Errorf("%w: node %s is in region %q, which is not listed", ErrInput, n.ID, n.Region)
		case n.Witness && !slices.Contains(t.witness, n.Region):
			t.witness = append(t.witness, n.Region)
		}
		t.regionOf[n.ID] = n.Region
		t.at[n.Region] = append(t.at[n.Region], n.ID)
	}
	slices.Sort(t.witness)
	return t, nil
}

// canLoseRegion refuses GoalRegion where it is impossible. The condition is the
// same for all groups: five seats with at most two in a region.
func (t *town) canLoseRegion() error {
	var have []string
	for _, r := range slices.Concat(t.regions, t.witness) {
		have = append(have, fmt.Sprintf("%s %d", r, len(t.at[r])))
	}
	populated, seats := t.spread(1), t.spread(2)
	if populated < 3 {
		return fmt.Errorf("%w: to survive the loss of any region takes nodes in three regions, and here they are in %d (%s); "+
			"add nodes in a third region, or in a witness region, or choose the goal %q",
			ErrImpossible, populated, strings.Join(have, ", "), GoalNode)
	}
	if seats < MaxVoters {
		return fmt.Errorf("%w: to survive the loss of any region takes %d voters, at most two in a region, and the nodes give %d (%s); "+
			"add %d more, in regions that have fewer than two, or choose the goal %q",
			ErrImpossible, MaxVoters, seats, strings.Join(have, ", "), MaxVoters-seats, GoalNode)
	}
	return nil
}

// spread returns how many voters there can be with at most limit in a region.
func (t *town) spread(limit int) int {
	n := 0
	for _, ids := range t.at {
		n += min(len(ids), limit)
	}
	return n
}

// away lists the regions other than home: nearest first, witness regions last.
// Regions equally near are in the order given.
func (t *town) away(home string) []string {
	near := slices.DeleteFunc(slices.Clone(t.regions), func(r string) bool { return r == home })
	byDistance := func(a, b string) int { return cmp.Compare(t.distance(home, a), t.distance(home, b)) }
	slices.SortStableFunc(near, byDistance)
	return append(near, t.witness...)
}

// odd returns the number of voters for n nodes: the largest odd number up to
// [MaxVoters], but two for two (see Plan).
func odd(n int) int {
	switch {
	case n >= MaxVoters:
		return MaxVoters
	case n >= 3:
		return 3
	}
	return n
}

// system places the system group.
func (t *town) system() Group {
	home := t.regions[0]
	want := odd(len(t.nodes))
	for n := want; n >= 3; n -= 2 { // rather three than five with a majority in one region
		if t.spread(n/2) >= n {
			want = n
			break
		}
	}
	// Where a majority in one region cannot be helped, the first region has it.
	d := t.deal(home)
	for limit := want / 2; len(d.voters) < want; limit++ {
		d.fromHome(limit, want)
		d.fromAway(limit, want)
	}
	g := d.group(System)
	for _, n := range t.nodes {
		if !slices.Contains(g.Voters, n.ID) {
			g.Learners = append(g.Learners, n.ID)
		}
	}
	return g
}

// region places the group of a region.
func (t *town) region(home string) Group {
	d := t.deal(home)
	if t.goal == GoalRegion {
		d.fromHome(2, MaxVoters)
		d.fromAway(2, MaxVoters)
	} else {
		if n := len(t.at[home]); n > 0 {
			d.fromHome(odd(n), MaxVoters)
		}
		d.fromAway(MaxNodes, 3)
	}
	g := d.group(home)
	g.Learners = d.learners()
	return g
}

// A deal chooses the replicas of one group.
type deal struct {
	*town
	home   string
	away   []string
	voters []string
	taken  map[string]int // region: replicas chosen there
}

func (t *town) deal(home string) *deal {
	return &deal{town: t, home: home, away: t.away(home), taken: map[string]int{}}
}

// take chooses the node of the region that has the fewest seats, and of these
// the one whose id sorts first. It reports false if all were chosen already.
func (d *deal) take(region string, chosen []string) (string, bool) {
	best := ""
	for _, id := range d.at[region] {
		if !slices.Contains(chosen, id) && (best == "" || d.seats[id] < d.seats[best]) {
			best = id
		}
	}
	if best == "" {
		return "", false
	}
	d.seats[best]++
	d.taken[region]++
	return best, true
}

// fromHome adds voters of the home region until it has limit of them, or the
// group has want.
func (d *deal) fromHome(limit, want int) {
	for d.taken[d.home] < limit && len(d.voters) < want {
		id, ok := d.take(d.home, d.voters)
		if !ok {
			return
		}
		d.voters = append(d.voters, id)
	}
}

// fromAway adds voters of the other regions in turn, at most limit from each,
// until the group has want.
func (d *deal) fromAway(limit, want int) {
	for round := 1; round <= limit; round++ {
		found := false
		for _, r := range d.away {
			if len(d.voters) >= want {
				return
			}
			if d.taken[r] >= round {
				found = true
				continue
			}
			if id, ok := d.take(r, d.voters); ok {
				d.voters = append(d.voters, id)
				found = true
			}
		}
		if !found {
			return
		}
	}
}

// learners chooses the replicas without a vote: the home region's up to
// [MaxVoters] replicas, and one in each region that has none yet.
func (d *deal) learners() []string {
	chosen := slices.Clone(d.voters)
	add := func(region string) bool {
		id, ok := d.take(region, chosen)
		if ok {
			chosen = append(chosen, id)
		}
		return ok
	}
	for d.taken[d.home] < MaxVoters && add(d.home) {
	}
	for _, r := range d.regions {
		if d.taken[r] == 0 {
			add(r)
		}
	}
	learners := chosen[len(d.voters):]
	slices.Sort(learners)
	return learners
}

// group names the deal and says who should lead it: the nearest region's voters
// first, and in a region the one that leads the fewest others.
func (d *deal) group(name string) Group {
	rank := func(id string) int { return slices.Index(d.away, d.regionOf[id]) } // home is -1
	leaders := slices.DeleteFunc(slices.Clone(d.voters), func(id string) bool {
		return slices.Contains(d.witness, d.regionOf[id])
	})
	slices.SortFunc(leaders, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(d.leads[a], d.leads[b]), cmp.Compare(a, b))
	})
	if len(leaders) > 0 {
		d.leads[leaders[0]]++
	}
	return Group{Name: name, Home: d.home, Voters: d.voters, Leaders: leaders}
}
