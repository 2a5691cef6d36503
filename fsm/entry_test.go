package fsm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// sampleEntry has every kind of request in it.
func sampleEntry() *Entry {
	return &Entry{
		Epoch: 1, Term: 7, Stamp: 123456, Wall: testWall, CheckIndex: 41, CheckDigest: 0xfeedfacecafebeef,
		Requests: []Request{
			{Kind: OpenOrigin, Origin: 0x1122334455667788, Node: "eu-1"},
			{
				Kind: Run, Origin: 0x1122334455667788, Seq: 3, Acked: 2,
				Reads: []command.KeyVersion{{DB: 1, Key: []byte("k"), Version: 300}},
				Calls: []command.Call{callOf(1, "SET", "k", "v"), callOf(0, "GET", "")},
			},
			{Kind: Run, Origin: 1, Seq: 4, Acked: 4},
		},
	}
}

// laterEntry has the kinds of requests that came later.
func laterEntry() *Entry {
	read := []command.KeyVersion{{DB: 2, Key: []byte("w"), Version: 9}}
	return &Entry{Epoch: 1, Term: 8, Stamp: 123457, Wall: testWall, Requests: []Request{
		{Kind: Exec, Origin: 5, Seq: 2, Acked: 1, Reads: read, Calls: []command.Call{callOf(2, "INCR", "w"), callOf(0, "GET", "k")}},
		{
			Kind: Effects, Origin: 5, Seq: 3, Acked: 2, Reads: read, Changes: 700,
			Calls: []command.Call{callOf(2, "SREM", "w", "m")}, Replies: []resp.Value{resp.Int(1), resp.List(resp.Str("m"), resp.Null)},
		},
		{Kind: Wait, Origin: 6, Seq: 90, Done: []uint64{3, 88}, Calls: []command.Call{callOf(1, "BLPOP", "q", "0")}},
	}}
}

func TestEntrySurvivesItsBytes(t *testing.T) {
	for _, want := range []*Entry{sampleEntry(), laterEntry()} {
		b := want.Append([]byte("before"))
		got, err := DecodeEntry(b[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
}

func TestRequestsAndCallsAreReadFromTheFrontOfBytes(t *testing.T) {
	want := sampleEntry().Requests[1]
	got, rest, err := DecodeRequest(append(want.Append(nil), "rest"...))
	if err != nil || string(rest) != "rest" || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, rest %q, error %v", got, rest, err)
	}
	calls, rest, err := DecodeCalls(append(AppendCalls(nil, want.Calls), "rest"...))
	if err != nil || string(rest) != "rest" || !reflect.DeepEqual(calls, want.Calls) {
		t.Fatalf("got %+v, rest %q, error %v", calls, rest, err)
	}
}

func TestEntryOfEncodedRequestsIsTheSame(t *testing.T) {
	e := sampleEntry()
	var encoded [][]byte
	for i := range e.Requests {
		encoded = append(encoded, e.Requests[i].Append(nil))
	}
	if !bytes.Equal(e.AppendEncoded(nil, encoded...), e.Append(nil)) {
		t.Fatal("the bytes differ")
	}
}

func TestDamagedEntryIsRefused(t *testing.T) {
	good := sampleEntry().Append(nil)
	for what, b := range map[string][]byte{
		"nothing":         {},
		"a newer version": append([]byte{EntryVersion + 1}, good[1:]...),
		"a byte more":     append(bytes.Clone(good), 0),
		"a huge count":    append(bytes.Clone(good[:28]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
	} {
		if _, err := DecodeEntry(b); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: error %v, want %v", what, err, ErrEntry)
		}
	}
	for _, e := range []*Entry{sampleEntry(), laterEntry()} {
		good := e.Append(nil)
		for n := range good {
			if _, err := DecodeEntry(good[:n]); !errors.Is(err, ErrEntry) {
				t.Fatalf("cut at %d: error %v", n, err)
			}
		}
	}
}

// FuzzDecodeEntry: whatever the bytes, they are refused at a cost in proportion to
// their number, or they are an entry, which survives its own bytes and which a
// machine applies or refuses.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(sampleEntry().Append(nil))
	f.Add(laterEntry().Append(nil))
	for _, b := range script(rand.New(rand.NewPCG(1, 1)), 5) {
		f.Add(b)
	}
	for _, b := range lyingEntries(64) {
		f.Add(b)
	}
	table := DataCommands()
	f.Fuzz(func(t *testing.T, b []byte) {
		var e *Entry
		var err error
		boundedAlloc(t, len(b), func() { e, err = DecodeEntry(b) })
		if err != nil {
			if !errors.Is(err, ErrEntry) || e != nil {
				t.Fatalf("entry %v, error %v", e, err)
			}
			return
		}
		again, err := DecodeEntry(e.Append(nil))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%+v became %+v: %v", e, again, err)
		}
		cfg := testConfig()
		cfg.Table = table
		cfg.OnPanic = func(command string, panicked any) { t.Errorf("%s panicked: %v", command, panicked) }
		m := New(cfg)
		if _, err := m.Apply(1, e.Term, e); err != nil && !errors.Is(err, ErrEntry) {
			t.Fatal(err)
		}
	})
}

// lyingEntries are entries that count as much as so many bytes allow, of requests, of
// versions read, of calls, of arguments, where those bytes are none of it.
func lyingEntries(bytesBehind int) map[string][]byte {
	behind := bytes.Repeat([]byte{0xff}, bytesBehind)
	head := (&Entry{Epoch: 1}).appendHeader(nil, 1)
	run := (&Request{Kind: Run}).Append(head)
	run = run[:len(run)-2] // without its two counts
	lie := func(least int) []byte { return append(binary.AppendUvarint(nil, uint64(bytesBehind/least)), behind...) }
	return map[string][]byte{
		"requests":  slices.Concat(head[:len(head)-1], lie(minRequest)),
		"reads":     slices.Concat(run, lie(minReadVersion)),
		"calls":     slices.Concat(run, []byte{0}, lie(minCall)),
		"arguments": slices.Concat(run, []byte{0, 1, 0}, lie(minString)),
	}
}

// A count is believed as far as what was read bears it out: frames of other nodes are
// decoded before anything else is known of them.
func TestCountsThatLieAreCheap(t *testing.T) {
	for what, b := range lyingEntries(1 << 20) {
		var err error
		boundedAlloc(t, 0, func() { _, err = DecodeEntry(b) })
		if !errors.Is(err, ErrEntry) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

// TestFormatsAreTheOnesOnDisk compares with files that a release has written: a
// log or snapshot on disk must be read by every later program.
func TestFormatsAreTheOnesOnDisk(t *testing.T) {
	for name, got := range map[string][]byte{
		"entry-v1.hex":    sampleEntry().Append(nil),
		"entry-later.hex": laterEntry().Append(nil),
		"snapshot-v1.hex": written(t, sampleMachine(t)),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if hex.Dump(got) != string(want) {
			t.Errorf("%s is written differently now:\n%s", name, hex.Dump(got))
		}
	}
	b := undump(t, filepath.Join("testdata", "snapshot-v1.hex"))
	m, err := Restore(testConfig(), bytes.NewReader(b))
	if err != nil || m.Snapshot().Sum() != sampleMachine(t).Snapshot().Sum() {
		t.Fatalf("the snapshot on disk is not read: %v", err)
	}
}

// undump reads what [hex.Dump] wrote.
func undump(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if len(line) > 58 {
			digits.WriteString(strings.ReplaceAll(line[10:58], " ", ""))
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
