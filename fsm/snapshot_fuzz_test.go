package fsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"phonond/redisproto/resp"
)

// FuzzRestore: whatever the bytes, they are refused at a cost in proportion to their
// number, or they are the snapshot of a sound machine, which writes the same bytes
// again. Because hardly any mutation has the right checksum, each is tried with one.
func FuzzRestore(f *testing.F) {
	for _, m := range []*Machine{New(testConfig()), sampleMachine(f), played(f, 1, 40)} {
		b := written(f, m)
		f.Add(b[:len(b)-8])
	}
	f.Add([]byte("PHSN\x01\x02eu"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tryRestore(t, b)
		tryRestore(t, binary.BigEndian.AppendUint64(bytes.Clone(b), xxhash.Sum64(b)))
	})
}

func tryRestore(t *testing.T, b []byte) {
	var m *Machine
	var err error
	boundedAlloc(t, len(b), func() { m, err = Restore(testConfig(), bytes.NewReader(b)) })
	if err != nil {
		if !errors.Is(err, ErrSnapshot) || m != nil {
			t.Fatalf("machine %p, error %v", m, err)
		}
		return
	}
	checkSound(t, m)
	if again := written(t, m); !bytes.Equal(again, b) {
		t.Fatalf("restored from\n%x\nit writes\n%x", b, again)
	}
}

// played returns a machine that has applied random entries.
func played(t testing.TB, seed uint64, entries int) *Machine {
	m := New(testConfig())
	for _, entry := range script(rand.New(rand.NewPCG(seed, 1)), entries) {
		applyBytes(t, m, entry)
	}
	return m
}

// checkSound checks what a machine's parts say of each other.
func checkSound(t *testing.T, m *Machine) {
	t.Helper()
	for db, d := range m.ks {
		keys, due, bytes := 0, 0, int64(0)
		d.keys.each(func(key string, e entry) bool {
			keys++
			bytes += recount(key, &e)
			if e.deadline != 0 {
				due++
			}
			if n := d.keys.get([]byte(key)); n == nil || n.key != key {
				t.Fatalf("database %d: key %q is not found where it is", db, key)
			}
			return true
		})
		if keys != d.keys.len() || due != d.due.Len() {
			t.Fatalf("database %d has %d keys and counts %d, has %d deadlines and keeps %d", db, keys, d.keys.len(), due, d.due.Len())
		}
		if bytes != d.keys.bytes {
			t.Fatalf("database %d takes %d bytes and counts %d", db, bytes, d.keys.bytes)
		}
		held := database{lapses: newDeadlines(), owned: newOwned()}
		d.keys.each(func(key string, e entry) bool {
			held.hold(key, nil, &e)
			return true
		})
		if !slices.Equal(held.lapses.Items(), d.lapses.Items()) || !slices.Equal(held.owned.tree.Items(), d.owned.tree.Items()) {
			t.Fatalf("database %d: holders %v and lapses %v are kept, and there are %v and %v",
				db, d.owned.tree.Items(), d.lapses.Items(), held.owned.tree.Items(), held.lapses.Items())
		}
		d.due.Scan(func(next deadline) bool {
			if n := d.keys.get([]byte(next.key)); n == nil || n.val.deadline != next.at {
				t.Fatalf("database %d: key %q does not expire at %d", db, next.key, next.at)
			}
			return true
		})
	}
}

// Bytes with the right checksum that no machine writes. Were they restored, a key that
// is there twice would be counted twice, and the replica would write another snapshot
// than the others from then on.
func TestRestoreRefusesWhatNoMachineWrites(t *testing.T) {
	piece := func(write func(e *encoder)) []byte {
		e := newEncoder(nil)
		write(e)
		return e.buf
	}
	several := func(n int, element func(e *encoder, i int)) []byte {
		return piece(func(e *encoder) {
			e.uvarint(uint64(n))
			for i := range n {
				element(e, i)
			}
		})
	}
	origins := func(ids, seqs []uint64) []byte {
		m := New(testConfig())
		return several(len(ids), func(e *encoder, i int) {
			m.origins = map[uint64]*origin{ids[i]: {id: ids[i]}}
			one := piece(func(e *encoder) { e.origins(m) })
			e.buf = append(e.buf, one[1:len(one)-1]...) // without its counts
			e.buf = append(e.buf, several(len(seqs), func(e *encoder, i int) { e.uvarint(seqs[i]); e.uvarint(0) })...)
		})
	}
	names := []string{"a", "b", "c"} // in the order in which they are placed
	h := New(testConfig()).hasher()
	slices.SortFunc(names, func(x, y string) int { return int(int64(h.sum([]byte(x))) - int64(h.sum([]byte(y)))) })
	key := func(name string, kind kind) []byte {
		return append(append([]byte{byte(kind), 1}, name...), 0, 0, 0)
	}
	in, out, twice := []string{names[0], names[1]}, []string{names[1], names[0]}, []string{names[0], names[0]}
	keys := func(list []string) []byte {
		return several(len(list), func(e *encoder, i int) { e.buf = append(e.buf, key(list[i], kindString)...); e.string("v") })
	}
	value := func(kind kind, list []string, rest ...byte) []byte {
		elements := several(len(list), func(e *encoder, i int) { e.string(list[i]); e.buf = append(e.buf, rest...) })
		return slices.Concat([]byte{1}, key("k", kind), elements)
	}
	score := make([]byte, 8)
	none := []byte{0}
	empty := written(t, New(testConfig()))
	header := empty[:len(empty)-8-2-3-Databases]
	for _, tt := range []struct {
		what                       string
		origins, scripts, database []byte
		ok                         bool
	}{
		{"nothing", none, none, none, true},
		{"origins", origins([]uint64{1, 2}, []uint64{1, 2}), none, none, true},
		{"origins out of order", origins([]uint64{2, 1}, nil), none, none, false},
		{"an origin twice", origins([]uint64{2, 2}, nil), none, none, false},
		{"requests out of order", origins([]uint64{1}, []uint64{2, 1}), none, none, false},
		{"a request twice", origins([]uint64{1}, []uint64{2, 2}), none, none, false},
		{"scripts", none, several(2, func(e *encoder, i int) { e.string(in[i]); e.string("") }), none, true},
		{"scripts in another order", none, several(2, func(e *encoder, i int) { e.string(out[i]); e.string("") }), none, true},
		{"a script twice", none, several(2, func(e *encoder, i int) { e.string(twice[i]); e.string("") }), none, false},
		{"keys", none, none, keys(in), true},
		{"keys out of order", none, none, keys(out), false},
		{"a key twice", none, none, keys(twice), false},
		{"members", none, none, value(kindSet, in), true},
		{"members out of order", none, none, value(kindSet, out), false},
		{"a member twice", none, none, value(kindSet, twice), false},
		{"scores", none, none, value(kindZSet, in, score...), true},
		{"scores out of order", none, none, value(kindZSet, out, score...), false},
		{"a member with two scores", none, none, value(kindZSet, twice, score...), false},
		{"fields", none, none, value(kindHash, in, 0), true},
		{"fields out of order", none, none, value(kindHash, out, 0), false},
		{"a field twice", none, none, value(kindHash, twice, 0), false},
		{"no fields", none, none, value(kindHash, nil), false},
		{"a longer number", none, []byte{0x80, 0}, none, false},
		{"a longer number in a reply", append(piece(func(e *encoder) {
			e.uvarint(1)
			e.uint64(1)
			e.buf = append(e.buf, 0, 0, 0, 0, 1, 1, 1) // one request with one reply
		}), 3, byte(resp.Integer), 0x80, 0), none, none, false},
	} {
		b := slices.Concat(header, tt.origins, tt.scripts, []byte{0, 0, 0}, tt.database, make([]byte, Databases-1))
		b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
		m, err := Restore(testConfig(), bytes.NewReader(b))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: error %v", tt.what, err)
		} else if tt.ok && !bytes.Equal(written(t, m), b) {
			t.Errorf("%s: %x is written as %x", tt.what, b, written(t, m))
		}
	}
}
