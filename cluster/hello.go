package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"phonond/cluster/mux"
	"phonond/fsm/system"
)

// hello is what nodes tell each other before they share a cluster: one asks, the
// other answers with its own.
type hello struct {
	Node system.Node `json:"node"`
	// Plan stands for the settings that must be equal when the cluster is made.
	Plan string `json:"plan"`
	// Cluster is the id of the cluster that the node belongs to, "" for none.
	Cluster string `json:"cluster,omitempty"`
	// Genesis is given, in an answer only, to a node that has its seat in it.
	Genesis *genesis `json:"genesis,omitempty"`
	// Refused says, in an answer only, why the asking node has no place.
	Refused string `json:"refused,omitempty"`
}

// genesis is how the cluster began. Every node keeps it: the first configuration
// of each group and the secret that places keys follow from it.
type genesis struct {
	State system.State `json:"state"`
	Seed  [2]uint64    `json:"seed"`
}

// The bounds of an exchange.
const (
	helloTimeout = 3 * time.Second
	helloMax     = 1 << 20
)

// writeHello and readHello carry one hello: a length and JSON.
func writeHello(w io.Writer, h hello) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readHello(r io.Reader) (h hello, err error) {
	var head [4]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return h, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > helloMax {
		return h, fmt.Errorf("a hello of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err = io.ReadFull(r, b); err != nil {
		return h, err
	}
	return h, json.Unmarshal(b, &h)
}

// greet says hello to whoever lives at addr.
func (n *Node) greet(ctx context.Context, addr string) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	c, err := n.mux.Dial(ctx, addr, "", mux.Hello, "", 0)
	if err != nil {
		return hello{}, err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	if err := writeHello(c, n.hello()); err != nil {
		return hello{}, err
	}
	return readHello(c)
}

// answerHellos answers until the listener is closed.
func (n *Node) answerHellos(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		n.tasks.Go(func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(helloTimeout))
			h, err := readHello(c)
			if err != nil {
				return
			}
			if peer, ok := mux.Peer(c); !ok || peer.From != h.Node.ID {
				return // it says two names
			}
			writeHello(c, n.answer(h))
		})
	}
}

func (n *Node) hello() hello {
	h := hello{Node: n.self, Plan: n.planMark()}
	if g := n.genesis.Load(); g != nil {
		h.Cluster = g.State.ID
	}
	return h
}

// answer tells a node that said hello what its place is.
func (n *Node) answer(h hello) hello {
	a := n.hello()
	g := n.genesis.Load()
	if g == nil {
		if h.Plan != a.Plan {
			a.Refused = fmt.Sprintf("node %s has other settings: cluster.name, regions, witness_regions, survival_goal and placement_rules must be equal on all nodes when the cluster is made", a.Node.ID)
		}
		return a
	}
	seat := g.State.Node(h.Node.ID)
	switch {
	case h.Cluster != "" && h.Cluster != a.Cluster:
		a.Refused = fmt.Sprintf("node %s belongs to cluster %s, node %s to cluster %s: one of them has the data directory of another cluster", h.Node.ID, h.Cluster, a.Node.ID, a.Cluster)
	case seat == nil:
		a.Refused = fmt.Sprintf("cluster %s (%s) was made without node %s", g.State.Name, g.State.ID, h.Node.ID)
	case seat.Seat != h.Node.Seat:
		a.Refused = fmt.Sprintf("node %s has its seat with another data directory: with this one it has forgotten what it voted for. Bring the old directory back", h.Node.ID)
	default:
		n.learn(h.Node)
		a.Genesis = g
	}
	return a
}

// planMark is equal on nodes that would make the same cluster.
func (n *Node) planMark() string {
	c := n.cfg.Config
	b, err := json.Marshal(struct{ Name, Regions, Witnesses, Goal, Rules any }{c.Cluster.Name, c.Regions, c.WitnessRegions, c.SurvivalGoal, c.PlacementRules})
	if err != nil {
		panic(err) // there is nothing in it that cannot be written
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// errRefused is returned when other nodes say that this one has no place.
var errRefused = errors.New("the cluster refuses this node")
