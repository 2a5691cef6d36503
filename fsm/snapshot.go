package fsm

import (
	"errors"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/resp"
)

// SnapshotVersion is the format that [Snapshot.WriteTo] writes. docs/formats.md
// describes it byte by byte.
const SnapshotVersion = 1

const snapshotMagic = "PHSN"

// ErrSnapshot is returned when a snapshot is damaged, cut short, of another
// group, or of a version this program does not know.
var ErrSnapshot = errors.New("fsm: bad snapshot")

// Snapshot is the state of a machine at one index. Taking it costs O(1); it may
// be written while the machine goes on applying.
type Snapshot struct {
	m *Machine // only the fields that are written are set
}

// Snapshot returns the state as it is. The caller holds off Apply until it
// returns.
func (m *Machine) Snapshot() *Snapshot {
	c := m.clone()
	c.sum.sum = m.sum.sum
	c.origins = make(map[uint64]*origin, len(m.origins))
	for id, o := range m.origins {
		c.origins[id] = o.clone()
	}
	return &Snapshot{c}
}

// Index returns the index of the last entry in the snapshot.
func (s *Snapshot) Index() uint64 { return s.m.index }

// WriteTo writes the snapshot: a header, the graves, the origins, the scripts, the
// sessions, the audit trail, the databases, and a checksum over all of it.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	e := newEncoder(w)
	e.header(s.m)
	e.graves(s.m.graves)
	e.origins(s.m)
	e.uvarint(uint64(s.m.scripts.len()))
	s.m.scripts.each(func(sha, text string) bool {
		e.string(sha)
		e.string(text)
		return e.err == nil
	})
	e.uvarint(uint64(s.m.sessions.len()))
	s.m.sessions.each(func(_ string, v session) bool {
		e.session(&v)
		e.spill()
		return e.err == nil
	})
	e.audits(s.m)
	for _, d := range s.m.ks {
		e.uvarint(uint64(d.keys.len()))
		d.keys.each(func(key string, v entry) bool {
			e.entry(key, &v)
			return e.err == nil
		})
	}
	return e.close()
}

// Sum returns a checksum of the whole state, for comparing replicas. Unlike
// [Machine.Digest] it takes as long as writing the snapshot.
func (s *Snapshot) Sum() uint64 {
	h := xxhash.New()
	s.WriteTo(h) // a hash never fails
	return h.Sum64()
}

// Restore reads a snapshot into a new machine. Nothing is returned unless all of
// it was read and its checksum is right. The error wraps [ErrSnapshot], or is
// r's own.
func Restore(cfg Config, r io.Reader) (*Machine, error) {
	d := newSnapshotReader(r)
	m := New(cfg)
	d.header(m)
	d.graves(m.graves)
	d.origins(m)
	for range d.count() {
		sha, text := d.string(), d.string()
		if !m.scripts.add(sha, text) {
			d.failf("script %s is there twice", sha)
		}
		if d.err != nil {
			return nil, d.err
		}
	}
	for range d.count() {
		v := d.session()
		d.ordered(d.err != nil || m.sessions.load(v.id, v), "session")
		if d.err != nil {
			return nil, d.err
		}
	}
	d.audits(m)
	for db := range m.ks {
		for range d.count() {
			d.entry(&m.ks[db])
			if d.err != nil {
				return nil, d.err
			}
		}
	}
	d.trailer()
	if d.err != nil {
		return nil, d.err
	}
	m.recent[m.index%recentDigests] = checkpoint{m.index, m.sum.sum}
	return m, nil
}

func (e *encoder) header(m *Machine) {
	e.raw(snapshotMagic)
	e.byte(SnapshotVersion)
	e.string(m.cfg.Group)
	// The seeds themselves are a secret of the nodes; their mark tells whether
	// the reader has the same.
	e.uint64(seedMark(m.cfg.Seed))
	for _, n := range []uint64{m.index, m.term, m.epoch, m.counter, m.version, m.sum.sum} {
		e.uint64(n)
	}
	for _, n := range []int64{m.clock, m.wall, m.slew, m.sweepAt} {
		e.varint(n)
	}
}

// seedMark identifies seeds without telling them.
func seedMark(seed [2]uint64) uint64 { return hasher{seed[0], seed[1]}.sum([]byte(snapshotMagic)) }

func (e *encoder) graves(g *graves) {
	for _, numbers := range [][]uint64{g.all[:], g.last[:]} {
		for _, n := range numbers {
			e.uvarint(n)
		}
	}
}

func (e *encoder) origins(m *Machine) {
	list := m.sortedOrigins()
	e.uvarint(uint64(len(list)))
	for _, o := range list {
		e.uint64(o.id)
		e.string(o.node)
		e.varint(o.seen)
		e.uvarint(o.maxSeq)
		e.uvarint(o.acked)
		e.uvarint(uint64(o.done.Len()))
		o.done.Scan(func(seq uint64, replies []resp.Value) bool {
			e.uvarint(seq)
			e.uvarint(uint64(len(replies)))
			for _, v := range replies {
				e.value(v)
			}
			e.spill()
			return e.err == nil
		})
	}
}

// lockBit is set in the kind of a key with holders that are known.
const lockBit = 0x80

func (e *encoder) entry(key string, v *entry) {
	k := byte(v.kind())
	if v.lock != nil {
		k |= lockBit
	}
	e.byte(k)
	e.string(key)
	e.varint(v.deadline)
	e.uvarint(v.version)
	e.uvarint(v.token)
	if v.lock != nil {
		e.lock(v.lock)
	}
	if v.obj == nil {
		e.string(v.str)
		return
	}
	e.uvarint(uint64(v.obj.len()))
	v.obj.encode(e)
}

func (d *snapshotReader) header(m *Machine) {
	if magic := d.raw(len(snapshotMagic)); d.err == nil && magic != snapshotMagic {
		d.failf("it does not start with %q", snapshotMagic)
	}
	if v := d.byte(); d.err == nil && v != SnapshotVersion {
		d.failf("it has format version %d, this program knows %d", v, SnapshotVersion)
	}
	if name := d.string(); d.err == nil && name != m.cfg.Group {
		d.failf("it is of group %q, not %q", name, m.cfg.Group)
	}
	if mark := d.uint64(); d.err == nil && mark != seedMark(m.cfg.Seed) {
		d.failf("it is of another cluster")
	}
	for _, p := range []*uint64{&m.index, &m.term, &m.epoch, &m.counter, &m.version, &m.sum.sum} {
		*p = d.uint64()
	}
	for _, p := range []*int64{&m.clock, &m.wall, &m.slew, &m.sweepAt} {
		*p = d.varint()
	}
}

func (d *snapshotReader) graves(g *graves) {
	for _, numbers := range [][]uint64{g.all[:], g.last[:]} {
		for i := range numbers {
			numbers[i] = d.uvarint()
		}
	}
}

func (d *snapshotReader) origins(m *Machine) {
	last := uint64(0)
	for i := range d.count() {
		o := &origin{id: d.uint64(), node: d.string(), seen: d.varint(), maxSeq: d.uvarint(), acked: d.uvarint()}
		d.ordered(i == 0 || o.id > last, "origin")
		last = o.id
		for range d.count() {
			seq := d.uvarint()
			end, _, some := o.done.Max()
			d.ordered(!some || seq > end, "request")
			var replies []resp.Value
			for range d.count() {
				v, rest, err := resp.DecodeBinary([]byte(d.string()))
				if d.err == nil && (err != nil || len(rest) > 0) {
					d.failf("a reply of origin %x is malformed", o.id)
				}
				if d.err != nil {
					return
				}
				replies = append(replies, v)
			}
			if d.err != nil {
				return
			}
			o.done.Set(seq, slices.Clip(replies))
		}
		if d.err != nil {
			return
		}
		m.origins[o.id] = o
	}
}

func (d *snapshotReader) entry(db *database) {
	b := d.byte()
	k := kind(b &^ lockBit)
	key := d.string()
	e := entry{deadline: d.varint(), version: d.uvarint(), token: d.uvarint()}
	if b&lockBit != 0 {
		e.lock = d.lock()
	}
	switch {
	case d.err != nil:
		return
	case k == kindString:
		e.str = d.string()
	default:
		if e.obj = d.object(k, db.keys.hash); e.obj == nil || d.err != nil {
			d.failf("key %q has a value of unknown kind %d", key, k)
			return
		}
	}
	db.own()
	d.ordered(db.keys.load(key, e), "key")
	if d.err != nil {
		return
	}
	if e.deadline != 0 {
		db.due.Set(deadline{e.deadline, key})
	}
	db.hold(key, nil, &e)
}

// object reads the elements of a value that is not a string, nil for a kind that
// is not known.
func (d *snapshotReader) object(k kind, h hasher) object {
	n := d.count()
	switch {
	case d.err != nil:
		return nil
	case n == 0:
		d.failf("an empty value of kind %d", k)
		return nil
	}
	switch k {
	case kindList:
		return decodeList(d, n)
	case kindSet:
		return decodeSet(d, n, h)
	case kindZSet:
		return decodeZSet(d, n, h)
	case kindHash:
		return decodeHash(d, n, h)
	}
	return nil
}
