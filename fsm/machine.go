// Package fsm is the replicated state machine: keys and their types, expiry, the
// data commands, and the formats of log entries and snapshots. A machine is a
// pure function of its state and the next entry: it knows no clock, no network,
// no file and no Raft, and two machines that applied the same entries are equal.
// Package cluster/group owns one for each Raft group.
package fsm

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// ErrDiverged is returned when this replica's state is not the one that the
// leader had after the same entry. The replica must stop: what it would answer
// cannot be trusted.
var ErrDiverged = errors.New("fsm: this replica's state differs from the leader's")

// Config is what a machine is made from.
type Config struct {
	Group string    // the group's name, checked when a snapshot is restored
	Seed  [2]uint64 // secret, equal on all replicas: places keys in the key space
	Table *Table    // the commands the group knows
	// OnPanic is told when a command panicked, a defect that changed nothing. It
	// may be nil.
	OnPanic func(command string, panicked any)
	// Events says which classes of events somebody wants to hear of; it is asked once
	// an entry. It may be nil, for none.
	Events func() EventClass
	// Changed is told of every key that something was stored under, or that has gone,
	// when that is so. It may be nil.
	Changed func(db int, key string, gone bool)
	// Swapped is told of databases that have changed places, or of one that was emptied.
	// It may be nil.
	Swapped func(a, b int)
	// SessionChanged is told of every session that was opened or changed, or has ended,
	// when that is so. It may be nil.
	SessionChanged func(s Session, ended bool)
	// Queue lists who waits for a key, in order, for LOCK.INFO. It may be nil.
	Queue func(db int, key string) []InLine
	// Hottest returns what is known of the keys that are wanted most. It may be nil.
	Hottest func(n int) []resp.Value
}

// Machine is the state of one group. It has one writer; methods that read may
// run beside each other, but not beside Apply.
type Machine struct {
	cfg Config

	ks       *keyspace
	scripts  *scripts // what EVALSHA knows
	sessions *dict[session]
	journal  *journal
	audits   []audit // of LOCK.FORCE, the oldest first
	origins  map[uint64]*origin

	epoch   uint64  // raised when a group is brought back elsewhere; part of tokens
	counter uint64  // counts fencing tokens
	version uint64  // counts changes of keys
	graves  *graves // when keys went
	clock   int64   // ms; never goes back, and stands still without a leader
	wall    int64   // unix ms; never goes back, follows the leaders' wall clocks
	slew    int64   // ms times a million by which wall may yet be drawn
	sweepAt int64   // clock at which idle origins are looked for again
	index   uint64  // the last entry applied
	term    uint64  // and its term
	sum     digest

	reads   atomic.Uint64 // draws beside the log: not part of the state
	cloning sync.Mutex    // held by clone, which marks what it copies
	recent  []checkpoint  // by index, modulo recentDigests
	wanted  EventClass    // the events that this entry gathers
	events  []Event       // those of the last entry
	lined   []dbKey       // locks that some in this entry wait for in vain
	tx      Tx

	reaped int64 // keys that have expired, for INFO
}

// recentDigests is how many entries back a leader's check may lie.
const recentDigests = 1024

// checkpoint is the digest after an entry.
type checkpoint struct{ index, digest uint64 }

// New returns an empty machine.
func New(cfg Config) *Machine {
	h := hasher{cfg.Seed[0], cfg.Seed[1]}
	return &Machine{
		cfg: cfg, ks: newKeyspace(h), scripts: newScripts(h), sessions: newSessions(h), journal: &journal{}, origins: map[uint64]*origin{},
		epoch: 1, graves: &graves{}, sum: newDigest(), recent: make([]checkpoint, recentDigests),
	}
}

// reapLimit bounds how many expired keys one entry removes, and with it how
// long an entry takes. The leader proposes the next one while any are left.
const reapLimit = 256

// Apply executes an entry and returns what became of its requests, in order. An
// error wraps [ErrEntry] or [ErrDiverged]; the machine is then of no more use.
func (m *Machine) Apply(index, term uint64, e *Entry) ([]Outcome, error) {
	if err := m.check(e); err != nil {
		return nil, err
	}
	m.gather()
	m.lined = m.lined[:0]
	a := applying{Machine: m, outcomes: make([]Outcome, len(e.Requests))}
	if e.Term != term || e.Epoch != m.epoch {
		// A leader that lost its term or its group's epoch before the entry was in
		// the log: its clock and what it read are void.
		m.sum.begin(index, term, m.clock, m.wall)
		for i := range a.outcomes {
			a.outcomes[i].Status = Void
		}
	} else {
		m.advance(e, term)
		m.sum.begin(index, term, m.clock, m.wall)
		m.reap(reapLimit)
		for i := range e.Requests {
			if err := a.request(i, &e.Requests[i]); err != nil {
				return nil, fmt.Errorf("entry %d: %w", index, err)
			}
		}
		m.forgetIdleOrigins()
	}
	m.index, m.term = index, term
	m.sum.end()
	m.recent[index%recentDigests] = checkpoint{index, m.sum.sum}
	return a.outcomes, nil
}

// check compares the leader's digest of an earlier entry with this replica's.
func (m *Machine) check(e *Entry) error {
	c := m.recent[e.CheckIndex%recentDigests]
	if e.CheckIndex != 0 && c.index == e.CheckIndex && c.digest != e.CheckDigest {
		return fmt.Errorf("%w: after entry %d the leader has digest %016x, this replica %016x",
			ErrDiverged, e.CheckIndex, e.CheckDigest, c.digest)
	}
	return nil
}

// Read answers a reading call from the state as it is. The caller holds off
// Apply, and has made sure that the state is recent enough.
func (m *Machine) Read(c command.Call) (reply resp.Value) {
	cmd := m.cfg.Table.Lookup(c.Args)
	switch {
	case cmd == nil || cmd.Read == nil:
		return resp.ErrInternal
	case !cmd.ArityOK(len(c.Args)):
		return resp.ErrArity(cmd.Name)
	}
	defer m.recovered(cmd, &reply)
	return cmd.Read(&View{m: m, db: c.DB}, c.Args)
}

// Refuse answers a call that would change nothing if it were applied to the
// state as it is: a reading call, or a writing one such as SET NX on a key that
// is held. ok is false when it has to go through the log. The caller holds off
// Apply.
func (m *Machine) Refuse(c command.Call) (reply resp.Value, ok bool) {
	cmd := m.cfg.Table.Lookup(c.Args)
	if cmd == nil || !cmd.ArityOK(len(c.Args)) {
		return reply, false
	}
	ok = true
	defer m.recovered(cmd, &reply)
	v := &View{m: m, db: c.DB}
	switch {
	case cmd.Read != nil:
		return cmd.Read(v, c.Args), true
	case cmd.Refuse != nil:
		return cmd.Refuse(v, c.Args)
	}
	return reply, false
}

// recovered turns the panic of a command that was reading into its reply.
func (m *Machine) recovered(cmd *Command, reply *resp.Value) {
	if p := recover(); p != nil {
		m.onPanic(cmd.Name, p)
		*reply = resp.ErrInternal
	}
}

func (m *Machine) onPanic(name string, p any) {
	if m.cfg.OnPanic != nil {
		m.cfg.OnPanic(name, p)
	}
}

// token returns the n-th fencing token after those given so far. Tokens grow for
// ever: neither deletion, expiry, FLUSHALL nor a snapshot sets the counter back,
// and a raised epoch puts them above all of the one before.
func (m *Machine) token(n uint64) uint64 { return m.epoch<<48 | (m.counter + n) }

// hasher returns what places keys and fields in dicts.
func (m *Machine) hasher() hasher { return hasher{m.cfg.Seed[0], m.cfg.Seed[1]} }

func (m *Machine) flushDB(db int) {
	m.version++
	if m.ks[db].keys.len() > 0 {
		m.buryAll(db)
	}
	m.ks[db] = newDatabase(m.hasher())
	m.sum.flushed(db)
	if m.cfg.Swapped != nil {
		m.cfg.Swapped(db, db)
	}
}

func (m *Machine) swapDBs(a, b int) {
	m.version++
	for _, db := range [][2]int{{a, b}, {b, a}} { // what comes to the one may go from there again
		if m.ks[db[1]].keys.len() > 0 {
			m.buryAll(db[0])
		}
	}
	m.ks[a], m.ks[b] = m.ks[b], m.ks[a]
	m.sum.swapped(a, b)
	if m.cfg.Swapped != nil {
		m.cfg.Swapped(a, b)
	}
}

// Index returns the index of the last entry applied.
func (m *Machine) Index() uint64 { return m.index }

// Digest returns the rolling digest after the last entry.
func (m *Machine) Digest() uint64 { return m.sum.sum }

// Clock returns the cluster clock in ms.
func (m *Machine) Clock() int64 { return m.clock }

// Epoch returns the group's epoch.
func (m *Machine) Epoch() uint64 { return m.epoch }

// NextDeadline returns the clock at which the next key expires, or somebody loses one, 0
// if that never is.
func (m *Machine) NextDeadline() int64 {
	d, _ := m.ks.nextDeadline()
	l, _ := m.ks.nextLapse()
	if d.at == 0 || l.at != 0 && l.at < d.at {
		return l.at
	}
	return d.at
}

// printable returns the start of a command for an error text.
func printable(args [][]byte) string {
	s := ""
	for i, a := range args {
		if i == 2 || len(s) > 64 {
			break
		}
		s += string(a[:min(len(a), 64)]) + " "
	}
	return s
}
