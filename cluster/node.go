// Package cluster is a node: one process of a phonond cluster. A [Node] opens
// its storage, finds or makes its cluster, starts its groups, the way to other
// nodes and the port for clients, in that order, and stops them in reverse. It
// owns everything below it and keeps nothing global: ten nodes fit in a test.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"phonond/cluster/config"
	"phonond/cluster/gossip"
	"phonond/cluster/group"
	"phonond/cluster/mux"
	"phonond/cluster/placement"
	"phonond/cluster/route"
	"phonond/cluster/session"
	"phonond/fsm"
	"phonond/fsm/system"
	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// Config is what a node is made from.
type Config struct {
	Config  *config.Config // the settings; not changed
	Version string         // of the program
	Log     *slog.Logger
	// Fatal is called when the node cannot go on: see [group.Config]. The process
	// is expected to end.
	Fatal func(error)

	// ClusterTLS and ClientTLS protect the two ports. Nil means plain.
	ClusterTLS *tls.Config
	ClientTLS  *tls.Config
	GossipKeys [][]byte

	// Network is where listeners and connections come from. Default: TCP.
	Network mux.Network
	// Gossip replaces gossip's own sockets, and Lookup the resolver, in tests.
	Gossip memberlist.Transport
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Wall is the wall clock. Default: [time.Now].
	Wall func() time.Time
	// Storage opens the storage of a group. Default: bbolt files below the data
	// directory.
	Storage func(group string) (*group.Storage, error)
	// Limits changes the limits of groups that follow from the settings, in tests.
	Limits func(*group.Limits)
	// Space tells how many bytes are left on the disk, and how many it has in all.
	// Default: what the system says of the data directory; with Storage, that there is
	// always enough.
	Space func() (free, total uint64, err error)
	// Settle is how long a home voter must have been well before it is given the
	// lead back. Default 30 s.
	Settle time.Duration
}

// Node is one process of the cluster.
type Node struct {
	cfg      Config
	log      *slog.Logger
	lock     *os.File // held while the node uses its data directory
	disk     *disk
	memory   memory
	identity identity
	self     system.Node
	started  time.Time
	runID    string // of this run, for INFO

	book   *gossip.Book
	mux    *mux.Mux
	gossip *gossip.Gossip
	resp   *redisproto.Server

	genesis atomic.Pointer[genesis]
	state   atomic.Pointer[system.State] // what the system group said last
	table   atomic.Pointer[route.Table]
	router  atomic.Pointer[route.Router] // nil until the node has its groups
	held    *session.Sessions            // set before router is
	fencing fencing
	ports   atomic.Bool             // mux and gossip are there
	groups  map[string]*group.Group // complete before router is set
	bus     *bus
	scripts scripts
	events  atomic.Uint32 // the fsm.EventClass of notify-keyspace-events

	following sync.Mutex // held to act on what the system group says
	changing  sync.Mutex // held while other nodes are waited for to do so

	ctx    context.Context // of the node's own tasks
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// starting is what leads to comeUp, and it: until that is done, what there is to
	// stop may grow.
	starting sync.WaitGroup
	failed   chan error // the reason for which the node has not come up
}

// Start starts a node. It returns once the ports are open: finding the cluster
// goes on behind, and until it is found clients are told that the node is
// loading. [Node.Ready] waits for it. While the disk is full only the port for clients
// is open, and the rest follows when there is room.
func Start(cfg Config) (_ *Node, err error) {
	if cfg.Network == nil {
		cfg.Network = mux.TCP()
	}
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.Settle == 0 {
		cfg.Settle = 30 * time.Second
	}
	n := &Node{cfg: cfg, log: cfg.Log, started: time.Now(), runID: randomHex(20), groups: map[string]*group.Group{}, failed: make(chan error, 1)}
	n.memory.limit.Store(int64(cfg.Config.MaxMemory))
	n.bus, n.scripts = newBus(n), newScripts(n.log)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.Kill()
		}
	}()
	if err := n.openData(); err != nil {
		return nil, err
	}
	if n.disk.space().Level == group.SpaceFull {
		if err := n.openResp(); err != nil {
			return nil, err
		}
		n.starting.Go(func() {
			err := n.disk.waitForRoom(n.ctx)
			if err == nil {
				err = n.openPorts()
			}
			n.comeUp(err)
		})
		return n, nil
	}
	if err := n.openPorts(); err != nil {
		return nil, err
	}
	n.starting.Go(func() { n.comeUp(nil) })
	return n, nil
}

// openPorts counts the start and opens the ports that are not open yet.
func (n *Node) openPorts() error {
	steps := []func() error{n.countStart, n.openMux, n.openResp, n.openGossip}
	if n.resp != nil {
		steps = []func() error{n.countStart, n.openMux, n.openGossip}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	n.ports.Store(true)
	n.tasks.Go(func() { n.disk.watch(n.ctx) })
	return nil
}

// comeUp finds the cluster and starts this node's part of it, unless it has failed
// before.
func (n *Node) comeUp(err error) {
	if err == nil {
		err = n.findAndJoin()
	}
	if err != nil && n.ctx.Err() == nil {
		n.log.Error("the node cannot start", "error", err)
		n.failed <- err
		n.cfg.Fatal(err)
	}
}

func (n *Node) findAndJoin() error {
	g, err := n.findCluster(n.ctx)
	if err != nil {
		return err
	}
	id, err := g.clusterID()
	if err != nil {
		return err
	}
	if seat := g.State.Node(n.self.ID); seat == nil || seat.Seat != n.self.Seat {
		return fmt.Errorf("%s is of a cluster in which this node has no seat: the data directory was put together from two", genesisFile)
	}
	n.mux.SetCluster(id)
	for _, s := range g.State.Nodes {
		n.learn(s)
	}
	n.genesis.Store(g)
	if err := n.setState(&g.State); err != nil {
		return err
	}
	if err := n.openGroups(g); err != nil {
		return err
	}
	n.openRouter()
	n.tasks.Go(n.register)
	n.tasks.Go(n.meet)
	n.tasks.Go(n.preferHome)
	n.tasks.Go(n.shedLead)
	return nil
}

// setState acts on what the system group says.
func (n *Node) setState(s *system.State) error {
	ranges := make([]placement.Range, len(s.Slots))
	for i, r := range s.Slots {
		ranges[i] = placement.Range(r)
	}
	rules := make([]placement.Rule, len(s.Rules))
	for i, r := range s.Rules {
		rules[i] = placement.Rule(r)
	}
	table, err := route.NewTable(s.Epoch, ranges, rules)
	if err != nil {
		return err
	}
	for _, node := range s.Nodes {
		n.learn(node)
	}
	classes, ok := fsm.ParseEventClasses(s.Settings[notifySetting])
	if !ok {
		n.log.Error("the cluster has a setting that this program does not know", "name", notifySetting, "value", s.Settings[notifySetting])
	}
	n.events.Store(uint32(classes))
	n.state.Store(s)
	n.table.Store(table)
	return nil
}

// openRouter starts the way to other nodes and opens the node for commands.
func (n *Node) openRouter() {
	r := route.New(route.Config{
		Node: n.self.ID, Home: n.homeGroup(), Groups: n.groups, Table: n.table.Load,
		Regions:  n.regionNames,
		Replicas: n.replicas,
		Commands: dataCommands, System: systemCommands, Compile: n.scripts.Compile,
		Dial: func(ctx context.Context, node string) (net.Conn, error) {
			return n.mux.DialNode(ctx, node, mux.Link, "", 0)
		},
		Query: n.answerQuery, Receive: n.bus.receive, Timeout: n.cfg.Config.RequestTimeout, Log: n.log,
	})
	n.openSessions(r)
	ln := n.mux.Handle(mux.Link, "")
	n.tasks.Go(func() { r.Serve(ln) })
	n.router.Store(r)
}

// The command tables of all groups of a kind.
var (
	dataCommands   = fsm.DataCommands()
	systemCommands = system.Commands()
)

// homeGroup is the group for commands without a key: this region's, or the first
// where this region owns no keys.
func (n *Node) homeGroup() string {
	for _, r := range n.state.Load().Regions {
		if r.Name == n.self.Region {
			return r.Name
		}
	}
	return n.state.Load().Regions[0].Name
}

func (n *Node) regionNames() []string {
	s := n.state.Load()
	names := make([]string, len(s.Regions))
	for i, r := range s.Regions {
		names[i] = r.Name
	}
	return names
}

func (n *Node) replicas(name string) []string {
	if g := n.state.Load().Group(name); g != nil {
		return g.Replicas()
	}
	return nil
}

// errNotUp is returned for what needs the groups before they are there.
var errNotUp = errors.New("the node is starting: it has not found its cluster yet")

// Ready waits until every group has a leader that this node can reach. It
// returns the reason when the node could not start.
func (n *Node) Ready(ctx context.Context) error {
	for {
		err := n.allLed(ctx)
		if err == nil {
			return nil
		}
		select {
		case err := <-n.failed:
			n.failed <- err
			return err
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (n *Node) allLed(ctx context.Context) error {
	r := n.router.Load()
	if r == nil {
		return errNotUp
	}
	text, err := n.readState(ctx)
	if err != nil {
		return err
	}
	if text.Kind != resp.Bulk {
		return errNotUp // the system group has a leader, but no state yet
	}
	n.follow(text)
	for _, name := range n.regionNames() {
		if _, err := r.Run(ctx, name, dataCall("DBSIZE")); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the node: it hands over the groups it leads, answers what has
// arrived from clients, and keeps its seats. It takes until ctx is over at most.
func (n *Node) Stop(ctx context.Context) {
	if n.router.Load() == nil { // it has not come up, and leads nothing
		n.stop(ctx)
		return
	}
	var wg sync.WaitGroup
	for _, g := range n.groups {
		if g.Leads() {
			wg.Go(func() {
				if err := n.handOver(ctx, g, ""); err != nil {
					n.log.Warn("the lead was not handed over", "group", g.Name(), "error", err)
				}
			})
		}
	}
	wg.Wait()
	n.stop(ctx)
}

// Kill ends the node at once, as a crash does: what is in flight stays so.
func (n *Node) Kill() {
	if n.ports.Load() {
		n.mux.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.stop(ctx)
}

// stop ends what has been started. Clients come first, for as long as everything
// they may wait for is there; raft comes after the connections between nodes,
// whose end is what its goroutines wait for.
func (n *Node) stop(ctx context.Context) {
	n.cancel()
	n.starting.Wait()
	n.dismiss(ctx)
	if r := n.router.Load(); r != nil {
		r.Close()
		n.held.Close()
	}
	n.drain(ctx)
	if n.gossip != nil {
		n.gossip.Stop()
	}
	if n.mux != nil {
		n.mux.Close()
	}
	n.tasks.Wait()
	for _, g := range n.groups {
		if err := g.Close(); err != nil {
			n.log.Error("the group's storage was not closed", "group", g.Name(), "error", err)
		}
	}
	if n.lock != nil {
		n.lock.Close()
	}
}

// closingTime is how much of the time to stop is kept for what comes after the clients.
const closingTime = time.Second

// dismiss lets the clients' commands end, those that wait for elements too: what became
// of them is found out while there is time, so that no element goes to somebody who is gone.
func (n *Node) dismiss(ctx context.Context) {
	if n.resp == nil {
		return
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-closingTime))
		defer cancel()
	}
	if r := n.router.Load(); r != nil {
		defer context.AfterFunc(ctx, r.Hurry)()
	}
	n.resp.Shutdown(ctx)
}

// drain ends what is on its way through the groups. An entry that no majority takes, as
// on full disks, has no other end than that of the lead, and the lead ends with the
// connections between nodes.
func (n *Node) drain(ctx context.Context) {
	closed := make(chan struct{})
	inTime := context.AfterFunc(ctx, func() {
		defer close(closed)
		if n.mux != nil {
			n.mux.Close()
		}
	})
	var drains sync.WaitGroup
	for _, g := range n.groups {
		drains.Go(g.Drain)
	}
	drains.Wait()
	if !inTime() {
		<-closed
	}
}

// ID returns the node's id.
func (n *Node) ID() string { return n.self.ID }

// RESPAddr returns the address for clients.
func (n *Node) RESPAddr() string { return n.self.RESPAddr }

// Leads reports whether this node leads a group and serves it.
func (n *Node) Leads(name string) bool {
	if n.router.Load() == nil {
		return false
	}
	g := n.groups[name]
	return g != nil && g.Leads()
}

// Statuses returns what the replicas on this node say of themselves, by group
// name.
func (n *Node) Statuses() []group.Status {
	if n.router.Load() == nil {
		return nil
	}
	return n.statuses()
}
