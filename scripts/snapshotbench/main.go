// Snapshotbench measures what a snapshot costs while a group is written to, what a
// key costs in memory, and how long a restart takes. It runs one group with one
// replica on a bbolt file, with no network, fills it with keys, and prints a table:
//
//	go run ./scripts/snapshotbench -keys 1000000
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"

	"github.com/hashicorp/raft"
)

// options are the flags.
type options struct {
	keys, keySize, valueSize int
	rate                     int
	before                   time.Duration
	dir, profile             string
}

func main() {
	var o options
	flag.IntVar(&o.keys, "keys", 1_000_000, "how many keys")
	flag.IntVar(&o.keySize, "key", 16, "bytes of a key, 12 at least")
	flag.IntVar(&o.valueSize, "value", 16, "bytes of a value")
	flag.IntVar(&o.rate, "rate", 2000, "writes a second before and during the snapshot")
	flag.DurationVar(&o.before, "before", 5*time.Second, "how long to write before the snapshot")
	flag.StringVar(&o.dir, "dir", "", "where to put the data; default: a temporary directory, removed at the end")
	flag.StringVar(&o.profile, "cpuprofile", "", "profile the snapshot, the writes beside it, and the restart to this file")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "snapshotbench:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.keySize < 12 {
		return fmt.Errorf("keys of %d bytes cannot all differ", o.keySize)
	}
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "snapshotbench")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	g, err := open(o.dir)
	if err != nil {
		return err
	}
	if err := waitLeading(g); err != nil {
		return err
	}
	w, err := newWriter(g)
	if err != nil {
		return err
	}
	empty := measureMemory()
	fmt.Printf("loading %d keys of %d bytes with values of %d\n", o.keys, o.keySize, o.valueSize)
	began := time.Now()
	if err := w.load(o); err != nil {
		return err
	}
	loaded := time.Since(began)

	stop, err := startProfile(o.profile)
	if err != nil {
		return err
	}
	defer stop()
	before, err := w.write(o, time.After(o.before))
	if err != nil {
		return err
	}
	full := measureMemory() // the newest log entries, which are kept in memory, are small again
	over := make(chan time.Time)
	var snapshotErr error
	began = time.Now()
	go func() {
		snapshotErr = g.Snapshot()
		close(over)
	}()
	during, err := w.write(o, over)
	if err != nil {
		return err
	}
	took := time.Since(began)
	if snapshotErr != nil {
		return snapshotErr
	}
	status := g.Status()
	if err := g.Close(); err != nil {
		return err
	}
	g, w = nil, nil // so that the collector sees the old state go
	restart, err := measureRestart(o)
	if err != nil {
		return err
	}

	perKey := func(now, then uint64) string {
		return fmt.Sprintf("%.0f bytes a key", float64(int64(now-then))/float64(o.keys))
	}
	fmt.Printf("\nload               %8.1f s    %.0f keys/s\n", loaded.Seconds(), float64(o.keys)/loaded.Seconds())
	fmt.Printf("heap               %8d MiB  %s\n", full.heap>>20, perKey(full.heap, empty.heap))
	fmt.Printf("resident           %8d MiB  %s, files not counted\n", full.resident>>20, perKey(full.resident, empty.resident))
	fmt.Printf("writes before      %8d      %s\n", len(before), before)
	fmt.Printf("writes during      %8d      %s\n", len(during), during)
	fmt.Printf("snapshot           %8.2f s    %d bytes, %.2f s of it to write\n", took.Seconds(), status.SnapshotBytes, status.SnapshotTook.Seconds())
	fmt.Printf("stall of Apply     %8d µs\n", status.SnapshotStall.Microseconds())
	fmt.Printf("restart            %8.2f s    %.2f s until open (%.2f s of it reading the snapshot), %.2f s until leading, %d keys\n",
		restart.total.Seconds(), restart.open.Seconds(), restart.restore.Seconds(), restart.leading.Seconds(), restart.keys)
	return nil
}

// open opens the replica as a node does.
func open(dir string) (*group.Group, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	storage, err := group.OpenBolt(filepath.Join(dir, "groups", "bench"), log)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	limits := group.DefaultLimits() // but for snapshots, which are taken when asked for
	limits.SnapshotInterval, limits.SnapshotEntries, limits.SnapshotBytes = 24*time.Hour, 1<<40, 1<<50
	return group.Open(group.Config{
		Name: "bench", Node: "n1", Storage: storage, Stream: alone{ln},
		Servers: []raft.Server{{ID: "n1", Address: "n1"}},
		Machine: fsm.Config{Group: "bench", Seed: [2]uint64{1, 2}, Table: fsm.DataCommands()},
		Timing:  group.DefaultTiming().At(100*time.Millisecond, true), Limits: limits, Wall: time.Now, Log: log,
		Fatal: func(err error) {
			fmt.Fprintln(os.Stderr, "snapshotbench:", err)
			os.Exit(1)
		},
	})
}

// alone is the stream layer of a group without other replicas.
type alone struct{ net.Listener }

func (alone) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) { return nil, net.ErrClosed }

// leadTimeout bounds the wait for an election that nobody else takes part in.
const leadTimeout = 5 * time.Minute

func waitLeading(g *group.Group) error {
	timeout := time.After(leadTimeout)
	for !g.Leads() {
		select {
		case <-g.LeaderChanged():
		case <-time.After(time.Millisecond):
		case <-timeout:
			return fmt.Errorf("no lead after %v", leadTimeout)
		}
	}
	return nil
}

// restart is how long the parts of a restart took.
type restart struct {
	open, restore, leading, total time.Duration
	keys                          int64
}

func measureRestart(o options) (r restart, err error) {
	runtime.GC()
	began := time.Now()
	g, err := open(o.dir)
	if err != nil {
		return r, err
	}
	r.open = time.Since(began)
	if err := waitLeading(g); err != nil {
		return r, err
	}
	r.leading = time.Since(began)
	w, err := newWriter(g)
	if err != nil {
		return r, err
	}
	n, err := w.do("DBSIZE")
	if err != nil {
		return r, err
	}
	r.total, r.keys, r.restore = time.Since(began), n.Int, g.Status().RestoreTook
	if r.keys < int64(o.keys) {
		return r, fmt.Errorf("%d of %d keys are left after the restart", r.keys, o.keys)
	}
	return r, g.Close()
}

// memory is what the process uses, in bytes.
type memory struct{ heap, resident uint64 }

func measureMemory() (m memory) {
	runtime.GC()
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m.heap = s.HeapAlloc
	// The map of the log's file is no memory of ours: the kernel takes it back.
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			m.resident = kib << 10
		}
	}
	return m
}

func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
