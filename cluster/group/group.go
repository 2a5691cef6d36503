// Package group runs one Raft group over one state machine: it proposes
// requests in batches, makes reads linearizable, keeps the cluster clock while
// it leads, takes snapshots, and stops the process rather than go on after a
// failed disk or a diverged state. The system group and a region's group differ
// only in the commands they know. Package cluster owns the groups of a node;
// package route decides which one a command goes to.
package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Config is what a group is made from.
type Config struct {
	Name    string     // "system", or the region it is named after
	Node    string     // this node's id, stable for ever
	Machine fsm.Config // the state machine's configuration
	Storage *Storage   // log, votes and snapshots; closed by Close
	Stream  raft.StreamLayer
	// Servers is the first configuration of the group, the same on every node. It
	// is used only while the storage is empty.
	Servers []raft.Server
	Timing  Timing
	Limits  Limits
	// Fatal is called when the group cannot go on: a write to the disk failed or
	// hangs, an entry is damaged or unknown, the state differs from the leader's.
	// The process is expected to end; until it does the group applies and answers
	// nothing more. It is called at most once, from any goroutine.
	Fatal func(error)
	// Ask asks another node for the pulse of its replica ([Group.Pulse]); done is
	// called once, with an error if there is no answer. Nil means that reads go
	// through the log.
	Ask func(node string, done func(Pulse, error))
	// Events gets what happened to keys ([fsm.Machine.TakeEvents]), entry by entry, where
	// it was proposed; what a leader that was deposed meanwhile applies is left out. It
	// must not block. May be nil.
	Events func([]fsm.Event)
	// Scripts runs the scripts of clients. Nil where no command runs any.
	Scripts Scripts
	// Owns reports whether a key lives in this group. Nil: all do.
	Owns func(key []byte) bool
	// Publish takes what scripts publish, once they are done, in their order. It must
	// not block. It may be nil.
	Publish func([]Message)
	// Space tells how much room the disk below Storage has. It is asked before every
	// write and must be quick. Nil means that there is always enough.
	Space func() Space
	// MemoryFull reports whether this node has no more memory to give. The groups that
	// it leads then refuse with [ErrNoMemory] what may make them larger. It is asked
	// before every request and has to be quick. Default: never.
	MemoryFull func() bool
	// Wall is the wall clock, [time.Now] but in tests. Deadlines do not depend on it.
	Wall func() time.Time
	Log  *slog.Logger
}

// Timing are the timeouts of a group.
type Timing struct {
	// Election is how long a follower hears nothing before it gives up its leader
	// and asks for votes, at least, and twice that at most. Default 1 s.
	//
	// Voters away from home take less, so that home voters are elected: who gives
	// up last finds all others ready to vote, who gives up first is refused by
	// those that still believe in the old leader.
	Election time.Duration
	// First is the same until this replica has heard of a leader for the first
	// time. Voters away from home take more: when all start at once, who asks first
	// is elected. Default 1 s.
	First time.Duration
	// Lease is how long a leader stays one without hearing from a majority. It
	// must not exceed the smallest Election of any voter. Default 500 ms.
	Lease time.Duration
	// RPC bounds a message between replicas. Default 10 s.
	RPC time.Duration
	// DiskStall is how long one write to the disk may take before the node is
	// taken for hung. Default 10 s.
	DiskStall time.Duration
}

// DefaultTiming suits replicas that are up to about 150 ms apart.
func DefaultTiming() Timing {
	return Timing{
		Election: time.Second, First: time.Second, Lease: 500 * time.Millisecond, RPC: 10 * time.Second, DiskStall: 10 * time.Second,
	}
}

// The timeouts of voters away from home, as parts of those at home.
const (
	awayElection = 0.6
	awayFirst    = 2
)

// At returns the timing for a group whose home voters wait for election before
// they stand. It suits round trips up to a seventh of that.
func (t Timing) At(election time.Duration, home bool) Timing {
	t.Election, t.First, t.Lease = election, election, election/2
	if !home {
		t.Election, t.First = time.Duration(float64(election)*awayElection), awayFirst*election
	}
	return t
}

// Limits bound what a group takes on.
type Limits struct {
	// A snapshot is taken after so much time if anything was written, after so many
	// entries, or after so many bytes of them, whichever comes first. Defaults 2
	// minutes, 65536 and 64 MiB.
	SnapshotInterval time.Duration
	SnapshotEntries  int64
	SnapshotBytes    int64
	// TrailingBytes is about how much log is kept after a snapshot, so that a
	// follower that was away for a while need not be sent the snapshot. Default
	// 128 MiB.
	TrailingBytes int64
	// TrailingEntries is how many entries are kept at least, however large they are.
	// Default 256.
	TrailingEntries uint64
	// QueueBytes is how much may wait to be proposed. What comes above is
	// refused. Default 64 MiB.
	QueueBytes int64
}

// DefaultLimits are the defaults of [Limits].
func DefaultLimits() Limits {
	return Limits{
		SnapshotInterval: 2 * time.Minute, SnapshotEntries: 65536, SnapshotBytes: 64 << 20,
		TrailingBytes: 128 << 20, TrailingEntries: 256, QueueBytes: 64 << 20,
	}
}

// The errors of requests. Those that say "not applied" are certain of it.
var (
	// ErrNotLeader is returned when this replica does not lead the group, or lost
	// the lead before the request was in the log. The request was not applied.
	ErrNotLeader = errors.New("not the leader")
	// ErrUncertain is returned when the lead was lost while the request was in the
	// log: the next leader may or may not apply it. To ask again with the same
	// request id is safe and tells.
	ErrUncertain = errors.New("the leader was lost, the outcome is unknown")
	// ErrBusy is returned when too much waits to be proposed. The request was not
	// applied.
	ErrBusy = errors.New("too many requests are waiting")
	// ErrUnknownOrigin is returned when the group does not know the origin of the
	// request. It was not applied by this attempt.
	ErrUnknownOrigin = errors.New("the request's origin is not known to the group")
	// ErrConflict is returned when a key that the request had read has changed.
	// The request was not applied.
	ErrConflict = errors.New("a key that was read has changed")
	// errNothing is the outcome of a wait for which an entry had nothing.
	errNothing = errors.New("there is nothing to wait for yet")
	// ErrStopped is returned when the group is stopped. Whether it was applied is
	// unknown.
	ErrStopped = errors.New("the group is stopped")
)

// noReply is what comes with an error.
var noReply resp.Value

// Call is a request on its way through the group.
type Call struct {
	// Request is the request's encoding ([fsm.Request.Append]). It is not changed
	// any more, and known to be sound: it goes into the log as it is.
	Request []byte
	// Calls are those of the request, if it writes: those who wait for their keys are
	// served by the same entry.
	Calls []command.Call
	// Done is called exactly once, with one reply for each call of the request or
	// with one of the errors of this package. It must not block: it runs on a
	// goroutine that others wait for.
	Done func(replies []resp.Value, err error)
}

// Group is one replica of a Raft group.
type Group struct {
	cfg   Config
	log   *slog.Logger
	raft  *raft.Raft
	trans *raft.NetworkTransport
	inbox *inbox
	store *watchedStore

	mu      sync.RWMutex // held by readers of machine, exclusively by Apply
	machine *fsm.Machine
	stamp   stamp
	failed  atomic.Bool // the process is about to end: nothing more is applied or answered

	queue    queue
	rounds   rounds
	progress progress
	waiters  waiterTable
	keeper   keeper
	tally    tally
	late     atomic.Int64 // scripts that go on beside the log
	running  running
	lead     atomic.Pointer[leadership] // nil unless this replica leads and may serve
	led      atomic.Uint64              // the last term in which it did
	leader   *leaderWatch
	spaces   spaces
	slots    chan struct{} // one token for each entry in flight
	opening  atomic.Bool   // the first entry of a term is on its way
	// transferring is set while the lead is being handed over.
	transferring atomic.Bool
	// followed is set once another node was seen to lead.
	followed atomic.Bool

	nextDeadline atomic.Int64 // cluster clock at which the next key expires, 0 for none
	armedFor     atomic.Int64 // the one for which the proposer's timer is set
	stats        counters

	reloading sync.Mutex // held to change raft's configuration

	stop      context.CancelFunc
	stopped   context.Context
	loops     sync.WaitGroup // the group's own goroutines
	proposals sync.WaitGroup // entries whose outcome is awaited
}

// Open starts the replica. It returns an error when the storage holds what it
// cannot read; nothing is changed then.
func Open(cfg Config) (*Group, error) {
	g := &Group{
		cfg: cfg, log: cfg.Log.With("group", cfg.Name),
		stamp: stamp{came: time.Now()}, queue: newQueue(cfg.Limits.QueueBytes), slots: make(chan struct{}, inFlight), leader: newLeaderWatch(),
		keeper: newKeeper(), tally: newTally(),
	}
	if g.cfg.MemoryFull == nil {
		g.cfg.MemoryFull = func() bool { return false }
	}
	if g.cfg.Space == nil {
		g.cfg.Space = plenty
	}
	g.cfg.Machine.Changed = g.waiters.changed
	g.cfg.Machine.Swapped = g.waiters.swapped
	g.cfg.Machine.SessionChanged = g.sessionChanged
	g.cfg.Machine.Queue = g.waiters.inLine
	g.cfg.Machine.Hottest = g.hottest
	g.machine = fsm.New(g.cfg.Machine)
	g.stopped, g.stop = context.WithCancel(context.Background())
	g.store = watch(cfg.Storage, cfg.Timing.DiskStall, g.cfg.Space, g.fatal)

	if err := g.openRaft(); err != nil {
		g.stop()
		g.store.close()
		return nil, fmt.Errorf("group %s: %w", cfg.Name, err)
	}
	g.loops.Go(g.watchLeader)
	g.loops.Go(g.propose)
	g.loops.Go(g.snapshots)
	g.loops.Go(g.watchSpace)
	g.loops.Go(g.keep)
	return g, nil
}

// openRaft starts the library. It panics on some kinds of damaged storage; the
// panic becomes the error.
func (g *Group) openRaft() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damaged(g.cfg.Storage.Path, fmt.Errorf("%v", p))
		}
		if err != nil && g.trans != nil {
			g.trans.Close()
		}
	}()
	conf := g.raftConfig()
	logger := newRaftLogger(g.stopped, g.log)
	conf.Logger = logger
	g.trans = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		// Two connections to a replica are in use at once, for heartbeats and for entries.
		Stream: g.cfg.Stream, MaxPool: 2, Timeout: g.cfg.Timing.RPC,
		// One message in flight turns off the pipeline, which can wedge a follower
		// for ever after one failed append (hashicorp/raft#612).
		MaxRPCsInFlight: 1, Logger: logger, ServerAddressProvider: byID{},
	})
	stores := g.store
	logs := &tail{LogStore: stores}
	g.inbox = newInbox(g.trans.Consumer(), stores, logs)
	if err = g.bootstrap(conf); err == nil {
		trans := transport{NetworkTransport: g.trans, inbox: g.inbox, store: stores, space: g.voterSpace, stopped: g.stopped.Done()}
		g.raft, err = raft.NewRaft(conf, (*machine)(g), logs, stores, stores.snapshots, trans)
	}
	if err != nil {
		if unread := stores.unread; unread != nil {
			return damaged(g.cfg.Storage.Path, fmt.Errorf("%w: %w", err, unread))
		}
		return fmt.Errorf("%s: %w", g.cfg.Storage.Path, err)
	}
	if err := g.settle(logs); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", g.cfg.Storage.Path, err), g.raft.Shutdown().Error())
	}
	stores.running.Store(true)
	go g.inbox.run(g.raft.AppliedIndex)
	return nil
}

// settle ends the installing of a snapshot that a crash cut off. It goes by the
// snapshot that raft has restored, which need not be the newest. Raft has got no
// message yet.
func (g *Group) settle(logs raft.LogStore) error {
	list, err := g.store.snapshots.List()
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Index == g.raft.AppliedIndex() {
			return dropContradicting(logs, s.Index, s.Term)
		}
	}
	return nil
}

// bootstrap writes the group's first configuration into empty storage.
func (g *Group) bootstrap(conf *raft.Config) error {
	s := g.store
	first := raft.Configuration{Servers: g.cfg.Servers}
	has, err := raft.HasExistingState(s, s, s.snapshots)
	if err != nil {
		return err
	}
	if !has {
		return raft.BootstrapCluster(conf, s, s, s.snapshots, g.trans, first)
	}
	if last, err := s.LastIndex(); err != nil || last > 0 {
		return err
	}
	if list, err := s.snapshots.List(); err != nil || len(list) > 0 {
		return err
	}
	// A crash came between the two writes of BootstrapCluster: the term is there,
	// the entry is not, and without it the replica never asks for votes. The first
	// entry of the group is the same on all replicas.
	return s.StoreLog(&raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(first)})
}

func (g *Group) raftConfig() *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(g.cfg.Node)
	conf.HeartbeatTimeout = g.cfg.Timing.First // until watchLeader has seen one
	conf.ElectionTimeout = g.cfg.Timing.First
	conf.LeaderLeaseTimeout = min(g.cfg.Timing.Lease, g.cfg.Timing.Election)
	conf.MaxAppendEntries = 512
	// When to take a snapshot is decided in snapshots.go; raft's own rule, which
	// knows only entries, is out of reach.
	conf.SnapshotThreshold, conf.SnapshotInterval = math.MaxInt64, time.Hour
	conf.NoLegacyTelemetry = true
	return conf
}

// reload changes raft's configuration.
func (g *Group) reload(change func(*raft.ReloadableConfig)) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	conf := g.raft.ReloadableConfig() // zero values would be taken as well
	change(&conf)
	if err := g.raft.ReloadConfig(conf); err != nil {
		g.log.Error("raft refuses its configuration, which is a defect", "error", err)
	}
}

// byID resolves a replica's address to its id: package mux, below the stream
// layer, knows where a node is now.
type byID struct{}

func (byID) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	return raft.ServerAddress(id), nil
}

// Name returns the group's name.
func (g *Group) Name() string { return g.cfg.Name }

// fatal reports the first cause for which the process must end.
func (g *Group) fatal(err error) {
	if g.fail() {
		g.cfg.Fatal(fmt.Errorf("group %s: %w", g.cfg.Name, err))
	}
}

// fail puts the replica out of use. It returns false if it was so before.
func (g *Group) fail() bool {
	first := !g.failed.Swap(true)
	g.lead.Store(nil) // beginTerm looks at failed after it has set it
	g.keeper.end(nil)
	g.failWaiters()
	g.progress.end(ErrStopped)
	return first
}

// Drain refuses what comes from now on and waits for what is in flight.
func (g *Group) Drain() {
	g.stop()
	g.queue.close(ErrStopped)
	g.failWaiters()
	g.loops.Wait() // so that nothing more is sent on its way
	// Entries in flight end before raft does: a future that raft drops at its end
	// would be waited for for ever (hashicorp/raft#498).
	g.proposals.Wait()
}

// Close stops the replica and closes the storage. The seat in the group stays,
// and so does the lead, for as long as it takes the others to notice: see
// [Group.Transfer]. It is quick once the connections between nodes are closed.
func (g *Group) Close() error {
	g.Drain()
	err := g.raft.Shutdown().Error()
	g.progress.end(ErrStopped)
	g.inbox.close()
	g.trans.Close()
	return errors.Join(err, g.store.close())
}

// Read answers reading calls, in order, from the state as it is here and now.
// Whether that is recent enough is the caller's business: see [Group.Barrier].
func (g *Group) Read(calls []command.Call) []resp.Value {
	if c := calls[0]; c.Spec.Has(command.Tail) {
		g.tail(c)
	}
	replies := make([]resp.Value, len(calls))
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i, c := range calls {
		replies[i] = g.machine.Read(c)
	}
	return replies
}

// Refuse answers calls that would change nothing, all or none of them: see
// [fsm.Machine.Refuse]. ok is false for no calls at all.
func (g *Group) Refuse(calls []command.Call) (replies []resp.Value, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i, c := range calls {
		reply, ok := g.machine.Refuse(c)
		if !ok {
			return nil, false
		}
		if replies == nil {
			replies = make([]resp.Value, len(calls))
		}
		replies[i] = reply
	}
	return replies, replies != nil
}

// Clock returns the cluster clock of the state, in ms.
func (g *Group) Clock() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.machine.Clock()
}

// Digest returns the index of the last entry applied and the rolling digest
// after it.
func (g *Group) Digest() (index, digest uint64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.machine.Index(), g.machine.Digest()
}
