package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"phonond/cluster/group"
	"phonond/cluster/mux"
	"phonond/cluster/placement"
	"phonond/fsm"
	"phonond/fsm/system"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// openGroups starts the replicas that have their place on this node.
func (n *Node) openGroups(g *genesis) error {
	for _, spec := range g.State.Groups {
		if !slices.Contains(spec.Replicas(), n.self.ID) {
			continue
		}
		if err := n.openGroup(g, spec); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openGroup(g *genesis, spec system.Group) error {
	conf := n.cfg.Config
	storage, err := n.storage(spec.Name)
	if err != nil {
		return err
	}
	table, wanted := dataCommands, n.wantedEvents
	if spec.Name == placement.System {
		table, wanted = systemCommands, nil // clients have no keys there
	}
	timing := group.DefaultTiming().At(conf.Raft.ElectionTimeout, n.self.Region == spec.Home)
	limits := group.DefaultLimits()
	limits.SnapshotInterval = conf.Snapshot.Interval
	limits.SnapshotEntries = int64(conf.Snapshot.Entries)
	limits.SnapshotBytes = int64(conf.Snapshot.Bytes)
	n.disk.fit(&limits, len(g.State.Groups))
	if n.cfg.Limits != nil {
		n.cfg.Limits(&limits)
	}
	var servers []raft.Server
	for _, id := range spec.Voters {
		servers = append(servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	for _, id := range spec.Learners {
		servers = append(servers, raft.Server{Suffrage: raft.Nonvoter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	events := newNotifier(n.eventClasses, n.bus.spread, &n.bus.dropped)
	s := &stream{Listener: n.mux.Handle(mux.Raft, spec.Name), mux: n.mux, node: n.self.ID, group: spec.Name}
	opened, err := group.Open(group.Config{
		Name: spec.Name, Node: n.self.ID, Storage: storage, Stream: s, Servers: servers, Timing: timing, Limits: limits,
		Machine: fsm.Config{Group: spec.Name, Seed: g.Seed, Table: table, Events: wanted, OnPanic: func(name string, p any) {
			n.log.Error("a command panicked, which is a defect; it changed nothing", "group", spec.Name, "command", name, "panic", p)
		}},
		Ask: func(node string, done func(group.Pulse, error)) {
			if r := n.router.Load(); r != nil {
				r.Ask(node, spec.Name, done)
			} else {
				done(group.Pulse{}, errNotUp)
			}
		},
		Events:  events.add,
		Scripts: n.scripts, Owns: n.owns(spec.Name), Publish: n.publishScripts,
		Space: n.disk.space, MemoryFull: n.memory.full, Fatal: n.cfg.Fatal, Wall: n.cfg.Wall, Log: n.log,
	})
	if err != nil {
		s.Close()
		return err
	}
	n.groups[spec.Name] = opened
	n.tasks.Go(func() { events.run(n.ctx) })
	return nil
}

func (n *Node) storage(name string) (*group.Storage, error) {
	if n.cfg.Storage != nil {
		return n.cfg.Storage(name)
	}
	dir := filepath.Join(n.cfg.Config.DataDir, "groups", name)
	had := slices.Contains(n.identity.Groups, name)
	if had && !group.Made(dir) {
		return nil, fmt.Errorf("%s has lost its log, and with it what this node voted for: %s", dir, group.Advice)
	}
	open := group.OpenBolt
	if n.cfg.Config.LogStore == "wal" {
		open = group.OpenWAL
	}
	s, err := open(dir, n.log)
	if err != nil || had {
		return s, err
	}
	n.identity.Groups = append(n.identity.Groups, name)
	if err := n.identity.save(n.cfg.Config.DataDir); err != nil {
		return nil, errors.Join(err, s.Closer.Close())
	}
	return s, nil
}

// The pace of a node's own tasks.
const (
	registerEvery = time.Second
	meetEvery     = 10 * time.Second
)

// register makes the system group know this node as it is now, and follows what
// the system group says.
func (n *Node) register() {
	done := false
	var seen uint64
	for n.pause(registerEvery, !done) {
		if local := n.groups[placement.System]; local != nil {
			if index, _ := local.Digest(); index != seen {
				seen = index
				n.follow(local.Read(systemCall("SYS.STATE"))[0])
			}
		}
		if !done {
			done = n.tellSystem()
		}
	}
}

// pause waits, not at all when now is set and nothing was waited for before. It
// returns false when the node stops.
func (n *Node) pause(d time.Duration, hurry bool) bool {
	if hurry {
		d /= 10
	}
	select {
	case <-n.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// follow acts on a state that the system group returned.
func (n *Node) follow(text resp.Value) {
	if text.Kind != resp.Bulk {
		return
	}
	n.following.Lock()
	defer n.following.Unlock()
	s, err := system.Decode(text.Str)
	if err == nil && s.Epoch >= n.state.Load().Epoch {
		err = n.setState(s)
	}
	if err != nil {
		n.cfg.Fatal(err) // to act on half of it is worse than to stop
	}
}

// tellSystem gives the system group its first state if it has none, and this
// node's addresses. It returns false to be called again.
func (n *Node) tellSystem() bool {
	r := n.router.Load()
	first := n.genesis.Load().State
	self, err := json.Marshal(n.self)
	if err != nil {
		panic(err) // there is nothing in it that cannot be written
	}
	for _, call := range [][]command.Call{systemCall("SYS.INIT", first.Encode()), systemCall("SYS.NODE", string(self))} {
		replies, err := r.Run(n.ctx, placement.System, call)
		if err != nil {
			return false
		}
		if replies[0].IsError() {
			n.log.Error("the system group refuses this node", "reason", replies[0].Str)
			return true
		}
	}
	return true
}

// readState returns the system group's state, linearizably.
func (n *Node) readState(ctx context.Context) (resp.Value, error) {
	replies, err := n.router.Load().Run(ctx, placement.System, systemCall("SYS.STATE"))
	if err != nil {
		return resp.Value{}, err
	}
	return replies[0], nil
}

func systemCall(args ...string) []command.Call { return callOf(systemCommands, args) }

func dataCall(args ...string) []command.Call { return callOf(dataCommands, args) }

func callOf(table *fsm.Table, args []string) []command.Call {
	c := command.Call{Args: make([][]byte, len(args))}
	for i, a := range args {
		c.Args[i] = []byte(a)
	}
	c.Spec = &table.Lookup(c.Args).Spec
	return []command.Call{c}
}

// meet says hello to the configured addresses now and then: they may be new, and
// all nodes may have moved at once.
func (n *Node) meet() {
	for {
		for _, r := range n.cfg.Config.Regions {
			for _, addr := range r.Hosts {
				if addr == n.self.ClusterAddr {
					continue
				}
				h, err := n.greet(n.ctx, addr)
				switch {
				case err != nil:
				case h.Refused != "":
					n.log.Error("another node refuses this one", "addr", addr, "reason", h.Refused)
				case h.Cluster == n.genesis.Load().State.ID:
					n.learn(h.Node)
				}
			}
		}
		if !n.pause(meetEvery, false) {
			return
		}
	}
}
