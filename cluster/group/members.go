package group

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// Transfer gives the lead to a voter, which should be up to date: raft takes no
// write while it brings it there. That it returns nil means only that this
// replica does not lead any more.
func (g *Group) Transfer(ctx context.Context, node string) error {
	for _, s := range g.Servers() {
		if string(s.ID) != node {
			continue
		}
		if s.Suffrage != raft.Voter {
			return fmt.Errorf("node %s is no voter of group %s", node, g.cfg.Name)
		}
		return g.wait(ctx, g.raft.LeadershipTransferToServer(s.ID, s.Address))
	}
	return fmt.Errorf("node %s has no replica of group %s", node, g.cfg.Name)
}

// wait waits for a future that raft answers even while it shuts down.
func (g *Group) wait(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	g.proposals.Go(func() { done <- f.Error() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Servers returns the group's configuration as this replica knows it.
func (g *Group) Servers() []raft.Server {
	f := g.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}
