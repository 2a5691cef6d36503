package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"phonond/cluster/config"
	"phonond/cluster/gossip"
	"phonond/cluster/placement"
	"phonond/fsm/system"
)

// stub is a node that has done nothing yet.
func stub(t *testing.T, id, region string) *Node {
	t.Helper()
	conf := config.Default()
	conf.Cluster.Name = "test"
	conf.Regions = config.Regions{
		{Name: "east", Hosts: []string{"e1:7379", "e2:7379"}},
		{Name: "west", Hosts: []string{"w1:7379"}},
	}
	log := slog.New(slog.DiscardHandler)
	book, err := gossip.OpenBook("", log)
	if err != nil {
		t.Fatal(err)
	}
	return &Node{cfg: Config{Config: conf, Log: log}, log: log, book: book, self: seat(id, region)}
}

func seat(id, region string) system.Node {
	return system.Node{ID: id, Region: region, Seat: "seat of " + id, Incarnation: 1, ClusterAddr: id + ":7379"}
}

// three are the nodes of the stub's configuration.
var three = []system.Node{seat("e1", "east"), seat("e2", "east"), seat("w1", "west")}

func TestDecide(t *testing.T) {
	made, err := stub(t, "e1", "east").makeCluster(three)
	if err != nil {
		t.Fatal(err)
	}
	all := []hello{{Node: three[0]}, {Node: three[1]}, {Node: three[2]}}
	for _, tc := range []struct {
		name    string
		self    system.Node
		answers []hello
		missing []string
		made    bool   // a cluster
		refused string // why not, "" to go on asking
	}{
		{"all there, and the first", three[0], all, nil, true, ""},
		{"all there, but not the first", three[2], all, nil, false, ""},
		{"one is missing", three[0], all[:2], []string{"w1:7379"}, false, ""},
		{"nobody answers", three[0], nil, []string{"e1:7379", "e2:7379", "w1:7379"}, false, ""},
		{"another has the cluster, others are missing", three[2], []hello{{Node: three[0], Genesis: made}}, []string{"e2:7379"}, true, ""},
		{"another has the cluster", three[0], []hello{all[0], {Node: three[1], Genesis: made}, all[2]}, nil, true, ""},
		{"refused", three[0], []hello{all[0], {Node: three[1], Refused: "no seat"}, all[2]}, nil, false, "no seat"},
		{"two with one id", three[0], []hello{all[0], {Node: seat("e2", "east")}, {Node: system.Node{ID: "e2", Region: "west", Seat: "another"}}}, nil, false, "two nodes have the id e2"},
		{"two addresses of one node", three[0], append([]hello{all[1]}, all...), nil, true, ""},
		{"not listed", seat("x9", "west"), all, nil, false, "none of the configured regions lists this node"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := stub(t, tc.self.ID, tc.self.Region)
			n.self = tc.self
			g, err := n.decide(tc.answers, tc.missing)
			if tc.refused != "" {
				if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), tc.refused) {
					t.Errorf("it says %v, not %q", err, tc.refused)
				}
				return
			}
			if err != nil || (g != nil) != tc.made {
				t.Errorf("it has cluster %v, %v", g, err)
			}
			if g != nil && (len(g.State.Nodes) != 3 || len(g.State.ID) != 32) {
				t.Errorf("the cluster is %+v", g.State)
			}
		})
	}
}

func TestMadeClusterIsWhole(t *testing.T) {
	n := stub(t, "e1", "east")
	n.cfg.Config.PlacementRules = config.Rules{{Prefix: "eu:", Region: "west"}}
	a, err := n.makeCluster(three)
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.makeCluster(three)
	if err != nil {
		t.Fatal(err)
	}
	if a.State.ID == b.State.ID || a.Seed == b.Seed {
		t.Error("two clusters have the same id or seed")
	}
	if _, err := a.clusterID(); err != nil {
		t.Error(err)
	}
	if err := n.setState(&a.State); err != nil {
		t.Error(err)
	}
	if got := n.table.Load().Region([]byte("eu:1")); got != "west" {
		t.Errorf("the rule sends eu:1 to %s", got)
	}
	var names []string
	for _, g := range a.State.Groups {
		names = append(names, g.Name)
		if len(g.Voters) != 3 || len(g.Leaders) == 0 {
			t.Errorf("group %+v", g)
		}
	}
	if !slices.Equal(names, []string{placement.System, "east", "west"}) {
		t.Errorf("the groups are %v", names)
	}
	n.cfg.Config.SurvivalGoal = placement.GoalRegion
	if _, err := n.makeCluster(three); err == nil {
		t.Error("a goal was accepted that two regions cannot meet")
	}
}

func TestAnswer(t *testing.T) {
	first := stub(t, "e1", "east")
	made, err := first.makeCluster(three)
	if err != nil {
		t.Fatal(err)
	}
	mark := first.planMark()
	for _, tc := range []struct {
		name    string
		cluster bool // the node that answers has one
		ask     hello
		refused string
		genesis bool
	}{
		{"before the cluster", false, hello{Node: three[1], Plan: mark}, "", false},
		{"other settings", false, hello{Node: three[1], Plan: "x"}, "has other settings", false},
		{"a seat", true, hello{Node: three[1], Plan: mark}, "", true},
		{"settings changed since", true, hello{Node: three[1], Plan: "x"}, "", true},
		{"back with its cluster", true, hello{Node: three[1], Cluster: made.State.ID}, "", true},
		{"of another cluster", true, hello{Node: three[1], Cluster: "ffff"}, "data directory of another cluster", false},
		{"without a seat", true, hello{Node: seat("x9", "west")}, "was made without node x9", false},
		{"its directory was wiped", true, hello{Node: system.Node{ID: "e2", Region: "east", Seat: "new"}}, "forgotten what it voted for", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := stub(t, "e1", "east")
			if tc.cluster {
				n.genesis.Store(made)
			}
			a := n.answer(tc.ask)
			if (a.Refused == "") != (tc.refused == "") || !strings.Contains(a.Refused, tc.refused) {
				t.Errorf("refused: %q", a.Refused)
			}
			if (a.Genesis != nil) != tc.genesis {
				t.Errorf("genesis: %v", a.Genesis)
			}
			if a.Node != n.self || (a.Cluster != "") != tc.cluster {
				t.Errorf("it says of itself %+v", a)
			}
			// Only who has a seat is heard of: others could take over its name.
			if _, known := n.book.Addr(tc.ask.Node.ID); known != tc.genesis {
				t.Errorf("its address is known: %v", known)
			}
		})
	}
}

func TestPlanMarkCoversWhatMustBeEqual(t *testing.T) {
	same := stub(t, "w1", "west").planMark()
	if got := stub(t, "e1", "east").planMark(); got != same {
		t.Error("nodes of one cluster have different marks")
	}
	for name, change := range map[string]func(c *config.Config){
		"name":      func(c *config.Config) { c.Cluster.Name = "other" },
		"regions":   func(c *config.Config) { c.Regions[1].Hosts = []string{"w2:7379"} },
		"order":     func(c *config.Config) { slices.Reverse(c.Regions) },
		"witnesses": func(c *config.Config) { c.WitnessRegions = []string{"west"} },
		"goal":      func(c *config.Config) { c.SurvivalGoal = placement.GoalRegion },
		"rules":     func(c *config.Config) { c.PlacementRules = config.Rules{{Prefix: "p", Region: "west"}} },
	} {
		n := stub(t, "e1", "east")
		if change(n.cfg.Config); n.planMark() == same {
			t.Errorf("%s does not count", name)
		}
	}
	n := stub(t, "e1", "east")
	if n.cfg.Config.DataDir = "/elsewhere"; n.planMark() != same {
		t.Error("the data directory counts")
	}
}

func TestHelloOnTheWire(t *testing.T) {
	h := hello{Node: three[0], Plan: "p", Cluster: "c", Refused: "r", Genesis: &genesis{State: system.State{Name: "n"}, Seed: [2]uint64{1 << 63, 2}}}
	var b bytes.Buffer
	if err := writeHello(&b, h); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	got, err := readHello(bytes.NewReader(whole))
	if err != nil || got.Node != h.Node || got.Genesis.Seed != h.Genesis.Seed || got.Refused != h.Refused {
		t.Errorf("it arrives as %+v, %v", got, err)
	}
	for name, in := range map[string][]byte{
		"nothing": nil, "half": whole[:len(whole)/2], "a length that lies": binary.BigEndian.AppendUint32(nil, helloMax+1),
		"no JSON": append(binary.BigEndian.AppendUint32(nil, 3), "{{{"...),
	} {
		if got, err := readHello(bytes.NewReader(in)); err == nil {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
}
