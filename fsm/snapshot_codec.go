package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/resp"
)

const (
	// snapshotBuffer is how many bytes are read, written and summed at a time.
	snapshotBuffer = 64 << 10
	// maxString bounds a length in a snapshot, so that a damaged one cannot ask
	// for memory without end.
	maxString = 512 << 20
)

// encoder writes to w and remembers the first error.
type encoder struct {
	w   io.Writer
	h   *xxhash.Digest
	n   int64 // bytes written
	err error
	buf []byte
}

func newEncoder(w io.Writer) *encoder {
	return &encoder{w: w, h: xxhash.New(), buf: make([]byte, 0, 2*snapshotBuffer)}
}

// flush writes what has been gathered.
func (e *encoder) flush() {
	if e.err == nil {
		var n int
		n, e.err = e.w.Write(e.buf)
		e.n += int64(n)
	}
	e.h.Write(e.buf)
	e.buf = e.buf[:0]
}

// spill keeps the buffer small.
func (e *encoder) spill() {
	if len(e.buf) >= snapshotBuffer {
		e.flush()
	}
}

// close writes the checksum and returns how many bytes were written in all.
func (e *encoder) close() (int64, error) {
	e.flush()
	e.uint64(e.h.Sum64())
	e.flush()
	return e.n, e.err
}

func (e *encoder) byte(c byte)      { e.buf = append(e.buf, c) }
func (e *encoder) uint64(n uint64)  { e.buf = binary.BigEndian.AppendUint64(e.buf, n) }
func (e *encoder) uvarint(n uint64) { e.buf = binary.AppendUvarint(e.buf, n) }
func (e *encoder) varint(n int64)   { e.buf = binary.AppendVarint(e.buf, n) }

// raw writes bytes whose number the reader knows.
func (e *encoder) raw(s string) {
	for len(s) > snapshotBuffer {
		e.buf = append(e.buf, s[:snapshotBuffer]...)
		s = s[snapshotBuffer:]
		e.flush()
	}
	e.buf = append(e.buf, s...)
	e.spill()
}

func (e *encoder) string(s string) {
	e.uvarint(uint64(len(s)))
	e.raw(s)
}

func (e *encoder) value(v resp.Value) { e.string(string(v.AppendBinary(nil))) }

// snapshotReader reads from r and remembers the first error.
type snapshotReader struct {
	r   io.Reader
	h   *xxhash.Digest // of what was used and dropped
	err error
	buf []byte // what has been read
	pos int    // and how much of it was used
}

func newSnapshotReader(r io.Reader) *snapshotReader {
	return &snapshotReader{r: r, h: xxhash.New(), buf: make([]byte, 0, snapshotBuffer)}
}

func (d *snapshotReader) fail(err error) {
	if d.err != nil {
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it is cut short", ErrSnapshot)
	}
	d.err = err
}

func (d *snapshotReader) failf(format string, args ...any) {
	d.fail(fmt.Errorf("%w: %s", ErrSnapshot, fmt.Sprintf(format, args...)))
}

// ahead returns up to n bytes, at most [snapshotBuffer], without using them:
// fewer only before the end and after an error.
func (d *snapshotReader) ahead(n int) []byte {
	if len(d.buf)-d.pos < n && d.err == nil {
		d.sum()
		got, err := io.ReadAtLeast(d.r, d.buf[len(d.buf):cap(d.buf)], n-len(d.buf))
		d.buf = d.buf[:len(d.buf)+got]
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			d.fail(err)
		}
	}
	return d.buf[d.pos:min(d.pos+n, len(d.buf))]
}

// sum adds the bytes that were used to the checksum and drops them.
func (d *snapshotReader) sum() {
	d.h.Write(d.buf[:d.pos])
	d.buf = d.buf[:copy(d.buf, d.buf[d.pos:])]
	d.pos = 0
}

// take returns exactly n bytes, at most [snapshotBuffer], valid until the next
// call, or nil.
func (d *snapshotReader) take(n int) []byte {
	b := d.ahead(n)
	if d.err != nil {
		return nil
	}
	if len(b) < n {
		d.fail(io.ErrUnexpectedEOF)
		return nil
	}
	d.pos += n
	return b
}

func (d *snapshotReader) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *snapshotReader) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *snapshotReader) uvarint() uint64 {
	n, used := binary.Uvarint(d.ahead(binary.MaxVarintLen64))
	d.number(used)
	return n
}

func (d *snapshotReader) varint() int64 {
	n, used := binary.Varint(d.ahead(binary.MaxVarintLen64))
	d.number(used)
	return n
}

// number uses the bytes of a number.
func (d *snapshotReader) number(used int) {
	switch {
	case d.err != nil:
	case used == 0:
		d.fail(io.ErrUnexpectedEOF)
	case used < 0:
		d.failf("a number of more than 64 bits")
	case used > 1 && d.buf[d.pos+used-1] == 0:
		d.failf("a number that is longer than need be")
	default:
		d.pos += used
	}
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

// raw reads so many bytes.
func (d *snapshotReader) raw(n int) string {
	if n <= snapshotBuffer {
		return string(d.take(n))
	}
	// Grow as bytes arrive: the length may be a lie.
	var b []byte
	for len(b) < n && d.err == nil {
		b = append(b, d.take(min(n-len(b), snapshotBuffer))...)
	}
	return string(b)
}

func (d *snapshotReader) string() string {
	n := d.uvarint()
	if n > maxString {
		d.failf("a string of %d bytes", n)
	}
	if d.err != nil {
		return ""
	}
	return d.raw(int(n))
}

// ordered fails unless something came after what stands before it.
func (d *snapshotReader) ordered(ok bool, what string) {
	if !ok {
		d.failf("its %ss are out of order", what)
	}
}

// trailer compares the checksum, after which nothing may follow.
func (d *snapshotReader) trailer() {
	d.sum()
	sum := d.h.Sum64()
	if got := d.uint64(); d.err == nil && got != sum {
		d.failf("its checksum is wrong")
	}
	if rest := d.ahead(1); d.err == nil && len(rest) > 0 {
		d.failf("there are bytes after its end")
	}
}
