package group

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestCutApplied(t *testing.T) {
	for _, tc := range []struct {
		prev, last, commit, applied  uint64
		wantPrev, wantFirst, wantTop uint64 // 0 for no entry
		wantCommit                   uint64
	}{
		{prev: 10, last: 12, commit: 11, applied: 9, wantPrev: 10, wantFirst: 11, wantTop: 12, wantCommit: 11},
		{prev: 10, last: 12, commit: 11, applied: 10, wantFirst: 11, wantTop: 12, wantCommit: 11},
		{prev: 10, last: 12, commit: 11, applied: 11, wantFirst: 12, wantTop: 12, wantCommit: 11},
		{prev: 10, last: 12, commit: 11, applied: 12, wantCommit: 11},
		{prev: 10, last: 12, commit: 20, applied: 30, wantCommit: 12},
		{prev: 10, last: 12, commit: 20, applied: 5, wantPrev: 10, wantFirst: 11, wantTop: 12, wantCommit: 12},
		{prev: 10, last: 10, commit: 20, applied: 5, wantPrev: 10, wantCommit: 10},
		{prev: 0, last: 2, commit: 2, applied: 0, wantFirst: 1, wantTop: 2, wantCommit: 2},
		{applied: 7}, // a heartbeat
	} {
		req := &raft.AppendEntriesRequest{PrevLogEntry: tc.prev, PrevLogTerm: min(tc.prev, 3), LeaderCommitIndex: tc.commit}
		for i := tc.prev + 1; i <= tc.last; i++ {
			req.Entries = append(req.Entries, &raft.Log{Index: i, Term: 3})
		}
		cutApplied(req, tc.applied)
		var first, top uint64
		if n := len(req.Entries); n > 0 {
			first, top = req.Entries[0].Index, req.Entries[n-1].Index
		}
		if req.PrevLogEntry != tc.wantPrev || req.PrevLogTerm != min(tc.wantPrev, 3) || first != tc.wantFirst || top != tc.wantTop || req.LeaderCommitIndex != tc.wantCommit {
			t.Errorf("%+v became %d of term %d, then %d to %d, commit %d",
				tc, req.PrevLogEntry, req.PrevLogTerm, first, top, req.LeaderCommitIndex)
		}
	}
}

// send sends v entries of a term as its leader, behind some of the same term.
func (p *peer) send(t *testing.T, v *replica, term, prev, last, commit uint64) raft.AppendEntriesResponse {
	t.Helper()
	req := &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: term, PrevLogEntry: prev, PrevLogTerm: term, LeaderCommitIndex: commit}
	if prev == 1 {
		req.PrevLogTerm = 1 // of the first configuration
	}
	for i := prev + 1; i <= last; i++ {
		req.Entries = append(req.Entries, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: v.firstEntry(term)})
	}
	var out raft.AppendEntriesResponse
	if err := p.trans.AppendEntries("v", "v", req, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// install sends v a snapshot as its leader.
func (p *peer) install(t *testing.T, term, index uint64, state *bytes.Buffer) raft.InstallSnapshotResponse {
	t.Helper()
	first := raft.Configuration{Servers: []raft.Server{{ID: "v", Address: "v"}, {ID: "a", Address: "a"}, {ID: "b", Address: "b"}}}
	req := &raft.InstallSnapshotRequest{
		RPCHeader: p.header(), SnapshotVersion: raft.SnapshotVersionMax, Term: term, LastLogIndex: index, LastLogTerm: term,
		Configuration: raft.EncodeConfiguration(first), ConfigurationIndex: 1, Size: int64(state.Len()),
	}
	var out raft.InstallSnapshotResponse
	if err := p.trans.InstallSnapshot("v", "v", req, &out, state); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestAppliedEntriesAreNotLookedUp: a message that is older than the log, as after a
// lost answer, says nothing new; nor does a snapshot that is older than the state.
func TestAppliedEntriesAreNotLookedUp(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Limits.TrailingBytes, c.Limits.TrailingEntries = 1, 1 }
		n := r.open("v")
		p := r.peer("a")
		defer p.trans.Close()
		const term = 1 << 20 // more than v comes to by itself
		if out := p.send(t, n, term, 1, 40, 30); !out.Success {
			t.Fatalf("the first entries: %+v", out)
		}
		r.wait("applied", func() bool { index, _ := n.Digest(); return index == 30 })
		time.Sleep(2 * snapshotPoll) // the log is sized
		must(t, n.Snapshot())
		if first, _ := r.disks["v"].FirstIndex(); first < 25 {
			t.Fatalf("the log begins with entry %d", first)
		}
		for _, again := range [][2]uint64{{1, 40}, {5, 7}, {20, 35}, {29, 30}, {1, 50}} {
			if out := p.send(t, n, term, again[0], again[1], 30); !out.Success {
				t.Errorf("entries after %d to %d: %+v", again[0], again[1], out)
			}
		}
		if last, _ := r.disks["v"].LastIndex(); last != 50 {
			t.Errorf("the last entry is %d", last)
		}
		if out := p.install(t, term, 20, bytes.NewBufferString("not looked at")); !out.Success || out.Term != term {
			t.Errorf("an old snapshot: %+v", out)
		}
		if out := p.install(t, term-1, 20, bytes.NewBufferString("not looked at")); out.Success || out.Term != term {
			t.Errorf("an old snapshot of an old leader: %+v", out)
		}
		if out := p.install(t, term+1, 20, bytes.NewBufferString("not looked at")); !out.Success || out.Term != term+1 {
			t.Errorf("an old snapshot of a new leader: %+v", out)
		}
		if out := p.send(t, n, term+1, 0, 0, 0); !out.Success {
			t.Errorf("a heartbeat: %+v", out)
		}
		if index, _ := n.Digest(); index != 30 {
			t.Errorf("the state went from entry 30 to %d", index)
		}
		if bad := n.failures(); len(bad) > 0 {
			t.Errorf("Fatal was told: %v", bad)
		}
	}, "v", "a", "b")
}

// TestFollowerThatStoredNothingIsNotOneThatDiffers: raft asks it for the same entries
// again.
func TestFollowerThatStoredNothingIsNotOneThatDiffers(t *testing.T) {
	bubble(t, func(r *rig) {
		n := r.open("v")
		p := r.peer("a")
		defer p.trans.Close()
		trans := transport{NetworkTransport: n.trans, store: n.store}
		send := func(answer raft.AppendEntriesResponse) (args *raft.AppendEntriesRequest, out raft.AppendEntriesResponse, err error) {
			go func() {
				rpc := <-p.trans.Consumer()
				rpc.Respond(&answer, nil)
			}()
			args = &raft.AppendEntriesRequest{Term: 7, PrevLogEntry: 9, Entries: []*raft.Log{{Index: 10}}}
			err = trans.AppendEntries("a", "a", args, &out)
			return args, out, err
		}
		for _, tc := range []struct {
			answer raft.AppendEntriesResponse
			again  bool
		}{
			{raft.AppendEntriesResponse{Term: 7, Success: true}, false},
			{raft.AppendEntriesResponse{Term: 7}, true},
			{raft.AppendEntriesResponse{Term: 7, NoRetryBackoff: true}, false},
			{raft.AppendEntriesResponse{Term: 8}, false},
		} {
			began := time.Now()
			args, out, err := send(tc.answer)
			if err != nil {
				t.Errorf("%+v: %v", tc.answer, err)
			}
			paused := time.Since(began) >= refusalPause
			if nothing := out.Success && args.Entries == nil; paused != tc.again || nothing != tc.again || !nothing && out.Success != tc.answer.Success {
				t.Errorf("%+v: after a pause: %v; raft takes it for %+v to %d entries", tc.answer, paused, out, len(args.Entries))
			}
		}
		stopped := make(chan struct{})
		close(stopped)
		trans.stopped = stopped
		if _, _, err := send(raft.AppendEntriesResponse{Term: 7}); err == nil {
			t.Error("a group that stops sends again at once, and without end")
		}
		n.store.fail(errDisk)
		var out raft.AppendEntriesResponse
		if err := trans.AppendEntries("a", "a", &raft.AppendEntriesRequest{Term: 7}, &out); err == nil || !strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("a node that is ending sends: %v", err)
		}
	}, "v", "a", "b")
}

// TestRefusedEntriesAreTakenWhenThereIsRoom: the leader does not know why they were
// refused, has only a short log, and needs this follower.
func TestRefusedEntriesAreTakenWhenThereIsRoom(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		r.rounds = false // so that nobody hears of other disks
		space := r.config
		r.config = func(c *Config) {
			space(c)
			c.Limits.TrailingBytes, c.Limits.TrailingEntries, c.Limits.SnapshotInterval = 1, 1, 1000*time.Hour
		}
		r.openAll()
		n := r.leader()
		for i := range 100 {
			n.must("SET", "k", fmt.Sprint(i))
		}
		r.level()
		time.Sleep(2 * snapshotPoll) // the log is sized
		must(t, n.Snapshot())
		for i := range 20 {
			n.must("SET", "k", fmt.Sprint(i))
		}
		r.level()
		full := r.follower()
		must(t, full.Snapshot())
		s.set(SpaceFull, full.name)
		for _, server := range r.servers {
			if name := string(server.ID); name != n.name && name != full.name {
				r.crash(name)
			}
		}
		wrote := n.submit(n.request(call("SET", "k", "v")))
		time.Sleep(10 * time.Minute)
		s.set(SpaceOK, full.name)
		freed := time.Now()
		r.wait("the answer", func() bool { return len(wrote) > 0 })
		if out := <-wrote; out.err != nil {
			t.Error(out.err)
		}
		if took := time.Since(freed); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		if taken := full.stats.restored.Load(); taken > 0 {
			t.Error("the follower was sent a snapshot")
		}
		r.level()
	}, "n1", "n2", "n3")
}

// TestSnapshotReplacesALogThatDiffers: entries that another leader never had are gone
// up to the snapshot, and are taken back behind it; entries that led to it stay.
func TestSnapshotReplacesALogThatDiffers(t *testing.T) {
	onStores(t, func(t *testing.T, kind string, _ func(string) (*Storage, error)) {
		const term, committed, last = 1 << 20, 20, 30
		for _, tc := range []struct {
			at    uint64 // the snapshot's entry
			same  bool   // as the log has it
			first uint64 // what is left of the log, if any is
		}{{25, false, 26}, {25, true, 1}, {last, false, 0}, {last, true, 1}, {40, false, 0}} {
			for _, restart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %v %v", tc.at, tc.same, restart), func(t *testing.T) {
					dir := t.TempDir()
					bubble(t, func(r *rig) {
						r.config = onFiles(t, kind, dir)
						n := r.open("v")
						p := r.peer("a")
						defer p.trans.Close()
						if out := p.send(t, n, term, 1, last, committed); !out.Success {
							t.Fatalf("the first entries: %+v", out)
						}
						r.wait("applied", func() bool { index, _ := n.Digest(); return index == committed })
						now := uint64(term)
						if !tc.same {
							now++
						}
						var state bytes.Buffer
						if _, err := n.machine.Snapshot().WriteTo(&state); err != nil {
							t.Fatal(err)
						}
						if out := p.install(t, now, tc.at, &state); !out.Success {
							t.Fatalf("the snapshot: %+v", out)
						}
						if first, _ := n.store.FirstIndex(); first != tc.first {
							t.Errorf("the log begins with entry %d", first)
						}
						if restart {
							r.crash("v")
							n = r.open("v")
						}
						for next := tc.at; next < last+20; next++ {
							if out := p.send(t, n, now, next, next+1, next+1); !out.Success {
								t.Fatalf("entry %d: %+v", next+1, out)
							}
						}
						r.wait("applied", func() bool { index, _ := n.Digest(); return index == last+20 })
						if bad := n.failures(); len(bad) > 0 {
							t.Errorf("Fatal was told: %v", bad)
						}
					}, "v", "a", "b")
				})
			}
		}
	})
}
