package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"phonond/cluster/placement"
)

// Region is a region and the cluster addresses of its first nodes.
type Region struct {
	Name  string
	Hosts []string // host:port
}

// Regions is the list of regions in the order in which they were written: it says
// which are near each other, and which is the first.
type Regions []Region

// Names returns the regions' names.
func (rs Regions) Names() []string {
	names := make([]string, len(rs))
	for i, r := range rs {
		names[i] = r.Name
	}
	return names
}

// add appends a region; hosts without a port get [ClusterPort].
func (rs *Regions) add(name string, hosts []string) error {
	if name == "" || name == placement.System {
		return fmt.Errorf("a region cannot be named %q", name)
	}
	if err := checkName(name); err != nil {
		return err
	}
	if slices.Contains(rs.Names(), name) {
		return fmt.Errorf("region %s is listed twice", name)
	}
	r := Region{Name: name}
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			return fmt.Errorf("region %s: %w", name, err)
		}
		r.Hosts = append(r.Hosts, withPort(h, ClusterPort))
	}
	*rs = append(*rs, r)
	return nil
}

// regionsValue is written us-east-1=h1:7379,h2;us-west-1=h3 as text, and as a
// mapping of lists in the file.
type regionsValue struct{ p *Regions }

func regions(p *Regions) value { return regionsValue{p} }

func (v regionsValue) Set(s string) error {
	var rs Regions
	for part := range splitParts(s) {
		name, hosts, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("%q is not REGION=HOST,HOST", part)
		}
		var l []string
		if err := list(&l).Set(hosts); err != nil {
			return fmt.Errorf("region %s: %w", name, err)
		}
		if err := rs.add(strings.TrimSpace(name), l); err != nil {
			return err
		}
	}
	*v.p = rs
	return nil
}

func (v regionsValue) setYAML(n *yaml.Node) error {
	var rs Regions
	err := eachPair(n, func(k, node *yaml.Node) error {
		hosts, err := stringsOf(node)
		if err != nil {
			return err
		}
		return at(k, rs.add(k.Value, hosts))
	})
	if err == nil {
		*v.p = rs
	}
	return err
}

func (v regionsValue) String() string {
	var parts []string
	for _, r := range *v.p {
		parts = append(parts, r.Name+"="+strings.Join(r.Hosts, ","))
	}
	return strings.Join(parts, ";")
}

func (v regionsValue) check() error {
	owner := map[string]string{}
	for _, r := range *v.p {
		for _, h := range r.Hosts {
			if other, twice := owner[h]; twice {
				return fmt.Errorf("%s is listed twice, in %s and %s", h, other, r.Name)
			}
			owner[h] = r.Name
		}
	}
	return nil
}

func (v regionsValue) kind() string { return "REGION=HOST,HOST;REGION=HOST" }

// Rules are placement rules.
type Rules []placement.Rule

// rulesValue is written eu:=eu-west-1;archive:=us-west-1 as text, and as a mapping
// in the file. A prefix that holds a ';' can be given in the file only.
type rulesValue struct{ p *Rules }

func rules(p *Rules) value { return rulesValue{p} }

func (v rulesValue) Set(s string) error {
	var rs Rules
	for part := range splitParts(s) {
		i := strings.LastIndexByte(part, '=') // a prefix may hold one, a region may not
		if i < 0 {
			return fmt.Errorf("%q is not PREFIX=REGION", part)
		}
		rs = append(rs, placement.Rule{Prefix: part[:i], Region: part[i+1:]})
	}
	*v.p = rs
	return nil
}

func (v rulesValue) setYAML(n *yaml.Node) error {
	var rs Rules
	err := eachPair(n, func(k, node *yaml.Node) error {
		region, err := stringOf(node)
		rs = append(rs, placement.Rule{Prefix: k.Value, Region: region})
		return err
	})
	if err == nil {
		*v.p = rs
	}
	return err
}

func (v rulesValue) String() string {
	var parts []string
	for _, r := range *v.p {
		parts = append(parts, r.Prefix+"="+r.Region)
	}
	return strings.Join(parts, ";")
}

func (v rulesValue) check() error {
	seen := map[string]bool{}
	for _, r := range *v.p {
		switch {
		case r.Prefix == "":
			return errors.New("a rule has an empty prefix, which would take every key")
		case seen[r.Prefix]:
			return fmt.Errorf("there are two rules for %q", r.Prefix)
		}
		seen[r.Prefix] = true
	}
	return nil
}

func (v rulesValue) kind() string { return "PREFIX=REGION;PREFIX=REGION" }

// splitParts yields the parts of a text between semicolons, without empty ones at
// its end.
func splitParts(s string) func(func(string) bool) {
	s = strings.TrimRight(s, "; ")
	if s == "" {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(s, ";")
}
