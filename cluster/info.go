package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// infoSections are the sections of INFO, in order.
var infoSections = []struct {
	name   string
	fields func(n *Node) []redisproto.Field
}{
	{"server", (*Node).infoServer},
	{"clients", func(n *Node) []redisproto.Field { return n.resp.InfoClients() }},
	{"memory", (*Node).infoMemory},
	{"persistence", (*Node).infoPersistence},
	{"stats", func(n *Node) []redisproto.Field { return n.resp.InfoStats() }},
	{"replication", (*Node).infoReplication},
	{"cluster", (*Node).infoCluster},
	{"phonond", (*Node).infoPhonond},
	{"keyspace", (*Node).infoKeyspace},
}

func (n *Node) info(args [][]byte) resp.Value {
	wanted := map[string]bool{}
	for _, a := range args[1:] {
		wanted[strings.ToLower(string(a))] = true
	}
	all := len(wanted) == 0 || wanted["all"] || wanted["default"] || wanted["everything"]
	var b strings.Builder
	for _, s := range infoSections {
		if !all && !wanted[s.name] {
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
	up := int64(time.Since(n.started).Seconds())
	return []redisproto.Field{
		field("redis_version", redisproto.DefaultConfig().Version), field("redis_mode", "standalone"), field("phonond_version", n.cfg.Version),
		field("os", runtime.GOOS+" "+runtime.GOARCH), field("arch_bits", strconv.IntSize), field("process_id", os.Getpid()),
		field("run_id", n.runID), field("tcp_port", port), field("uptime_in_seconds", up), field("uptime_in_days", up/86400),
	}
}

func (n *Node) infoMemory() []redisproto.Field {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []redisproto.Field{
		field("used_memory", m.HeapAlloc), field("used_memory_rss", m.Sys-m.HeapReleased), field("maxmemory", 0), field("maxmemory_policy", "noeviction"),
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
	list := []redisproto.Field{field("loading", loading), field("aof_enabled", 1), field("aof_last_write_status", status)}
	if n.disk.watched() {
		list = append(list, field("disk_level", disk.Level.String()), field("disk_free", disk.Free))
	}
	return list
}

// infoReplication says master: any node takes writes.
func (n *Node) infoReplication() []redisproto.Field {
	return []redisproto.Field{field("role", "master"), field("connected_slaves", 0)}
}

func (n *Node) infoCluster() []redisproto.Field {
	return []redisproto.Field{field("cluster_enabled", 0)}
}

func (n *Node) infoPhonond() []redisproto.Field {
	list := []redisproto.Field{field("node", n.self.ID), field("region", n.self.Region)}
	if s := n.state.Load(); s != nil {
		list = append(list, field("cluster_id", s.ID), field("state_epoch", s.Epoch))
	}
	if n.router.Load() == nil {
		return list
	}
	for _, s := range n.statuses() {
		list = append(list, field("group_"+s.Group, fmt.Sprintf("state=%s,leader=%s,term=%d,last_log=%d,commit=%d,entries=%d,requests=%d,snapshots=%d,snapshot_bytes=%d,snapshot_stall_us=%d,snapshot_ms=%d,restore_ms=%d",
			s.State, s.Leader, s.Term, s.LastLog, s.Commit, s.Entries, s.Requests, s.Snapshots, s.SnapshotBytes, s.SnapshotStall.Microseconds(), s.SnapshotTook.Milliseconds(), s.RestoreTook.Milliseconds())))
	}
	return list
}

// infoKeyspace counts the keys of every database in the whole cluster.
func (n *Node) infoKeyspace() []redisproto.Field {
	r := n.router.Load()
	if r == nil {
		return nil
	}
	// Clients ask when they connect: rather nothing than late. How many keys have a
	// deadline is not counted, but tools want the field.
	ctx, cancel := context.WithTimeout(n.ctx, infoTimeout)
	defer cancel()
	var sizes [fsm.Databases]resp.Value
	var wg sync.WaitGroup
	for db := range sizes {
		wg.Go(func() {
			call := dataCall("DBSIZE")
			call[0].DB = db
			sizes[db] = r.Do(ctx, call)[0]
		})
	}
	wg.Wait()
	var list []redisproto.Field
	for db, v := range sizes {
		if v.Kind == resp.Integer && v.Int > 0 {
			list = append(list, field(fmt.Sprintf("db%d", db), fmt.Sprintf("keys=%d,expires=0,avg_ttl=0", v.Int)))
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
	}
}
