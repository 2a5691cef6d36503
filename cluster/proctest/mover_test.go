package proctest_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"phonond/cluster/proctest"
)

// moveEvery is the pace at which a mover moves every lead.
const moveEvery = time.Second

// mover moves the lead of every group from voter to voter, through one node
// after the other.
type mover struct {
	cluster *proctest.Cluster
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	moves map[string]int // of each group
}

func startMover(c *proctest.Cluster) *mover {
	m := &mover{cluster: c, moves: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.running.Go(func() {
		tick := time.NewTicker(moveEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.moveAll(c.Nodes()[n%len(c.Nodes())])
			}
		}
	})
	return m
}

// moveAll gives every lead to the next voter. A transfer that is refused, as
// during an election, does not count.
func (m *mover) moveAll(via *proctest.Node) {
	groups, err := via.Groups()
	if err != nil {
		return
	}
	for _, g := range groups {
		next := g.Voters[(slices.Index(g.Voters, g.Leader)+1)%len(g.Voters)]
		if _, err := proctest.Ask(via.RESP, "PHONON.TRANSFER-LEADER", g.Name, next); err == nil && g.Leader != "" {
			m.mu.Lock()
			m.moves[g.Name]++
			m.mu.Unlock()
		}
	}
}

// least is how often the lead was moved that was moved least.
func (m *mover) least() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.moves) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(m.moves)))
}

// stop ends the moving and returns how often each lead was moved.
func (m *mover) stop() map[string]int {
	m.cancel()
	m.running.Wait()
	return m.moves
}
