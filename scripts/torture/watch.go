package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"phonond/cluster/proctest"
)

// watchEvery is the pace of everything that looks at the nodes.
const watchEvery = time.Second

// digests holds every replica to the same state after the same entry, over all
// nodes and the whole run.
type digests struct {
	r    *rig
	mu   sync.Mutex
	seen map[entry]string
	many int // comparisons of two replicas
}

// entry is one of a group's log.
type entry struct {
	group string
	index int64
}

// maxDigests bounds how many are remembered; then the collection begins anew. A
// run of an hour sees fewer.
const maxDigests = 1 << 20

func newDigests(r *rig) *digests { return &digests{r: r, seen: map[entry]string{}} }

// follow asks through one node after the other.
func (d *digests) follow(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k := d.r.keepers[n%len(d.r.keepers)]
		if list, err := k.node.Replicas(); err == nil {
			d.compare(list)
		}
	}
}

func (d *digests) compare(list []proctest.Replica) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.seen) > maxDigests {
		clear(d.seen)
	}
	for _, r := range list {
		at := entry{r.Group, r.Index}
		switch was, ok := d.seen[at]; {
		case !ok:
			d.seen[at] = r.Digest
		case was != r.Digest:
			d.r.faults.add("group %s after entry %d: %s has digest %s, another had %s", r.Group, r.Index, r.Node, r.Digest, was)
		default:
			d.many++
		}
	}
}

func (d *digests) compared() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.many
}

// leads reads the nodes' logs as they grow. Every lead is in them, with its term:
// no two nodes may have the same. What a node says when it has found a defect is a
// violation too.
type leads struct {
	r     *rig
	mu    sync.Mutex
	terms map[term]string // the leader of each
	read  map[string]*tail
}

type term struct {
	group string
	term  int64
}

// tail is how far a log was read.
type tail struct {
	at   int64
	rest []byte // the beginning of a line
}

// defects are texts that no log may have. "goroutine " is in every stack.
var defects = []string{"DATA RACE", "panic", "goroutine ", "which is a defect", "differs from the leader"}

func newLeads(r *rig) *leads { return &leads{r: r, terms: map[term]string{}, read: map[string]*tail{}} }

func (l *leads) follow(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.look()
	}
}

// look reads what is new in all logs.
func (l *leads) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.r.keepers {
		if err := l.readOn(k.node); err != nil {
			l.r.faults.add("the log of %s: %v", k.node.ID, err)
		}
	}
}

func (l *leads) readOn(n *proctest.Node) error {
	t := l.read[n.ID]
	if t == nil {
		t = &tail{}
		l.read[n.ID] = t
	}
	f, err := os.Open(n.LogFile())
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, t.at, 1<<62))
	if err != nil {
		return err
	}
	t.at += int64(len(b))
	b = append(t.rest, b...)
	end := bytes.LastIndexByte(b, '\n') + 1
	t.rest = bytes.Clone(b[end:])
	for line := range bytes.Lines(b[:end]) {
		l.line(n.ID, line)
	}
	return nil
}

func (l *leads) line(node string, line []byte) {
	for _, text := range defects {
		if bytes.Contains(line, []byte(text)) {
			l.r.faults.add("%s says: %.500s", node, line)
			break
		}
	}
	var m struct {
		Msg, Group string
		Term       int64
	}
	if json.Unmarshal(line, &m) != nil || m.Msg != "leading" {
		return
	}
	at := term{m.Group, m.Term}
	if other, ok := l.terms[at]; ok && other != node {
		l.r.faults.add("group %s has two leaders in term %d: %s and %s", m.Group, m.Term, other, node)
	}
	l.terms[at] = node
}

func (l *leads) seen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.terms)
}

// The limits of a node, at any time and when it is at rest.
const (
	maxRSS       = 768 << 20 // bytes; ten times what a node of this size needs
	spareFiles   = 24        // more descriptors than at the first rest: connections that are about to be closed
	spareDisk    = 256 << 20 // bytes more than at the first rest; twice what was ever seen: logs of some thousand entries, two snapshots, the reserve
	pooled       = 2         // connections that raft keeps to each replica, once it has needed them
	maxSnapshots = 2         // of each group
	restTimeout  = 20 * time.Second
)

// footprint is what a process has.
type footprint struct {
	rss   int64 // bytes
	files int   // descriptors
	disk  int64 // bytes in its data directory
}

// grown reports what a process at rest has more of than at the first rest, beyond
// what is spared.
func (p footprint) grown(first footprint, files int) error {
	if p.files > first.files+files {
		return fmt.Errorf("%d descriptors, %d at first", p.files, first.files)
	}
	if p.disk > first.disk+spareDisk {
		return fmt.Errorf("%d MiB in the data directory, %d at first", p.disk>>20, first.disk>>20)
	}
	return nil
}

func footprintOf(pid int, dir string) (p footprint, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return p, err
	}
	p.files = len(files)
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			p.rss, err = strconv.ParseInt(kib, 10, 64)
			p.rss <<= 10
		}
	}
	if err != nil {
		return p, err
	}
	p.disk, err = diskUse(dir)
	return p, err
}

// statBlock is what blocks of a file are counted in, whatever the file system has.
const statBlock = 512

// diskUse sums up what the files of a directory take, in bytes: of a log made in
// advance, what is written. Files that go meanwhile do not count.
func diskUse(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += s.Blocks * statBlock
			}
		}
		return nil
	})
	return sum, err
}

// leftovers looks for what a node at rest must not have: unfinished files, more
// snapshots than are kept.
func leftovers(dir string) error {
	snapshots := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, ".tmp"), strings.HasSuffix(path, ".new"):
			return fmt.Errorf("%s is left over", path)
		case e.IsDir() && filepath.Base(filepath.Dir(path)) == "snapshots":
			snapshots[filepath.Dir(path)]++
		}
		return nil
	})
	for dir, n := range snapshots {
		if n > maxSnapshots && err == nil {
			err = fmt.Errorf("%s has %d snapshots, not %d", dir, n, maxSnapshots)
		}
	}
	return err
}

// peaks looks at memory, descriptors and disks of all that runs.
func (r *rig) peaks() {
	for _, k := range r.keepers {
		pid := k.pid()
		if pid == 0 {
			continue
		}
		p, err := footprintOf(pid, k.node.DataDir)
		if err != nil {
			continue // it has ended
		}
		if p.rss > maxRSS {
			r.faults.add("%s has %d MiB of memory", k.node.ID, p.rss>>20)
		}
		r.measure.mu.Lock()
		was := r.measure.peak[k.node.ID]
		r.measure.peak[k.node.ID] = footprint{rss: max(was.rss, p.rss), files: max(was.files, p.files), disk: max(was.disk, p.disk)}
		r.measure.mu.Unlock()
	}
}

// rest compares all replicas while nobody writes, and looks for leaks. The gate is
// held.
func (r *rig) rest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	list, err := r.cluster.Settled(ctx)
	if err != nil {
		r.faults.add("replicas do not settle: %v", err)
		return
	}
	r.digests.compare(list)
	r.measure.rested()
	for _, k := range r.keepers {
		var now footprint
		err := proctest.Until(ctx, func() (err error) {
			if now, err = footprintOf(k.pid(), k.node.DataDir); err != nil {
				return err
			}
			// Every group, and the one of the system, may come to keep its connections to
			// and from all other nodes.
			spare := spareFiles + 2*pooled*(len(r.groups)+1)*(len(r.keepers)-1)
			if first, ok := r.measure.first(k.node.ID); ok {
				if err := now.grown(first, spare); err != nil {
					return err
				}
			}
			return leftovers(k.node.DataDir)
		})
		if err != nil {
			r.faults.add("%s at rest: %v", k.node.ID, err)
		}
		r.measure.atRest(k.node.ID, now)
	}
}
