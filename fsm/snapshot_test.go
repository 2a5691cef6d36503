package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func written(t testing.TB, m *Machine) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := m.Snapshot().WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d bytes of %d: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// restored sends a machine through a snapshot.
func restored(t testing.TB, m *Machine) *Machine {
	t.Helper()
	r, err := Restore(testConfig(), bytes.NewReader(written(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// script returns random entries as the log has them.
func script(rnd *rand.Rand, entries int) [][]byte {
	var log [][]byte
	seq, clock := uint64(0), int64(1000)
	for i := range entries {
		clock += rnd.Int64N(2000)
		e := &Entry{Epoch: 1, Term: 1, Stamp: clock, Wall: testWall + clock + rnd.Int64N(5000)}
		if i == 0 {
			e.Requests = append(e.Requests, Request{Kind: OpenOrigin, Origin: testOrigin, Node: "n"})
		}
		for range 1 + rnd.IntN(8) {
			seq++
			req := Request{Kind: Run, Origin: testOrigin, Seq: seq, Acked: max(seq, 20) - 19}
			if rnd.IntN(10) == 0 {
				req.Seq -= uint64(rnd.IntN(10)) // some are repeated, some are stale
			}
			for range 1 + rnd.IntN(3) {
				req.Calls = append(req.Calls, randomCall(rnd))
			}
			e.Requests = append(e.Requests, req)
		}
		log = append(log, e.Append(nil))
	}
	return log
}

// drawForms are random commands whose replies are drawn.
var drawForms = []string{
	"SPOP key", "SPOP key count", "SRANDMEMBER key count", "HRANDFIELD key count", "ZRANDMEMBER key count", "RANDOMKEY",
	"SET key value PX ttl", "SET key value EX 1", "PEXPIRE key 500", "FLUSHDB", "TIME",
}

var testTable = DataCommands()

// randomCall returns a call that the table knows.
func randomCall(rnd chooser) command.Call {
	for {
		all := forms
		if rnd.IntN(8) == 0 {
			all = drawForms
		}
		c := callOf(rnd.IntN(3), draws(rnd, all[rnd.IntN(len(all))])...)
		if testTable.Lookup(c.Args) != nil {
			return c
		}
	}
}

func applyBytes(t testing.TB, m *Machine, b []byte) []Outcome {
	t.Helper()
	e, err := DecodeEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Apply(m.Index()+1, 1, e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplicasThatAppliedTheSameAreEqual(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			log := script(rand.New(rand.NewPCG(seed, 1)), 600)
			a, b := New(testConfig()), New(testConfig())
			var held *Snapshot
			var heldSum uint64
			for i, entry := range log {
				outA, outB := applyBytes(t, a, entry), applyBytes(t, b, entry)
				// Reads beside the log leave no trace.
				b.Read(callOf(0, "SRANDMEMBER", "a"))
				b.Refuse(callOf(0, "SET", "a", "v", "NX"))
				for j := range outA {
					if outA[j].Status != outB[j].Status || !equal(resp.List(outA[j].Replies...), resp.List(outB[j].Replies...)) {
						t.Fatalf("entry %d request %d: %v and %v", i, j, outA[j], outB[j])
					}
				}
				if a.Digest() != b.Digest() {
					t.Fatalf("the digests differ after entry %d", i)
				}
				if i%100 == 50 {
					b = restored(t, b)
				}
				if i == len(log)/2 {
					held = a.Snapshot()
					heldSum = held.Sum()
				}
			}
			if a.Snapshot().Sum() != b.Snapshot().Sum() {
				t.Fatal("the sums differ")
			}
			if !bytes.Equal(written(t, a), written(t, restored(t, a))) {
				t.Fatal("a restored machine writes another snapshot")
			}
			if held.Sum() != heldSum {
				t.Fatal("a snapshot changed while the machine went on")
			}
		})
	}
}

func TestSnapshotIsWrittenBesideApply(t *testing.T) {
	log := script(rand.New(rand.NewPCG(9, 9)), 1000)
	m := New(testConfig())
	for _, entry := range log[:500] {
		applyBytes(t, m, entry)
	}
	s := m.Snapshot()
	want := s.Sum()
	done := make(chan uint64)
	go func() {
		sum := uint64(0)
		for range 10 {
			sum = s.Sum()
		}
		done <- sum
	}()
	for _, entry := range log[500:] {
		applyBytes(t, m, entry)
	}
	if got := <-done; got != want {
		t.Fatal("the snapshot changed")
	}
}

// sampleMachine has a key of every type, an expiring one, a script, and an
// origin with replies.
func sampleMachine(t testing.TB) *Machine {
	r := newRig(t)
	for _, args := range [][]string{
		{"SET", "string", "value"}, {"SET", "lock", "owner", "PX", "30000"}, {"HSET", "hash", "f", "v", "g", "w"},
		{"RPUSH", "list", "a", "b"}, {"SADD", "set", "m", "n"}, {"ZADD", "zset", "1.5", "m", "-inf", "n"},
	} {
		r.do(args...)
	}
	r.run(callOf(1, "SET", "other", "database"), callOf(1, "HGETALL", "nosuch"), callOf(1, "GET", "nosuch"))
	r.m.tx.reset(r.m, 0)
	r.m.tx.loadScript("c3f8721cbb97f72bc19e972846bd7aaf91901658", []byte("return 0"))
	r.m.tx.commit()
	return r.m
}

func TestRestoreRefusesWhatIsNotASnapshotOfTheGroup(t *testing.T) {
	good := written(t, sampleMachine(t))
	restore := func(b []byte, change func(c *Config)) error {
		cfg := testConfig()
		change(&cfg)
		m, err := Restore(cfg, bytes.NewReader(b))
		if (m == nil) != (err != nil) {
			t.Fatalf("machine %p with error %v", m, err)
		}
		return err
	}
	same := func(*Config) {}
	if err := restore(good, same); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"another group":  restore(good, func(c *Config) { c.Group = "us" }),
		"other seeds":    restore(good, func(c *Config) { c.Seed[1]++ }),
		"a byte more":    restore(append(bytes.Clone(good), 0), same),
		"nothing":        restore(nil, same),
		"another format": restore(append([]byte("PHSN\x63"), good[5:]...), same),
	} {
		if !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: error %v, want %v", what, err, ErrSnapshot)
		}
	}
	for n := range good {
		if err := restore(good[:n], same); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut at %d: error %v", n, err)
		}
		bad := bytes.Clone(good)
		bad[n] ^= 0x10
		if err := restore(bad, same); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("byte %d changed: error %v", n, err)
		}
	}
}

// failingWriter fails after some bytes.
type failingWriter struct{ left int }

var errDisk = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func TestWriteToReportsTheWritersError(t *testing.T) {
	s := filled(t, 10_000).m.Snapshot()
	for _, room := range []int{0, snapshotBuffer, 3 * snapshotBuffer} {
		if _, err := s.WriteTo(&failingWriter{room}); !errors.Is(err, errDisk) {
			t.Errorf("room for %d bytes: error %v, want %v", room, err, errDisk)
		}
	}
}

func TestLongStringsSurviveASnapshot(t *testing.T) {
	r := newRig(t)
	r.do("SETRANGE", "long", fmt.Sprint(3*snapshotBuffer+17), "x")
	want := r.do("GET", "long")
	r.m = restored(t, r.m)
	wantReply(t, r.do("GET", "long"), want)
}
