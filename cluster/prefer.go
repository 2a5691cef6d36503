package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"phonond/cluster/group"
)

// preferEvery is how often a leader looks whether the lead belongs elsewhere.
// maxSilence is how long a replica may not have heard from the leader, and yet be
// given the lead.
const (
	preferEvery = time.Second
	maxSilence  = time.Second
)

// preferHome gives the lead of groups that are led from here back to their home
// region: at once after a start of the whole group, else when a voter there has
// been well for a while.
func (n *Node) preferHome() {
	notBefore := map[string]time.Time{} // for each group that is led from here
	for n.pause(preferEvery, false) {
		for name, g := range n.groups {
			if !g.Leads() || n.self.Region == n.state.Load().Group(name).Home {
				delete(notBefore, name)
				continue
			}
			heir := n.heir(name, g)
			if _, known := notBefore[name]; heir == "" || !known && !g.FirstLead() {
				notBefore[name] = time.Now().Add(n.cfg.Settle)
			}
			if time.Now().Before(notBefore[name]) {
				continue
			}
			n.log.Info("giving the lead back to the home region", "group", name, "to", heir)
			ctx, cancel := context.WithTimeout(n.ctx, transferTimeout)
			if err := g.Transfer(ctx, heir); err != nil {
				n.log.Warn("the lead was not handed over", "group", name, "to", heir, "error", err)
			}
			cancel()
			// A failed attempt is paid for with writes that wait.
			notBefore[name] = time.Now().Add(n.cfg.Settle)
		}
	}
}

// heir returns the home voter that should lead the group instead of this node: the
// best of those that could, "" if none could.
func (n *Node) heir(name string, g *group.Group) string {
	state := n.state.Load()
	spec := state.Group(name)
	var home []string
	for _, id := range spec.Leaders {
		if node := state.Node(id); node != nil && node.Region == spec.Home {
			home = append(home, id)
		}
	}
	heir, _ := n.successor(g, home, group.SpaceOK)
	return heir
}

// shedEvery is how long a leader whose disk is full waits before it looks again for
// one that has room: each attempt is paid for with writes that wait.
const shedEvery = 10 * time.Second

// shedLead gives the lead of a group away while the disk here is less well than that
// of another voter.
func (n *Node) shedLead() {
	notBefore := map[string]time.Time{}
	for n.pause(preferEvery, false) {
		level := n.disk.space().Level
		if level == group.SpaceOK {
			continue
		}
		for name, g := range n.groups {
			if !g.Leads() || time.Now().Before(notBefore[name]) {
				continue
			}
			heir, err := n.successor(g, n.state.Load().Group(name).Leaders, level-1)
			if err != nil {
				continue
			}
			n.log.Warn("giving the lead to a node whose disk has room", "group", name, "to", heir, "here", level)
			ctx, cancel := context.WithTimeout(n.ctx, transferTimeout)
			if err := g.Transfer(ctx, heir); err != nil {
				n.log.Warn("the lead was not handed over", "group", name, "to", heir, "error", err)
			}
			cancel()
			notBefore[name] = time.Now().Add(shedEvery)
		}
	}
}

// errNoSuccessor is returned when none of the nodes asked could take the lead.
var errNoSuccessor = errors.New("no other voter is up to date and well")

// successor returns the best of the candidates that could lead the group now: its disk
// is no worse than the given level, it is in touch, and has all that was committed when
// it was asked. That has to be known before the lead is handed over: while that is tried
// with one that cannot take it, every request waits.
func (n *Node) successor(g *group.Group, candidates []string, worst group.Level) (string, error) {
	mine := g.Status()
	reason := errNoSuccessor
	best := "" // the first of those with the most room
	for _, id := range candidates {
		if id == n.self.ID || !slices.Contains(mine.Voters, id) {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, statusTimeout)
		all, err := n.askStatus(ctx, id)
		cancel()
		if err != nil {
			reason = fmt.Errorf("node %s does not answer: %w", id, err)
			continue
		}
		for _, s := range all {
			if s.Group != g.Name() {
				continue
			}
			if s.Space.Level > worst {
				reason = fmt.Errorf("node %s: its disk is %s", id, describeSpace(s.Space))
				continue
			}
			if s.Term == mine.Term && s.LastLog >= mine.Commit && s.LastContact >= 0 && s.LastContact < maxSilence {
				if s.Space.Level == group.SpaceOK {
					return id, nil
				}
				best, worst = id, s.Space.Level-1
				continue
			}
			reason = fmt.Errorf("node %s is not up to date: its last entry is %d, the group has committed %d, and it heard from the leader %v ago", id, s.LastLog, mine.Commit, s.LastContact)
		}
	}
	if best != "" {
		return best, nil
	}
	return "", reason
}

// handOver gives the lead to a node, "" for the best there is.
func (n *Node) handOver(ctx context.Context, g *group.Group, to string) error {
	candidates := []string{to}
	if to == "" {
		candidates = n.state.Load().Group(g.Name()).Leaders
	}
	successor, err := n.successor(g, candidates, group.SpaceFull) // rather than none
	if err != nil {
		return err
	}
	return g.Transfer(ctx, successor)
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
	slices.SortFunc(all, func(a, b group.Status) int { return cmp.Compare(a.Group, b.Group) })
	return all
}
