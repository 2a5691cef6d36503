package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/fsm/system"
	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// commands are the rows that this node answers by itself: what operators ask for,
// with phononctl or any Redis client.
func (n *Node) commands() []redisproto.Command {
	row := func(name string, arity int, syntax, summary string, run func(args [][]byte) resp.Value) redisproto.Command {
		return redisproto.Command{
			Spec: command.Spec{
				Name: name, Arity: arity, Flags: command.Admin | command.Local | command.Stale | command.NoScript, Group: "cluster",
				Syntax: syntax, Summary: summary,
			},
			Run: func(_ *redisproto.Client, args [][]byte) resp.Value { return run(args) },
		}
	}
	info := row("info", -1, "[section [section ...]]", "Facts about the node in the form that Redis tools read.", n.info)
	info.Flags = command.Local | command.Stale | command.Loading
	info.Group, info.Since = "server", "1.0.0"
	return append(n.sessionCommands(), []redisproto.Command{
		info,
		n.clusterCommands(),
		row("phonon.members", 1, "", "The nodes of the cluster and how this node sees them.", n.whenUp(n.members)),
		row("phonon.regions", 1, "", "The regions, their slots and who leads their groups.", n.whenUp(n.regions)),
		row("phonon.groups", 1, "", "The groups, with the state of every replica.", n.whenUp(n.groupList)),
		row("phonon.status", 1, "", "The cluster at a glance, as seen from this node.", n.whenUp(n.status)),
		row("phonon.digest", -1, "[group]", "The digest of every replica after the last entry it has applied.", n.whenUp(n.digests)),
		row("phonon.transfer-leader", -2, "group [node]", "Gives the lead of a group to a node, or to the most advanced voter.", n.whenUp(n.transferLeader)),
	}...)
}

// whenUp answers for a node that has not found its cluster yet.
func (n *Node) whenUp(run func(args [][]byte) resp.Value) func(args [][]byte) resp.Value {
	return func(args [][]byte) resp.Value {
		if n.router.Load() == nil {
			return n.loading()
		}
		return run(args)
	}
}

// fields makes a map reply of alternating names and values.
func fields(pairs ...any) resp.Value {
	elems := make([]resp.Value, len(pairs))
	for i, p := range pairs {
		switch v := p.(type) {
		case string:
			elems[i] = resp.Str(v)
		case int:
			elems[i] = resp.Int(v)
		case int64:
			elems[i] = resp.Int64(v)
		case uint64:
			elems[i] = resp.Int64(int64(v))
		case bool:
			elems[i] = resp.Flag(v)
		case resp.Value:
			elems[i] = v
		default:
			panic(fmt.Sprintf("no reply for a %T", p))
		}
	}
	return resp.Pairs(elems...)
}

func (n *Node) members([][]byte) resp.Value {
	alive := map[string]bool{n.self.ID: true}
	known := map[string]bool{n.self.ID: true}
	for _, m := range n.gossip.Members() {
		known[m.ID], alive[m.ID] = true, alive[m.ID] || m.Alive
	}
	var list []resp.Value
	for _, node := range n.nodes() {
		status := "unknown"
		switch {
		case alive[node.ID]:
			status = "alive"
		case known[node.ID]:
			status = "dead"
		}
		list = append(list, fields(
			"id", node.ID, "region", node.Region, "status", status, "cluster_addr", node.ClusterAddr, "resp_addr", node.RESPAddr,
			"gossip_addr", node.GossipAddr, "version", node.Version, "incarnation", node.Incarnation, "self", node.ID == n.self.ID,
		))
	}
	return resp.List(list...)
}

// nodes are the seats of the cluster by region and id, with what was heard of
// them last.
func (n *Node) nodes() []system.Node {
	state := n.state.Load()
	list := slices.Clone(state.Nodes)
	heard := map[string]int{}
	for i, node := range list {
		heard[node.ID] = i
	}
	for _, m := range n.book.All() {
		if i, ok := heard[m.ID]; ok && m.Incarnation >= list[i].Incarnation {
			list[i].ClusterAddr, list[i].RESPAddr, list[i].GossipAddr = m.ClusterAddr, m.RESPAddr, m.GossipAddr
			list[i].Version, list[i].Incarnation = m.Version, m.Incarnation
		}
	}
	if i, ok := heard[n.self.ID]; ok {
		list[i] = n.self
	}
	order := map[string]int{}
	for i, r := range n.cfg.Config.Regions.Names() {
		order[r] = i
	}
	slices.SortFunc(list, func(a, b system.Node) int {
		if a.Region != b.Region {
			return order[a.Region] - order[b.Region]
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return list
}

func (n *Node) regions([][]byte) resp.Value {
	state := n.state.Load()
	leaders := map[string]string{}
	for _, g := range n.survey() {
		leaders[g.name] = g.leader
	}
	var list []resp.Value
	for _, r := range state.Regions {
		var slots []string
		for _, s := range state.Slots {
			if s.Region == r.Name {
				slots = append(slots, fmt.Sprintf("%d-%d", s.First, s.Last))
			}
		}
		nodes := 0
		for _, node := range state.Nodes {
			if node.Region == r.Name {
				nodes++
			}
		}
		list = append(list, fields("name", r.Name, "goal", state.Goal, "epoch", r.Epoch, "slots", strings.Join(slots, ","),
			"leader", leaders[r.Name], "nodes", nodes))
	}
	return resp.List(list...)
}

// replica is what one node said of its replica of a group.
type replica struct {
	node, region string
	voter        bool
	group.Status // zero when there was no answer
	answered     bool
}

// surveyed is a group as its replicas describe it.
type surveyed struct {
	name, home, leader string
	term, epoch        uint64
	lastLog            uint64 // of the leader
	replicas           []replica
}

// survey asks every node of the cluster, side by side.
func (n *Node) survey() []surveyed {
	state := n.state.Load()
	ctx, cancel := context.WithTimeout(n.ctx, statusTimeout)
	defer cancel()
	answers := map[string][]group.Status{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, node := range state.Nodes {
		wg.Go(func() {
			if all, err := n.askStatus(ctx, node.ID); err == nil {
				mu.Lock()
				answers[node.ID] = all
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var list []surveyed
	for _, spec := range state.Groups {
		g := surveyed{name: spec.Name, home: spec.Home}
		for _, id := range spec.Replicas() {
			r := replica{node: id, voter: slices.Contains(spec.Voters, id)}
			if node := state.Node(id); node != nil {
				r.region = node.Region
			}
			for _, s := range answers[id] {
				if s.Group == spec.Name {
					r.Status, r.answered = s, true
					r.voter = slices.Contains(s.Voters, id)
				}
			}
			g.replicas = append(g.replicas, r)
			g.epoch = max(g.epoch, r.Epoch)
			if r.State == "leader" && r.Term >= g.term {
				g.leader, g.lastLog = id, r.LastLog
			}
			g.term = max(g.term, r.Term)
		}
		list = append(list, g)
	}
	return list
}

func (n *Node) groupList([][]byte) resp.Value {
	state := n.state.Load()
	var list []resp.Value
	for _, g := range n.survey() {
		var replicas []resp.Value
		for _, r := range g.replicas {
			suffrage, condition, lag := "learner", r.State, int64(-1)
			if r.voter {
				suffrage = "voter"
			}
			switch {
			case !r.answered:
				condition = "unreachable"
			case g.leader != "":
				lag = max(int64(g.lastLog)-int64(r.LastLog), 0)
			}
			contact := r.LastContact.Milliseconds()
			if r.LastContact < 0 || !r.answered {
				contact = -1
			}
			replicas = append(replicas, fields("node", r.node, "region", r.region, "suffrage", suffrage, "state", condition,
				"last_log", r.LastLog, "applied", r.Commit, "lag", lag, "last_contact_ms", contact))
		}
		leaderRegion := ""
		if node := state.Node(g.leader); node != nil {
			leaderRegion = node.Region
		}
		list = append(list, fields("group", g.name, "epoch", g.epoch, "leader", g.leader, "leader_region", leaderRegion,
			"home_region", g.home, "term", g.term, "replicas", resp.List(replicas...)))
	}
	return resp.List(list...)
}

func (n *Node) status([][]byte) resp.Value {
	state := n.state.Load()
	groups := n.survey()
	warnings := n.warnings(groups)
	var texts []resp.Value
	for _, w := range warnings {
		texts = append(texts, resp.Str(w))
	}
	healthy := !slices.ContainsFunc(groups, func(g surveyed) bool { return g.leader == "" })
	return fields("node", n.self.ID, "region", n.self.Region, "cluster", state.Name, "cluster_id", state.ID, "version", n.cfg.Version,
		"goal", state.Goal, "uptime_seconds", int64(time.Since(n.started).Seconds()), "regions", len(state.Regions),
		"nodes", len(state.Nodes), "groups", len(state.Groups), "healthy", healthy, "warnings", resp.List(texts...))
}

// warnings says what an operator should look at.
func (n *Node) warnings(groups []surveyed) []string {
	var list []string
	state := n.state.Load()
	disks := map[string]group.Space{} // that are not well
	for _, g := range groups {
		switch leader := state.Node(g.leader); {
		case leader == nil:
			list = append(list, fmt.Sprintf("group %s has no leader", g.name))
		case leader.Region != g.home:
			list = append(list, fmt.Sprintf("group %s is led from region %s, its home is %s", g.name, leader.Region, g.home))
		}
		for _, r := range g.replicas {
			if !r.answered {
				list = append(list, fmt.Sprintf("group %s: node %s does not answer", g.name, r.node))
			} else if r.Space.Level != group.SpaceOK {
				disks[r.node] = r.Space
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(disks)) {
		list = append(list, fmt.Sprintf("node %s: its disk is %s", id, describeSpace(disks[id])))
	}
	var seats []placement.Node
	for _, node := range state.Nodes {
		seats = append(seats, placement.Node{ID: node.ID, Region: node.Region, Witness: slices.Contains(state.Witnesses, node.Region)})
	}
	if plan, err := placement.Plan(seats, n.regionNames(), placement.Goal(state.Goal)); err == nil {
		list = append(list, plan.Warnings()...)
	}
	return list
}

func (n *Node) digests(args [][]byte) resp.Value {
	if len(args) > 2 {
		return resp.ErrArity("phonon.digest")
	}
	if len(args) == 2 && n.state.Load().Group(string(args[1])) == nil {
		return n.noGroup(args[1])
	}
	var list []resp.Value
	for _, g := range n.survey() {
		if len(args) == 2 && g.name != string(args[1]) {
			continue
		}
		for _, r := range g.replicas {
			if r.answered {
				list = append(list, fields("group", g.name, "node", r.node, "index", r.Applied, "digest", fmt.Sprintf("%016x", r.Digest)))
			}
		}
	}
	return resp.List(list...)
}

func (n *Node) noGroup(name []byte) resp.Value {
	names := []string{}
	for _, g := range n.state.Load().Groups {
		names = append(names, g.Name)
	}
	return resp.Err(fmt.Sprintf("ERR there is no group %q, only %s", name, strings.Join(names, ", ")))
}

func (n *Node) transferLeader(args [][]byte) resp.Value {
	if len(args) > 3 {
		return resp.ErrArity("phonon.transfer-leader")
	}
	t := transfer{Group: string(args[1])}
	if len(args) == 3 {
		t.To = string(args[2])
	}
	spec := n.state.Load().Group(t.Group)
	switch {
	case spec == nil:
		return n.noGroup(args[1])
	case t.To != "" && !slices.Contains(spec.Voters, t.To):
		return resp.Err(fmt.Sprintf("ERR node %s is no voter of group %s, only %s", t.To, t.Group, strings.Join(spec.Voters, ", ")))
	}
	leader := ""
	for _, g := range n.survey() {
		if g.name == t.Group {
			leader = g.leader
		}
	}
	switch {
	case leader == "":
		return resp.Err("ERR group " + t.Group + " has no leader that could hand over")
	case leader == t.To:
		return resp.OK
	}
	ctx, cancel := context.WithTimeout(n.ctx, transferTimeout)
	defer cancel()
	in, err := json.Marshal(t)
	if err != nil {
		return resp.ErrInternal
	}
	var out []byte
	if leader == n.self.ID {
		out, err = n.answerQuery("transfer", in)
	} else {
		out, err = n.router.Load().Query(ctx, leader, "transfer", in)
	}
	if err == nil && len(out) > 0 {
		err = errors.New(string(out))
	}
	if err != nil {
		return resp.Err("ERR the lead was not handed over: " + err.Error())
	}
	return resp.OK
}

// transfer asks a leader to hand over.
type transfer struct {
	Group string `json:"group"`
	To    string `json:"to"` // "" for the most advanced voter
}

// answerQuery answers other nodes: what the replicas here are like, requests to hand
// over, for which the answer is the reason why not, when this node goes by a state of
// the system group, and what its subscribers are.
func (n *Node) answerQuery(name string, in []byte) ([]byte, error) {
	switch name {
	case "status":
		return json.Marshal(n.statuses())
	case "transfer":
		var t transfer
		if err := json.Unmarshal(in, &t); err != nil {
			return nil, err
		}
		g := n.groups[t.Group]
		if g == nil || !g.Leads() {
			return []byte("node " + n.self.ID + " does not lead the group any more"), nil
		}
		ctx, cancel := context.WithTimeout(n.ctx, transferTimeout)
		defer cancel()
		if err := n.handOver(ctx, g, t.To); err != nil {
			return []byte(err.Error()), nil
		}
		return nil, nil
	case "follow":
		epoch, err := strconv.ParseUint(string(in), 10, 64)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(n.ctx, followTimeout)
		defer cancel()
		if !n.followUntil(ctx, epoch) {
			return nil, ctx.Err()
		}
		return nil, nil
	case "pubsub":
		return n.bus.answer(in)
	}
	return nil, errors.New("unknown query " + strconv.Quote(name))
}
