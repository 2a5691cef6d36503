package group

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestSkipApplied(t *testing.T) {
	for _, tc := range []struct {
		prev, last, commit, applied  uint64
		wantPrev, wantFirst, wantTop uint64 // 0 for no entry
		wantCommit                   uint64
	}{
		{prev: 10, last: 12, commit: 11, applied: 9, wantPrev: 10, wantFirst: 11, wantTop: 12, wantCommit: 11},
		{prev: 10, last: 12, commit: 11, applied: 10, wantPrev: 10, wantFirst: 11, wantTop: 12, wantCommit: 11},
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
		skipApplied(req, tc.applied)
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

// TestAppliedEntriesAreNotLookedUp: a message that is older than the log, as after a
// lost answer, says nothing new; nor does a snapshot that is older than the state.
func TestAppliedEntriesAreNotLookedUp(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Limits.TrailingBytes, c.Limits.TrailingEntries = 1, 1 }
		n := r.open("v")
		p := r.peer("a")
		defer p.trans.Close()
		const term = 1 << 20 // more than v comes to by itself
		send := func(term, prev, last, commit uint64) raft.AppendEntriesResponse {
			t.Helper()
			req := &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: term, PrevLogEntry: prev, PrevLogTerm: term, LeaderCommitIndex: commit}
			if prev == 1 {
				req.PrevLogTerm = 1 // of the first configuration
			}
			for i := prev + 1; i <= last; i++ {
				req.Entries = append(req.Entries, &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: n.firstEntry(term)})
			}
			var out raft.AppendEntriesResponse
			if err := p.trans.AppendEntries("v", "v", req, &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		install := func(term, index uint64) raft.InstallSnapshotResponse {
			t.Helper()
			state := []byte("not looked at")
			req := &raft.InstallSnapshotRequest{
				RPCHeader: p.header(), SnapshotVersion: raft.SnapshotVersionMax, Term: term, LastLogIndex: index, LastLogTerm: term, Size: int64(len(state)),
			}
			var out raft.InstallSnapshotResponse
			if err := p.trans.InstallSnapshot("v", "v", req, &out, bytes.NewReader(state)); err != nil {
				t.Fatal(err)
			}
			return out
		}

		if out := send(term, 1, 40, 30); !out.Success {
			t.Fatalf("the first entries: %+v", out)
		}
		r.wait("applied", func() bool { index, _ := n.Digest(); return index == 30 })
		time.Sleep(2 * snapshotPoll) // the log is sized
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
		if first, _ := r.disks["v"].FirstIndex(); first < 25 {
			t.Fatalf("the log begins with entry %d", first)
		}
		for _, again := range [][2]uint64{{1, 40}, {5, 7}, {20, 35}, {29, 30}, {1, 50}} {
			if out := send(term, again[0], again[1], 30); !out.Success {
				t.Errorf("entries after %d to %d: %+v", again[0], again[1], out)
			}
		}
		if last, _ := r.disks["v"].LastIndex(); last != 50 {
			t.Errorf("the last entry is %d", last)
		}
		if out := install(term, 20); !out.Success || out.Term != term {
			t.Errorf("an old snapshot: %+v", out)
		}
		if out := install(term-1, 20); out.Success || out.Term != term {
			t.Errorf("an old snapshot of an old leader: %+v", out)
		}
		if out := install(term+1, 20); !out.Success || out.Term != term+1 {
			t.Errorf("an old snapshot of a new leader: %+v", out)
		}
		if out := send(term+1, 0, 0, 0); !out.Success {
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
		for _, tc := range []struct {
			answer raft.AppendEntriesResponse
			fails  bool
		}{
			{raft.AppendEntriesResponse{Term: 7, Success: true}, false},
			{raft.AppendEntriesResponse{Term: 7}, true},
			{raft.AppendEntriesResponse{Term: 7, NoRetryBackoff: true}, false},
			{raft.AppendEntriesResponse{Term: 8}, false},
		} {
			go func() {
				rpc := <-p.trans.Consumer()
				rpc.Respond(&tc.answer, nil)
			}()
			var out raft.AppendEntriesResponse
			err := trans.AppendEntries("a", "a", &raft.AppendEntriesRequest{Term: 7, PrevLogEntry: 9, Entries: []*raft.Log{{Index: 10}}}, &out)
			if (err != nil) != tc.fails || err != nil && !strings.Contains(err.Error(), "node a has not stored 1 entries after 9") {
				t.Errorf("%+v: %v", tc.answer, err)
			}
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
		if err := n.Snapshot(); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			n.must("SET", "k", fmt.Sprint(i))
		}
		r.level()
		full := r.follower()
		if err := full.Snapshot(); err != nil {
			t.Fatal(err)
		}
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
