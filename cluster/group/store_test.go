package group

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"phonond/fsm"
)

// peer is a voter that the test plays itself.
type peer struct {
	name  string
	trans *raft.NetworkTransport
}

func (r *rig) peer(name string) *peer {
	r.t.Helper()
	host := r.net.Host(name, "")
	ln, err := host.Listen(fmt.Sprintf("%s:%d", name, rigPort))
	if err != nil {
		r.t.Fatal(err)
	}
	return &peer{name, raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: rigStream{ln, host, name}, MaxPool: 0, Timeout: time.Second, Logger: hclog.NewNullLogger(),
	})}
}

func (p *peer) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(p.name), Addr: []byte(p.name)}
}

// ask asks for a vote of v.
func (p *peer) ask(t *testing.T, term, lastIndex, lastTerm uint64) bool {
	t.Helper()
	var out raft.RequestVoteResponse
	err := p.trans.RequestVote("v", "v", &raft.RequestVoteRequest{
		RPCHeader: p.header(), Term: term, LastLogIndex: lastIndex, LastLogTerm: lastTerm,
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Granted
}

// lead sends entries 2 to last of the given term to v.
func (p *peer) lead(t *testing.T, term, last uint64) {
	t.Helper()
	req := &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: term, PrevLogEntry: 1, PrevLogTerm: 1}
	for i := uint64(2); i <= last; i++ {
		req.Entries = append(req.Entries, &raft.Log{Index: i, Term: term, Type: raft.LogNoop})
	}
	var out raft.AppendEntriesResponse
	if err := p.trans.AppendEntries("v", "v", req, &out); err != nil || !out.Success {
		t.Fatalf("append: %v, %+v", err, out)
	}
}

// TestCrashWithinAVote plays the crash at which raft, with the term and the
// candidate of a vote in two writes, forgets to look at the next candidate's log
// (hashicorp/raft#661): whatever part of the writes of a vote is on the disk, the
// same term has one vote, and none for a log that is behind.
func TestCrashWithinAVote(t *testing.T) {
	bubble(t, func(r *rig) {
		r.config = func(c *Config) { c.Timing = c.Timing.At(time.Minute, true) } // v itself stays quiet
		a, c := r.peer("a"), r.peer("c")
		defer a.trans.Close()
		defer c.trans.Close()
		reopen := func(d *disk) {
			r.disks["v"] = d
			r.open("v")
		}
		r.open("v")
		if !c.ask(t, 5, 1, 1) || a.ask(t, 5, 1, 1) {
			t.Fatal("in term 5 the first to ask must have the vote, and nobody else")
		}
		a.lead(t, 6, 10)
		r.crash("v")
		before := r.disks["v"].writes()
		reopen(r.disks["v"])
		if !a.ask(t, 8, 10, 6) {
			t.Fatal("in term 8 a good candidate is refused")
		}
		r.crash("v")
		full := r.disks["v"]
		if full.writes() == before {
			t.Fatal("the vote was not written")
		}
		for n := before; n <= full.writes(); n++ {
			reopen(full.after(n))
			if c.ask(t, 8, 1, 1) {
				t.Errorf("after %d of the %d writes of a vote, another of the same term went to a log that is behind", n-before, full.writes()-before)
			}
			// Told of the grant or not: with all writes done a has it.
			if granted := c.ask(t, 8, 10, 6); granted && n == full.writes() {
				t.Error("a second vote in the same term")
			}
			if !a.ask(t, 9, 10, 6) {
				t.Errorf("after %d writes v votes no more", n-before)
			}
			r.crash("v")
		}
	}, "v", "a", "c")
}

// TestCrashAtTheFirstStart: whatever the crash left of the first configuration,
// the next start makes a group of it.
func TestCrashAtTheFirstStart(t *testing.T) {
	bubble(t, func(r *rig) {
		r.open("v")
		r.leader()
		r.crash("v")
		full := r.disks["v"]
		for n := range full.writes() + 1 {
			r.disks["v"] = full.after(n)
			r.open("v").rig.leader().must("SET", "k", "v")
			r.crash("v")
		}
	}, "v")
}

func TestFailedWriteEndsTheReplica(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "1")
		n.rig.disks[n.name].breakDown()
		for range 3 {
			if _, err := n.do("INCR", "k"); err == nil {
				t.Error("a write was acknowledged after the disk failed")
			}
		}
		r.disks[n.name].repair() // a second try would now succeed
		writes := r.disks[n.name].writes()
		n.Snapshot()
		if _, err := n.do("INCR", "k"); err == nil {
			t.Error("a write was acknowledged after the disk failed")
		}
		if _, err := n.get("k"); err == nil {
			t.Error("a read was answered after the disk failed")
		}
		if more := r.disks[n.name].writes() - writes; more > 0 || r.disks[n.name].refused != 1 {
			t.Errorf("after a failed write: %d tried, %d more done", r.disks[n.name].refused, more)
		}
		wantFailure(t, n, errDisk, "writing the log in disk of the test failed")
		r.crash(n.name)
	}, "n1", "n2", "n3")
}

// wantFailure checks that the replica has failed, once, and what it says of it.
func wantFailure(t *testing.T, n *replica, cause error, text string) {
	t.Helper()
	n.rig.wait("Fatal is called", func() bool { return len(n.failures()) > 0 })
	all := n.failures()
	if len(all) != 1 {
		t.Errorf("Fatal was called %d times: %v", len(all), all)
	}
	if cause != nil && !errors.Is(all[0], cause) || !strings.Contains(all[0].Error(), text) {
		t.Errorf("Fatal was told %q, not of %q because of %v", all[0], text, cause)
	}
	if n.Leads() {
		t.Error("the replica leads although it has failed")
	}
}

func TestHungWriteEndsTheReplica(t *testing.T) {
	bubble(t, func(r *rig) {
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "1")
		r.disks[n.name].stall()
		began := time.Now()
		outcome := n.submit(n.request(call("INCR", "k")))
		wantFailure(t, n, nil, "has hung for 10s")
		if after := time.Since(began); after < 10*time.Second || after > 11*time.Second {
			t.Errorf("a hung write was noticed after %v", after)
		}
		// Until the process ends its raft goes on with heartbeats, and nobody else can
		// be elected (hashicorp/raft#503).
		r.net.Crash(n.name)
		if v := r.leader(n.name).must("GET", "k"); v.Str != "1" {
			t.Errorf("the next leader has %+v", v)
		}
		r.disks[n.name].repair() // the disk answers after all, too late
		if out := <-outcome; out.err == nil {
			t.Error("a write was acknowledged after it had hung")
		}
		r.crash(n.name)
	}, "n1", "n2", "n3")
}

// TestDamagedEntryEndsTheReplica: to skip it is to differ from the others. After a
// start no entry is in memory, and all are read once a leader is elected.
func TestDamagedEntryEndsTheReplica(t *testing.T) {
	sealedBy := func(l *raft.Log, change func(*fsm.Entry)) {
		e, err := open(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		change(e)
		l.Data = seal(e.Append(nil))
	}
	for _, tc := range []struct {
		name  string
		spoil func(l *raft.Log) error
		cause error
		text  string
	}{
		{"flipped byte", func(l *raft.Log) error { l.Data[len(l.Data)/2] ^= 1; return nil }, errDamaged, Advice},
		{"cut short", func(l *raft.Log) error { l.Data = l.Data[:3]; return nil }, errDamaged, Advice},
		{"newer version", func(l *raft.Log) error {
			sealedBy(l, func(*fsm.Entry) {})
			entry := l.Data[:len(l.Data)-4]
			entry[0] = fsm.EntryVersion + 1
			l.Data = seal(entry)
			return nil
		}, fsm.ErrEntry, "format version 2"},
		{"unreadable", func(*raft.Log) error { return errDisk }, errDisk, "reading entry"},
		{"unknown command", func(l *raft.Log) error {
			sealedBy(l, func(e *fsm.Entry) { e.Requests[0].Calls[0].Args[0] = []byte("NOSUCH") })
			return nil
		}, fsm.ErrEntry, `"NOSUCH`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.open("v")
				n := r.leader()
				n.must("SET", "k", "v")
				at := n.raft.LastIndex()
				n.must("SET", "k", "w")
				r.crash("v")
				d := r.disks["v"]
				n = r.open("v")
				d.onRead(func(index uint64, l *raft.Log) error {
					if err := d.InmemStore.GetLog(index, l); err != nil || index != at {
						return err
					}
					l.Data = append([]byte{}, l.Data...)
					return tc.spoil(l)
				})
				wantFailure(t, n, tc.cause, tc.text)
				if text := n.failures()[0].Error(); !strings.Contains(text, "disk of the test") || !strings.Contains(text, fmt.Sprint(at)) {
					t.Errorf("%q does not say which entry of which file", text)
				}
				if _, err := n.get("k"); err == nil {
					t.Error("the replica answered")
				}
				r.crash("v")
			}, "v")
		})
	}
}

// TestUnreadableEntryIsFatal: raft would send a follower something else, or panic
// without saying where.
func TestUnreadableEntryIsFatal(t *testing.T) {
	for _, tc := range []struct {
		name  string
		read  func(uint64, *raft.Log) error
		fatal string
	}{
		{"sound", nil, ""},
		{"not there", func(uint64, *raft.Log) error { return raft.ErrLogNotFound }, ""},
		{"error", func(uint64, *raft.Log) error { return errDisk }, "reading entry 7 in disk of the test failed: input/output error"},
		{"panic", func(uint64, *raft.Log) error { panic("page 9 already freed") }, "reading entry 7 in disk of the test failed: page 9 already freed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDisk()
			d.StoreLog(&raft.Log{Index: 7})
			d.onRead(tc.read)
			fatal := ""
			w := watch(d.storage(), time.Second, plenty, func(err error) { fatal += err.Error() })
			err := w.GetLog(7, new(raft.Log))
			if (err == nil) != (tc.read == nil) || fatal != tc.fatal {
				t.Errorf("GetLog returns %v, Fatal was told %q", err, fatal)
			}
			w.running.Store(true)
			l := &raft.Log{Data: []byte("left")}
			err = w.GetLog(7, l)
			switch {
			case errors.Is(err, raft.ErrLogNotFound) != (tc.name == "not there"):
				t.Errorf("GetLog returns %v while raft runs", err)
			case tc.fatal != "" && (err != nil || l.Index != 7 || l.Type != raft.LogNoop || l.Data != nil):
				t.Errorf("raft gets %+v, %v", l, err)
			}
			if err := w.StoreLog(&raft.Log{Index: 8}); (err != nil) != (fatal != "") {
				t.Errorf("the next write says %v", err)
			}
		})
	}
}

// TestUnreadableLogAtTheStart: raft looks through the log for configurations.
func TestUnreadableLogAtTheStart(t *testing.T) {
	for name, read := range map[string]func(uint64, *raft.Log) error{
		"error": func(uint64, *raft.Log) error { return errDisk },
		"panic": func(uint64, *raft.Log) error { panic("page 7 already freed") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.open("v")
				r.leader().must("SET", "k", "v")
				r.crash("v")
				r.disks["v"].onRead(read)
				_, err := r.tryOpen("v")
				if err == nil || !strings.Contains(err.Error(), "disk of the test") || !strings.Contains(err.Error(), "last log at index") {
					t.Errorf("Open says %v", err)
				}
			}, "v")
		})
	}
}

// TestWrappersStandBetweenRaftAndTheLibrary: what closes defects of the library is
// found by raft by type assertions, which fail silently.
func TestWrappersStandBetweenRaftAndTheLibrary(t *testing.T) {
	bubble(t, func(r *rig) {
		n := r.open("v")
		var trans any = transport{}
		if _, ok := trans.(raft.WithPreVote); !ok {
			t.Error("pre-vote is off")
		}
		taken := false
		transport{NetworkTransport: n.trans}.SetHeartbeatHandler(func(raft.RPC) { taken = true })
		p := r.peer("a")
		defer p.trans.Close()
		// An append without entries is what the short cut would have taken.
		var out raft.AppendEntriesResponse
		if err := p.trans.AppendEntries("v", "v", &raft.AppendEntriesRequest{RPCHeader: p.header(), Term: 9}, &out); err != nil {
			t.Fatal(err)
		}
		if taken || out.Term != 9 {
			t.Errorf("a heartbeat went beside raft's main loop; the answer is %+v", out)
		}
	}, "v", "a", "b")
}
