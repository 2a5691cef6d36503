package cluster

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"phonond/cluster/route"
	"phonond/fsm/system"
	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// clusterCommands are the views of the cluster in the forms of Redis Cluster, for tools
// and people. Clients need none of it: every node answers for every key, no node ever
// says MOVED, and INFO has cluster_enabled:0.
func (n *Node) clusterCommands() redisproto.Command {
	row := func(name string, arity int, since, syntax, summary string, run func(args [][]byte) resp.Value) redisproto.Command {
		run = n.whenUp(run)
		return redisproto.Command{
			Spec: command.Spec{Name: "cluster|" + name, Arity: arity, Flags: command.Local | command.Stale, Since: since, Syntax: syntax, Summary: summary},
			Run:  func(_ *redisproto.Client, args [][]byte) resp.Value { return run(args) },
		}
	}
	return redisproto.Command{
		Spec: command.Spec{
			Name: "cluster", Arity: -2, Flags: command.Local | command.Stale, Group: "cluster", Since: "3.0.0", Syntax: "subcommand [arg ...]",
			Summary: "Views of the cluster in the forms of Redis Cluster.",
		},
		Subs: []redisproto.Command{
			row("info", 2, "3.0.0", "", "The state of the cluster.", n.clusterInfo),
			row("myid", 2, "3.0.0", "", "The id of this node, in the form that Redis's have.", n.clusterMyID),
			row("nodes", 2, "3.0.0", "", "The nodes, with the slots of those that lead a region's group.", n.clusterNodes),
			row("slots", 2, "3.0.0", "", "The ranges of slots: the leader of the group, then its other nodes.", n.clusterSlots),
			row("shards", 2, "7.0.0", "", "The regions' groups, with their slots and nodes.", n.clusterShards),
			row("keyslot", 3, "3.0.0", "key", "The slot that the key is in.", clusterKeySlot),
		},
	}
}

// shard is a region's group, as Redis Cluster would see it.
type shard struct {
	surveyed
	slots []system.Slots
}

// shards are the regions' groups, in the order of the regions.
func (n *Node) shards() []shard {
	state := n.state.Load()
	groups := n.survey()
	var list []shard
	for _, r := range state.Regions {
		s := shard{}
		for _, g := range groups {
			if g.name == r.Name {
				s.surveyed = g
			}
		}
		for _, slots := range state.Slots {
			if slots.Region == r.Name {
				s.slots = append(s.slots, slots)
			}
		}
		list = append(list, s)
	}
	return list
}

// members are the shard's nodes, the leader first.
func (s *shard) members() []replica {
	list := slices.Clone(s.replicas)
	slices.SortStableFunc(list, func(a, b replica) int {
		switch {
		case a.node == s.leader:
			return -1
		case b.node == s.leader:
			return 1
		}
		return 0
	})
	return list
}

// redisID is a node's id in the form that Redis's have.
func redisID(node string) string {
	sum := sha1.Sum([]byte(node))
	return hex.EncodeToString(sum[:])
}

// endpoint is where clients reach a node.
func (n *Node) endpoint(id string) (host string, port int) {
	for _, node := range n.nodes() {
		if node.ID == id {
			h, p, _ := net.SplitHostPort(node.RESPAddr)
			host = h
			port, _ = strconv.Atoi(p)
		}
	}
	return host, port
}

// CLUSTER MYID
func (n *Node) clusterMyID([][]byte) resp.Value { return resp.Str(redisID(n.self.ID)) }

// CLUSTER KEYSLOT key
func clusterKeySlot(args [][]byte) resp.Value { return resp.Int(int(route.Slot(args[2]))) }

// CLUSTER INFO
func (n *Node) clusterInfo([][]byte) resp.Value {
	assigned, ok, size := 0, 0, 0
	for _, s := range n.shards() {
		count := 0
		for _, r := range s.slots {
			count += int(r.Last) - int(r.First) + 1
		}
		assigned += count
		if s.leader != "" {
			ok += count
		}
		if count > 0 {
			size++
		}
	}
	state := "ok"
	if ok < assigned {
		state = "fail"
	}
	cluster := n.state.Load()
	var b strings.Builder
	for _, f := range []redisproto.Field{
		field("cluster_enabled", 0), field("cluster_state", state), field("cluster_slots_assigned", assigned), field("cluster_slots_ok", ok),
		field("cluster_slots_pfail", 0), field("cluster_slots_fail", assigned-ok), field("cluster_known_nodes", len(cluster.Nodes)),
		field("cluster_size", size), field("cluster_current_epoch", cluster.Epoch), field("cluster_my_epoch", cluster.Epoch),
	} {
		fmt.Fprintf(&b, "%s:%s\r\n", f.Name, f.Value)
	}
	return resp.Value{Kind: resp.Verbatim, Str: b.String()}
}

// CLUSTER NODES
func (n *Node) clusterNodes([][]byte) resp.Value {
	shards := n.shards()
	alive := map[string]bool{n.self.ID: true}
	for _, m := range n.gossip.Members() {
		alive[m.ID] = alive[m.ID] || m.Alive
	}
	var b strings.Builder
	for _, node := range n.nodes() {
		flags, master, slots, epoch := "slave", "-", "", uint64(0)
		for _, s := range shards {
			switch {
			case s.leader == node.ID:
				flags, master, epoch = "master", "-", s.term
				for _, r := range s.slots {
					slots += fmt.Sprintf(" %d-%d", r.First, r.Last)
				}
			case s.name == node.Region && s.leader != "" && flags == "slave":
				master, epoch = redisID(s.leader), s.term
			}
		}
		link := "connected"
		if node.ID == n.self.ID {
			flags = "myself," + flags
		}
		if !alive[node.ID] {
			flags, link = flags+",fail?", "disconnected"
		}
		_, bus, _ := net.SplitHostPort(node.ClusterAddr)
		fmt.Fprintf(&b, "%s %s@%s %s %s 0 0 %d %s%s\n", redisID(node.ID), node.RESPAddr, bus, flags, master, epoch, link, slots)
	}
	return resp.Value{Kind: resp.Verbatim, Str: b.String()}
}

// CLUSTER SLOTS
func (n *Node) clusterSlots([][]byte) resp.Value {
	list := resp.EmptyArray
	for _, s := range n.shards() {
		if s.leader == "" {
			continue // as Redis leaves slots out that nobody serves
		}
		for _, r := range s.slots {
			entry := []resp.Value{resp.Int(int(r.First)), resp.Int(int(r.Last))}
			for _, m := range s.members() {
				host, port := n.endpoint(m.node)
				entry = append(entry, resp.List(resp.Str(host), resp.Int(port), resp.Str(redisID(m.node)), resp.EmptyArray))
			}
			list.Elems = append(list.Elems, resp.List(entry...))
		}
	}
	return list
}

// CLUSTER SHARDS
func (n *Node) clusterShards([][]byte) resp.Value {
	list := resp.EmptyArray
	for _, s := range n.shards() {
		var slots, nodes []resp.Value
		for _, r := range s.slots {
			slots = append(slots, resp.Int(int(r.First)), resp.Int(int(r.Last)))
		}
		for _, m := range s.members() {
			host, port := n.endpoint(m.node)
			role, health := "replica", "online"
			if m.node == s.leader {
				role = "master"
			}
			if !m.answered {
				health = "failed"
			}
			nodes = append(nodes, fields("id", redisID(m.node), "port", port, "ip", host, "endpoint", host,
				"role", role, "replication-offset", m.LastLog, "health", health))
		}
		list.Elems = append(list.Elems, fields("slots", resp.List(slots...), "nodes", resp.List(nodes...)))
	}
	return list
}
