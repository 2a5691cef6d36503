package client

import (
	"context"
	"errors"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// readAttempts is how often a command that only reads is sent when its answer is
// lost: once more, on a new connection, perhaps to another node.
const readAttempts = 2

// Member is a node as the others see it.
type Member struct {
	ID          string `json:"id"`
	Region      string `json:"region"`
	Status      string `json:"status"` // alive, suspect, dead or unknown
	ClusterAddr string `json:"cluster_addr"`
	RespAddr    string `json:"resp_addr"`
	GossipAddr  string `json:"gossip_addr"`
	Version     string `json:"version"`
	Incarnation int64  `json:"incarnation"` // counts the node's starts
	Self        bool   `json:"self"`        // the node that answered
}

// Region is a region and its group.
type Region struct {
	Name   string `json:"name"`
	Goal   string `json:"goal"`   // node or region
	Epoch  uint64 `json:"epoch"`  // raised when the group is brought back elsewhere
	Slots  string `json:"slots"`  // such as "0-8191"
	Leader string `json:"leader"` // a node's id; empty while there is none
	Nodes  int    `json:"nodes"`
}

// Group is a Raft group: "system", or one named after a region.
type Group struct {
	Group        string    `json:"group"`
	Epoch        uint64    `json:"epoch"`
	Leader       string    `json:"leader"` // a node's id; empty while there is none
	LeaderRegion string    `json:"leader_region"`
	HomeRegion   string    `json:"home_region"` // where the leader should be
	Term         uint64    `json:"term"`
	Replicas     []Replica `json:"replicas"`
}

// Replica is one node's copy of a group.
type Replica struct {
	Node        string `json:"node"`
	Region      string `json:"region"`
	Suffrage    string `json:"suffrage"` // voter or learner
	State       string `json:"state"`    // leader, follower, candidate, unreachable, ...
	LastLog     uint64 `json:"last_log"`
	Applied     uint64 `json:"applied"`
	Lag         int64  `json:"lag"`             // entries behind the leader's last; -1 if not known
	LastContact int64  `json:"last_contact_ms"` // since it heard of the leader; -1 if not known
}

// Status is what one node says of itself and the cluster.
type Status struct {
	Node          string   `json:"node"`
	Region        string   `json:"region"`
	Cluster       string   `json:"cluster"`
	ClusterID     string   `json:"cluster_id"`
	Version       string   `json:"version"`
	Goal          string   `json:"goal"`
	UptimeSeconds int64    `json:"uptime_seconds"`
	Regions       int      `json:"regions"`
	Nodes         int      `json:"nodes"`
	Groups        int      `json:"groups"`
	Healthy       bool     `json:"healthy"`
	Warnings      []string `json:"warnings"`
}

// Digest is the checksum of a replica's state after a log entry. Two replicas of a
// group with equal indexes must have equal digests.
type Digest struct {
	Group  string `json:"group"`
	Node   string `json:"node"`
	Index  uint64 `json:"index"`
	Digest string `json:"digest"` // 16 hexadecimal digits
}

// Admin gives the operator's views and actions. Redis clients have the same as
// PHONON.* commands.
type Admin struct{ c *Client }

// Admin returns the operator's views and actions.
func (c *Client) Admin() Admin { return Admin{c} }

// Members lists the nodes.
func (a Admin) Members(ctx context.Context) ([]Member, error) {
	return readAll[Member](ctx, a.c, "PHONON.MEMBERS")
}

// Regions lists the regions.
func (a Admin) Regions(ctx context.Context) ([]Region, error) {
	return readAll[Region](ctx, a.c, "PHONON.REGIONS")
}

// Groups lists the groups and their replicas.
func (a Admin) Groups(ctx context.Context) ([]Group, error) {
	return readAll[Group](ctx, a.c, "PHONON.GROUPS")
}

// Status asks one node, the one the client is connected to.
func (a Admin) Status(ctx context.Context) (Status, error) {
	var s Status
	v, err := a.c.read(ctx, "PHONON.STATUS")
	if err != nil {
		return s, err
	}
	// One mapping, or a list of one as the other views are.
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	err = decode(reflect.ValueOf(&s).Elem(), v)
	return s, err
}

// Digest lists the digests of a group's replicas; of all groups if group is empty.
func (a Admin) Digest(ctx context.Context, group string) ([]Digest, error) {
	args := []any{"PHONON.DIGEST"}
	if group != "" {
		args = append(args, group)
	}
	return readAll[Digest](ctx, a.c, args...)
}

// TransferLeader makes another voter the leader of a group: the given node, or if
// node is empty the one that the cluster prefers.
func (a Admin) TransferLeader(ctx context.Context, group, node string) error {
	args := []any{"PHONON.TRANSFER-LEADER", group}
	if node != "" {
		args = append(args, node)
	}
	_, err := a.c.Do(ctx, args...)
	return err
}

// readAll reads a list of mappings.
func readAll[T any](ctx context.Context, c *Client, args ...any) ([]T, error) {
	v, err := c.read(ctx, args...)
	if err != nil {
		return nil, err
	}
	var all []T
	err = decode(reflect.ValueOf(&all).Elem(), v)
	return all, err
}

// read sends a command that changes nothing, and again if its answer was lost.
func (c *Client) read(ctx context.Context, args ...any) (v any, err error) {
	for range readAttempts {
		v, err = c.Do(ctx, args...)
		var reply redis.Error
		if !errors.Is(err, ErrUnknownOutcome) || errors.As(err, &reply) || ctx.Err() != nil {
			break
		}
	}
	return v, err
}
