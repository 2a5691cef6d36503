package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

// The regions of the cluster, each of two nodes. Clients are in the second one.
const (
	first  = "us-east-1"
	second = "us-west-1"
)

// placement keeps the keys of bee-queue's queues together: their names have no
// braces.
const placement = "--placement-rules=bq:=" + first

// startTimeout bounds how long servers take to come up.
const startTimeout = 60 * time.Second

// servers is what clients talk to.
type servers struct {
	nodes []string // addresses; see [report]
	stop  func()
	logs  func() string
}

// startCluster builds the program and starts a cluster with data below dir.
func startCluster(ctx context.Context, dir string) (*servers, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	built, err := proctest.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	c, err := proctest.New(proctest.Options{
		Program: built, Dir: dir, Flags: []string{placement},
		Regions: []proctest.Region{{Name: first, Nodes: 2}, {Name: second, Nodes: 2}},
	})
	if err != nil {
		return nil, err
	}
	s := &servers{stop: func() { c.Close() }, logs: func() string { return crashes(c) + c.Logs() }}
	if err := c.Start(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%w\n%s", err, c.Logs())
	}
	follower, err := follower(ctx, c)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.nodes = []string{follower.RESP}
	for _, n := range slices.Backward(c.Others(follower)) {
		s.nodes = append(s.nodes, n.RESP)
	}
	return s, nil
}

// crashLength is how much is shown of what a node said when it crashed, in bytes.
const crashLength = 4 << 10

// crashes returns how the nodes that have crashed did. The end of their logs does
// not tell: it has the stacks of all goroutines.
func crashes(c *proctest.Cluster) string {
	var b strings.Builder
	for _, n := range c.Nodes() {
		log := n.Log()
		if at := regexp.MustCompile(`(?m)^(panic|fatal error|runtime: .*exceeds.*):`).FindStringIndex(log); at != nil {
			fmt.Fprintf(&b, "--- node %s crashed\n%.*s\n", n.ID, crashLength, log[at[0]:])
		}
	}
	return b.String()
}

// follower returns a node of the second region that leads nothing.
func follower(ctx context.Context, c *proctest.Cluster) (found *proctest.Node, err error) {
	err = proctest.Until(ctx, func() error {
		groups, err := c.Nodes()[0].Groups()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c.Nodes(), func(n *proctest.Node) bool {
			return n.Region == second && !slices.ContainsFunc(groups, func(g proctest.Group) bool { return g.Leader == n.ID || g.Leader == "" })
		})
		if i < 0 {
			return fmt.Errorf("every node of %s leads a group", second)
		}
		found = c.Nodes()[i]
		return nil
	})
	return found, err
}

// startRedis starts a redis-server in place of all nodes.
func startRedis(ctx context.Context, dir string) (*servers, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := proctest.StartRedis(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &servers{nodes: []string{r.Addr}, stop: func() { r.Kill() }, logs: func() string { return "" }}, nil
}
