package proctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"phonond/redisproto/resp"
)

// Group is a group as a node describes it.
type Group struct {
	Name   string
	Leader string // "" for none
	Voters []string
}

// Replica is the state of one replica.
type Replica struct {
	Group, Node string
	Index       int64  // of the last entry applied
	Digest      string // after it
}

// fields returns a map reply by name, in RESP2 as in RESP3.
func fields(v resp.Value) map[string]resp.Value {
	m := map[string]resp.Value{}
	for i := 0; i+1 < len(v.Elems); i += 2 {
		m[v.Elems[i].Str] = v.Elems[i+1]
	}
	return m
}

// Groups asks this node about all groups.
func (n *Node) Groups() ([]Group, error) {
	v, err := n.ask("PHONON.GROUPS")
	if err != nil {
		return nil, err
	}
	var list []Group
	for _, e := range v.Elems {
		f := fields(e)
		g := Group{Name: f["group"].Str, Leader: f["leader"].Str}
		for _, r := range f["replicas"].Elems {
			if r := fields(r); r["suffrage"].Str == "voter" {
				g.Voters = append(g.Voters, r["node"].Str)
			}
		}
		list = append(list, g)
	}
	return list, nil
}

// AddrOf returns where, as far as this node knows, another one listens for nodes.
func (n *Node) AddrOf(id string) (string, error) {
	v, err := n.ask("PHONON.MEMBERS")
	if err != nil {
		return "", err
	}
	for _, e := range v.Elems {
		if f := fields(e); f["id"].Str == id {
			return f["cluster_addr"].Str, nil
		}
	}
	return "", fmt.Errorf("node %s knows no node %s", n.ID, id)
}

// Group asks this node about one group.
func (n *Node) Group(name string) (Group, error) {
	list, err := n.Groups()
	if err != nil {
		return Group{}, err
	}
	i := slices.IndexFunc(list, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, fmt.Errorf("node %s knows no group %s", n.ID, name)
	}
	return list[i], nil
}

// errNoLeader is returned when a group has no leader, or another one than
// expected.
var errNoLeader = errors.New("has no leader")

// Leader waits until the group has a leader that is not the given node, and
// returns it. It asks this node.
func (n *Node) Leader(ctx context.Context, group string, not *Node) (*Node, error) {
	var leader *Node
	err := Until(ctx, func() error {
		g, err := n.Group(group)
		if err != nil {
			return err
		}
		if leader = n.cluster.Node(g.Leader); leader == nil || leader == not {
			leader = nil
			return fmt.Errorf("group %s %w", group, errNoLeader)
		}
		return nil
	})
	return leader, err
}

// Lead moves the lead of a group to this node and returns when it has it. A
// transfer may fail for a good reason, such as an election, and is asked for
// again.
func (n *Node) Lead(ctx context.Context, group string) error {
	return Until(ctx, func() error {
		if _, err := n.ask("PHONON.TRANSFER-LEADER", group, n.ID); err != nil {
			return err
		}
		g, err := n.Group(group)
		if err == nil && g.Leader != n.ID {
			err = fmt.Errorf("group %s is led by %q, not by %s", group, g.Leader, n.ID)
		}
		return err
	})
}

// Replicas asks this node for the state of all replicas that it can reach.
func (n *Node) Replicas() ([]Replica, error) {
	v, err := n.ask("PHONON.DIGEST")
	if err != nil {
		return nil, err
	}
	var list []Replica
	for _, e := range v.Elems {
		f := fields(e)
		list = append(list, Replica{Group: f["group"].Str, Node: f["node"].Str, Index: f["index"].Int, Digest: f["digest"].Str})
	}
	return list, nil
}

// errDiverged is returned when two replicas differ after the same entry.
var errDiverged = errors.New("replicas differ at the same index")

// Settled waits until all replicas of all groups have applied the same entries,
// with every node running, and returns them. That two of them differ at the same
// index is an error at once.
func (c *Cluster) Settled(ctx context.Context) ([]Replica, error) {
	var list []Replica
	var diverged error
	err := Until(ctx, func() (err error) {
		if list, err = c.nodes[0].Replicas(); err != nil {
			return err
		}
		byGroup := map[string][]Replica{}
		for _, r := range list {
			byGroup[r.Group] = append(byGroup[r.Group], r)
		}
		groups, err := c.nodes[0].Groups()
		if err != nil {
			return err
		}
		for _, g := range groups {
			rs := byGroup[g.Name]
			if len(rs) < len(g.Voters) {
				return fmt.Errorf("group %s: %d of %d voters answer", g.Name, len(rs), len(g.Voters))
			}
			for _, r := range rs {
				switch first := rs[0]; {
				case r.Index != first.Index:
					return fmt.Errorf("group %s: %s is at entry %d, %s at %d", g.Name, first.Node, first.Index, r.Node, r.Index)
				case r.Digest != first.Digest:
					diverged = fmt.Errorf("%w: %s", errDiverged, describe(rs))
					return nil
				}
			}
		}
		return nil
	})
	return list, errors.Join(err, diverged)
}

func describe(rs []Replica) string {
	var parts []string
	for _, r := range rs {
		parts = append(parts, fmt.Sprintf("%s on %s: %d %s", r.Group, r.Node, r.Index, r.Digest))
	}
	return strings.Join(parts, ", ")
}
