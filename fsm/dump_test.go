package fsm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/resp"
)

// dumpSamples make one key of each kind, and ask for all of it.
var dumpSamples = []struct{ key, make, read string }{
	{"string", "SET string v", "GET string"},
	{"empty", `SET empty ""`, "GET empty"},
	{"list", "RPUSH list a b a", "LRANGE list 0 -1"},
	{"set", "SADD set a b 3", "SMEMBERS set"},
	{"zset", "ZADD zset 1.5 a -inf b 0 c", "ZRANGE zset 0 -1 WITHSCORES"},
	{"hash", "HSET hash f v g w", "HGETALL hash"},
}

func (r *rig) line(line string) resp.Value {
	r.t.Helper()
	args, err := splitArgs(line)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(args...)
}

func TestRestoreReadsWhatDumpWrites(t *testing.T) {
	from, to := newRig(t), newRig(t)
	cfg := testConfig()
	cfg.Seed = [2]uint64{3, 4} // another cluster: members are in another order
	to.m = New(cfg)
	to.apply(Request{Kind: OpenOrigin, Origin: testOrigin, Node: "n1"})
	for _, s := range dumpSamples {
		from.line(s.make)
		dump := from.do("DUMP", s.key).Str
		wantReply(t, to.do("RESTORE", s.key, "0", dump), resp.OK)
		got, want := sorted(to.line(s.read), 1), sorted(from.line(s.read), 1)
		if cliText(got, "") != cliText(want, "") {
			t.Errorf("%s: got %s, want %s", s.key, show(got), show(want))
		}
		wantReply(t, to.do("TTL", s.key), resp.Int(-1))
		wantReply(t, to.do("RESTORE", s.key, "0", dump), errBusyKey)
		wantReply(t, to.do("RESTORE", s.key, "5000", dump, "REPLACE", "FREQ", "7"), resp.OK)
		wantReply(t, to.do("TTL", s.key), resp.Int(5))
	}
}

func TestRestoreSetsDeadlines(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v")
	dump := r.do("DUMP", "k").Str
	unix := int64(testWall + r.clock)
	for _, tt := range []struct {
		ttl  int64
		opts string
		want int // of TTL
	}{
		{0, "", -1}, {9000, "", 9}, {unix + 9000, "ABSTTL", 9}, {unix, "ABSTTL", -2}, {1, "ABSTTL", -2},
		{math.MaxInt64, "", -2}, // Redis's sum is below zero
	} {
		r.do("SET", "k", "old", "EX", "100")
		args := append([]string{"RESTORE", "k", strconv.FormatInt(tt.ttl, 10), dump, "REPLACE"}, strings.Fields(tt.opts)...)
		wantReply(t, r.do(args...), resp.OK)
		wantReply(t, r.do("TTL", "k"), resp.Int(tt.want))
	}
}

// The bytes of format version 1, which later versions of the program have to read.
func TestDumpFormat(t *testing.T) {
	r := newRig(t)
	for _, tt := range []struct{ make, dump string }{
		{"SET k v", "01000176"},
		{"RPUSH k a bc", "0101020161026263"},
		{"SADD k a", "0102010161"},
		{"ZADD k 1 a", "01030101613ff0000000000000"},
		{"HSET k f v", "01040101660176"},
	} {
		r.do("DEL", "k")
		r.line(tt.make)
		b, _ := hex.DecodeString(tt.dump)
		if got := r.do("DUMP", "k").Str; got != string(sealed(b)) {
			t.Errorf("%s: got %x, want %x", tt.make, got, sealed(b))
		}
	}
}

// sealed returns b with the checksum of a dump behind it.
func sealed(b []byte) []byte { return binary.BigEndian.AppendUint64(bytes.Clone(b), xxhash.Sum64(b)) }

func TestRestoreRefusesWhatNoDumpIs(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v")
	good := r.do("DUMP", "k").Str
	for i := range good {
		b := []byte(good)
		b[i] ^= 4
		wantReply(t, r.do("RESTORE", "n", "0", string(b)), errDumpChecksum)
		wantReply(t, r.do("RESTORE", "n", "0", good[:i]), errDumpChecksum)
	}
	for _, text := range []string{
		"\x01\x00",                       // no value
		"\x01\x00\x01",                   // a string cut short
		"\x01\x00\x01vx",                 // bytes behind the value
		"\x01\x05\x01\x01a",              // no such kind
		"\x01\x01\x00",                   // an empty list
		"\x01\x02\x00",                   // an empty set
		"\x01\x02\x02\x01a\x01a",         // a member twice
		"\x01\x04\x02\x01a\x00\x01a\x00", // a field twice
		"\x01\x03\x01\x01a\x7f\xf8\x00\x00\x00\x00\x00\x00", // a score that is no number
		"\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01a", // more than there is
		"\x01\x00\x81\x80\x80\x80\x01v",                     // a longer string than there is
	} {
		wantReply(t, r.do("RESTORE", "n", "0", string(sealed([]byte(text)))), errDumpFormat)
	}
	wantReply(t, r.do("RESTORE", "n", "0", string(sealed([]byte("\x02\x00\x01v")))), errDumpChecksum)
	wantReply(t, r.do("EXISTS", "n"), resp.Int(0))
}

// FuzzRestoreDump: whatever the bytes, RESTORE refuses them at a cost in proportion to
// their number, or makes a key that DUMP and RESTORE keep. Because hardly any mutation
// has the right checksum, each is tried with one.
func FuzzRestoreDump(f *testing.F) {
	r := newRig(f)
	for _, s := range dumpSamples {
		r.line(s.make)
		dump := r.do("DUMP", s.key).Str
		f.Add([]byte(dump[:len(dump)-dumpTrailer]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tryDump(t, b)
		tryDump(t, sealed(b))
	})
}

func tryDump(t *testing.T, b []byte) {
	h := New(testConfig()).hasher()
	var e entry
	var fault resp.Value
	boundedAlloc(t, len(b), func() { e, fault = parseDump(b, h) })
	if fault.IsError() {
		return
	}
	dump := appendDump(&e)
	again, fault := parseDump(dump, h)
	if fault.IsError() || !bytes.Equal(appendDump(&again), dump) {
		t.Fatalf("%x: what was read from it is written as %x, and read again: %v", b, dump, fault)
	}
}
