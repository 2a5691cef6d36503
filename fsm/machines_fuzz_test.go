package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The sizes of a fuzzed log.
const (
	maxFuzzEntries = 64
	maxFuzzCalls   = 4
)

// step is an entry of a log with what it did to the first machine.
type fuzzStep struct {
	entry    []byte
	term     uint64
	outcomes string
	digest   uint64
}

// logWriter writes a log as leaders do, choosing what happens from a tape, and
// applies it to a machine, whose state it needs for that.
type logWriter struct {
	*tape
	m     *Machine
	term  uint64
	stamp int64
	seq   [3]uint64 // the last request of each origin
	steps []fuzzStep
}

// entry writes the next entry: of requests by origins that are known or not, new,
// repeated, late or ahead, acknowledged or not; with stamps that stand still, go on,
// jump or go back; of this term or one before, of this epoch or another; with a check
// of an earlier digest.
func (w *logWriter) entry() *Entry {
	w.stamp += pick[int64](w, 0, 1, 150, 1000, 30_000, -400, OriginIdle+1)
	if w.oneIn(8) {
		w.term++
	}
	e := &Entry{
		Epoch: w.m.epoch, Term: w.term, Stamp: w.stamp,
		Wall: testWall + w.stamp + pick[int64](w, 0, 900, -900, 3_600_000, -3_600_000),
	}
	if w.oneIn(16) {
		e.Epoch += pick[uint64](w, 1, ^uint64(0))
	}
	if w.oneIn(16) {
		e.Term--
	}
	if n := len(w.steps); n > 0 && w.oneIn(4) {
		i := n - 1 - w.IntN(n)
		e.CheckIndex, e.CheckDigest = uint64(i+1), w.steps[i].digest
	}
	for range 1 + w.IntN(3) {
		e.Requests = append(e.Requests, w.request())
	}
	return e
}

func (w *logWriter) request() Request {
	i := w.IntN(len(w.seq))
	r := Request{Kind: Run, Origin: uint64(i), Seq: w.seq[i] + 1}
	if r.Seq == 1 || w.oneIn(16) {
		r.Kind, r.Node = OpenOrigin, "n"
		if r.Seq == 1 {
			w.seq[i]++
		}
		return r
	}
	switch w.IntN(8) {
	case 6: // once more
		r.Seq -= uint64(w.IntN(int(min(r.Seq, 6))))
	case 7: // others overtake it
		r.Seq += uint64(w.IntN(3))
	}
	w.seq[i] = max(w.seq[i], r.Seq)
	switch w.IntN(4) {
	case 1:
		r.Acked = r.Seq
	case 2:
		r.Acked = r.Seq - uint64(w.IntN(int(min(r.Seq, 4))))
	case 3:
		r.Acked = r.Seq + 1
	}
	if w.oneIn(4) {
		r.Reads = append(r.Reads, w.read())
	}
	switch {
	case w.oneIn(6):
		r.Kind, r.Calls = Wait, []command.Call{w.waitCall()}
		for range w.IntN(3) {
			r.Done = append(r.Done, uint64(w.IntN(int(r.Seq)+1)))
		}
		return r
	case w.oneIn(6):
		r.Kind = Exec
	case w.oneIn(6):
		r.Kind, r.Replies = Effects, []resp.Value{resp.Int(w.IntN(9))}
		r.Changes = pick(w, 0, w.m.version, w.m.version+1)
	}
	for range w.IntN(maxFuzzCalls) {
		r.Calls = append(r.Calls, randomCall(w))
	}
	return r
}

// waitCall is a call that waits for keys that other calls make.
func (w *logWriter) waitCall() command.Call {
	key := func() string { return pick(w, sample["key"]...) }
	return callOf(w.IntN(3), pick(w,
		[]string{"BLPOP", key(), key(), "0"}, []string{"BRPOP", key(), "0"}, []string{"BLMOVE", key(), key(), "LEFT", "RIGHT", "0"},
		[]string{"BZPOPMIN", key(), key(), "0"}, []string{"BLMPOP", "0", "2", key(), key(), "LEFT", "COUNT", "2"},
		[]string{"BZMPOP", "0", "1", key(), "MAX"}, []string{"BRPOPLPUSH", key(), key(), "0"},
	)...)
}

// read is a key that a transaction read, with its version or another.
func (w *logWriter) read() command.KeyVersion {
	r := command.KeyVersion{DB: w.IntN(3), Key: []byte(pick(w, sample["key"]...))}
	if e := (&View{m: w.m}).findIn(r.DB, r.Key); e != nil {
		r.Version = e.version
	}
	if w.oneIn(4) {
		r.Version++
	}
	return r
}

// write writes a log as long as the tape.
func (w *logWriter) write(t *testing.T) {
	for w.more() && len(w.steps) < maxFuzzEntries {
		s := fuzzStep{entry: w.entry().Append(nil), term: w.term}
		s.outcomes = applied(t, w.m, &s)
		s.digest = w.m.Digest()
		w.steps = append(w.steps, s)
	}
}

// applied applies the entry of a step and returns what became of its requests.
func applied(t *testing.T, m *Machine, s *fuzzStep) string {
	t.Helper()
	e, err := DecodeEntry(s.entry)
	if err != nil {
		t.Fatal(err)
	}
	counter, clock := m.counter, m.clock
	outcomes, err := m.Apply(m.index+1, s.term, e)
	if err != nil {
		t.Fatal(err)
	}
	if m.counter < counter || m.clock < clock {
		t.Fatalf("entry %d: the tokens went from %d to %d, the clock from %d to %d", m.index, counter, m.counter, clock, m.clock)
	}
	var b []byte
	for _, o := range outcomes {
		b = append(b, byte(o.Status))
		for _, r := range o.Replies {
			b = r.AppendBinary(b)
		}
	}
	return string(b)
}

// follow applies the same to another machine and compares.
func follow(t *testing.T, who string, m *Machine, steps []fuzzStep) {
	t.Helper()
	for i := range steps {
		s := &steps[i]
		if got := applied(t, m, s); got != s.outcomes || m.Digest() != s.digest {
			t.Fatalf("the %s machine answers entry %d\n%q\nwith digest %x, the first\n%q\nwith digest %x",
				who, m.index, got, m.Digest(), s.outcomes, s.digest)
		}
	}
}

// FuzzMachines: machines that applied the same entries are equal, and what they
// answered was: one that applied them all, one of which a snapshot was taken on the
// way, and one that was restored from that. The snapshot is written while the second
// is already further on, and clients read from it all the time.
func FuzzMachines(f *testing.F) {
	for i := range uint64(16) {
		f.Add(randomTape(i, 600), uint8(3*i), uint8(i))
	}
	cfg := testConfig()
	f.Fuzz(func(t *testing.T, program []byte, at, lag uint8) {
		cfg := cfg
		cfg.OnPanic = func(command string, panicked any) { t.Errorf("%s panicked: %v", command, panicked) }
		w := &logWriter{tape: &tape{program}, m: New(cfg), term: 1, stamp: 1000}
		w.write(t)
		taken := int(at) % (len(w.steps) + 1)
		writing := min(taken+int(lag)%8, len(w.steps))

		second := New(cfg)
		follow(t, "second", second, w.steps[:taken])
		s := second.Snapshot()
		for i := range w.steps[taken:writing] {
			readBeside(second, i)
			follow(t, "second", second, w.steps[taken+i:taken+i+1])
		}
		var b bytes.Buffer
		if _, err := s.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		third, err := Restore(cfg, &b)
		if err != nil {
			t.Fatal(err)
		}
		checkSound(t, third)
		follow(t, "second", second, w.steps[writing:])
		follow(t, "third", third, w.steps[taken:])
		checkSound(t, w.m)
		first := written(t, w.m)
		for who, m := range map[string]*Machine{"second": second, "third": third} {
			if got := written(t, m); !bytes.Equal(got, first) {
				t.Fatalf("the %s machine has the state\n%x\nthe first\n%x", who, got, first)
			}
		}
	})
}

// readBeside reads and refuses, which leaves no trace.
func readBeside(m *Machine, i int) {
	for _, c := range []command.Call{
		callOf(i%3, "SRANDMEMBER", "a"), callOf(i%3, "RANDOMKEY"), callOf(0, "SET", "b", fmt.Sprint(i), "NX"), callOf(i%3, "HGETALL", "c"),
	} {
		m.Read(c)
		m.Refuse(c)
	}
}
