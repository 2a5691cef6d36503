package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// section is a part of INFO.
type section struct {
	name   string
	extra  bool // only in "all" and "everything"
	fields func(n *Node) []redisproto.Field
}

// infoSections are the sections of INFO, in Redis's order.
var infoSections = []section{
	{"server", false, (*Node).infoServer},
	{"clients", false, func(n *Node) []redisproto.Field { return n.resp.InfoClients() }},
	{"memory", false, (*Node).infoMemory},
	{"persistence", false, (*Node).infoPersistence},
	{"stats", false, (*Node).infoStats},
	{"replication", false, (*Node).infoReplication},
	{"CPU", false, (*Node).infoCPU},
	{"modules", false, func(*Node) []redisproto.Field { return nil }},
	{"commandstats", true, func(n *Node) []redisproto.Field { return n.resp.InfoCommandStats() }},
	{"errorstats", false, func(n *Node) []redisproto.Field { return n.resp.InfoErrorStats() }},
	{"latencystats", true, func(n *Node) []redisproto.Field { return n.resp.InfoLatencyStats() }},
	{"cluster", false, (*Node).infoCluster},
	{"phonond", false, (*Node).infoPhonond},
	{"locks", false, (*Node).infoLocks},
	{"keyspace", false, (*Node).infoKeyspace},
}

// INFO [section [section ...]]
func (n *Node) info(args [][]byte) resp.Value {
	wanted := map[string]bool{}
	for _, a := range args[1:] {
		wanted[strings.ToLower(string(a))] = true
	}
	all := wanted["all"] || wanted["everything"]
	usual := all || len(wanted) == 0 || wanted["default"]
	var b strings.Builder
	for _, s := range infoSections {
		if !all && !(usual && !s.extra) && !wanted[strings.ToLower(s.name)] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s%s\r\n", strings.ToUpper(s.name[:1]), s.name[1:])
		for _, f := range s.fields(n) {
			fmt.Fprintf(&b, "%s:%s\r\n", f.Name, f.Value)
		}
	}
	return resp.Value{Kind: resp.Verbatim, Str: b.String()}
}

func field[T int | int64 | uint64 | string](name string, v T) redisproto.Field {
	return redisproto.Field{Name: name, Value: fmt.Sprint(v)}
}

func (n *Node) infoServer() []redisproto.Field {
	_, port, _ := net.SplitHostPort(n.self.RESPAddr)
	now := time.Now()
	up := int64(now.Sub(n.started).Seconds())
	executable, _ := os.Executable()
	return []redisproto.Field{
		field("redis_version", redisproto.DefaultConfig().Version), field("redis_git_sha1", "00000000"), field("redis_git_dirty", 0), field("redis_build_id", "0"),
		field("redis_mode", "standalone"), field("phonond_version", n.cfg.Version),
		field("os", runtime.GOOS+" "+runtime.GOARCH), field("arch_bits", strconv.IntSize), field("go_version", runtime.Version()), field("process_id", os.Getpid()),
		field("run_id", n.runID), field("tcp_port", port), field("server_time_usec", now.UnixMicro()), field("uptime_in_seconds", up), field("uptime_in_days", up/86400),
		field("executable", executable), field("config_file", ""),
	}
}

// infoMemory counts what the process uses: of it the data are only a part.
func (n *Node) infoMemory() []redisproto.Field {
	m, u := n.memory.used(), readUsage()
	if u.resident == 0 {
		u.resident = m.Mapped
	}
	data := int64(0)
	for _, s := range n.replicasHere() {
		data += s.Bytes
	}
	peak, limit := n.memory.peak.Load(), n.memory.limit.Load()
	list := slices.Concat(amount("used_memory", m.Heap), amount("used_memory_rss", u.resident), amount("used_memory_peak", peak))
	list = append(list, field("used_memory_peak_perc", fmt.Sprintf("%.2f%%", 100*float64(m.Heap)/float64(max(peak, 1)))),
		field("used_memory_overhead", m.Overhead), field("used_memory_dataset", data),
		field("used_memory_dataset_perc", fmt.Sprintf("%.2f%%", 100*float64(data)/float64(max(m.Heap, 1)))))
	list = append(list, amount("total_system_memory", u.machine)...)
	list = append(list, amount("maxmemory", limit)...)
	return append(list, field("maxmemory_policy", "noeviction"), field("mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(u.resident)/float64(max(m.Heap, 1)))),
		field("mem_fragmentation_bytes", u.resident-m.Heap), field("mem_clients_normal", n.resp.ClientBuffers()), field("mem_allocator", "go"),
		field("lazyfree_pending_objects", 0))
}

// replicasHere are the replicas of this node, none until it has all of them.
func (n *Node) replicasHere() []group.Status {
	if n.router.Load() == nil {
		return nil
	}
	return n.statuses()
}

// amount is a field of so many bytes, and one for people.
func amount(name string, n int64) []redisproto.Field {
	text, units := fmt.Sprintf("%dB", n), "KMGT"
	for size := float64(n); size >= 1024 && units != ""; units = units[1:] {
		size /= 1024
		text = fmt.Sprintf("%.2f%c", size, units[0])
	}
	return []redisproto.Field{field(name, n), field(name+"_human", text)}
}

// infoStats adds to what the port for clients counts what the replicas here do. What
// there is none of, as forks and copies for replicas of Redis's kind, was done 0 times.
func (n *Node) infoStats() []redisproto.Field {
	expired := int64(0)
	for _, s := range n.replicasHere() {
		expired += s.Reaped
	}
	return append(n.resp.InfoStats(), field("expired_keys", expired), field("evicted_keys", 0),
		field("sync_full", 0), field("sync_partial_ok", 0), field("sync_partial_err", 0), field("total_forks", 0), field("latest_fork_usec", 0))
}

func (n *Node) infoCPU() []redisproto.Field {
	u := readUsage()
	return []redisproto.Field{
		field("used_cpu_sys", fmt.Sprintf("%.6f", u.system.Seconds())), field("used_cpu_user", fmt.Sprintf("%.6f", u.user.Seconds())),
		field("used_cpu_sys_children", "0.000000"), field("used_cpu_user_children", "0.000000"),
	}
}

func (n *Node) infoPersistence() []redisproto.Field {
	loading := 0
	if n.router.Load() == nil {
		loading = 1
	}
	// What a client was answered is on the disks of a majority: tools look for it
	// in the fields of the append-only file.
	disk, status := n.disk.space(), "ok"
	if disk.Level == group.SpaceFull {
		status = "err"
	}
	list := []redisproto.Field{
		field("loading", loading), field("async_loading", 0), field("rdb_changes_since_last_save", 0), field("rdb_bgsave_in_progress", 0),
		field("rdb_last_save_time", n.started.Unix()), field("rdb_last_bgsave_status", "ok"),
		field("aof_enabled", 1), field("aof_rewrite_in_progress", 0), field("aof_last_bgrewrite_status", "ok"), field("aof_last_write_status", status),
	}
	if n.disk.watched() {
		list = append(list, field("disk_level", disk.Level.String()), field("disk_free", disk.Free))
	}
	return list
}

// infoReplication says master: any node takes writes. The cluster's replicas are no
// business of those who look for Redis's.
func (n *Node) infoReplication() []redisproto.Field {
	return []redisproto.Field{
		field("role", "master"), field("connected_slaves", 0), field("master_failover_state", "no-failover"), field("master_replid", n.runID),
		field("master_replid2", strings.Repeat("0", len(n.runID))), field("master_repl_offset", 0), field("second_repl_offset", -1),
		field("repl_backlog_active", 0), field("repl_backlog_size", 0), field("repl_backlog_first_byte_offset", 0), field("repl_backlog_histlen", 0),
	}
}

func (n *Node) infoCluster() []redisproto.Field {
	return []redisproto.Field{field("cluster_enabled", 0)}
}

func (n *Node) infoPhonond() []redisproto.Field {
	list := []redisproto.Field{field("node", n.self.ID), field("region", n.self.Region)}
	if s := n.state.Load(); s != nil {
		list = append(list, field("cluster_id", s.ID), field("state_epoch", s.Epoch))
	}
	list = append(list, field("messages_lost", n.bus.lost.Load()), field("events_dropped", n.bus.dropped.Load()))
	for _, s := range n.replicasHere() {
		list = append(list, field("group_"+s.Group, fmt.Sprintf("state=%s,leader=%s,term=%d,last_log=%d,commit=%d,entries=%d,requests=%d,scripts=%d,script_retries=%d,waiting=%d,snapshots=%d,snapshot_bytes=%d,snapshot_stall_us=%d,snapshot_ms=%d,restore_ms=%d",
			s.State, s.Leader, s.Term, s.LastLog, s.Commit, s.Entries, s.Requests, s.Scripts, s.ScriptRetries, s.Waiting, s.Snapshots, s.SnapshotBytes, s.SnapshotStall.Microseconds(), s.SnapshotTook.Milliseconds(), s.RestoreTook.Milliseconds())))
	}
	return list
}

// infoKeyspace counts the keys of every database in the whole cluster.
func (n *Node) infoKeyspace() []redisproto.Field {
	r := n.router.Load()
	if r == nil {
		return nil
	}
	// Clients ask when they connect: rather without a group than late.
	ctx, cancel := context.WithTimeout(n.ctx, infoTimeout)
	defer cancel()
	var sizes [fsm.Databases]struct{ keys, expires, ttls int64 }
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range n.regionNames() {
		wg.Go(func() {
			replies, err := r.Run(ctx, name, dataCall("KEYSPACE"))
			if err != nil || replies[0].IsError() {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, db := range replies[0].Elems { // number, keys, those that expire, their mean time to live
				size := &sizes[db.Elems[0].Int]
				size.keys += db.Elems[1].Int
				size.expires += db.Elems[2].Int
				size.ttls += db.Elems[2].Int * db.Elems[3].Int
			}
		})
	}
	wg.Wait()
	var list []redisproto.Field
	for db, s := range sizes {
		if s.keys > 0 {
			list = append(list, field(fmt.Sprintf("db%d", db), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=%d", s.keys, s.expires, s.ttls/max(s.expires, 1))))
		}
	}
	return list
}

// infoTimeout bounds what INFO asks of the groups.
const infoTimeout = 500 * time.Millisecond

// settings are the rows of CONFIG beside those of the port.
func (n *Node) settings() []redisproto.Setting {
	_, port, _ := net.SplitHostPort(n.self.RESPAddr)
	return []redisproto.Setting{
		// What a client was answered is on the disks of a majority: of Redis's ways to keep
		// it, always in the append-only file comes nearest.
		redisproto.Only("save", ""), redisproto.Only("appendonly", "yes"), redisproto.Only("appendfsync", "always"),
		redisproto.Only("maxmemory-policy", "noeviction"), redisproto.Bytes("maxmemory", &n.memory.limit, 0, 1<<44),
		redisproto.Fixed("cluster-enabled", "no"), redisproto.Fixed("port", port), redisproto.Fixed("dir", n.cfg.Config.DataDir),
		n.notifyRow(),
	}
}
