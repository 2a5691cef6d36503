package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// spaceRig gives each replica of a rig a disk whose level the test sets.
type spaceRig struct {
	*rig
	mu     sync.Mutex
	levels map[string]Level
}

func withSpace(r *rig) *spaceRig {
	s := &spaceRig{rig: r, levels: map[string]Level{}}
	r.rounds = true
	r.config = func(c *Config) {
		c.Space = func() Space {
			s.mu.Lock()
			defer s.mu.Unlock()
			switch level := s.levels[c.Node]; level {
			case SpaceFull:
				return Space{Level: level}
			default:
				return Space{Level: level, Free: 100 << 20, Room: 90 << 20}
			}
		}
	}
	return s
}

func (s *spaceRig) set(level Level, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.levels[name] = level
	}
}

// all sets the level of every disk, and waits until the leader has heard.
func (s *spaceRig) all(level Level) {
	for _, server := range s.servers {
		s.set(level, string(server.ID))
	}
	time.Sleep(2 * spaceEvery)
}

// wantNoSpace checks that a command was refused for want of space.
func wantNoSpace(t *testing.T, err error, level Level) {
	t.Helper()
	why, ok := errors.AsType[*NoSpaceError](err)
	if !ok || !errors.Is(err, ErrNoSpace) || why.Level != level {
		t.Fatalf("the error is %v, not one of a disk that is %v", err, level)
	}
}

const (
	pyAcquire = "5688a2541c9edd77746bcd2385e65ff3639a664f"
	pyRelease = "c3f8721cbb97f72bc19e972846bd7aaf91901658"
	pyExtend  = "a4e8783852e6b949f9ef3a97212805108459a890"
)

// TestLowDisksTakeWhatNeedsNoSpace: locks are kept and given back, keys deleted and
// expired, and nothing new is taken.
func TestLowDisksTakeWhatNeedsNoSpace(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "v")
		n.must("SET", "short", "v", "PX", "5000")
		n.must("SET", "lock", "me", "PX", "60000")
		s.all(SpaceLow)
		for _, growing := range [][]string{
			{"SET", "k", "w"}, {"INCR", "n"}, {"RPUSH", "l", "x"}, {"HSET", "h", "f", "v"}, {"SADD", "s", "m"}, {"ZADD", "z", "1", "m"},
		} {
			_, err := n.do(growing...)
			wantNoSpace(t, err, SpaceLow)
			if why := err.Error(); !strings.Contains(why, n.name) || !strings.Contains(why, "100 MiB free") {
				t.Errorf("%v: %s", growing, why)
			}
		}
		n.must("PEXPIRE", "lock", "120000")
		if v := n.must("DEL", "k"); v.Int != 1 {
			t.Errorf("DEL says %+v", v)
		}
		time.Sleep(10 * time.Second)
		if v, err := n.get("short"); err != nil || v.Kind != resp.Null.Kind {
			t.Errorf("a key that is due is %+v, %v", v, err)
		}
		if v, err := n.get("lock"); err != nil || v.Str != "me" {
			t.Errorf("the lock is %+v, %v", v, err)
		}
		s.all(SpaceOK)
		n.must("SET", "k", "w")
		r.level()
	}, "n1", "n2", "n3")
}

// TestFullDisksAnswerReads: nothing is written, what is due stays until there is room.
func TestFullDisksAnswerReads(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "v")
		n.must("SET", "short", "v", "PX", "5000")
		r.level()
		s.all(SpaceFull)
		had, _ := r.disks[n.name].LastIndex()
		for _, write := range [][]string{{"SET", "k", "w"}, {"DEL", "k"}, {"PEXPIRE", "k", "1"}} {
			_, err := n.do(write...)
			wantNoSpace(t, err, SpaceFull)
		}
		time.Sleep(time.Minute)
		for _, key := range []string{"k", "short"} {
			if v, err := n.get(key); err != nil || v.Str != "v" {
				t.Errorf("%s is %+v, %v", key, v, err)
			}
		}
		clock := make(chan error, 1)
		n.Barrier(true, func(err error) { clock <- err })
		wantNoSpace(t, <-clock, SpaceFull)
		if has, _ := r.disks[n.name].LastIndex(); has != had || n.Status().State != "leader" {
			t.Errorf("the log went from %d to %d while the disks were full, and the leader is a %s", had, has, n.Status().State)
		}
		s.all(SpaceOK)
		n.must("SET", "k", "w")
		if v, err := n.get("short"); err != nil || v.Kind != resp.Null.Kind {
			t.Errorf("a key that was due all the time is %+v, %v", v, err)
		}
		r.level()
	}, "n1", "n2", "n3")
}

// TestGroupElectsOnFullDisks: a leader that dies when all disks are full is followed by
// another, once, which answers reads.
func TestGroupElectsOnFullDisks(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		old := r.leader()
		old.must("SET", "k", "v")
		r.level()
		s.all(SpaceFull)
		term := old.Status().Term
		r.crash(old.name)
		n := r.leader()
		time.Sleep(2 * time.Minute)
		if now := n.Status(); now.Term > term+3 || !now.Serving {
			t.Errorf("the term went from %d to %d, and the leader serves: %v", term, now.Term, now.Serving)
		}
		if v, err := n.get("k"); err != nil || v.Str != "v" {
			t.Errorf("k is %+v, %v", v, err)
		}
		r.open(old.name)
		s.all(SpaceOK)
		r.leader().must("SET", "k", "w")
		r.level()
	}, "n1", "n2", "n3")
}

// TestFullFollowerCatchesUp: the others go on without it, and it follows when it has
// room; nobody counts it as damaged.
func TestFullFollowerCatchesUp(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "v")
		full := r.follower()
		s.set(SpaceFull, full.name)
		time.Sleep(2 * spaceEvery)
		had, _ := r.disks[full.name].LastIndex()
		for i := range 50 {
			n.must("SET", "k", fmt.Sprint(i))
		}
		if has, _ := r.disks[full.name].LastIndex(); has != had {
			t.Errorf("a full disk got %d entries", has-had)
		}
		time.Sleep(5 * time.Minute)
		if n.Status().State != "leader" {
			t.Errorf("the leader is a %s", n.Status().State)
		}
		s.set(SpaceOK, full.name)
		freed := time.Now()
		r.level()
		if took := time.Since(freed); took > 15*time.Second {
			t.Errorf("it took %v to catch up", took)
		}
		if bad := full.failures(); len(bad) > 0 {
			t.Errorf("Fatal was told: %v", bad)
		}
	}, "n1", "n2", "n3")
}

// TestNewLeaderDoesNotGoByWhatItHeardBefore: it led when disks were low, and leads again
// when they are well.
func TestNewLeaderDoesNotGoByWhatItHeardBefore(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		n, other := r.leader(), r.follower()
		n.must("SET", "k", "1")
		s.all(SpaceLow)
		_, err := n.do("SET", "k", "2")
		wantNoSpace(t, err, SpaceLow)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(t, n.Transfer(ctx, other.name))
		r.wait("the other to lead", other.Leads)
		for _, server := range r.servers {
			s.set(SpaceOK, string(server.ID))
			r.net.Latency(n.name, string(server.ID), 20*time.Millisecond)
		}
		must(t, other.Transfer(ctx, n.name))
		for !n.Leads() {
			time.Sleep(time.Millisecond)
		}
		n.must("SET", "k", "3")
	}, "n1", "n2", "n3")
}

// TestMajorityOfDisksDecides: one that is low does not count, two do, also when the
// leader's own is well.
func TestMajorityOfDisksDecides(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.openAll()
		n := r.leader()
		var others []string
		for _, server := range r.servers {
			if string(server.ID) != n.name {
				others = append(others, string(server.ID))
			}
		}
		s.set(SpaceFull, others[0])
		time.Sleep(2 * spaceEvery)
		n.must("SET", "k", "1")
		s.set(SpaceLow, others[1])
		time.Sleep(2 * spaceEvery)
		_, err := n.do("SET", "k", "2")
		wantNoSpace(t, err, SpaceLow)
		n.must("DEL", "k")
		// A voter that is not there has no room either, but that is not known.
		r.crash(others[1])
		time.Sleep(2 * spaceMaxAge)
		_, err = n.do("DEL", "k")
		wantNoSpace(t, err, SpaceFull)
		r.open(others[1])
		s.set(SpaceOK, others[0])
		time.Sleep(2 * spaceEvery)
		n.must("SET", "k", "3")
		r.level()
	}, "n1", "n2", "n3")
}

func TestScriptsCountByWhatTheyWouldDo(t *testing.T) {
	bubble(t, func(r *rig) {
		withSpace(r)
		r.open("v")
		n := r.leader()
		n.must("SET", "held", "me", "PX", "600000")
		const touchOrSet = "b6b55c439e02c6f52ffb8be7ec8c0d0ac816ea79"
		for _, tc := range []struct {
			args  string
			grows bool
		}{
			{"evalsha " + pyAcquire + " 1 free me 100", true},
			{"evalsha " + pyAcquire + " 1 held me 100", false},
			{"evalsha " + pyRelease + " 1 held me", false},
			{"evalsha " + pyExtend + " 1 held me 100 0", false},
			{"evalsha " + touchOrSet + " 1 held me 100", false},
			{"evalsha " + touchOrSet + " 1 free me 100", true},
			{"evalsha " + touchOrSet + " 1 free me x", false},
			{"evalsha 0123456789012345678901234567890123456789 1 free me", false},
			{"evalsha " + pyAcquire + " x free me", false},
			{"set k v", true}, {"setnx held v", true}, {"del k", false}, {"getdel k", false}, {"persist held", false},
			{"expire held 7", false}, {"flushall", false}, {"script flush", false}, {"lpop l", false}, {"nosuch", false},
		} {
			req := n.request(call(strings.Fields(tc.args)...))
			if got := n.grows(&Call{Request: req.Append(nil)}); got != tc.grows {
				t.Errorf("%s grows: %v", tc.args, got)
			}
		}
	}, "v")
}

// TestLeaderWithoutRoomForOneRequest: it is refused for its length, and smaller ones
// are not.
func TestLeaderWithoutRoomForOneRequest(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Space = func() Space { return Space{Free: 2 << 20, Room: 1 << 20} } }
		r.open("v")
		n := r.leader()
		n.must("SET", "k", "v")
		_, err := n.do("SET", "k", strings.Repeat("x", 1<<20))
		wantNoSpace(t, err, SpaceLow)
		n.must("SET", "k", "w")
	}, "v")
}

// TestStoreBeginsNoWriteWithoutRoom: what opens a term is written all the same.
func TestStoreBeginsNoWriteWithoutRoom(t *testing.T) {
	now := Space{Level: SpaceFull}
	d := newDisk()
	w := watch(d.storage(), time.Minute, func() Space { return now }, func(err error) { t.Errorf("Fatal was told: %v", err) })
	entry := func(e fsm.Entry) *raft.Log { return &raft.Log{Type: raft.LogCommand, Data: seal(e.Append(nil))} }
	write := fsm.Entry{Requests: []fsm.Request{{Kind: fsm.Run, Origin: 1, Seq: 1, Calls: []command.Call{call("DEL", "k")}}}}
	for i, tc := range []struct {
		what string
		log  *raft.Log
		room bool
	}{
		{"a noop", &raft.Log{Type: raft.LogNoop}, true},
		{"the first entry of a term", entry(fsm.Entry{Term: 7, Stamp: 1 << 40, Wall: 1 << 40, Epoch: 3}), true},
		{"a tick", entry(fsm.Entry{Term: 7, CheckIndex: 1 << 30, CheckDigest: 1 << 60}), false},
		{"a request", entry(write), false},
		{"a damaged entry", &raft.Log{Type: raft.LogCommand, Data: []byte("x")}, false},
	} {
		tc.log.Index = uint64(i + 1)
		if err := w.StoreLog(tc.log); (err == nil) != tc.room || err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
	now = Space{Room: 1000}
	if err := w.StoreLogs([]*raft.Log{entry(write), entry(write)}); !errors.Is(err, errNoRoom) {
		t.Errorf("more than there is room for: %v", err)
	}
	if err := w.StoreLog(entry(write)); err != nil {
		t.Error(err)
	}
	if raftError(fmt.Errorf("store: %w", errNoRoom)) != ErrNotLeader {
		t.Error("what was not written counts as uncertain")
	}
}

// TestEntriesAreNotTakenBackForNothing: raft removes the end of a log and stores others in
// its place, and does not notice when only the first of both is done.
func TestEntriesAreNotTakenBackForNothing(t *testing.T) {
	now := Space{Room: 1 << 20}
	d := newDisk()
	w := watch(d.storage(), time.Minute, func() Space { return now }, func(err error) { t.Errorf("Fatal was told: %v", err) })
	has := func(want uint64) {
		t.Helper()
		if got, err := w.LastIndex(); err != nil || got != want {
			t.Errorf("the log ends with %d, %v, not %d", got, err, want)
		}
	}
	log := func(index uint64) *raft.Log { return &raft.Log{Index: index, Type: raft.LogCommand, Data: []byte("x")} }
	must(t, w.StoreLogs([]*raft.Log{log(1), log(2), log(3), log(4)}))
	now = Space{Level: SpaceFull}
	if err := w.DeleteRange(3, 4); !errors.Is(err, errNoRoom) {
		t.Errorf("entries are taken back that nothing can replace: %v", err)
	}
	has(4)
	must(t, w.DeleteRange(1, 1))          // of a snapshot
	for _, from := range []uint64{3, 2} { // 2 is all that there is
		now = Space{Room: 1 << 20}
		must(t, w.DeleteRange(from, 4))
		now = Space{Level: SpaceFull}
		must(t, w.StoreLogs([]*raft.Log{log(from)})) // to end the node if there is no room is better
		if err := w.StoreLog(log(from + 1)); !errors.Is(err, errNoRoom) {
			t.Errorf("more than in its place: %v", err)
		}
		has(from)
	}
}

// TestSnapshotWithoutRoomIsGivenUp: nothing of it is left, and the node goes on.
func TestSnapshotWithoutRoomIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	storage, err := OpenBolt(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := Space{Room: 100 << 20}
	w := watch(storage, time.Minute, func() Space { return now }, func(err error) { t.Errorf("Fatal was told: %v", err) })
	defer w.close()
	create := func() raft.SnapshotSink {
		t.Helper()
		sink, err := w.snapshots.Create(1, 7, 1, raft.Configuration{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		return sink
	}
	left := func() (names []string) {
		files, err := os.ReadDir(filepath.Join(dir, snapshotDir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names = append(names, f.Name())
		}
		return names
	}
	failing, other := create(), create()
	block := make([]byte, roomStep)
	if _, err := failing.Write(block); err != nil {
		t.Fatal(err)
	}
	now.Room = 49 << 20 // less than half of what there was
	if _, err := failing.Write(block); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a snapshot that takes too much: %v", err)
	}
	// The library leaves this when the system refuses it the last bytes.
	rest := filepath.Join(dir, snapshotDir, "1-6-1"+unfinished)
	if err := errors.Join(os.Mkdir(rest, 0o700), os.WriteFile(filepath.Join(rest, stateFile), block, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := failing.Cancel(); err != nil {
		t.Error(err)
	}
	if names := left(); len(names) != 1 || names[0] != other.ID()+unfinished {
		t.Errorf("left are %v, and another is being written: %s", names, other.ID())
	}
	now = Space{Level: SpaceFull}
	if _, err := w.snapshots.Create(1, 7, 1, raft.Configuration{}, 1, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a snapshot is begun on a full disk: %v", err)
	}
	now = Space{Room: 100 << 20}
	if _, err := io.WriteString(other, "state"); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if names := left(); len(names) != 1 || names[0] != other.ID() {
		t.Errorf("left are %v", names)
	}
}

// TestNoSnapshotIsSentToAFullDisk: not even a byte of it is read.
func TestNoSnapshotIsSentToAFullDisk(t *testing.T) {
	trans := transport{space: func(node string) Space { return Space{Level: map[string]Level{"full": SpaceFull}[node]} }}
	if err := trans.InstallSnapshot("full", "full", nil, nil, nil); !errors.Is(err, ErrNoSpace) {
		t.Errorf("InstallSnapshot says %v", err)
	}
}

// fullSnapshots are on a disk that is full.
type fullSnapshots struct{ raft.SnapshotStore }

func (fullSnapshots) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return nil, &os.PathError{Op: "write", Path: "state.bin", Err: syscall.ENOSPC}
}

// TestSnapshotThatTheSystemRefusesIsNotFatal, and an error of the log is.
func TestSnapshotThatTheSystemRefusesIsNotFatal(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Storage.Snapshots = fullSnapshots{c.Storage.Snapshots} }
		r.open("v")
		n := r.leader()
		n.must("SET", "k", "v")
		if err := n.Snapshot(); err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("the snapshot says %v", err)
		}
		n.must("SET", "k", "w")
		if bad := n.failures(); len(bad) > 0 {
			t.Errorf("Fatal was told: %v", bad)
		}
	}, "v")
}

// TestSnapshotsOfOneMoment: one taken here and one from the leader are of the same
// entry, and have two names.
func TestSnapshotsOfOneMoment(t *testing.T) {
	dir := t.TempDir()
	files, err := raft.NewFileSnapshotStore(dir, keptSnapshots, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(&Storage{Path: dir, Snapshots: files}, time.Second, plenty, func(err error) { t.Errorf("fatal: %v", err) })
	for range 20 {
		var sinks [2]raft.SnapshotSink
		for i := range sinks {
			if sinks[i], err = w.snapshots.Create(raft.SnapshotVersionMax, 7, 3, raft.Configuration{}, 1, nil); err != nil {
				t.Fatal(err)
			}
		}
		if sinks[0].ID() == sinks[1].ID() {
			t.Fatalf("both are %s", sinks[0].ID())
		}
		for _, sink := range sinks {
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSnapshotThatIsThereAlreadyIsNotFatal: names are made of the entry and the
// millisecond, of a clock that may be set back.
func TestSnapshotThatIsThereAlreadyIsNotFatal(t *testing.T) {
	dir := t.TempDir()
	files, err := raft.NewFileSnapshotStore(dir, keptSnapshots, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	w := watch(&Storage{Path: dir, Snapshots: files}, time.Second, plenty, func(err error) { t.Errorf("fatal: %v", err) })
	sink, err := w.snapshots.Create(raft.SnapshotVersionMax, 7, 3, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, snapshotDir, sink.ID())
	if err := os.MkdirAll(filepath.Join(other, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("closing the second of a name: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*"+unfinished)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestLogIsCutWhenTheDiskGetsLow: what is cut off it is room for what still comes.
func TestLogIsCutWhenTheDiskGetsLow(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.open("v")
		n := r.leader()
		kept := 2 * int(DefaultLimits().TrailingEntries)
		for range kept {
			n.must("SET", "k", "v")
		}
		s.set(SpaceLow, "v")
		r.wait("a shorter log", func() bool {
			first, _ := r.disks["v"].FirstIndex()
			last, _ := r.disks["v"].LastIndex()
			return last-first <= DefaultLimits().TrailingEntries
		})
		taken := n.Status().Snapshots
		time.Sleep(time.Minute)
		if now := n.Status().Snapshots; taken != 1 || now != taken {
			t.Errorf("%d snapshots were taken, then %d more", taken, now-taken)
		}
	}, "v")
}

// TestVotesHaveTheirSpace: a file has no holes any more that a full disk could not fill.
func TestVotesHaveTheirSpace(t *testing.T) {
	for _, kind := range []string{kindBolt, kindWAL} {
		dir := t.TempDir()
		file := votesOf(kind, dir)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("votes"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, 1<<20); err != nil {
			t.Fatal(err)
		}
		w := watch(&Storage{Path: dir}, time.Minute, plenty, func(err error) { t.Errorf("Fatal was told: %v", err) })
		for range 2 {
			if err := w.fillHoles(); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(file)
		if err != nil || info.Size() != 1<<20 || info.Sys().(*syscall.Stat_t).Blocks*512 < info.Size() {
			t.Errorf("%s: %d bytes, of which %d are taken (%v)", kind, info.Size(), info.Sys().(*syscall.Stat_t).Blocks*512, err)
		}
		if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "votes") {
			t.Errorf("%s: it reads %.9q (%v)", kind, b, err)
		}
	}
}
