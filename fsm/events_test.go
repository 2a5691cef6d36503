package fsm

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// hears makes the rig's machine gather all events.
func (r *rig) hears(c EventClass) *rig {
	r.m.cfg.Events = func() EventClass { return c }
	return r
}

// events runs a command and returns what it told, an event a line.
func (r *rig) events(c ...string) string {
	r.t.Helper()
	r.m.TakeEvents()
	r.do(c...)
	return eventLines(r.m.TakeEvents())
}

func eventLines(events []Event) string {
	lines := make([]string, len(events))
	for i, e := range events {
		lines[i] = eventLine(e.DB, e.Name, e.Key)
	}
	return strings.Join(lines, "\n")
}

func eventLine(db int, name, key string) string { return fmt.Sprintf("%d %s %q", db, name, key) }

func TestEventClassesAreWrittenAsRedisDoes(t *testing.T) {
	redis := connect(t, proctest.RunRedis(t), 2)
	const letters = "KEg$lshzxetdmnAAAgq\x00"
	rnd := rand.New(rand.NewPCG(1, 0))
	for range 500 {
		var b strings.Builder
		for range rnd.IntN(14) {
			b.WriteByte(letters[rnd.IntN(len(letters))])
		}
		c, ok := ParseEventClasses(b.String())
		set := redis.must(t, "CONFIG", "SET", "notify-keyspace-events", b.String())
		if ok == set.IsError() {
			t.Fatalf("%q: ok %t, but Redis says %s", b.String(), ok, show(set))
		}
		if !ok {
			continue
		}
		want := redis.must(t, "CONFIG", "GET", "notify-keyspace-events").Elems[1].Str
		if c.String() != want {
			t.Errorf("%q: got %q, want %q", b.String(), c, want)
		}
	}
}

// eventStream is what a real server tells of, through a subscription.
type eventStream struct {
	commands, events redisConn
}

func watchEvents(t *testing.T) *eventStream {
	addr := proctest.RunRedis(t)
	s := &eventStream{connect(t, addr, 2), connect(t, addr, 2)}
	s.commands.must(t, "CONFIG", "SET", "notify-keyspace-events", "AEn")
	s.events.must(t, "PSUBSCRIBE", "__keyevent@*__:*")
	s.events.must(t, "SUBSCRIBE", "done")
	return s
}

// do runs a command and returns the reply, and the events an event a line.
func (s *eventStream) do(t *testing.T, args ...string) (resp.Value, string) {
	t.Helper()
	sent := unwaiting(args)
	replies, err := s.commands.Pipe(append(sent, []string{"PUBLISH", "done", ""}))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for {
		m, err := s.events.Next()
		if err != nil {
			t.Fatal(err)
		}
		if m.Elems[0].Str == "message" {
			return answered(replies[:len(sent)]), strings.Join(lines, "\n")
		}
		db, name, _ := strings.Cut(strings.TrimPrefix(m.Elems[2].Str, "__keyevent@"), "__:")
		n, _ := strconv.Atoi(db)
		lines = append(lines, eventLine(n, name, m.Elems[3].Str))
	}
}

// TestBitfieldThatFailsTellsNothing: the string grows all the same.
func TestBitfieldThatFailsTellsNothing(t *testing.T) {
	r, redis := newRig(t).hears(EventAll|EventNew), watchEvents(t)
	for _, c := range [][]string{
		{"BITFIELD", "b", "OVERFLOW", "FAIL", "INCRBY", "u2", "0", "4"},
		{"BITFIELD", "c", "OVERFLOW", "FAIL", "INCRBY", "u2", "0", "4", "SET", "u2", "2", "1"},
	} {
		_, want := redis.do(t, c...)
		if got := r.events(c...); got != want {
			t.Errorf("%q: events %q, want %q", c, got, want)
		}
	}
}

func TestRandomCommandsTellTheEventsOfRedis(t *testing.T) {
	r := newRig(t).hears(EventAll | EventNew)
	redis := watchEvents(t)
	rnd := rand.New(rand.NewPCG(3, 0))
	bad := 0
	for n := 0; n < *differ/2 && bad < 30; n++ {
		r.clock = time.Now().UnixMilli() - testWall
		if n%2000 == 1999 {
			redis.do(t, "FLUSHALL")
			r.do("FLUSHALL")
		}
		args := draws(rnd, forms[rnd.IntN(len(forms))])
		reply, want := redis.do(t, args...)
		before := r.m.Changes()
		got := r.events(args...)
		if got != "" && r.m.Changes() == before {
			t.Errorf("%q changes nothing, so that nobody would log it, but tells of %s", args, got)
		}
		if got != want {
			bad++
			t.Errorf("%q, answered %s\ngot  %s\nwant %s", args, show(reply), got, want)
		}
	}
}

// Texts of two lock scripts of redis-py.
const (
	acquireText = "\n        if redis.call('setnx', KEYS[1], ARGV[1]) == 1 then\n            if ARGV[2] ~= '' then\n" +
		"                redis.call('pexpire', KEYS[1], ARGV[2])\n            end\n            return 1\n        end\n        return 0\n    "
	releaseText = "\n        local token = redis.call('get', KEYS[1])\n        if not token or token ~= ARGV[1] then\n" +
		"            return 0\n        end\n        redis.call('del', KEYS[1])\n        return 1\n    "
)

// TestDialoguesTellTheEventsOfRedis plays what random commands do not come to. Redis
// tells of a key that has expired when it next looks it up, at the latest then.
func TestDialoguesTellTheEventsOfRedis(t *testing.T) {
	redis := watchEvents(t)
	for _, dialogue := range [][][]string{
		{{"SET", "k", "v", "PXAT", "1"}, {"SET", "k", "w", "EX", "100"}, {"SET", "k", "w", "EXAT", "1", "GET"}, {"EXISTS", "k"}},
		{{"SET", "k", "v", "EX", "100"}, {"SET", "k", "v", "KEEPTTL"}, {"GETEX", "k", "PERSIST"}, {"GETEX", "k", "PERSIST"}, {"GETEX", "k", "PXAT", "1"}},
		{{"SET", "k", "v"}, {"SET", "k", "w", "NX"}, {"SETNX", "k", "w"}, {"SETEX", "k", "9", "v"}, {"PERSIST", "k"}, {"PERSIST", "k"}, {"GETDEL", "k"}},
		{{"SADD", "s", "a"}, {"SADD", "t", "a"}, {"SMOVE", "s", "t", "a"}, {"SMOVE", "t", "s", "a"}, {"SPOP", "s"}},
		{{"RPUSH", "l", "a", "b"}, {"LMOVE", "l", "l", "LEFT", "RIGHT"}, {"RPOPLPUSH", "l", "m"}, {"LMOVE", "l", "m", "LEFT", "LEFT"}, {"LTRIM", "m", "5", "9"}},
		{{"ZADD", "z", "1", "a"}, {"ZINCRBY", "z", "0", "a"}, {"ZADD", "z", "INCR", "2", "a"}, {"ZPOPMAX", "z"}},
		{{"SET", "k", "v"}, {"SUNIONSTORE", "k", "nosuch"}, {"SADD", "s", "a"}, {"SUNIONSTORE", "s", "s"}, {"RENAME", "s", "r"}, {"MOVE", "r", "3"}},
		{{"EVAL", acquireText, "1", "lock", "me", "5000"}, {"EVAL", acquireText, "1", "lock", "you", "5000"}, {"EVAL", releaseText, "1", "lock", "me"}},
		{{"EVAL", acquireText, "1", "lock", "me", ""}, {"EVAL", acquireText, "1", "lock", "me", ""}, {"EVAL", acquireText, "1", "other", "me", "0"}},
	} {
		r := newRig(t).hears(EventAll | EventNew)
		redis.do(t, "FLUSHALL")
		var got, want []string
		for _, args := range dialogue {
			_, told := redis.do(t, args...)
			got, want = append(got, r.events(args...)), append(want, told)
		}
		if g, w := trimmed(got), trimmed(want); g != w {
			t.Errorf("%q\ngot\n%s\nwant\n%s", dialogue, g, w)
		}
	}
}

// trimmed joins lists of lines, some of which are empty.
func trimmed(lists []string) string {
	return strings.Join(strings.Fields(strings.Join(lists, "\n")), " ")
}

func TestEventsOfExpiry(t *testing.T) {
	r := newRig(t).hears(EventAll | EventNew)
	for i := range reapLimit + 2 {
		r.do("SET", benchKey(i), "v", "PX", "10")
	}
	r.clock += 11
	last := benchKey(reapLimit + 1)
	got := strings.Split(r.events("SET", last, "new"), "\n")
	for i := range reapLimit {
		if want := eventLine(0, "expired", benchKey(i)); got[i] != want {
			t.Fatalf("event %d is %s, want %s", i, got[i], want)
		}
	}
	// Two had to wait; one of them was in the way.
	want := eventLine(0, "expired", last) + "\n" + eventLine(0, "new", last) + "\n" + eventLine(0, "set", last)
	if rest := strings.Join(got[reapLimit:], "\n"); rest != want {
		t.Fatalf("got\n%s\nwant\n%s", rest, want)
	}
	r.apply()
	if got, want := eventLines(r.m.TakeEvents()), eventLine(0, "expired", benchKey(reapLimit)); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestEventsAreOnlyThoseOfTheLastEntryThatWereWanted(t *testing.T) {
	r := newRig(t)
	if got := r.events("SET", "k", "v"); got != "" {
		t.Errorf("nobody listens, but it tells of %s", got)
	}
	r.hears(EventGeneric | KeyspaceChannel)
	if got, want := r.events("SET", "k", "v", "EX", "100"), eventLine(0, "expire", "k"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.do("DEL", "k")
	r.apply()
	if got := r.m.TakeEvents(); got != nil {
		t.Errorf("events of an entry before: %v", got)
	}
	r.hears(EventAll | EventNew)
	out := r.run(callOf(0, "SET", "a", "v"), callOf(2, "RPUSH", "b", "v"), callOf(0, "LPUSH", "a", "v"))
	if !out[2].IsError() {
		t.Fatalf("got %s, want an error", show(out[2]))
	}
	want := strings.Join([]string{eventLine(0, "new", "a"), eventLine(0, "set", "a"), eventLine(2, "new", "b"), eventLine(2, "rpush", "b")}, "\n")
	if got := eventLines(r.m.TakeEvents()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s := withScripts(t).hears(EventAll)
	if got, want := s.events("EVALSHA", rsTouchNX, "1", "k", "me", "5000"), eventLine(0, "set", "k")+"\n"+eventLine(0, "expire", "k"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
