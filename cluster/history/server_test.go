package history

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"phonond/fsm"
	"phonond/fsm/lua"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// defect is something that a server does wrong now and then.
type defect string

const (
	none          defect = ""
	losesWrite    defect = "an acknowledged write is lost"
	appliesTwice  defect = "a write is applied twice"
	readsStale    defect = "a read is answered from an old state"
	liesRefused   defect = "a write is refused and applied"
	liesUnknown   defect = "a write of unknown outcome is applied twice"
	tearsMSET     defect = "one half of an MSET is lost"
	expiresEarly  defect = "its clock runs fast"
	crossesReply  defect = "a pipeline's replies are in another order"
	swapsPipeline defect = "a pipeline is done in another order"
	ignoresWatch  defect = "EXEC does not look at what was watched"
	halfExec      defect = "half of a transaction is lost"
	splitScript   defect = "a script's effects are not applied where it read"
)

// server is one machine behind a lock, and a network that is slow and loses
// requests and replies.
type server struct {
	defect defect
	rng    *rand.Rand
	start  time.Time

	mu    sync.Mutex
	table *fsm.Table
	m     *fsm.Machine
	log   []fsm.Entry
	late  sync.WaitGroup
	lua   *lua.Engine
}

var errReset = errors.New("connection reset by peer")

func newServer(seed uint64, d defect) *server {
	s := &server{defect: d, rng: rand.New(rand.NewPCG(seed, 99)), start: time.Now(), table: fsm.DataCommands(), lua: lua.New(lua.Limits{})}
	s.rebuild(nil)
	s.apply(fsm.Request{Kind: fsm.OpenOrigin, Origin: 1, Node: "n"})
	for _, args := range Setup() {
		s.run(args)
	}
	return s
}

// rebuild makes the state that a log leads to.
func (s *server) rebuild(log []fsm.Entry) {
	s.m, s.log = fsm.New(fsm.Config{Group: "g", Table: s.table}), nil
	for _, e := range log {
		s.append(e)
	}
}

func (s *server) append(e fsm.Entry) []fsm.Outcome {
	s.log = append(s.log, e)
	out, err := s.m.Apply(uint64(len(s.log)), 1, &e)
	if err != nil {
		panic(err)
	}
	return out
}

func (s *server) apply(r fsm.Request) []fsm.Outcome {
	clock := time.Since(s.start).Milliseconds() + 1000
	if s.defect == expiresEarly {
		clock = clock * 105 / 100
	}
	return s.append(fsm.Entry{Epoch: 1, Term: 1, Stamp: clock, Wall: clock, Requests: []fsm.Request{r}})
}

// run does a command.
func (s *server) run(args []string) resp.Value {
	seq := uint64(len(s.log) + 1)
	return s.apply(fsm.Request{Kind: fsm.Run, Origin: 1, Seq: seq, Acked: seq, Calls: []command.Call{callOf(args)}})[0].Replies[0]
}

// script does one that is not of the machine, as Lua says.
func (s *server) script(args []string) resp.Value {
	text := ""
	for _, known := range append(slices.Collect(maps.Values(modelled)), fillScript) {
		if known.sha == shaIn(args) {
			text = known.text
		}
	}
	if args[0] == "EVALSHA" && s.rng.IntN(10) == 0 {
		return resp.ErrNoScript
	}
	keys, argv := scriptArgs(args)
	return s.lua.Run(context.Background(), luaHost{s}, shaIn(args), text, bytesOf(keys), bytesOf(argv))
}

func bytesOf(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

type luaHost struct{ s *server }

func (h luaHost) Call(args [][]byte) resp.Value {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = string(a)
	}
	v := h.s.run(list)
	if list[0] == "GET" && h.s.wrong(splitScript, 10) {
		h.s.run([]string{"SET", list[1], "of another"})
		h.s.run([]string{"DEL", list[1]})
	}
	return v
}

func (h luaHost) Allowed([][]byte) (allowed, known bool) { return true, true }
func (h luaHost) Log(int, string)                        {}

// chance is true once in n times.
func (s *server) chance(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n) == 0
}

// wrong is true when the server is to do d now.
func (s *server) wrong(d defect, often int) bool { return s.defect == d && s.rng.IntN(often) == 0 }

func (s *server) locked(args []string) resp.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	if findScript(args) != nil {
		return s.script(args)
	}
	write := s.table.Lookup(callOf(args).Args).Write != nil
	before := s.m.Digest()
	if !write && s.wrong(readsStale, 20) && len(s.log) > 10 {
		old := &server{start: s.start, table: s.table}
		old.rebuild(s.log[:len(s.log)-5])
		return old.run(args)
	}
	if args[0] == "MSET" && s.wrong(tearsMSET, 2) {
		s.run(args[:3])
		return resp.OK
	}
	v := s.run(args)
	if !write || s.m.Digest() == before {
		return v
	}
	switch {
	case s.wrong(losesWrite, 50):
		s.rebuild(s.log[:len(s.log)-1])
	case s.wrong(appliesTwice, 50):
		s.run(args)
	case s.wrong(liesRefused, 50):
		return resp.Err("CLUSTERDOWN no leader")
	}
	return v
}

// travel is the time that a message takes.
func (s *server) travel() {
	s.mu.Lock()
	d := time.Duration(s.rng.Int64N(int64(20 * time.Millisecond)))
	s.mu.Unlock()
	time.Sleep(d)
}

// session is a connection.
type session struct {
	*server
	watched []command.KeyVersion
}

// watch answers WATCH.
func (s *session) watch(keys []string) resp.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range s.run(append([]string{"KEYVERSION"}, keys...)).Elems {
		s.watched = append(s.watched, command.KeyVersion{Key: []byte(keys[i]), Version: uint64(v.Int)})
	}
	return resp.OK
}

// exec answers EXEC.
func (s *server) exec(watched []command.KeyVersion, calls [][]string) resp.Value {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, read := range watched {
		if s.defect != ignoresWatch && !s.m.Unchanged(read) {
			return resp.NullArray
		}
	}
	before := s.log
	var replies []resp.Value
	for i, args := range calls {
		replies = append(replies, s.run(args))
		if i == 0 {
			before = s.log
		}
	}
	if s.wrong(halfExec, 10) {
		s.rebuild(before)
	}
	return resp.List(replies...)
}

// serve answers commands that were sent at once.
func (s *session) serve(commands [][]string) ([]resp.Value, error) {
	switch commands[0][0] {
	case "WATCH":
		var answered atomic.Bool
		defer answered.Store(true)
		return s.server.serve(commands, func(args []string) resp.Value {
			if answered.Load() { // a connection's next command never overtakes it
				return resp.OK
			}
			return s.watch(args[1:])
		})
	case "UNWATCH":
		s.watched = nil
		return []resp.Value{resp.OK}, nil
	case "MULTI":
		watched, calls := s.watched, commands[1:len(commands)-1]
		s.watched = nil
		replies, err := s.server.serve([][]string{{"EXEC"}}, func([]string) resp.Value { return s.exec(watched, calls) })
		return append(make([]resp.Value, len(commands)-1), replies...), err
	}
	return s.server.serve(commands, s.locked)
}

// serve does commands, each by do.
func (s *server) serve(commands [][]string, do func(args []string) resp.Value) ([]resp.Value, error) {
	s.travel()
	if s.defect == swapsPipeline && len(commands) > 1 && s.chance(2) {
		commands = append([][]string{commands[1], commands[0]}, commands[2:]...)
		replies, err := s.each(commands, do)
		if len(replies) > 1 {
			replies[0], replies[1] = replies[1], replies[0]
		}
		return replies, err
	}
	replies, err := s.each(commands, do)
	if s.defect == crossesReply && len(replies) > 1 && s.chance(2) {
		replies[0], replies[1] = replies[1], replies[0]
	}
	return replies, err
}

func (s *server) each(commands [][]string, do func(args []string) resp.Value) (replies []resp.Value, err error) {
	for _, args := range commands {
		switch {
		case s.chance(40):
			replies = append(replies, resp.Err("TRYAGAIN too many requests"))
		case s.chance(60): // the request is lost
			return replies, errReset
		case s.chance(60): // the reply is
			do(args)
			if s.defect == liesUnknown {
				do(args)
			}
			return replies, errReset
		case s.chance(60): // the request takes very long
			s.late.Go(func() {
				time.Sleep(time.Second)
				do(args)
			})
			replies = append(replies, resp.Err("TIMEOUT outcome unknown"))
		default:
			replies = append(replies, do(args))
		}
	}
	s.travel()
	return replies, nil
}

// record returns the history of clients at a server.
func record(t *testing.T, seed uint64, clients, steps int, d defect, o Options) (ops []Op) {
	synctest.Test(t, func(*testing.T) {
		s := newServer(seed, d)
		r := NewRecorder(func() time.Duration { return time.Since(s.start) })
		w := NewWorkload(rand.New(rand.NewPCG(seed, 0)), o)
		var running sync.WaitGroup
		for n := range clients {
			c, conn := w.Client(n), &session{server: s}
			running.Go(func() {
				for range steps {
					if err := c.Turn(r, "n", conn.serve); err != nil {
						conn = &session{server: s}
					}
					s.travel()
				}
			})
		}
		running.Wait()
		s.late.Wait()
		time.Sleep(20 * time.Second) // for the locks
		for _, args := range FinalReads(r.Ops()) {
			r.Do(clients, "n", args, func(args ...string) (resp.Value, error) { return s.locked(args), nil })
		}
		ops = r.Ops()
	})
	return ops
}

// TestGoodServerIsNotAccused: nothing that clients see of one machine, whatever the
// network does, is a violation.
func TestGoodServerIsNotAccused(t *testing.T) {
	kinds := map[string]Count{}
	for seed := range uint64(6) {
		ops := record(t, seed, 7, 300, none, Options{})
		end := ops[len(ops)-1].Return
		report := Check(ops, CheckOptions{MaxDuration: time.Second, Healed: end - 19*time.Second, Grace: time.Second})
		if err := report.Err(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if report.Unknowns < 50 || report.Refusals < 30 {
			t.Errorf("%d of unknown outcome, %d refused", report.Unknowns, report.Refusals)
		}
		for kind, c := range report.Kinds {
			n := kinds[kind]
			n.Answered += c.Answered
			n.Unknown += c.Unknown
			kinds[kind] = n
		}
		t.Logf("seed %d: %d operations, %d keys, %d unknown, %d steps, most %d", seed, report.Ops, report.Keys, report.Unknowns, report.Steps, report.MostSteps)
	}
	for kind := range strings.FieldsSeq("set get getset getdel append incr decrby hset hincrby hgetall sadd smembers rpush lpop lrange zadd zincrby zrange mset mget del evalsha eval exec pttl") {
		if kinds[kind].Answered < 10 {
			t.Errorf("%s was answered %d times", kind, kinds[kind].Answered)
		}
	}
}

// TestDefectsAreCaught: each is seen within a few runs.
func TestDefectsAreCaught(t *testing.T) {
	for _, d := range []defect{
		losesWrite, appliesTwice, readsStale, liesRefused, liesUnknown, tearsMSET, expiresEarly, crossesReply, swapsPipeline,
		ignoresWatch, halfExec, splitScript,
	} {
		t.Run(string(d), func(t *testing.T) {
			for seed := range uint64(5) {
				ops := record(t, seed, 7, 150, d, Options{})
				report := Check(ops, CheckOptions{})
				for _, v := range report.Violations {
					if strings.HasPrefix(v.Why, "no order") {
						t.Logf("seed %d, %d operations, %d violations", seed, report.Ops, len(report.Violations))
						return
					}
				}
			}
			t.Error("never")
		})
	}
}

// TestJudgingIsCheap: the search goes back a few times for each operation, no more.
func TestJudgingIsCheap(t *testing.T) {
	ops := record(t, 1, 6, 2600, none, Options{})
	began := time.Now()
	report := Check(ops, CheckOptions{Workers: 1})
	t.Logf("%d operations, %d of unknown outcome, %d keys: %d steps, most %d, %v", report.Ops, report.Unknowns, report.Keys, report.Steps, report.MostSteps, time.Since(began))
	if err := report.Err(); err != nil || report.Ops < 15_000 {
		t.Fatalf("%d operations, %v", report.Ops, err)
	}
	if report.Steps > 20*report.Ops || report.MostSteps > defaultSteps/10 {
		t.Errorf("%d steps, most %d", report.Steps, report.MostSteps)
	}
}
