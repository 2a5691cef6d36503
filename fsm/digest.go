package fsm

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// digest folds everything that entries did into one rolling number. Replicas
// that applied the same entries have the same number; a replica that does not
// has diverged.
type digest struct {
	sum uint64 // after the last finished entry
	h   *xxhash.Digest
	buf []byte
}

func newDigest() digest { return digest{h: xxhash.New()} }

// The first byte of everything folded in, so that no two kinds look alike.
const (
	digestEntry byte = iota
	digestStored
	digestDeleted
	digestFlushed
	digestReply
	digestOrigin
	digestScript
	digestScriptsFlushed
	digestCall
	digestSwapped
	digestSession
	digestAudit
)

// begin starts an entry.
func (d *digest) begin(index, term uint64, clock, wall int64) {
	d.h.Reset()
	d.buf = append(d.buf[:0], digestEntry)
	d.buf = binary.BigEndian.AppendUint64(d.buf, d.sum)
	d.buf = binary.BigEndian.AppendUint64(d.buf, index)
	d.buf = binary.BigEndian.AppendUint64(d.buf, term)
	d.buf = binary.BigEndian.AppendUint64(d.buf, uint64(clock))
	d.buf = binary.BigEndian.AppendUint64(d.buf, uint64(wall))
}

// end finishes the entry.
func (d *digest) end() {
	d.h.Write(d.buf)
	d.sum = d.h.Sum64()
}

// spillAt is the size at which the buffer goes into the hash.
const spillAt = 4096

// spill keeps the buffer small.
func (d *digest) spill() {
	if len(d.buf) > spillAt {
		d.flush()
	}
}

func (d *digest) flush() {
	d.h.Write(d.buf)
	d.buf = d.buf[:0]
}

func (d *digest) string(s string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	if len(s) > spillAt {
		d.flush()
		d.h.WriteString(s)
		return
	}
	d.buf = append(d.buf, s...)
	d.spill()
}

func (d *digest) bytes(s []byte) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(s)))
	if len(s) > spillAt {
		d.flush()
		d.h.Write(s)
		return
	}
	d.buf = append(d.buf, s...)
	d.spill()
}

func (d *digest) stored(db int, key string, e *entry) {
	d.buf = append(d.buf, digestStored, byte(db), byte(e.kind()))
	d.string(key)
	d.buf = binary.BigEndian.AppendUint64(d.buf, uint64(e.deadline))
	d.buf = binary.BigEndian.AppendUint64(d.buf, e.version)
	d.buf = binary.BigEndian.AppendUint64(d.buf, e.token)
	if e.obj != nil {
		d.buf = binary.AppendUvarint(d.buf, uint64(e.obj.len()))
	} else {
		d.string(e.str)
	}
	if e.lock != nil {
		d.lock(e.lock)
	}
	d.spill()
}

func (d *digest) number(n uint64) { d.buf = binary.AppendUvarint(d.buf, n) }

func (d *digest) deleted(db int, key string) {
	d.buf = append(d.buf, digestDeleted, byte(db))
	d.string(key)
	d.spill()
}

func (d *digest) flushed(db int) { d.buf = append(d.buf, digestFlushed, byte(db)) }

func (d *digest) swapped(a, b int) { d.buf = append(d.buf, digestSwapped, byte(a), byte(b)) }

// reply folds in what a client is told, and with it what the command found in
// collections, whose contents are not folded in whole at each change.
func (d *digest) reply(v resp.Value) {
	d.buf = v.AppendBinary(append(d.buf, digestReply))
	d.spill()
}

func (d *digest) request(r *Request, s Status) {
	d.buf = append(d.buf, digestOrigin, byte(s))
	d.buf = binary.BigEndian.AppendUint64(d.buf, r.Origin)
	d.buf = binary.AppendUvarint(d.buf, r.Seq)
}

func (d *digest) scriptLoaded(sha string) {
	d.buf = append(d.buf, digestScript)
	d.string(sha)
}

func (d *digest) scriptsFlushed() { d.buf = append(d.buf, digestScriptsFlushed) }

// call folds in a call as it is in the log: replicas whose logs differ show it
// at once, even where the states they lead to have the same size.
func (d *digest) call(c *command.Call) {
	d.buf = append(d.buf, digestCall, byte(c.DB))
	d.buf = binary.AppendUvarint(d.buf, uint64(len(c.Args)))
	for _, a := range c.Args {
		d.bytes(a)
	}
}
