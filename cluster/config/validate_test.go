package config

import (
	"reflect"
	"strings"
	"testing"
)

// valid loads minimal with changes.
func valid(t *testing.T, change func(*Config)) *Config {
	t.Helper()
	c, err := loadText(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	change(c)
	return c
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // "" for valid
	}{
		{"as it is", func(*Config) {}, ""},
		{"a region that is not listed", func(c *Config) { c.Region = "west" }, "region: west is not in regions: [east]"},
		{"this node is not listed", func(c *Config) { c.Cluster.Advertise = "10.0.0.1" },
			"regions: east does not list this node, 10.0.0.1:7379: add it there, or set cluster.advertise"},
		{"this node is listed elsewhere", func(c *Config) {
			c.Regions = Regions{{"west", []string{"127.0.0.1:7379"}}, {"east", nil}}
		}, "regions: east does not list this node"},
		{"a host in two regions", func(c *Config) {
			c.Regions = append(c.Regions, Region{"west", []string{"127.0.0.1:7379"}})
		}, "regions: 127.0.0.1:7379 is listed twice, in east and west"},
		{"an unknown witness", func(c *Config) { c.WitnessRegions = []string{"west"} }, "witness_regions: west is not in regions"},
		{"nothing but witnesses", func(c *Config) { c.WitnessRegions = []string{"east"} }, "regions: placement: invalid cluster: it has no region"},
		{"a goal that cannot be met", func(c *Config) { c.SurvivalGoal = "region" }, "survival_goal: placement: the survival goal cannot be met"},
		{"a goal that does not exist", func(c *Config) { c.SurvivalGoal = "zone" }, `survival_goal: "zone" is not node or region`},
		{"a goal that a witness makes possible", func(c *Config) {
			c.SurvivalGoal = "region"
			c.Regions = Regions{{"east", []string{"127.0.0.1:7379", "b"}}, {"west", []string{"c", "d"}}, {"mid", []string{"e"}}}
			c.WitnessRegions = []string{"mid"}
		}, ""},
		{"a rule to a witness", func(c *Config) {
			c.Regions = append(c.Regions, Region{"mid", []string{"e"}})
			c.WitnessRegions, c.PlacementRules = []string{"mid"}, Rules{{Prefix: "x", Region: "mid"}}
		}, `placement_rules: "x" goes to "mid"`},
		{"a rule for everything", func(c *Config) { c.PlacementRules = Rules{{Prefix: "", Region: "east"}} }, "placement_rules: a rule has an empty prefix"},
		{"two rules for a prefix", func(c *Config) {
			c.PlacementRules = Rules{{Prefix: "x", Region: "east"}, {Prefix: "x", Region: "east"}}
		}, `placement_rules: there are two rules for "x"`},
		{"an id that is a path", func(c *Config) { c.Node = "../n" }, `node: "../n" is not a name`},
		{"an id that is too long", func(c *Config) { c.Node = strings.Repeat("n", 65) }, "node: \"nnnnnnnnnnnnnnnnnnnn\"... has 65 characters"},
		{"no cluster name", func(c *Config) { c.Cluster.Name = "" }, "cluster.name: is empty"},
		{"a time-out out of range", func(c *Config) { c.RequestTimeout = 0 }, "request_timeout: 0s is out of range: 100ms to 1m"},
		{"a size out of range", func(c *Config) { c.RESP.MaxBulk = 1 }, "resp.max_bulk: 1 is out of range: 64kb to 32mb"},
		{"an address without port", func(c *Config) { c.RESP.Listen = "localhost" }, `resp.listen: "localhost" is not host:port`},
		{"port 0", func(c *Config) { c.RESP.Listen = "127.0.0.1:0" }, "resp.listen: \"127.0.0.1:0\": the port must be"},
		{"two listeners on a port", func(c *Config) { c.RESP.Listen, c.Gossip.Listen = ":7379", "127.0.0.2:6379" },
			"cluster.listen: 127.0.0.1:7379 is taken by resp.listen"},
		{"a port on two addresses", func(c *Config) { c.RESP.Listen, c.Gossip.Listen = "127.0.0.1:9000", "127.0.0.2:9000" }, ""},
		{"an advertised address that nobody can dial", func(c *Config) { c.RESP.Advertise = "0.0.0.0" }, "resp.advertise: \"0.0.0.0\" cannot be dialled"},

		{"all addresses, none to dial", func(c *Config) { c.Cluster.Listen = "0.0.0.0:7379" }, "cluster.advertise: is not set"},
		{"open to the network without TLS", func(c *Config) { c.Cluster.Listen = ":7379" }, "cluster.tls: is not set, and :7379 can be reached"},
		{"a host name is the network", func(c *Config) { c.Cluster.Listen = "node1:7379" }, "cluster.tls: is not set, and node1:7379 can be reached"},
		{"localhost is not", func(c *Config) {
			c.Cluster.Listen, c.Regions[0].Hosts[0] = "localhost:7379", "localhost:7379"
		}, ""},
		{"half of TLS", func(c *Config) { c.Cluster.TLS.Cert = "x" }, "cluster.tls: is incomplete: set cert, key and ca"},
		{"TLS without an id", func(c *Config) { c.Cluster.TLS = ClusterTLS{"x", "x", "x"} },
			"node: is not set: with cluster.tls it must be, as the certificate carries it (phonond://phonond/east/NODE)"},
		{"half of RESP TLS", func(c *Config) { c.RESP.TLS.Key = "x" }, "resp.tls: is incomplete"},
		{"client_ca alone", func(c *Config) { c.RESP.TLS.ClientCA = "x" }, "resp.tls.client_ca: needs"},
		{"open gossip without keys", func(c *Config) { c.Gossip.Listen = "0.0.0.0:7946" }, "gossip.keys: is not set, and 0.0.0.0:7946 can be reached"},
		{"gossip with keys", func(c *Config) { c.Gossip.Listen, c.Gossip.Keys = "0.0.0.0:7946", Secrets{testKey} }, ""},
		{"a key that is not base64", func(c *Config) { c.Gossip.Keys = Secrets{testKey, "!"} }, "gossip.keys: key 2 is not base64"},
		{"a key of 3 bytes", func(c *Config) { c.Gossip.Keys = Secrets{"AAAA"} }, "gossip.keys: key 1 has 3 bytes, not 16, 24 or 32"},
		{"too many keys", func(c *Config) { c.Gossip.Keys = make(Secrets, 9) }, "gossip.keys: there are 9, at most 8"},
		{"RESP open to the network", func(c *Config) { c.RESP.Listen = "0.0.0.0:6379" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := valid(t, tt.change).Validate()
			if tt.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}

func TestValidateFindsEverything(t *testing.T) {
	c := valid(t, func(c *Config) {
		c.Region, c.DataDir, c.Log.Level = "", "", "loud"
		c.Cluster.Listen, c.Gossip.Listen, c.RESP.MaxClients = "0.0.0.0:7379", "0.0.0.0:7946", 0
	})
	err := c.Validate()
	for _, key := range []string{"region", "data_dir", "log.level", "cluster.advertise", "cluster.tls", "gossip.keys", "resp.max_clients"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("%s is missing in:\n%v", key, err)
		}
	}
}

func TestReachableAddresses(t *testing.T) {
	for _, tt := range []struct {
		cluster, clusterAd, resp, respAd, gossip, gossipAd string
		want                                               [3]string
	}{
		{"127.0.0.1:7379", "", "127.0.0.1:6379", "", "127.0.0.1:7946", "", [3]string{"127.0.0.1:7379", "127.0.0.1:6379", "127.0.0.1:7946"}},
		{":7379", "h1", ":6379", "", "0.0.0.0:7946", "", [3]string{"h1:7379", "h1:6379", "h1:7946"}},
		{":7379", "h1:1", "[::]:6379", "", ":7946", "g", [3]string{"h1:1", "h1:6379", "g:7946"}},
		{":7379", "::1", "127.0.0.1:6379", "r:5", ":7946", "g:6", [3]string{"[::1]:7379", "r:5", "g:6"}},
	} {
		c := Default()
		c.Cluster.Listen, c.Cluster.Advertise = tt.cluster, tt.clusterAd
		c.RESP.Listen, c.RESP.Advertise = tt.resp, tt.respAd
		c.Gossip.Listen, c.Gossip.Advertise = tt.gossip, tt.gossipAd
		if got := [3]string{c.ClusterAddr(), c.RESPAddr(), c.GossipAddr()}; got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestWarnings(t *testing.T) {
	twoByTwo := func(c *Config) {
		c.Regions = Regions{{"east", []string{"127.0.0.1:7379", "b"}}, {"west", []string{"c", "d"}}}
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"none", func(*Config) {}, nil},
		{"protected mode", func(c *Config) { c.RESP.Listen = "0.0.0.0:6379" }, []string{"clients on other machines are refused"}},
		{"in the clear", func(c *Config) { c.RESP.Listen, c.RESP.Password = "0.0.0.0:6379", "x" }, []string{"in the clear"}},
		{"shorter than an election", func(c *Config) { c.RequestTimeout = 1e9 }, []string{"request_timeout is 1s, an election may take 3s"}},
		{"one node", func(c *Config) { c.Regions = c.Regions[:1]; c.Regions[0].Hosts = c.Regions[0].Hosts[:1] }, []string{"one node", "one region"}},
	} {
		c := valid(t, func(c *Config) { twoByTwo(c); tt.change(c) })
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got := c.Warnings()
		if len(got) != len(tt.want) {
			t.Errorf("%s: %q", tt.name, got)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], tt.want[i]) {
				t.Errorf("%s: %q", tt.name, got)
			}
		}
	}
}

func TestGossipKeys(t *testing.T) {
	c := valid(t, func(c *Config) { c.Gossip.Keys = Secrets{testKey, "AAAAAAAAAAAAAAAAAAAAAA=="} })
	keys, err := c.GossipKeys()
	if err != nil || len(keys) != 2 || len(keys[0]) != 32 || keys[0][31] != 31 || !reflect.DeepEqual(keys[1], make([]byte, 16)) {
		t.Errorf("%v, %v", keys, err)
	}
}
