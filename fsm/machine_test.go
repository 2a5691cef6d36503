package fsm

import (
	"errors"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// request makes a request of one call.
func (r *rig) request(seq, acked uint64, args ...string) Request {
	return Request{Kind: Run, Origin: testOrigin, Seq: seq, Acked: acked, Calls: []command.Call{callOf(0, args...)}}
}

func wantStatus(t *testing.T, got Outcome, want Status) {
	t.Helper()
	if got.Status != want {
		t.Fatalf("status %d, want %d", got.Status, want)
	}
}

func TestRepeatedRequestGetsTheFirstReplies(t *testing.T) {
	r := newRig(t)
	first := r.apply(r.request(1, 1, "INCR", "n"))[0]
	wantStatus(t, first, Applied)
	version := r.m.version
	again := r.apply(r.request(1, 1, "INCR", "n"))[0]
	wantStatus(t, again, Repeated)
	wantReply(t, again.Replies[0], first.Replies[0])
	if r.m.version != version {
		t.Fatal("the repetition changed the state")
	}
	wantReply(t, r.do("GET", "n"), resp.Str("1"))
}

func TestRepetitionWithinOneEntry(t *testing.T) {
	r := newRig(t)
	out := r.apply(r.request(1, 1, "INCR", "n"), r.request(1, 1, "INCR", "n"))
	wantStatus(t, out[0], Applied)
	wantStatus(t, out[1], Repeated)
}

func TestRequestsOutOfOrderAreAllExecuted(t *testing.T) {
	r := newRig(t)
	for _, seq := range []uint64{3, 1, 2} {
		wantStatus(t, r.apply(r.request(seq, 1, "INCR", "n"))[0], Applied)
	}
	for seq, want := range map[uint64]int{3: 1, 1: 2, 2: 3} {
		out := r.apply(r.request(seq, 1, "INCR", "n"))[0]
		wantStatus(t, out, Repeated)
		wantReply(t, out.Replies[0], resp.Int(want))
	}
}

func TestAcknowledgedRequestIsStale(t *testing.T) {
	r := newRig(t)
	r.apply(r.request(1, 1, "INCR", "n"), r.request(2, 2, "INCR", "n"))
	wantStatus(t, r.apply(r.request(1, 1, "INCR", "n"))[0], Stale)
	wantStatus(t, r.apply(r.request(2, 1, "INCR", "n"))[0], Repeated)
	wantReply(t, r.do("GET", "n"), resp.Str("2"))
}

func TestUnknownOriginIsNotExecuted(t *testing.T) {
	r := newRig(t)
	req := r.request(1, 1, "INCR", "n")
	req.Origin++
	wantStatus(t, r.apply(req)[0], UnknownOrigin)
	wantReply(t, r.do("GET", "n"), resp.Null)
}

func TestIdleOriginIsForgotten(t *testing.T) {
	r := newRig(t)
	r.apply(r.request(1, 1, "INCR", "n"))
	r.clock += OriginIdle + 1
	r.apply() // the leader's tick
	wantStatus(t, r.apply(r.request(2, 1, "INCR", "n"))[0], UnknownOrigin)
}

func TestOriginWithTooManyUnacknowledgedIsOverrun(t *testing.T) {
	r := newRig(t)
	reqs := make([]Request, MaxUnacked)
	for i := range reqs {
		reqs[i] = r.request(uint64(i+1), 1, "GET", "n")
	}
	r.apply(reqs...)
	wantStatus(t, r.apply(r.request(MaxUnacked+1, 1, "INCR", "n"))[0], Overrun)
	wantStatus(t, r.apply(r.request(MaxUnacked+1, 2, "INCR", "n"))[0], Applied)
}

func TestEntryOfAnotherTermOrEpochIsVoid(t *testing.T) {
	r := newRig(t)
	clock := r.m.Clock()
	r.clock += 1000
	for _, e := range []*Entry{
		{Epoch: 1, Term: 2, Stamp: r.clock, Requests: []Request{r.request(1, 1, "INCR", "n")}},
		{Epoch: 2, Term: 1, Stamp: r.clock, Requests: []Request{r.request(1, 1, "INCR", "n")}},
	} {
		out, err := r.m.Apply(r.m.Index()+1, 1, e)
		if err != nil {
			t.Fatal(err)
		}
		wantStatus(t, out[0], Void)
	}
	if r.m.Clock() != clock || r.m.version != 0 {
		t.Fatal("a void entry changed the state")
	}
	wantStatus(t, r.apply(r.request(1, 1, "INCR", "n"))[0], Applied)
}

func TestChangedReadVersionIsAConflict(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v")
	read := command.KeyVersion{DB: 0, Key: []byte("k"), Version: r.m.version}
	absent := command.KeyVersion{DB: 0, Key: []byte("absent")}
	for _, c := range []struct {
		what   string
		before []string
		reads  []command.KeyVersion
		want   Status
	}{
		{"nothing changed", nil, []command.KeyVersion{read, absent}, Applied},
		{"another key changed", []string{"SET", "o", "v"}, []command.KeyVersion{read}, Applied},
		{"the key was set to the same", []string{"SET", "k", "v"}, []command.KeyVersion{read}, Conflict},
		{"the absent key came", []string{"SET", "absent", "v"}, []command.KeyVersion{absent}, Conflict},
		{"it went again", []string{"DEL", "absent"}, []command.KeyVersion{absent}, Applied},
		{"all were flushed", []string{"FLUSHALL"}, []command.KeyVersion{read}, Conflict},
	} {
		if c.before != nil {
			r.do(c.before...)
		}
		r.seq++
		req := r.request(r.seq, r.seq, "INCR", "n")
		req.Reads = c.reads
		if out := r.apply(req)[0]; out.Status != c.want {
			t.Errorf("%s: status %d, want %d", c.what, out.Status, c.want)
		}
	}
}

func TestKeyExpiresByStampsAlone(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v", "PX", "100")
	r.clock += 99
	r.apply()
	wantReply(t, r.do("PTTL", "k"), resp.Int(1))
	r.clock++
	wantReply(t, r.do("GET", "k"), resp.Str("v")) // no entry has the stamp yet
	if got := r.m.NextDeadline(); got != r.clock {
		t.Fatalf("the next deadline is %d, want %d", got, r.clock)
	}
	// A day passes on the wall clock: that is nothing to the key.
	e := r.entry()
	e.Stamp--
	e.Wall += 86_400_000
	if _, err := r.m.Apply(r.m.Index()+1, 1, e); err != nil {
		t.Fatal(err)
	}
	wantReply(t, r.do("EXISTS", "k"), resp.Int(1))
	r.apply() // stamps are whole milliseconds: this one may be a part of one early
	wantReply(t, r.do("EXISTS", "k"), resp.Int(1))
	r.clock++
	r.apply()
	wantReply(t, r.do("GET", "k"), resp.Null)
	if r.m.NextDeadline() != 0 || r.m.ks[0].keys.len() != 0 {
		t.Fatal("the key was not removed")
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v", "PX", "100")
	before := r.m.Clock()
	r.clock -= 500
	r.apply()
	if r.m.Clock() != before {
		t.Fatalf("the clock went from %d to %d", before, r.m.Clock())
	}
}

func TestExpiredKeysAreHiddenBeforeTheyAreRemoved(t *testing.T) {
	r := newRig(t)
	const keys = 3 * reapLimit
	var calls []command.Call
	for i := range keys {
		calls = append(calls, callOf(0, "SET", benchKey(i), "v", "PX", "10"))
	}
	r.run(calls...)
	r.do("SET", "stays", "v")
	r.clock += 11
	r.apply()
	if n := r.m.ks[0].keys.len(); n != keys+1-reapLimit {
		t.Fatalf("%d keys are left, want %d", n, keys+1-reapLimit)
	}
	wantReply(t, r.do("DBSIZE"), resp.Int(1))
	wantReply(t, r.do("KEYS", "*"), resp.Strs("stays"))
	wantReply(t, r.do("RANDOMKEY"), resp.Str("stays"))
	wantReply(t, r.do("SCAN", "0", "COUNT", "10000"), resp.List(resp.Str("0"), resp.Strs("stays")))
	wantReply(t, r.do("SETNX", benchKey(keys-1), "new"), resp.Int(1))
	r.apply()
	r.apply()
	if n := r.m.ks[0].keys.len(); n != 2 {
		t.Fatalf("%d keys are left, want 2", n)
	}
}

func TestWallSlewsAndOnlyANewTermMovesItAhead(t *testing.T) {
	r := newRig(t)
	apply := func(term uint64, passed, ahead int64) int64 {
		t.Helper()
		r.clock += passed
		before := r.m.wall
		e := &Entry{Epoch: 1, Term: term, Stamp: r.clock, Wall: before + passed + ahead}
		if _, err := r.m.Apply(r.m.Index()+1, term, e); err != nil {
			t.Fatal(err)
		}
		return r.m.wall - before
	}
	for _, c := range []struct {
		what          string
		term          uint64
		passed, ahead int64
		want          int64
	}{
		{"in step", 1, 1000, 0, 1000},
		{"far ahead", 1, 100_000, 3_600_000, 100_050},
		{"far behind", 1, 100_000, -3_600_000, 99_950},
		{"a new term ahead", 2, 1000, 3_600_000, 3_601_000},
		{"a new term behind", 3, 100_000, -3_600_000, 99_950},
		{"no time passed", 3, 0, -3_600_000, 0},
	} {
		if got := apply(c.term, c.passed, c.ahead); got < c.want-1 || got > c.want+1 {
			t.Errorf("%s: the wall moved by %d, want %d", c.what, got, c.want)
		}
	}
}

func TestTokensGrowForEver(t *testing.T) {
	r := newRig(t)
	last := uint64(0)
	take := func(what string) {
		t.Helper()
		r.do("SET", "lock", "owner", "NX", "PX", "100")
		e := (&View{m: r.m}).find([]byte("lock"))
		if e.token <= last {
			t.Fatalf("%s: token %d after %d", what, e.token, last)
		}
		if e.token>>48 != r.m.Epoch() {
			t.Fatalf("%s: token %x does not start with the epoch", what, e.token)
		}
		last = e.token
		r.do("SET", "lock", "same", "KEEPTTL")
		if e = (&View{m: r.m}).find([]byte("lock")); e.token != last {
			t.Fatalf("%s: a change gave another token", what)
		}
	}
	take("at first")
	r.do("DEL", "lock")
	take("after a deletion")
	r.clock += 101
	r.apply()
	take("after expiry")
	r.do("FLUSHALL")
	take("after FLUSHALL")
	r.do("RENAME", "lock", "other")
	take("after RENAME")
	r.m = restored(t, r.m)
	r.do("DEL", "lock")
	take("after a snapshot")
	r.m.epoch++
	r.do("DEL", "lock")
	take("after a raised epoch")
}

// faulty are commands that fail after they have staged changes.
var faulty = []Command{
	write("panics", 2, 1, func(t *Tx, args [][]byte) resp.Value {
		t.setString(args[1], "half done", 0)
		t.flush(3)
		t.loadScript("sha", []byte("text"))
		panic("a defect")
	}, "", ""),
	write("fails", 2, 1, func(t *Tx, args [][]byte) resp.Value {
		t.setString(args[1], "half done", 0)
		t.flushScripts()
		return resp.Err("ERR it failed")
	}, "", ""),
	read("readpanics", 2, 1, func(*View, [][]byte) resp.Value { panic("a defect") }, "", ""),
}

func TestFailedCommandAppliesNothing(t *testing.T) {
	cfg := testConfig()
	cfg.Table = NewTable(stringCommands, scriptCommands, faulty)
	var told []string
	cfg.OnPanic = func(name string, _ any) { told = append(told, name) }
	a, b := newRig(t), newRig(t)
	a.m, b.m = New(cfg), New(cfg)
	for _, r := range []*rig{a, b} {
		r.apply(Request{Kind: OpenOrigin, Origin: testOrigin, Node: "n1"})
		r.do("SET", "k", "v")
		version, sum := r.m.version, r.m.Snapshot().Sum()
		wantReply(t, r.do("PANICS", "k"), resp.ErrInternal)
		wantReply(t, r.do("FAILS", "new"), resp.Err("ERR it failed"))
		wantReply(t, r.do("READPANICS", "k"), resp.ErrInternal)
		wantReply(t, r.do("GET", "k"), resp.Str("v"))
		wantReply(t, r.do("GET", "new"), resp.Null)
		if r.m.version != version || r.m.counter != 1 || r.m.scripts.len() != 0 {
			t.Fatal("something was applied")
		}
		if r.m.Snapshot().Sum() == sum {
			t.Fatal("the sum does not depend on the index")
		}
	}
	if a.m.Digest() != b.m.Digest() {
		t.Fatal("the digests differ")
	}
	if len(told) != 4 {
		t.Fatalf("OnPanic was told of %v", told)
	}
}

func TestLeadersDigestIsChecked(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v")
	e := r.entry()
	e.CheckIndex, e.CheckDigest = r.m.Index(), r.m.Digest()
	if _, err := r.m.Apply(r.m.Index()+1, 1, e); err != nil {
		t.Fatal(err)
	}
	e.CheckDigest++
	if _, err := r.m.Apply(r.m.Index()+1, 1, e); !errors.Is(err, ErrDiverged) {
		t.Fatalf("error %v, want %v", err, ErrDiverged)
	}
}

func TestDigestTellsLogsApartWhoseStatesLookAlike(t *testing.T) {
	a, b := newRig(t), newRig(t)
	a.do("HSET", "h", "f", "one")
	b.do("HSET", "h", "f", "two")
	if a.m.Digest() == b.m.Digest() {
		t.Fatal("equal digests")
	}
}

func TestUnknownCommandStopsTheReplica(t *testing.T) {
	r := newRig(t)
	_, err := r.m.Apply(r.m.Index()+1, 1, r.entry(r.request(1, 1, "FROMTHEFUTURE", "k")))
	if !errors.Is(err, ErrEntry) {
		t.Fatalf("error %v, want %v", err, ErrEntry)
	}
}

func TestRequestOfSeveralCallsRunsThemInOrder(t *testing.T) {
	r := newRig(t)
	replies := r.run(callOf(1, "SET", "k", "v"), callOf(1, "GET", "k"), callOf(0, "GET", "k"), callOf(1, "INCR", "k"))
	wantReply(t, resp.List(replies...), resp.List(resp.OK, resp.Str("v"), resp.Null, resp.ErrNotInteger))
}

func TestArgumentsAreNotKept(t *testing.T) {
	r := newRig(t)
	r.seq++
	e, err := DecodeEntry(r.entry(Request{Kind: Run, Origin: testOrigin, Seq: 1, Acked: 1, Calls: []command.Call{
		callOf(0, "SET", "s", "value"), callOf(0, "HSET", "h", "f", "value"), callOf(0, "RPUSH", "l", "value"),
		callOf(0, "SADD", "u", "value"), callOf(0, "ZADD", "z", "1", "value"),
	}}).Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.m.Apply(r.m.Index()+1, 1, e); err != nil {
		t.Fatal(err)
	}
	sum := r.m.Snapshot().Sum()
	for _, c := range e.Requests[0].Calls {
		for _, a := range c.Args {
			clear(a)
		}
	}
	if r.m.Snapshot().Sum() != sum {
		t.Fatal("the state shares memory with the entry")
	}
}

// TestRequestStopsWhereReadsDoNotFit: a write behind that place is not executed.
func TestRequestStopsWhereReadsDoNotFit(t *testing.T) {
	r := newRig(t)
	r.do("SET", "big", strings.Repeat("v", readRoom/2))
	replies := r.run(callOf(0, "INCR", "n"), callOf(0, "GET", "big"), callOf(0, "GET", "big"), callOf(0, "INCR", "n"))
	if replies[0].Int != 1 || len(replies[1].Str) != readRoom/2 || replies[2].Kind != resp.None || replies[3].Kind != resp.None {
		t.Fatalf("kinds %d %d %d %d", replies[0].Kind, replies[1].Kind, replies[2].Kind, replies[3].Kind)
	}
	wantReply(t, r.do("GET", "n"), resp.Str("1"))
}
