package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Fork returns a copy of the state for trying calls out in, as the next entry of the
// same term finds it that has the given stamp and wall time: whatever is done to it
// leaves m as it is, and m may go on applying beside it. It costs O(1). The caller holds off Apply until it
// returns; the copy is for one goroutine, and for [Machine.Try] and what reads.
func (m *Machine) Fork(stamp, wall int64) *Machine {
	f := m.clone()
	f.advance(&Entry{Stamp: stamp, Wall: wall}, f.term)
	f.sum, f.cfg.Changed, f.cfg.Swapped, f.cfg.SessionChanged = newDigest(), nil, nil, nil
	f.reap(reapLimit) // as the entry will, so that changes have the same versions
	return f
}

// Try answers a call as [Machine.Apply] would, and keeps what it changes. It is for
// a fork.
func (m *Machine) Try(c command.Call) resp.Value {
	cmd := m.cfg.Table.Lookup(c.Args)
	if cmd == nil {
		return resp.ErrInternal
	}
	return m.run(cmd, c.DB, c.Args)
}

// clone returns a copy in O(1) of the state but for its origins. Several may be made
// at once.
func (m *Machine) clone() *Machine {
	m.cloning.Lock()
	defer m.cloning.Unlock()
	graves := *m.graves
	return &Machine{
		cfg: m.cfg, ks: m.ks.clone(), scripts: m.scripts.clone(), sessions: m.sessions.clone(), journal: m.journal.mark(), audits: m.audits,
		epoch: m.epoch, counter: m.counter, version: m.version, clock: m.clock, wall: m.wall, slew: m.slew,
		sweepAt: m.sweepAt, index: m.index, term: m.term, graves: &graves,
	}
}
