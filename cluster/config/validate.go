package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"

	"phonond/cluster/placement"
)

// maxGossipKeys is the most gossip keys: two while one replaces the other, and
// some that were forgotten. Each is tried on every packet that is not understood.
const maxGossipKeys = 8

// Validate returns [Problems] with everything that is wrong, or nil. It reads no
// file: see [Config.ClusterTLS] and [Config.RESPTLS] for the certificates.
func (c *Config) Validate() error {
	v := validator{Config: c}
	for _, s := range c.settings() {
		if err := s.value.check(); err != nil {
			v.fail(s.Key, "%v", err)
		}
	}
	v.place()
	v.listeners()
	v.secured()
	return v.problems.errOrNil()
}

type validator struct {
	*Config
	problems Problems
}

func (v *validator) fail(key, format string, args ...any) {
	// One line for each setting: the first says what to mend first.
	if !slices.ContainsFunc(v.problems, func(p Problem) bool { return p.Key == key }) {
		v.problems = append(v.problems, Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
}

// place checks where this node is, and that the cluster can be laid out.
func (v *validator) place() {
	if v.DataDir == "" {
		v.fail("data_dir", "is not set: name the directory for this node's data")
	}
	if v.Region == "" {
		v.fail("region", "is not set: name the region this node is in")
	}
	if v.Cluster.Name == "" {
		v.fail("cluster.name", "is empty: name the cluster")
	}
	if len(v.Regions) == 0 {
		v.fail("regions", "is not set: list each region's nodes")
		return
	}
	for _, w := range v.WitnessRegions {
		if !slices.Contains(v.Regions.Names(), w) {
			v.fail("witness_regions", "%s is not in regions", w)
		}
	}
	for _, r := range v.PlacementRules {
		if homes := v.homes(); !slices.Contains(homes, r.Region) {
			v.fail("placement_rules", "%q goes to %q, which is none of the regions that own keys: %v", r.Prefix, r.Region, homes)
		}
	}
	if i := slices.IndexFunc(v.Regions, func(r Region) bool { return r.Name == v.Region }); v.Region != "" && i < 0 {
		v.fail("region", "%s is not in regions: %v", v.Region, v.Regions.Names())
	} else if i >= 0 && !slices.Contains(v.Regions[i].Hosts, v.ClusterAddr()) {
		v.fail("regions", "%s does not list this node, %s: add it there, or set cluster.advertise to the address under which it is listed",
			v.Region, v.ClusterAddr())
	}
	switch _, err := v.plan(); {
	case errors.Is(err, placement.ErrImpossible):
		v.fail("survival_goal", "%v", err)
	case err != nil:
		v.fail("regions", "%v", err)
	}
}

// homes returns the regions that own keys, in order.
func (c *Config) homes() []string {
	return slices.DeleteFunc(c.Regions.Names(), func(r string) bool { return slices.Contains(c.WitnessRegions, r) })
}

// plan lays out the cluster as it starts, with addresses for ids.
func (c *Config) plan() (placement.Placement, error) {
	var nodes []placement.Node
	for _, r := range c.Regions {
		for _, h := range r.Hosts {
			nodes = append(nodes, placement.Node{ID: h, Region: r.Name, Witness: slices.Contains(c.WitnessRegions, r.Name)})
		}
	}
	return placement.Plan(nodes, c.homes(), c.SurvivalGoal)
}

// listeners checks that the addresses can be bound beside each other, and reached.
func (v *validator) listeners() {
	listen := []struct{ key, addr string }{
		{"resp.listen", v.RESP.Listen}, {"cluster.listen", v.Cluster.Listen}, {"gossip.listen", v.Gossip.Listen},
	}
	for i, a := range listen {
		for _, b := range listen[:i] {
			if overlap(a.addr, b.addr) {
				v.fail(a.key, "%s is taken by %s: choose another port", a.addr, b.key)
			}
		}
	}
	if host, _, err := net.SplitHostPort(v.Cluster.Listen); err == nil && anyHost(host) && v.Cluster.Advertise == "" {
		v.fail("cluster.advertise", "is not set, and cluster.listen is all addresses: name the one that other nodes dial")
	}
}

// overlap reports whether two addresses cannot both be bound.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && portA == portB && (hostA == hostB || anyHost(hostA) || anyHost(hostB))
}

// secured checks that nothing is open to the network that must not be.
func (v *validator) secured() {
	tls := v.Cluster.TLS
	switch given := count3(tls.Cert, tls.Key, tls.CA); {
	case given == 0 && !loopback(v.Cluster.Listen):
		v.fail("cluster.tls", "is not set, and %s can be reached from other machines: set cert, key and ca, or listen on 127.0.0.1", v.Cluster.Listen)
	case given != 0 && given != 3:
		v.fail("cluster.tls", "is incomplete: set cert, key and ca")
	case given == 3 && v.Node == "":
		v.fail("node", "is not set: with cluster.tls it must be, as the certificate carries it (%s)", v.Identity("NODE").URI())
	}
	switch r := v.RESP.TLS; {
	case (r.Cert == "") != (r.Key == ""):
		v.fail("resp.tls", "is incomplete: set cert and key")
	case r.ClientCA != "" && r.Cert == "":
		v.fail("resp.tls.client_ca", "needs resp.tls.cert and resp.tls.key")
	}
	if len(v.Gossip.Keys) == 0 && v.Gossip.KeysFile == "" && !loopback(v.Gossip.Listen) {
		v.fail("gossip.keys", "is not set, and %s can be reached from other machines: make a key with \"openssl rand -base64 32\", the same for all nodes, or listen on 127.0.0.1",
			v.Gossip.Listen)
	}
	if n := len(v.Gossip.Keys); n > maxGossipKeys {
		v.fail("gossip.keys", "there are %d, at most %d are supported", n, maxGossipKeys)
	}
	if _, err := v.GossipKeys(); err != nil {
		v.fail("gossip.keys", "%v", err)
	}
}

func count3(a, b, c string) (n int) {
	for _, s := range []string{a, b, c} {
		if s != "" {
			n++
		}
	}
	return n
}

// GossipKeys returns the decoded gossip keys, the one for sending first.
func (c *Config) GossipKeys() ([][]byte, error) {
	var keys [][]byte
	for i, s := range c.Gossip.Keys {
		k, err := base64.StdEncoding.DecodeString(s)
		switch {
		case err != nil: // the error would quote a part of the key
			return nil, fmt.Errorf("key %d is not base64", i+1)
		case len(k) != 16 && len(k) != 24 && len(k) != 32:
			return nil, fmt.Errorf("key %d has %d bytes, not 16, 24 or 32", i+1, len(k))
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Warnings says what is allowed but may surprise, in sentences for an operator.
// The configuration must be valid.
func (c *Config) Warnings() []string {
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	for _, v := range c.unknown {
		warn("%s names no setting and is ignored", v)
	}
	if !loopback(c.RESP.Listen) {
		switch {
		case c.RESP.Password == "" && c.RESP.TLS.ClientCA == "":
			warn("resp.listen is %s, but there is no resp.password: clients on other machines are refused", c.RESP.Listen)
		case c.RESP.TLS.Cert == "":
			warn("resp.listen is %s without resp.tls: passwords and data cross the network in the clear", c.RESP.Listen)
		}
	}
	if longest := 3 * c.Raft.ElectionTimeout; c.RequestTimeout < longest {
		warn("request_timeout is %s, an election may take %s: clients will see errors when a leader fails",
			shortDuration(c.RequestTimeout), shortDuration(longest))
	}
	if p, err := c.plan(); err == nil {
		warnings = append(warnings, p.Warnings()...)
	}
	return warnings
}
