package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"phonond/cluster/group"
)

// preferEvery is how often a leader looks whether the lead belongs elsewhere, and
// maxLag how many entries behind a replica may be to be given it: what it lacks
// is sent within one round trip.
const (
	preferEvery = time.Second
	maxLag      = 512
)

// preferHome gives the lead of groups that are led from here back to their home
// region, once a voter there has been well for a while.
func (n *Node) preferHome() {
	well := map[string]time.Time{} // for each group, since when its heir is well
	heirs := map[string]string{}
	for n.pause(preferEvery, false) {
		for name, g := range n.groups {
			heir := ""
			if g.Leads() {
				heir = n.heir(name, g)
			}
			if heir == "" || heir != heirs[name] {
				heirs[name], well[name] = heir, time.Now()
				continue
			}
			if time.Since(well[name]) < n.cfg.Settle {
				continue
			}
			n.log.Info("giving the lead back to the home region", "group", name, "to", heir)
			ctx, cancel := context.WithTimeout(n.ctx, transferTimeout)
			if err := g.Transfer(ctx, heir); err != nil {
				n.log.Warn("the lead was not handed over", "group", name, "to", heir, "error", err)
			}
			cancel()
			well[name] = time.Now() // a failed attempt is paid for with writes that wait
		}
	}
}

// heir returns the voter that should lead the group instead of this node: the
// first of those preferred that is up to date, "" if this node is as good.
func (n *Node) heir(name string, g *group.Group) string {
	state := n.state.Load()
	spec := state.Group(name)
	if spec == nil || n.self.Region == spec.Home {
		return ""
	}
	mine := g.Status()
	for _, id := range spec.Leaders {
		if node := state.Node(id); node == nil || node.Region != spec.Home || !slices.Contains(mine.Voters, id) {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, statusTimeout)
		all, err := n.askStatus(ctx, id)
		cancel()
		if err != nil {
			continue
		}
		for _, s := range all {
			if s.Group == name && s.Term == mine.Term && s.LastLog+maxLag >= mine.LastLog {
				return id
			}
		}
	}
	return ""
}

// The bounds of what nodes ask each other.
const (
	statusTimeout   = 2 * time.Second
	transferTimeout = 10 * time.Second
)

// askStatus asks a node what its replicas say of themselves.
func (n *Node) askStatus(ctx context.Context, node string) ([]group.Status, error) {
	if node == n.self.ID {
		return n.statuses(), nil
	}
	out, err := n.router.Load().Query(ctx, node, "status", nil)
	if err != nil {
		return nil, err
	}
	var all []group.Status
	return all, json.Unmarshal(out, &all)
}

// statuses is what the replicas here say of themselves, by group name.
func (n *Node) statuses() []group.Status {
	var all []group.Status
	for _, g := range n.groups {
		all = append(all, g.Status())
	}
	slices.SortFunc(all, func(a, b group.Status) int { return compare(a.Group, b.Group) })
	return all
}
