package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"phonond/cluster/mux"
	"phonond/cluster/placement"
	"phonond/fsm/system"
)

const genesisFile = "cluster.json"

// How often a node that has no cluster yet asks the others, and how often it
// says whom it waits for.
const (
	askEvery = 200 * time.Millisecond
	sayEvery = 10 * time.Second
)

// findCluster returns how the cluster began: from the data directory, from
// another node, or, when every configured node is there and none knows of a
// cluster, by making it. It waits until ctx ends.
func (n *Node) findCluster(ctx context.Context) (*genesis, error) {
	path := filepath.Join(n.cfg.Config.DataDir, genesisFile)
	g := new(genesis)
	switch err := readJSON(path, g); {
	case err == nil:
		if _, err := system.Decode(g.State.Encode()); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if name := n.cfg.Config.Cluster.Name; name != g.State.Name {
			return nil, fmt.Errorf("%s is of cluster %q, cluster.name says %q: a cluster keeps its name", path, g.State.Name, name)
		}
		return g, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	var said time.Time
	for {
		answers, missing := n.greetAll(ctx)
		g, err := n.decide(answers, missing)
		if err != nil {
			return nil, err
		}
		if g != nil {
			return g, writeJSON(path, g)
		}
		if time.Since(said) > sayEvery {
			said = time.Now()
			n.log.Info("waiting for the nodes that the cluster is to be made of", "missing", missing)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(askEvery):
		}
	}
}

// greetAll asks every configured node, side by side. missing are the addresses
// that did not answer.
func (n *Node) greetAll(ctx context.Context) (answers []hello, missing []string) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, r := range n.cfg.Config.Regions {
		for _, addr := range r.Hosts {
			wg.Go(func() {
				h, err := n.greet(ctx, addr)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					missing = append(missing, addr)
				case h.Node.Region != r.Name:
					answers = append(answers, hello{Refused: fmt.Sprintf("%s is listed in region %s, but its node %s is in region %s", addr, r.Name, h.Node.ID, h.Node.Region)})
				default:
					answers = append(answers, h)
				}
			})
		}
	}
	wg.Wait()
	slices.Sort(missing)
	return answers, missing
}

// decide looks at what the others said: nil means to go on asking.
func (n *Node) decide(answers []hello, missing []string) (*genesis, error) {
	nodes := map[string]system.Node{}
	for _, a := range answers {
		if a.Refused != "" {
			return nil, fmt.Errorf("%w: %s", errRefused, a.Refused)
		}
		if a.Genesis != nil {
			if _, err := system.Decode(a.Genesis.State.Encode()); err != nil {
				return nil, fmt.Errorf("node %s knows the cluster, but not well: %w", a.Node.ID, err)
			}
			return a.Genesis, nil
		}
		if other, ok := nodes[a.Node.ID]; ok && other != a.Node {
			return nil, fmt.Errorf("%w: two nodes have the id %s", errRefused, a.Node.ID)
		}
		nodes[a.Node.ID] = a.Node
	}
	if len(missing) > 0 {
		return nil, nil
	}
	if _, ok := nodes[n.self.ID]; !ok {
		return nil, fmt.Errorf("%w: none of the configured regions lists this node, whose address is %s", errRefused, n.self.ClusterAddr)
	}
	list := make([]system.Node, 0, len(nodes))
	for _, node := range nodes {
		list = append(list, node)
	}
	slices.SortFunc(list, func(a, b system.Node) int { return cmp.Compare(a.ID, b.ID) })
	if list[0].ID != n.self.ID {
		return nil, nil // the first one makes the cluster; it will answer with it
	}
	return n.makeCluster(list)
}

// makeCluster is done once in a cluster's life, by one node.
func (n *Node) makeCluster(nodes []system.Node) (*genesis, error) {
	conf := n.cfg.Config
	var regions []string
	for _, name := range conf.Regions.Names() {
		if !slices.Contains(conf.WitnessRegions, name) {
			regions = append(regions, name)
		}
	}
	var seats []placement.Node
	for _, node := range nodes {
		seats = append(seats, placement.Node{ID: node.ID, Region: node.Region, Witness: slices.Contains(conf.WitnessRegions, node.Region)})
	}
	plan, err := placement.Plan(seats, regions, conf.SurvivalGoal)
	if err != nil {
		return nil, fmt.Errorf("the cluster cannot be made: %w", err)
	}
	id := make([]byte, 16)
	var seed [16]byte
	rand.Read(id) // never fails
	rand.Read(seed[:])
	g := &genesis{
		State: system.State{
			Features: system.Features, Name: conf.Cluster.Name, ID: hex.EncodeToString(id), Epoch: 1,
			Goal: string(conf.SurvivalGoal), Witnesses: conf.WitnessRegions, Nodes: nodes,
		},
		Seed: [2]uint64{binary.BigEndian.Uint64(seed[:8]), binary.BigEndian.Uint64(seed[8:])},
	}
	for _, name := range regions {
		g.State.Regions = append(g.State.Regions, system.Region{Name: name, Epoch: 1})
	}
	for _, s := range placement.Slots(regions) {
		g.State.Slots = append(g.State.Slots, system.Slots(s))
	}
	for _, r := range conf.PlacementRules {
		g.State.Rules = append(g.State.Rules, system.Rule(r))
	}
	for _, group := range plan.Groups {
		g.State.Groups = append(g.State.Groups, system.Group(group))
	}
	for _, w := range plan.Warnings() {
		n.log.Warn(w)
	}
	n.log.Info("cluster made", "name", g.State.Name, "id", g.State.ID, "nodes", len(nodes), "goal", g.State.Goal)
	return g, nil
}

// clusterID returns the id as the mux knows it.
func (g *genesis) clusterID() (id mux.ClusterID, err error) {
	b, err := hex.DecodeString(g.State.ID)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%s: cluster id %q is malformed", genesisFile, g.State.ID)
	}
	copy(id[:], b)
	return id, nil
}
