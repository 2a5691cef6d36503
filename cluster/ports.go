package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"phonond/cluster/gossip"
	"phonond/cluster/mux"
	"phonond/fsm"
	"phonond/fsm/system"
	"phonond/redisproto"
)

// openData reads who this node is and where the others were.
func (n *Node) openData() error {
	conf := n.cfg.Config
	if err := os.MkdirAll(conf.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	if n.lock, err = lockData(conf.DataDir); err != nil {
		return err
	}
	stat := n.cfg.Space
	if stat == nil && n.cfg.Storage == nil {
		stat = func() (free, total uint64, err error) { return statDisk(conf.DataDir) }
	}
	n.disk = newDisk(conf.DataDir, uint64(conf.Disk.Low), uint64(conf.Disk.Reserve), stat, n.log)
	id, err := loadIdentity(conf.DataDir, conf.Node, conf.Region)
	if err != nil {
		return err
	}
	n.identity = id
	n.log = n.log.With("node", id.Node)
	n.self = system.Node{
		ID: id.Node, Region: id.Region, Seat: id.Seat, Incarnation: id.Incarnation, Version: n.cfg.Version,
		ClusterAddr: conf.ClusterAddr(), RESPAddr: conf.RESPAddr(), GossipAddr: conf.GossipAddr(),
	}
	n.book, err = gossip.OpenBook(filepath.Join(conf.DataDir, "nodes.json"), n.log)
	if errors.Is(err, gossip.ErrBook) {
		return fmt.Errorf("%w: remove it: the node then finds the others by its configuration", err)
	}
	return err
}

// countStart makes the start known for ever.
func (n *Node) countStart() error { return n.identity.save(n.cfg.Config.DataDir) }

// openMux opens the port between nodes and answers those who have no cluster.
func (n *Node) openMux() (err error) {
	conf := n.cfg.Config
	n.mux, err = mux.New(mux.Config{
		Network: n.cfg.Network, Addr: conf.Cluster.Listen, TLS: n.cfg.ClusterTLS, Log: n.log,
		Self:    mux.Identity{ClusterName: conf.Cluster.Name, Region: n.self.Region, Node: n.self.ID},
		Resolve: n.book.Addr,
	})
	if err != nil {
		return err
	}
	hellos := n.mux.Handle(mux.Hello, "")
	n.tasks.Go(func() { n.answerHellos(hellos) })
	return nil
}

// maxCommand is the longest command, whatever resp.max_bulk allows: with the other calls
// of its request it fits into an entry of 64 MiB, more than which raft-wal can write
// but not read back.
const maxCommand = 63 << 20

// commandFrame is room for what a command has beside its longest argument.
const commandFrame = 64 << 10

// openResp opens the port for clients.
func (n *Node) openResp() error {
	conf := n.cfg.Config
	rc := redisproto.DefaultConfig()
	rc.Password = conf.RESP.Password.Reveal()
	rc.MaxClients = conf.RESP.MaxClients
	rc.IdleTimeout = conf.RESP.IdleTimeout
	rc.MaxOutput = int(conf.RESP.OutputBuffer)
	rc.MaxPubSubOutput = int(conf.RESP.PubsubBuffer)
	rc.MaxBulk = int(conf.RESP.MaxBulk)
	rc.MaxQuery = min(max(int(conf.RESP.QueryBuffer), rc.MaxBulk+commandFrame), maxCommand)
	rc.MaxBuffers = int(conf.RESP.MaxBuffers)
	rc.MaxKey = int(conf.RESP.MaxKey)
	rc.WriteTimeout = conf.RESP.WriteTimeout
	rc.Debug = conf.RESP.Debug
	rc.Databases = fsm.Databases
	rc.Logger = n.log
	rc.Commands = n.commands()
	rc.Settings = n.settings()
	server, err := redisproto.New(rc, backend{n})
	if err != nil {
		return err
	}
	ln, err := n.cfg.Network.Listen(conf.RESP.Listen)
	if err != nil {
		return fmt.Errorf("resp.listen: %w", err)
	}
	n.resp = server
	n.tasks.Go(func() {
		if err := server.ServeTLS(ln, n.cfg.ClientTLS); err != nil {
			n.log.Error("the port for clients is closed", "error", err)
		}
	})
	return nil
}

// openGossip begins to look for other nodes.
func (n *Node) openGossip() error {
	conf := n.cfg.Config
	g, err := gossip.Start(gossip.Config{
		Self: n.member(), ClusterName: conf.Cluster.Name, BindAddr: conf.Gossip.Listen, AdvertiseAddr: conf.Gossip.Advertise,
		Keys: n.cfg.GossipKeys, Transport: n.cfg.Gossip, WAN: len(conf.Regions) > 1, Seeds: n.seeds, Lookup: n.cfg.Lookup, Log: n.log,
		OnChange: func(ms []gossip.Member) {
			for _, m := range ms {
				if m.ID != n.self.ID {
					n.book.Learn(m)
				}
			}
		},
		OnConflict: func(c gossip.Conflict) {
			n.log.Error("two nodes use the same id", "conflict", c)
		},
	})
	n.gossip = g
	return err
}

func (n *Node) member() gossip.Member { return memberOf(n.self) }

func memberOf(s system.Node) gossip.Member {
	return gossip.Member{
		ID: s.ID, Region: s.Region, ClusterAddr: s.ClusterAddr, RESPAddr: s.RESPAddr, GossipAddr: s.GossipAddr,
		Version: s.Version, Incarnation: s.Incarnation,
	}
}

// learn takes note of where a node says it is.
func (n *Node) learn(s system.Node) {
	if s.ID != n.self.ID {
		n.book.Learn(memberOf(s))
	}
}

// seeds are the gossip addresses of all nodes ever heard of.
func (n *Node) seeds() []string {
	var addrs []string
	for _, m := range n.book.All() {
		if m.GossipAddr != "" && m.ID != n.self.ID {
			addrs = append(addrs, m.GossipAddr)
		}
	}
	return addrs
}
