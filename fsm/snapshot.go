package fsm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
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

// maxString bounds a length in a snapshot, so that a damaged one cannot ask for
// memory without end. Values are at most 512 MiB.
const maxString = 512 << 20

// Snapshot is the state of a machine at one index. Taking it costs O(1); it may
// be written while the machine goes on applying.
type Snapshot struct {
	m Machine // only the fields that are written are set
}

// Snapshot returns the state as it is. The caller holds off Apply until it
// returns.
func (m *Machine) Snapshot() *Snapshot {
	s := &Snapshot{Machine{
		cfg: m.cfg, ks: m.ks.clone(), scripts: m.scripts.clone(), origins: make(map[uint64]*origin, len(m.origins)),
		epoch: m.epoch, counter: m.counter, version: m.version, clock: m.clock, wall: m.wall, slew: m.slew,
		sweepAt: m.sweepAt, index: m.index, term: m.term,
	}}
	s.m.sum.sum = m.sum.sum
	for id, o := range m.origins {
		c := *o
		s.m.origins[id] = &c
	}
	return s
}

// Index returns the index of the last entry in the snapshot.
func (s *Snapshot) Index() uint64 { return s.m.index }

// WriteTo writes the snapshot: a header, the origins, the scripts, the
// databases, and a checksum over all of it.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	e := newEncoder(w)
	e.header(&s.m)
	e.origins(&s.m)
	e.uvarint(uint64(s.m.scripts.len()))
	s.m.scripts.each(func(sha, text string) bool {
		e.string(sha)
		e.string(text)
		return e.err == nil
	})
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
	d.origins(m)
	for range d.count() {
		m.scripts.set(d.string(), d.string())
	}
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

// encoder writes to w and remembers the first error.
type encoder struct {
	w   *bufio.Writer
	h   *xxhash.Digest
	n   int64
	err error
	buf []byte
}

func newEncoder(w io.Writer) *encoder {
	h := xxhash.New()
	return &encoder{w: bufio.NewWriterSize(io.MultiWriter(w, h), 1<<16), h: h}
}

// close writes the checksum and returns how many bytes were written in all.
func (e *encoder) close() (int64, error) {
	if e.err == nil {
		e.err = e.w.Flush()
	}
	e.uint64(e.h.Sum64())
	if e.err == nil {
		e.err = e.w.Flush()
	}
	return e.n, e.err
}

func (e *encoder) write(b []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(b)
		e.n += int64(len(b))
	}
}

func (e *encoder) byte(c byte)      { e.write(append(e.buf[:0], c)) }
func (e *encoder) uint64(n uint64)  { e.write(binary.BigEndian.AppendUint64(e.buf[:0], n)) }
func (e *encoder) uvarint(n uint64) { e.buf = binary.AppendUvarint(e.buf[:0], n); e.write(e.buf) }
func (e *encoder) varint(n int64)   { e.buf = binary.AppendVarint(e.buf[:0], n); e.write(e.buf) }

func (e *encoder) string(s string) {
	e.uvarint(uint64(len(s)))
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
		e.n += int64(len(s))
	}
}

func (e *encoder) header(m *Machine) {
	e.write([]byte(snapshotMagic))
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

func (e *encoder) origins(m *Machine) {
	list := m.sortedOrigins()
	e.uvarint(uint64(len(list)))
	for _, o := range list {
		e.uint64(o.id)
		e.string(o.node)
		e.varint(o.seen)
		e.uvarint(o.maxSeq)
		e.uvarint(o.acked)
		e.uvarint(uint64(len(o.done)))
		for _, d := range o.done {
			e.uvarint(d.seq)
			e.uvarint(uint64(len(d.replies)))
			for _, v := range d.replies {
				e.string(string(v.AppendBinary(nil)))
			}
		}
	}
}

func (e *encoder) entry(key string, v *entry) {
	e.byte(byte(v.kind()))
	e.string(key)
	e.varint(v.deadline)
	e.uvarint(v.version)
	e.uvarint(v.token)
	if v.obj == nil {
		e.string(v.str)
		return
	}
	e.uvarint(uint64(v.obj.len()))
	v.obj.encode(e)
}

// snapshotReader reads from r and remembers the first error.
type snapshotReader struct {
	r   *bufio.Reader
	h   *xxhash.Digest
	err error
	buf [8]byte
}

func newSnapshotReader(r io.Reader) *snapshotReader {
	return &snapshotReader{r: bufio.NewReaderSize(r, 1<<16), h: xxhash.New()}
}

func (d *snapshotReader) fail(err error) {
	if d.err != nil {
		return
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("%w: it is cut short", ErrSnapshot)
	}
	d.err = err
}

func (d *snapshotReader) failf(format string, args ...any) {
	d.fail(fmt.Errorf("%w: %s", ErrSnapshot, fmt.Sprintf(format, args...)))
}

// ReadByte makes the reader usable by encoding/binary.
func (d *snapshotReader) ReadByte() (byte, error) {
	c, err := d.r.ReadByte()
	if err == nil {
		d.buf[0] = c
		d.h.Write(d.buf[:1])
	}
	return c, err
}

func (d *snapshotReader) byte() byte {
	if d.err != nil {
		return 0
	}
	c, err := d.ReadByte()
	if err != nil {
		d.fail(err)
	}
	return c
}

func (d *snapshotReader) read(b []byte) {
	if d.err != nil {
		return
	}
	if _, err := io.ReadFull(d.r, b); err != nil {
		d.fail(err)
		return
	}
	d.h.Write(b)
}

func (d *snapshotReader) uint64() uint64 {
	var b [8]byte
	d.read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

func (d *snapshotReader) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(d)
	if err != nil {
		d.fail(err)
		return 0
	}
	return n
}

func (d *snapshotReader) varint() int64 {
	if d.err != nil {
		return 0
	}
	n, err := binary.ReadVarint(d)
	if err != nil {
		d.fail(err)
		return 0
	}
	return n
}

// count reads the number of things that follow. Reading them stops at the first
// error, so that a damaged count is no loop without end.
func (d *snapshotReader) count() uint64 {
	n := d.uvarint()
	if d.err != nil {
		return 0
	}
	return n
}

func (d *snapshotReader) string() string {
	n := d.uvarint()
	if n > maxString {
		d.failf("a string of %d bytes", n)
	}
	if d.err != nil {
		return ""
	}
	// Grow as bytes arrive: the length may be a lie.
	b := make([]byte, min(n, 1<<16))
	d.read(b)
	for uint64(len(b)) < n && d.err == nil {
		part := make([]byte, min(n-uint64(len(b)), uint64(len(b))))
		d.read(part)
		b = append(b, part...)
	}
	return string(b)
}

func (d *snapshotReader) header(m *Machine) {
	magic := make([]byte, len(snapshotMagic))
	d.read(magic)
	if d.err == nil && string(magic) != snapshotMagic {
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

func (d *snapshotReader) origins(m *Machine) {
	for range d.count() {
		o := &origin{id: d.uint64(), node: d.string(), seen: d.varint(), maxSeq: d.uvarint(), acked: d.uvarint()}
		for range d.count() {
			seq := d.uvarint()
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
			o.done = append(o.done, doneRequest{seq, slices.Clip(replies)})
		}
		if d.err != nil {
			return
		}
		m.origins[o.id] = o
	}
}

func (d *snapshotReader) entry(db *database) {
	k := kind(d.byte())
	key := d.string()
	e := entry{deadline: d.varint(), version: d.uvarint(), token: d.uvarint()}
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
	db.keys.load(key, e)
	if e.deadline != 0 {
		db.due.Set(deadline{e.deadline, key})
	}
}

// object reads the elements of a value that is not a string, nil for a kind that
// is not known.
func (d *snapshotReader) object(k kind, h hasher) object {
	n := d.count()
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

func (d *snapshotReader) trailer() {
	sum := d.h.Sum64()
	if got := d.uint64(); d.err == nil && got != sum {
		d.failf("its checksum is wrong")
	}
	if _, err := d.r.ReadByte(); d.err == nil && err != io.EOF {
		d.failf("there are bytes after its end")
	}
}
