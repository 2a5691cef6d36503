package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
)

// machine is the group as raft's state machine.
type machine Group

var (
	_ raft.FSM                = (*machine)(nil)
	_ raft.ConfigurationStore = (*machine)(nil)
)

// applied is what raft hands back to whoever proposed an entry.
type applied struct {
	outcomes []fsm.Outcome
	void     bool // proposed in another term or epoch: nothing was applied
}

// Apply is called by raft for each committed entry, one after the other.
func (m *machine) Apply(l *raft.Log) any {
	g := (*Group)(m)
	done := g.apply(l)
	if done != ErrStopped {
		g.offerChanged()
		g.reached(l.Index)
	}
	return done
}

func (g *Group) apply(l *raft.Log) any {
	e, err := open(l.Data)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed.Load() || g.store.ending() != nil {
		return ErrStopped
	}
	var done applied
	if err == nil {
		clock := g.machine.Clock()
		done.void = e.Term != l.Term || e.Epoch != g.machine.Epoch()
		done.outcomes, err = g.machine.Apply(l.Index, l.Term, e)
		g.stampAt(l.Index, g.machine.Clock() > clock, len(e.Requests) > 0 && !done.void)
	}
	if err != nil {
		if g.fail() { // tell it not under the lock, and not on raft's goroutine
			go g.cfg.Fatal(fmt.Errorf("group %s: entry %d in %s: %w", g.cfg.Name, l.Index, g.cfg.Storage.Path, err))
		}
		return ErrStopped
	}
	g.tellEvents(l.Term)
	g.tally.follow(g.machine, g.led.Load() == l.Term)
	g.nextDeadline.Store(g.machine.NextDeadline())
	g.stats.bytes.Add(int64(len(l.Data)))
	g.stats.entries.Add(1)
	g.stats.requests.Add(int64(len(e.Requests)))
	return done
}

// tellEvents passes on what the entry that was just applied did to keys, if this
// replica proposed it and no other leads by now: nobody wants old news behind new.
func (g *Group) tellEvents(term uint64) {
	events := g.machine.TakeEvents()
	if len(events) > 0 && g.cfg.Events != nil && g.led.Load() == term && g.raft.CurrentTerm() == term {
		g.cfg.Events(events)
	}
}

// StoreConfiguration is called for membership changes. The machine does not
// keep them; that the method is there lets raft take a snapshot after one.
func (m *machine) StoreConfiguration(index uint64, _ raft.Configuration) { (*Group)(m).reached(index) }

// Snapshot is called between two entries. It takes a reference to the state; the
// writing goes on beside further entries.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	g := (*Group)(m)
	start := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed.Load() {
		return nil, ErrStopped
	}
	s := &snapshot{g: g, s: g.machine.Snapshot()}
	s.stall = time.Since(start)
	return s, nil
}

// Restore is called with the newest snapshot at the start, and with the
// leader's when this replica is too far behind. The state is replaced only by
// one that was read whole and is sound.
func (m *machine) Restore(r io.ReadCloser) error {
	defer r.Close()
	g := (*Group)(m)
	start := time.Now()
	restored, err := fsm.Restore(g.cfg.Machine, r)
	if err != nil {
		return fmt.Errorf("snapshot in %s: %w", g.cfg.Storage.Path, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tally.told = restored.LastTold()
	g.machine, g.stamp = restored, stamp{came: time.Now(), requests: restored.Index()}
	g.nextDeadline.Store(restored.NextDeadline())
	g.stats.restored.Store(time.Since(start).Microseconds())
	return nil
}

// snapshot is one on its way to the disk.
type snapshot struct {
	g     *Group
	s     *fsm.Snapshot
	stall time.Duration
}

// Persist writes the snapshot. It runs beside Apply.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	start := time.Now()
	n, err := s.s.WriteTo(sink)
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	st := &s.g.stats
	st.snapshotBytes.Store(n)
	st.snapshotStall.Store(s.stall.Microseconds())
	st.snapshotTook.Store(time.Since(start).Microseconds())
	st.snapshots.Add(1)
	s.g.log.Info("snapshot written", "index", s.s.Index(), "bytes", n, "stall", s.stall, "took", time.Since(start))
	return nil
}

// Release is called by raft when it is done with the snapshot.
func (*snapshot) Release() {}

// errDamaged is returned for an entry whose checksum is wrong.
var errDamaged = errors.New("its checksum is wrong, the log is damaged: " + Advice)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends a checksum to an entry. The log store has none of its own for
// values, and what it gives back is applied without another look.
func seal(entry []byte) []byte {
	return binary.BigEndian.AppendUint32(entry, crc32.Checksum(entry, castagnoli))
}

// open checks and decodes a sealed entry.
func open(data []byte) (*fsm.Entry, error) {
	if len(data) < 4 {
		return nil, errDamaged
	}
	entry, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(entry, castagnoli) != sum {
		return nil, errDamaged
	}
	return fsm.DecodeEntry(entry)
}
