package clustertest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"phonond/client"
)

// admin connects the client package to a node.
func (c *Cluster) admin(to string, protocol int) (client.Admin, func()) {
	c.t.Helper()
	cl, err := client.New(client.Config{
		Addrs: []string{addr(to, respPort)}, Password: password, Protocol: protocol,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return c.Net.Host("client", "").Dial(ctx, addr)
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return cl.Admin(), func() { cl.Redis().Close() }
}

// TestAdminViews reads what operators ask for with the client package, from every
// node and in both protocols: every field must have been understood.
func TestAdminViews(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		c.CheckDigests() // every replica has applied something
		for i, to := range c.Names() {
			admin, done := c.admin(to, 2+i%2)
			ctx := context.Background()
			members, err := admin.Members(ctx)
			if err != nil || len(members) != 4 {
				t.Fatalf("members: %+v, %v", members, err)
			}
			for j, m := range members {
				name := c.Names()[j]
				if m.ID != name || m.Region != name[:4] || m.Self != (name == to) || m.Status != "alive" || m.Incarnation != 1 ||
					m.ClusterAddr != addr(name, clusterPort) || m.RespAddr != addr(name, respPort) || !strings.HasSuffix(m.GossipAddr, fmt.Sprint(":", gossipPort)) || m.Version != "test" {
					t.Errorf("at %s: member %+v", to, m)
				}
			}
			regions, err := admin.Regions(ctx)
			if err != nil || len(regions) != 2 {
				t.Fatalf("regions: %+v, %v", regions, err)
			}
			for j, want := range []struct{ name, slots string }{{"east", "0-8191"}, {"west", "8192-16383"}} {
				if r := regions[j]; r.Name != want.name || r.Slots != want.slots || r.Goal != "node" || r.Epoch != 1 || r.Nodes != 2 || r.Leader != c.Leader(want.name) {
					t.Errorf("at %s: region %+v", to, r)
				}
			}
			c.checkGroups(t, admin)
			status, err := admin.Status(ctx)
			if err != nil || status.Node != to || status.Region != to[:4] || status.Goal != "node" || status.Regions != 2 || status.Nodes != 4 ||
				status.Groups != 3 || !status.Healthy || len(status.ClusterID) != 32 || status.Version != "test" {
				t.Errorf("at %s: status %+v, %v", to, status, err)
			}
			done()
		}
	}, twoByTwo...)
}

func (c *Cluster) checkGroups(t *testing.T, admin client.Admin) {
	t.Helper()
	groups, err := admin.Groups(context.Background())
	if err != nil || len(groups) != 3 {
		t.Fatalf("groups: %+v, %v", groups, err)
	}
	for _, g := range groups {
		if g.Leader != c.Leader(g.Group) || g.LeaderRegion != g.Leader[:4] || g.Term == 0 || g.Epoch != 1 || g.HomeRegion == "" || len(g.Replicas) < 3 {
			t.Errorf("group %+v", g)
		}
		voters := 0
		for _, r := range g.Replicas {
			if r.Suffrage == "voter" {
				voters++
			}
			want := "follower"
			if r.Node == g.Leader {
				want = "leader"
			}
			if r.State != want || r.Region != r.Node[:4] || r.LastLog == 0 || r.Lag < 0 || r.Lag > 10 || r.LastContact < 0 || r.LastContact > 1000 {
				t.Errorf("group %s: replica %+v", g.Group, r)
			}
		}
		if voters < 3 {
			t.Errorf("group %s has %d voters", g.Group, voters)
		}
	}
	for _, name := range []string{"", "east"} {
		digests, err := admin.Digest(context.Background(), name)
		if err != nil || len(digests) == 0 {
			t.Errorf("digest %q: %+v, %v", name, digests, err)
		}
		for _, d := range digests {
			if name != "" && d.Group != name || len(d.Digest) != 16 || d.Index == 0 || d.Node == "" {
				t.Errorf("digest %+v", d)
			}
		}
	}
	if _, err := admin.Digest(context.Background(), "nosuch"); err == nil || !strings.Contains(err.Error(), "only system, east, west") {
		t.Errorf("digest of no group: %v", err)
	}
}

// TestAdminSeesWhatIsWrong: a node that is down, and a lead away from home.
func TestAdminSeesWhatIsWrong(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		admin, done := c.admin("west-1", 3)
		defer done()
		ctx := context.Background()
		if err := admin.TransferLeader(ctx, "west", "west-2"); err != nil {
			t.Error(err)
		}
		c.Wait("west-2 leads west", func() bool { return c.Leader("west") == "west-2" })
		for args, want := range map[[2]string]string{
			{"nosuch", ""}: "no group", {"west", "nobody"}: "no voter of group west, only", {"west", "east-9"}: "no voter of group west, only",
		} {
			if err := admin.TransferLeader(ctx, args[0], args[1]); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("transfer of %s to %q: %v", args[0], args[1], err)
			}
		}
		c.Crash("east-1")
		c.Wait("leaders", func() bool { return c.Leader("east") != "" && c.Leader("system") != "" })
		c.Wait("gossip to find out", func() bool {
			members, err := admin.Members(ctx)
			i := slices.IndexFunc(members, func(m client.Member) bool { return m.ID == "east-1" })
			return err == nil && members[i].Status == "dead"
		})
		groups, err := admin.Groups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		down := 0
		for _, g := range groups {
			for _, r := range g.Replicas {
				if r.Node == "east-1" {
					down++
					if r.State != "unreachable" || r.Lag != -1 || r.LastContact != -1 {
						t.Errorf("replica %+v of a node that is down", r)
					}
				}
			}
		}
		if down == 0 {
			t.Error("no group has a replica on east-1")
		}
		status, err := admin.Status(ctx)
		if all := strings.Join(status.Warnings, "\n"); err != nil || !status.Healthy || !strings.Contains(all, "node east-1 does not answer") {
			t.Errorf("status: %+v, %v", status, err)
		}
	}, twoByTwo...)
}

// TestInfoIsWhatToolsRead parses INFO as they do: sections, then name:value.
func TestInfoIsWhatToolsRead(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		cl := c.Client("east-1")
		defer cl.Close()
		cl.Do("SET", "a", "1")
		cl.Do("SELECT", "3")
		cl.Do("MSET", "b", "1", "c", "2")
		cl.Do("EXPIRE", "b", "100")
		parse := func(args ...string) map[string]map[string]string {
			all, section := map[string]map[string]string{}, ""
			text := cl.Do(append([]string{"INFO"}, args...)...).Str
			for line := range strings.SplitSeq(text, "\r\n") {
				name, isSection := strings.CutPrefix(line, "# ")
				key, value, isField := strings.Cut(line, ":")
				switch {
				case line == "":
				case isSection:
					section = strings.ToLower(name)
					all[section] = map[string]string{}
				case isField && section != "" && !strings.ContainsAny(value, "\r\n"):
					if _, twice := all[section][key]; twice {
						t.Errorf("INFO %v: %s is there twice", args, key)
					}
					all[section][key] = value
				default:
					t.Errorf("INFO %v: %q is no line of INFO", args, line)
				}
			}
			return all
		}
		full := parse("everything")
		for section, fields := range map[string][]string{
			"server":      {"redis_version", "redis_mode", "tcp_port", "uptime_in_seconds", "run_id", "process_id"},
			"clients":     {"connected_clients", "blocked_clients", "maxclients"},
			"memory":      {"used_memory", "used_memory_human", "used_memory_rss", "used_memory_peak", "maxmemory", "maxmemory_human", "maxmemory_policy", "mem_clients_normal", "mem_fragmentation_ratio"},
			"persistence": {"loading", "rdb_bgsave_in_progress", "rdb_last_save_time", "aof_enabled"},
			"stats":       {"total_commands_processed", "instantaneous_ops_per_sec", "keyspace_hits", "keyspace_misses", "expired_keys", "evicted_keys", "pubsub_channels", "pubsub_patterns", "latest_fork_usec", "sync_full"},
			"replication": {"role", "connected_slaves", "master_repl_offset"}, "cpu": {"used_cpu_sys", "used_cpu_user"},
			"commandstats": {"cmdstat_mset", "cmdstat_select"}, "latencystats": {"latency_percentiles_usec_mset"}, "cluster": {"cluster_enabled"},
			"phonond": {"node", "region", "cluster_id", "group_system"}, "keyspace": {"db0", "db3"},
		} {
			for _, f := range fields {
				if full[section][f] == "" {
					t.Errorf("INFO lacks %s in %s: %v", f, section, full[section])
				}
			}
			one := parse(strings.ToUpper(section))
			if len(one) != 1 || len(one[section]) < len(fields) {
				t.Errorf("INFO %s has %v", section, one)
			}
		}
		if got := full["keyspace"]; got["db0"] != "keys=1,expires=0,avg_ttl=0" || got["db3"] != "keys=2,expires=1,avg_ttl=100000" || len(got) != 2 {
			t.Errorf("keyspace: %v", got)
		}
		if r, e := full["replication"]["role"], full["cluster"]["cluster_enabled"]; r != "master" || e != "0" {
			t.Errorf("the role is %q, cluster_enabled %q: clients must take it for one server", r, e)
		}
		usual := parse()
		if usual["commandstats"] != nil || usual["keyspace"] == nil || len(parse("default")) != len(usual) || len(parse("all")) != len(full) {
			t.Errorf("INFO has %d sections of %d", len(usual), len(full))
		}
		if two := parse("server", "memory"); len(two) != 2 {
			t.Errorf("INFO of two sections has %d", len(two))
		}
		if none := parse("nosuch"); len(none) != 0 {
			t.Errorf("INFO nosuch: %v", none)
		}
	}, twoByTwo...)
}

// TestLoadingUntilTheClusterIsFound: a node that is alone tells clients to come
// again, and answers what needs no cluster.
func TestLoadingUntilTheClusterIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, Region{"east", 2}, Region{"west", 1})
		c.Start("east-1")
		cl := c.Client("east-1")
		for _, args := range [][]string{{"SET", "k", "v"}, {"GET", "k"}, {"DBSIZE"}, {"PHONON.GROUPS"}, {"PHONON.STATUS"}} {
			if v := cl.Do(args...); !strings.HasPrefix(v.Str, "LOADING ") {
				t.Errorf("%v on a node without a cluster: %+v", args, v)
			}
		}
		if v := cl.Do("PING"); v.Str != "PONG" {
			t.Errorf("PING: %+v", v)
		}
		if v := cl.Do("INFO"); !strings.Contains(v.Str, "loading:1") {
			t.Errorf("INFO: %+v", v)
		}
		c.Start("east-2")
		c.Start("west-1")
		c.WaitReady(c.Names()...)
		if v := cl.Do("SET", "k", "v"); v.Str != "OK" {
			t.Errorf("SET after the start: %+v", v)
		}
		if v := cl.Do("INFO"); !strings.Contains(v.Str, "loading:0") || !strings.Contains(v.Str, fmt.Sprintf("tcp_port:%d", respPort)) {
			t.Errorf("INFO after the start: %+v", v)
		}
		cl.Close()
		c.Close()
	})
}

// TestMaxMemory: a leader that has no memory left takes what needs no more, wherever the
// client is.
func TestMaxMemory(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		cl := c.Client("west-2")
		defer cl.Close()
		cl.Do("SET", "a", "1")
		limit := func(value string) {
			for _, name := range c.Names() {
				admin := c.Client(name)
				if v := admin.Do("CONFIG", "SET", "maxmemory", value); v.IsError() {
					t.Fatal(v)
				}
				admin.Close()
			}
		}
		const oom = "OOM command not allowed when used memory > 'maxmemory'."
		limit("1kb")
		c.Wait("the memory to be full", func() bool { return cl.Do("SET", "a", "2").Str == oom })
		for _, step := range [][2]string{
			{"GET a", "1"}, {"INCR n", oom}, {"MSET a 1 b 2", oom}, {"EXPIRE a 100", ""}, {"MULTI", "OK"}, {"SET a 3", "QUEUED"},
			{"EXEC", "EXECABORT Transaction discarded because of: " + oom}, {"DEL a", ""}, {"GET a", ""},
		} {
			if v := cl.Do(strings.Fields(step[0])...); v.Str != step[1] {
				t.Errorf("%s: %+v", step[0], v)
			}
		}
		limit("0")
		if v := cl.Do("SET", "a", "2"); v.IsError() {
			t.Errorf("without a limit: %+v", v)
		}
	}, twoByTwo...)
}

// TestClusterViews: any node tells tools what the cluster looks like, in the forms of
// Redis Cluster.
func TestClusterViews(t *testing.T) {
	bubble(t, func(t *testing.T, c *Cluster) {
		for _, name := range c.Names() {
			cl := c.Client(name)
			if text := cl.Do("CLUSTER", "INFO").Str; !strings.Contains(text, "cluster_enabled:0\r\n") || !strings.Contains(text, "cluster_state:ok\r\n") ||
				!strings.Contains(text, "cluster_slots_ok:16384\r\n") || !strings.Contains(text, "cluster_known_nodes:4\r\n") || !strings.Contains(text, "cluster_size:2\r\n") {
				t.Errorf("CLUSTER INFO: %q", text)
			}
			id := cl.Do("CLUSTER", "MYID").Str
			masters, mine := 0, ""
			for line := range strings.Lines(cl.Do("CLUSTER", "NODES").Str) {
				words := strings.Fields(line)
				if len(words) < 8 || len(words[0]) != 40 || words[7] != "connected" {
					t.Fatalf("CLUSTER NODES: %q", line)
				}
				if strings.Contains(words[2], "master") {
					masters++
				} else if len(words[3]) != 40 || len(words) != 8 {
					t.Errorf("CLUSTER NODES: a replica is %q", line)
				}
				if strings.HasPrefix(words[2], "myself,") {
					mine = words[0]
				}
			}
			if masters != 2 || mine != id || len(id) != 40 {
				t.Errorf("%s: %d masters, I am %q and %q", name, masters, mine, id)
			}
			slots, shards := cl.Do("CLUSTER", "SLOTS").Elems, cl.Do("CLUSTER", "SHARDS").Elems
			if len(slots) != 2 || len(shards) != 2 {
				t.Fatalf("CLUSTER SLOTS %+v, SHARDS %+v", slots, shards)
			}
			for i, first := range []int64{0, 8192} {
				s, leader := slots[i].Elems, c.Leader([]string{"east", "west"}[i])
				if s[0].Int != first || s[1].Int != first+8191 || len(s) < 4 || s[2].Elems[0].Str != leader || s[2].Elems[1].Int != respPort {
					t.Errorf("CLUSTER SLOTS: %+v", s)
				}
				shard := shards[i].Elems // slots, their list, nodes, their list
				if shard[0].Str != "slots" || shard[1].Elems[0].Int != first || len(shard[3].Elems) != len(s)-2 || shard[3].Elems[0].Elems[1].Str != s[2].Elems[2].Str ||
					shard[3].Elems[0].Elems[9].Str != "master" || shard[3].Elems[1].Elems[9].Str != "replica" {
					t.Errorf("CLUSTER SHARDS: %+v", shard)
				}
			}
			if v := cl.Do("CLUSTER", "KEYSLOT", "foo"); v.Int != 12182 {
				t.Errorf("CLUSTER KEYSLOT foo: %+v", v)
			}
			cl.Close()
		}
	}, twoByTwo...)
}
