package fsm

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var dumpCommands = group("generic",
	read("dump", 2, 1, dumpCmd, "key", "What a key holds, in the form that RESTORE reads.").since("2.6.0"),
	write("restore", -4, 1, restoreCmd, "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
		"Makes a key of what DUMP returned, here or in Redis 7.0.").
		flags(command.DenyOOM).since("2.6.0").refuse(restoreRefuse),
)

// DumpVersion is the format of the values that DUMP returns. docs/formats.md
// describes it byte by byte.
const DumpVersion = 1

// dumpTrailer is the length of the checksum behind a dump.
const dumpTrailer = 8

var (
	errDumpChecksum = resp.Err("ERR DUMP payload version or checksum are wrong")
	errDumpFormat   = resp.Err("ERR Bad data format")
	errBusyKey      = resp.Err("BUSYKEY Target key name already exists.")
)

func dumpCmd(v *View, args [][]byte) resp.Value {
	e := v.find(args[1])
	if e == nil {
		return resp.Null
	}
	return resp.Str(string(appendDump(e)))
}

// appendDump writes what an entry holds: version, kind, the value as it is in a
// snapshot, checksum.
func appendDump(v *entry) []byte {
	var b bytes.Buffer
	e := newEncoder(&b)
	e.byte(DumpVersion)
	e.byte(byte(v.kind()))
	if v.obj == nil {
		e.string(v.str)
	} else {
		e.uvarint(uint64(v.obj.len()))
		v.obj.encode(e)
	}
	e.close() // a buffer takes everything
	return b.Bytes()
}

// parseDump reads what appendDump wrote, here or in another cluster, whose members
// are in another order, or what Redis did. Other bytes are refused at a cost in proportion to their
// number.
func parseDump(b []byte, h hasher) (e entry, fault resp.Value) {
	if isRedisDump(b) {
		var err error
		if e, err = parseRedisDump(b, h); err != nil {
			return entry{}, errDumpFormat
		}
		return e, fault
	}
	n := len(b) - dumpTrailer
	if n < 2 || b[0] != DumpVersion || binary.BigEndian.Uint64(b[n:]) != xxhash.Sum64(b[:n]) {
		return e, errDumpChecksum
	}
	d := newSnapshotReader(bytes.NewReader(b[1:n]))
	if k := kind(d.byte()); k == kindString {
		e.str = d.string()
	} else {
		e.obj = d.dumpedObject(k, h)
	}
	if rest := d.ahead(1); d.err != nil || len(rest) > 0 || len(e.str) > max(MaxString, len(b)) {
		return entry{}, errDumpFormat
	}
	return e, fault
}

// dumpedObject reads the elements of a value of the given kind, in any order.
func (d *snapshotReader) dumpedObject(k kind, h hasher) object {
	n := d.count()
	switch k {
	case kindList:
		if n > 0 && d.err == nil {
			return decodeList(d, n)
		}
	case kindSet:
		s := newSet(h)
		return d.elements(n, s, func() bool { return s.add(d.string()) })
	case kindHash:
		m := newHash(h)
		return d.elements(n, m, func() bool {
			field := d.string()
			return m.set(field, d.string())
		})
	case kindZSet:
		z := newZSet(h)
		return d.elements(n, z, func() bool {
			name, score := d.string(), math.Float64frombits(d.uint64())
			_, twice := z.score([]byte(name))
			if twice || math.IsNaN(score) {
				return false
			}
			z.set(name, score)
			return true
		})
	}
	d.failf("a value of kind %d with %d elements", k, n)
	return nil
}

// elements calls load for each of n elements, at least one, until it returns false
// for one that cannot be, and returns what they make.
func (d *snapshotReader) elements(n uint64, o object, load func() bool) object {
	for i := uint64(0); (i < n || n == 0) && d.err == nil; i++ {
		if n == 0 || !load() {
			d.failf("element %d of %d", i, n)
		}
	}
	return o
}

// restoreOptions are the options of RESTORE. How idle a key is and how often it is
// asked for is not kept.
type restoreOptions struct{ replace, absolute bool }

func parseRestoreOptions(args [][]byte) (o restoreOptions, fault resp.Value) {
	idle, freq := false, false
	for i := 0; i < len(args); i++ {
		switch a, left := args[i], len(args)-1-i; {
		case is(a, "REPLACE"):
			o.replace = true
		case is(a, "ABSTTL"):
			o.absolute = true
		case is(a, "IDLETIME") && left >= 1 && !freq:
			idle = true
			i++
			fault = checkBetween(args[i], math.MaxInt64, "ERR Invalid IDLETIME value, must be >= 0")
		case is(a, "FREQ") && left >= 1 && !idle:
			freq = true
			i++
			fault = checkBetween(args[i], 255, "ERR Invalid FREQ value, must be >= 0 and <= 255")
		default:
			fault = resp.ErrSyntax
		}
		if fault.IsError() {
			return o, fault
		}
	}
	return o, fault
}

// checkBetween answers a number that is not between 0 and the greatest.
func checkBetween(arg []byte, greatest int64, text string) (fault resp.Value) {
	switch n, ok := parseInt(arg); {
	case !ok:
		return resp.ErrNotInteger
	case n < 0 || n > greatest:
		return resp.Err(text)
	}
	return fault
}

func restoreCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := restoreRefuse(&t.View, args); ok {
		return reply
	}
	ttl, _ := parseInt(args[2])
	e, fault := parseDump(args[3], t.m.hasher())
	if fault.IsError() {
		return fault
	}
	o, _ := parseRestoreOptions(args[4:])
	replaced := t.deleteIn(t.db, args[1]) // the key is a new one, with its own token
	passed := false
	switch {
	case ttl == 0:
	case o.absolute:
		e.deadline, passed = t.deadlineOf(ttl)
	case ttl > math.MaxInt64-max(t.now(), t.wallNow()):
		passed = true // Redis's sum is below zero then
	default:
		e.deadline = t.now() + ttl
	}
	switch {
	case !passed:
		t.putIn(t.db, args[1], e)
		t.notify(EventGeneric, "restore", args[1])
	case replaced:
		t.notify(EventGeneric, "del", args[1])
	}
	return resp.OK
}

// restoreRefuse answers a RESTORE that fails for other reasons than its value.
func restoreRefuse(v *View, args [][]byte) (reply resp.Value, ok bool) {
	o, fault := parseRestoreOptions(args[4:])
	switch {
	case fault.IsError():
		return fault, true
	case !o.replace && v.find(args[1]) != nil:
		return errBusyKey, true
	}
	switch ttl, ok := parseInt(args[2]); {
	case !ok:
		return resp.ErrNotInteger, true
	case ttl < 0:
		return resp.Err("ERR Invalid TTL value, must be >= 0"), true
	}
	return reply, false
}
