// Package clustertest is a whole cluster in the test's process and in virtual
// time: start it inside a testing/synctest bubble, cut its network, crash its
// nodes, wait for conditions. Disks are in memory and keep what was written,
// unless a test brings its own. Only tests use it.
package clustertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"phonond/cluster"
	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/config"
	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/redisproto/resp"
)

// The ports of every node.
const (
	respPort    = 6379
	clusterPort = 7379
	gossipPort  = 7946
)

const password = "sesame"

// Region is a region and how many nodes it has: region "us" with two nodes has
// us-1 and us-2.
type Region struct {
	Name  string
	Nodes int
}

// Cluster is a cluster under test.
type Cluster struct {
	t     testing.TB
	Net   *simnet.Network
	nodes map[string]*node
	dir   string
	log   *slog.Logger
	lines logLines

	mu      sync.Mutex
	regions config.Regions
	moved   int // added to every port
	// Settle is how long a home voter must be well before it gets the lead back.
	Settle time.Duration
	// Goal is the survival goal, "node" by default.
	Goal placement.Goal

	// The rest may stay nil. Storage is where a node keeps a group, and Space how
	// much room there is; Limits changes the limits of groups; Fatal is told why a node ends itself, which fails the
	// test otherwise.
	Storage func(node, group string) (*group.Storage, error)
	Space   func(node string) (free, total uint64, err error)
	Limits  func(*group.Limits)
	Fatal   func(node string, err error)
}

// node is one node of the cluster, running or not.
type node struct {
	name, region string
	running      atomic.Pointer[cluster.Node]
	gossip       memberlist.Transport // of the one that runs, which may end before it uses it
	wall         atomic.Int64         // ns by which its wall clock is wrong

	mu    sync.Mutex
	disks map[string]*group.Storage
	fatal error
}

// New makes a cluster whose nodes are not started yet.
func New(t testing.TB, regions ...Region) *Cluster {
	c := &Cluster{
		t: t, Net: simnet.New(), nodes: map[string]*node{}, dir: t.TempDir(), Settle: 30 * time.Second, Goal: placement.GoalNode,
	}
	c.log = slog.New(slog.NewTextHandler(&c.lines, &slog.HandlerOptions{Level: slog.LevelInfo}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the nodes said:\n%s", c.Said())
		}
	})
	for _, r := range regions {
		conf := config.Region{Name: r.Name}
		for i := range r.Nodes {
			name := fmt.Sprintf("%s-%d", r.Name, i+1)
			c.nodes[name] = &node{name: name, region: r.Name, disks: map[string]*group.Storage{}}
			conf.Hosts = append(conf.Hosts, addr(name, clusterPort))
		}
		c.regions = append(c.regions, conf)
	}
	return c
}

// logLines keeps what nodes say, to be shown if the test fails.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// Said returns what the nodes have logged.
func (c *Cluster) Said() string {
	c.lines.mu.Lock()
	defer c.lines.mu.Unlock()
	return c.lines.text.String()
}

func addr(host string, port int) string { return fmt.Sprintf("%s:%d", host, port) }

// Move gives all nodes, none of which may be running, other addresses.
func (c *Cluster) Move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += 10
	regions := slices.Clone(c.regions) // nodes that are starting read the others
	for i, r := range regions {
		regions[i].Hosts = nil
		for n := range r.Hosts {
			regions[i].Hosts = append(regions[i].Hosts, addr(fmt.Sprintf("%s-%d", r.Name, n+1), clusterPort+c.moved))
		}
	}
	c.regions = regions
}

// port is where a node's port is now.
func (c *Cluster) port(first int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return first + c.moved
}

// Names returns the names of all nodes, in order.
func (c *Cluster) Names() []string {
	var names []string
	for name := range c.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// StartAll starts every node and waits until every group has a leader.
func (c *Cluster) StartAll() {
	c.t.Helper()
	for _, name := range c.Names() {
		c.Start(name)
	}
	c.WaitReady(c.Names()...)
}

// Start starts a node, with what its disk holds.
func (c *Cluster) Start(name string) {
	c.t.Helper()
	if err := c.TryStart(name); err != nil {
		c.t.Fatal(err)
	}
}

// TryStart starts a node, and leaves it to the caller what to do if that fails.
func (c *Cluster) TryStart(name string) error {
	n := c.nodes[name]
	host := c.Net.Host(name, n.region)
	gossip, err := host.Gossip(c.port(gossipPort))
	if err != nil {
		return err
	}
	conf := config.Default()
	conf.Node, conf.Region, conf.DataDir = name, n.region, filepath.Join(c.dir, name)
	c.mu.Lock()
	conf.Regions = c.regions
	c.mu.Unlock()
	conf.SurvivalGoal = c.Goal
	conf.Disk.Reserve = 0         // there is no real disk to keep room on
	conf.RESP.Password = password // clients here are not on the node's machine
	conf.RESP.Listen, conf.Cluster.Listen, conf.Gossip.Listen = addr(name, c.port(respPort)), addr(name, c.port(clusterPort)), addr(name, c.port(gossipPort))
	running, err := cluster.Start(cluster.Config{
		Config: conf, Version: "test", Log: c.log, Network: host, Gossip: gossip, Lookup: host.Lookup, Settle: c.Settle,
		Storage: func(group string) (*group.Storage, error) { return c.storage(n, group) },
		Space:   c.space(n),
		Limits:  c.Limits,
		Fatal:   func(err error) { c.onFatal(n, err) },
		Wall:    func() time.Time { return time.Now().Add(time.Duration(n.wall.Load())) },
	})
	if err != nil {
		gossip.Shutdown()
		c.Net.Crash(name)
		return err
	}
	n.gossip = gossip
	n.running.Store(running)
	return nil
}

func (c *Cluster) space(n *node) func() (free, total uint64, err error) {
	if c.Space == nil {
		return nil
	}
	return func() (uint64, uint64, error) { return c.Space(n.name) }
}

func (c *Cluster) storage(n *node, name string) (*group.Storage, error) {
	if c.Storage != nil {
		return c.Storage(n.name, name)
	}
	return n.disk(name)
}

// disk returns the node's disk for a group, which outlives crashes.
func (n *node) disk(name string) (*group.Storage, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.disks[name] == nil {
		n.disks[name] = group.Memory()
	}
	return n.disks[name], nil
}

func (c *Cluster) onFatal(n *node, err error) {
	if c.Fatal != nil {
		c.Fatal(n.name, err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fatal == nil {
		n.fatal = err
	}
}

// SetWall makes a node's wall clock wrong by d.
func (c *Cluster) SetWall(name string, d time.Duration) { c.nodes[name].wall.Store(int64(d)) }

// Crash ends a node as kill -9 does.
func (c *Cluster) Crash(name string) {
	c.Net.Crash(name)
	n := c.nodes[name]
	n.running.Swap(nil).Kill()
	n.gossip.Shutdown()
}

// Stop ends a node as SIGTERM does.
func (c *Cluster) Stop(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n := c.nodes[name]
	n.running.Swap(nil).Stop(ctx)
	n.gossip.Shutdown()
	c.Net.Crash(name)
}

// Close ends all nodes and checks that none had a fatal error. Nothing of the
// cluster runs any more afterwards.
func (c *Cluster) Close() {
	c.t.Helper()
	c.Net.HealAll()
	for _, name := range c.Names() {
		if c.nodes[name].running.Load() != nil {
			c.Crash(name)
		}
		if err := c.nodes[name].fatal; err != nil {
			c.t.Errorf("node %s: %v", name, err)
		}
	}
	time.Sleep(5 * time.Minute) // virtual: the libraries' last timers fire
}

// Node returns a node that runs, nil if it does not.
func (c *Cluster) Node(name string) *cluster.Node { return c.nodes[name].running.Load() }

// WaitReady waits until every group has a leader that the nodes reach.
func (c *Cluster) WaitReady(names ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for _, name := range names {
		if err := c.nodes[name].running.Load().Ready(ctx); err != nil {
			c.t.Fatalf("node %s: %v", name, err)
		}
	}
}

// Leader returns the node that leads a group and serves it, "" if none does.
func (c *Cluster) Leader(group string) string {
	for _, name := range c.Names() {
		if n := c.nodes[name].running.Load(); n != nil && n.Leads(group) {
			return name
		}
	}
	return ""
}

// Wait waits until a condition holds, for at most five minutes of virtual time.
func (c *Cluster) Wait(what string, ok func() bool) {
	c.t.Helper()
	for range 5 * 60 * 100 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("waited in vain: %s", what)
}

// Transfer gives the lead of a group to a node, and waits until it has it.
func (c *Cluster) Transfer(group, to string) {
	c.t.Helper()
	c.Wait(fmt.Sprintf("%s leads %s", to, group), func() bool {
		if c.Leader(group) == to {
			return true
		}
		client := c.Client(to)
		defer client.Close()
		client.Do("PHONON.TRANSFER-LEADER", group, to)
		return c.Leader(group) == to
	})
}

// CheckDigests waits until nothing is in flight and compares the replicas of
// every group.
func (c *Cluster) CheckDigests() {
	c.t.Helper()
	var diverged string
	c.Wait("equal digests", func() bool {
		diverged = ""
		at := map[string]string{}
		same := true
		for _, name := range c.Names() {
			n := c.nodes[name].running.Load()
			if n == nil {
				continue
			}
			for _, s := range n.Statuses() {
				have := fmt.Sprintf("%d %016x", s.Applied, s.Digest)
				if want, ok := at[s.Group]; ok && want != have {
					same = false
					diverged = fmt.Sprintf("group %s: node %s has %s, another %s", s.Group, name, have, want)
				}
				at[s.Group] = have
			}
		}
		return same
	})
	if diverged != "" {
		c.t.Error(diverged)
	}
}

// Client is a connection of a Redis client.
type Client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// Client connects to a node.
func (c *Cluster) Client(name string) *Client {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := c.Dial(ctx, name)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// Dial connects to a node, and leaves it to the caller what to do if that fails.
func (c *Cluster) Dial(ctx context.Context, name string) (*Client, error) {
	conn, err := c.Net.Host("client", "").Dial(ctx, addr(name, c.port(respPort)))
	if err != nil {
		return nil, err
	}
	client := &Client{c.t, conn, bufio.NewReader(conn)}
	if at, ok := ctx.Deadline(); ok {
		conn.SetDeadline(at)
		defer conn.SetDeadline(time.Time{})
	}
	v, err := client.Try("AUTH", password)
	if err == nil && v.IsError() {
		err = errors.New(v.Str)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// SetDeadline bounds how long commands wait for their replies from now on.
func (c *Client) SetDeadline(at time.Time) { c.conn.SetDeadline(at) }

// Close ends the connection.
func (c *Client) Close() { c.conn.Close() }

// Do sends a command and waits for its reply. A broken connection fails the test.
func (c *Client) Do(args ...string) resp.Value {
	c.t.Helper()
	v, err := c.Try(args...)
	if err != nil {
		c.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Try sends a command and waits for its reply.
func (c *Client) Try(args ...string) (resp.Value, error) {
	if _, err := c.conn.Write(resp.AppendCommand(nil, args...)); err != nil {
		return resp.Value{}, err
	}
	return resp.Read(c.r)
}

// Pipeline sends commands at once and waits for all replies.
func (c *Client) Pipeline(commands ...[]string) []resp.Value {
	c.t.Helper()
	replies, err := c.TryPipeline(commands)
	if err != nil {
		c.t.Fatal(err)
	}
	return replies
}

// TryPipeline sends commands at once. With an error it returns the replies that
// came before.
func (c *Client) TryPipeline(commands [][]string) ([]resp.Value, error) {
	var b []byte
	for _, args := range commands {
		b = resp.AppendCommand(b, args...)
	}
	if _, err := c.conn.Write(b); err != nil {
		return nil, err
	}
	replies := make([]resp.Value, 0, len(commands))
	for range commands {
		v, err := resp.Read(c.r)
		if err != nil {
			return replies, err
		}
		replies = append(replies, v)
	}
	return replies, nil
}
