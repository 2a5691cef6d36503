package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// EntryVersion is the format that [Entry.Append] writes. docs/formats.md
// describes it byte by byte.
const EntryVersion = 1

// ErrEntry is returned when a log entry cannot be understood: it is damaged, or
// a newer version of the program wrote it. A replica that gets it must stop: to
// skip an entry is to differ from the others.
var ErrEntry = errors.New("fsm: log entry not understood")

// Entry is one entry of a group's log: the requests that a leader gathered,
// with the leader's time.
type Entry struct {
	Epoch uint64 // the group's epoch, as the leader knew it
	Term  uint64 // the raft term in which the leader proposed it
	Stamp int64  // the leader's reading of the cluster clock, ms
	Wall  int64  // the leader's wall clock, unix ms
	// CheckIndex and CheckDigest are what the leader's machine had after an
	// earlier entry. A replica that has another digest there has diverged. 0 is
	// no check.
	CheckIndex  uint64
	CheckDigest uint64
	Requests    []Request
}

// RequestKind tells what a request asks for.
type RequestKind byte

const (
	// Run executes calls in order.
	Run RequestKind = 1
	// OpenOrigin makes an origin known. Requests of unknown origins are not
	// executed.
	OpenOrigin RequestKind = 2
	// Exec executes calls in order, as one: those who wait for keys see only what is
	// there after the last.
	Exec RequestKind = 3
	// Effects makes the changes of scripts that the leader has run, and answers with
	// the replies that it found. Reads has every key that they depend on.
	Effects RequestKind = 4
	// Wait executes one call of a blocking command. If there is nothing for it, it
	// waits until the end of the entry for what the requests behind it bring, and no
	// longer: the leader puts it into every entry that may bring something.
	Wait RequestKind = 5
	// Lead executes calls that the leader makes by itself, such as the end of a session.
	// They have no id: what becomes of them is to be seen in the state.
	Lead RequestKind = 6
)

// Request is what one connection asked for at once. Its id (Origin, Seq) makes
// a retry harmless: the machine executes it once and answers every repetition
// with the first replies.
type Request struct {
	Kind   RequestKind
	Origin uint64               // one run of a node
	Seq    uint64               // counts the origin's requests to this group, from 1
	Acked  uint64               // the origin waits for no reply to a lower Seq
	Node   string               // OpenOrigin: the node's id
	Reads  []command.KeyVersion // if one has changed, nothing is applied
	Calls  []command.Call
	// Changes, in an Effects request, is what [Machine.Changes] has to be, 0 for
	// anything: for scripts that depend on more than some keys.
	Changes uint64
	// Replies are those of an Effects request.
	Replies []resp.Value
	// Done, in a Wait request, are numbers of earlier ones whose replies have come to
	// the origin. Waits last for so long that Acked would keep all that came after.
	Done []uint64
}

// Append appends the entry's bytes to b.
func (e *Entry) Append(b []byte) []byte {
	b = e.appendHeader(b, len(e.Requests))
	for i := range e.Requests {
		b = e.Requests[i].Append(b)
	}
	return b
}

// AppendEncoded appends the bytes of an entry whose requests are already
// encoded; e.Requests is not looked at.
func (e *Entry) AppendEncoded(b []byte, requests ...[]byte) []byte {
	b = e.appendHeader(b, len(requests))
	for _, r := range requests {
		b = append(b, r...)
	}
	return b
}

func (e *Entry) appendHeader(b []byte, requests int) []byte {
	b = append(b, EntryVersion)
	b = binary.AppendUvarint(b, e.Epoch)
	b = binary.AppendUvarint(b, e.Term)
	b = binary.AppendVarint(b, e.Stamp)
	b = binary.AppendVarint(b, e.Wall)
	b = binary.AppendUvarint(b, e.CheckIndex)
	b = binary.BigEndian.AppendUint64(b, e.CheckDigest)
	return binary.AppendUvarint(b, uint64(requests))
}

// Append appends the request's bytes to b. Nodes forward requests in this form.
func (r *Request) Append(b []byte) []byte {
	b = append(b, byte(r.Kind))
	b = binary.BigEndian.AppendUint64(b, r.Origin)
	b = binary.AppendUvarint(b, r.Seq)
	b = binary.AppendUvarint(b, r.Acked)
	if r.Kind == OpenOrigin {
		return appendString(b, r.Node)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Reads)))
	for _, rv := range r.Reads {
		b = binary.AppendUvarint(b, uint64(rv.DB))
		b = appendString(b, rv.Key)
		b = binary.AppendUvarint(b, rv.Version)
	}
	b = AppendCalls(b, r.Calls)
	switch r.Kind {
	case Effects:
		b = binary.AppendUvarint(b, r.Changes)
		b = binary.AppendUvarint(b, uint64(len(r.Replies)))
		for _, v := range r.Replies {
			b = v.AppendBinary(b)
		}
	case Wait:
		b = binary.AppendUvarint(b, uint64(len(r.Done)))
		for _, seq := range r.Done {
			b = binary.AppendUvarint(b, seq)
		}
	}
	return b
}

// AppendCalls appends the bytes of calls to b.
func AppendCalls(b []byte, calls []command.Call) []byte {
	b = binary.AppendUvarint(b, uint64(len(calls)))
	for _, c := range calls {
		b = binary.AppendUvarint(b, uint64(c.DB))
		b = binary.AppendUvarint(b, uint64(len(c.Args)))
		for _, a := range c.Args {
			b = appendString(b, a)
		}
	}
	return b
}

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// DecodeEntry reads the bytes of [Entry.Append]. The entry's arguments share
// b's memory. The error wraps [ErrEntry].
func DecodeEntry(b []byte) (*Entry, error) {
	d := decoder{b: b}
	if v := d.byte(); d.err == nil && v != EntryVersion {
		return nil, fmt.Errorf("%w: it has format version %d, this program knows %d", ErrEntry, v, EntryVersion)
	}
	e := &Entry{
		Epoch: d.uvarint(), Term: d.uvarint(), Stamp: d.varint(), Wall: d.varint(),
		CheckIndex: d.uvarint(), CheckDigest: d.uint64(),
	}
	e.Requests = several(&d, minRequest, (*decoder).request)
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	if d.err != nil {
		return nil, d.err
	}
	return e, nil
}

// DecodeRequest reads the bytes of [Request.Append] and returns those after
// them. The request's arguments share b's memory.
func DecodeRequest(b []byte) (Request, []byte, error) {
	d := decoder{b: b}
	var r Request
	d.request(&r)
	return r, d.b, d.err
}

// DecodeCalls reads the bytes of [AppendCalls] and returns those after them.
// The arguments share b's memory; Spec is not set.
func DecodeCalls(b []byte) ([]command.Call, []byte, error) {
	d := decoder{b: b}
	calls := d.calls()
	return calls, d.b, d.err
}

// decoder reads from b and remembers the first error.
type decoder struct {
	b    []byte
	err  error
	args [][]byte // room for the arguments of many calls in one allocation
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrEntry, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it ends too early")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	n, used := binary.Uvarint(d.b)
	if used <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) varint() int64 {
	n, used := binary.Varint(d.b)
	if used <= 0 {
		d.fail("bad number")
		return 0
	}
	d.b = d.b[used:]
	return n
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.fail("it ends too early")
		return 0
	}
	n := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return n
}

// The fewest bytes that one of each takes: no count of more than fit in what is left
// is believed.
const (
	minRequest     = 12 // of kind OpenOrigin, without a name
	minReadVersion = 3
	minCall        = 2 // without arguments
	minString      = 1
	minReply       = 1
	minNumber      = 1
)

// maxAhead is how many elements are allocated on the word of a count alone. Beyond
// them there is room for what has been read, so that what a damaged or hostile count
// costs is in proportion to the bytes that came with it.
const maxAhead = 1024

// count reads the number of things that follow, each of at least so many bytes.
func (d *decoder) count(least int) int {
	n, left := d.uvarint(), uint64(len(d.b))
	if n > left || n*uint64(least) > left {
		d.fail("count %d with %d bytes left", n, len(d.b))
		return 0
	}
	return int(n)
}

// several reads a count and so many elements, nil for none.
func several[T any](d *decoder, least int, read func(*decoder, *T)) []T {
	n := d.count(least)
	if n == 0 {
		return nil
	}
	all := make([]T, min(n, maxAhead))
	for i := 0; i < n && d.err == nil; i++ {
		if i == len(all) {
			all = append(all, *new(T))
		}
		read(d, &all[i])
	}
	return all
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	s := d.b[:n:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) db() int {
	n := d.uvarint()
	if n >= Databases {
		d.fail("database %d", n)
		return 0
	}
	return int(n)
}

func (d *decoder) request(r *Request) {
	r.Kind = RequestKind(d.byte())
	r.Origin, r.Seq, r.Acked = d.uint64(), d.uvarint(), d.uvarint()
	switch r.Kind {
	case OpenOrigin:
		r.Node = string(d.bytes())
	case Run, Exec, Effects, Wait, Lead:
		r.Reads = several(d, minReadVersion, (*decoder).readVersion)
		r.Calls = d.calls()
	default:
		d.fail("request of unknown kind %d", r.Kind)
	}
	switch r.Kind {
	case Effects:
		r.Changes = d.uvarint()
		r.Replies = several(d, minReply, (*decoder).reply)
	case Wait:
		r.Done = several(d, minNumber, (*decoder).number)
		if d.err == nil && len(r.Calls) != 1 {
			d.fail("%d calls wait as one", len(r.Calls))
		}
	}
}

func (d *decoder) reply(v *resp.Value) {
	reply, rest, err := resp.DecodeBinary(d.b)
	if err != nil {
		d.fail("bad reply")
		return
	}
	*v, d.b = reply, rest
}

func (d *decoder) number(n *uint64) { *n = d.uvarint() }

func (d *decoder) readVersion(r *command.KeyVersion) {
	*r = command.KeyVersion{DB: d.db(), Key: d.bytes(), Version: d.uvarint()}
}

func (d *decoder) calls() []command.Call { return several(d, minCall, (*decoder).call) }

func (d *decoder) call(c *command.Call) { c.DB, c.Args = d.db(), d.strings() }

// strings reads arguments. Those of many calls share an allocation.
func (d *decoder) strings() [][]byte {
	n := d.count(minString)
	if n > maxAhead {
		args := make([][]byte, 0, maxAhead)
		for len(args) < n && d.err == nil {
			args = append(args, d.bytes())
		}
		return args
	}
	if len(d.args) < n {
		d.args = make([][]byte, max(n, 64))
	}
	args := d.args[:n:n]
	d.args = d.args[n:]
	for i := range args {
		args[i] = d.bytes()
	}
	return args
}
