package group

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// counters are what a group measures of itself.
type counters struct {
	bytes    atomic.Int64 // of log applied since the start
	entries  atomic.Int64
	requests atomic.Int64

	scripts       atomic.Int64 // requests with scripts evaluated, each as often as it was
	scriptRetries atomic.Int64 // because a key that one had read was changed meanwhile

	snapshots     atomic.Int64
	snapshotBytes atomic.Int64
	snapshotStall atomic.Int64 // µs for which the last one held off Apply
	snapshotTook  atomic.Int64 // µs to write it
	restored      atomic.Int64 // µs to read the last one
}

// Status is what a replica says of itself.
type Status struct {
	Group    string
	Node     string
	Epoch    uint64
	State    string // "leader", "follower", "candidate" or "shutdown"
	Serving  bool   // it leads and takes requests
	Term     uint64
	Leader   string
	Voters   []string
	Learners []string
	LastLog  uint64 // index of the last entry in the log
	Commit   uint64
	Applied  uint64 // index of the last command applied
	Digest   uint64 // after it
	Clock    int64  // cluster clock, ms

	Bytes  int64 // of memory that the keys take, about
	Reaped int64 // keys that have expired since the start

	Space Space // of the disk the replica is on

	LastContact time.Duration // since the leader was heard, -1 if never; 0 on the leader

	Entries, Requests int64 // applied since the start
	Scripts           int64 // requests with scripts evaluated here, each as often as it was
	ScriptRetries     int64 // of those, because what one had read was changed meanwhile
	Waiting           int   // calls of blocking commands that wait here
	Snapshots         int64 // written since the start
	SnapshotBytes     int64 // size of the last one
	SnapshotStall     time.Duration
	SnapshotTook      time.Duration
	RestoreTook       time.Duration
}

// Status returns what the replica knows at this moment.
func (g *Group) Status() Status {
	s := Status{
		Group: g.cfg.Name, Node: g.cfg.Node, State: stateName(g.raft.State()),
		Term: g.raft.CurrentTerm(), Leader: g.Leader(), LastLog: g.raft.LastIndex(), Commit: g.raft.CommitIndex(),
		Entries: g.stats.entries.Load(), Requests: g.stats.requests.Load(), Snapshots: g.stats.snapshots.Load(),
		Scripts: g.stats.scripts.Load(), ScriptRetries: g.stats.scriptRetries.Load(), Waiting: g.Waiters(),
		SnapshotBytes: g.stats.snapshotBytes.Load(), SnapshotStall: micros(&g.stats.snapshotStall),
		SnapshotTook: micros(&g.stats.snapshotTook), RestoreTook: micros(&g.stats.restored), Space: g.cfg.Space(),
	}
	lead := g.lead.Load()
	s.Serving = lead != nil && lead.term == s.Term
	g.mu.RLock()
	s.Epoch, s.Applied, s.Digest, s.Clock = g.machine.Epoch(), g.machine.Index(), g.machine.Digest(), g.machine.Clock()
	s.Bytes, s.Reaped = g.machine.Bytes(), g.machine.Reaped()
	g.mu.RUnlock()
	for _, server := range g.Servers() {
		if server.Suffrage == raft.Voter {
			s.Voters = append(s.Voters, string(server.ID))
		} else {
			s.Learners = append(s.Learners, string(server.ID))
		}
	}
	switch last := g.raft.LastContact(); {
	case s.State == "leader":
	case last.IsZero():
		s.LastContact = -1
	default:
		s.LastContact = time.Since(last)
	}
	return s
}

// Servers returns the group's configuration as this replica knows it.
func (g *Group) Servers() []raft.Server {
	f := g.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

func micros(n *atomic.Int64) time.Duration { return time.Duration(n.Load()) * time.Microsecond }

func stateName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Follower:
		return "follower"
	case raft.Candidate:
		return "candidate"
	case raft.Shutdown:
		return "shutdown"
	}
	return strconv.Itoa(int(s))
}
