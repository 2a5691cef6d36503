package history

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// parse reads a history of lines "client call-return COMMAND = reply", times in ms.
// A reply is OK, nil, an integer, a word, [a list]; ? is an unknown outcome, ! a
// refusal. A call with a batch number, such as 10#1-20, belongs to that pipeline.
func parse(t testing.TB, text string) []Op {
	t.Helper()
	var ops []Op
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, reply, ok := strings.Cut(line, " = ")
		fields := strings.Fields(head)
		if !ok || len(fields) < 3 {
			t.Fatalf("line %q", line)
		}
		op := Op{Node: "n", Args: fields[2:], Client: number(t, fields[0])}
		call, back, _ := strings.Cut(fields[1], "-")
		if at, batch, ok := strings.Cut(call, "#"); ok {
			call, op.Batch = at, number(t, batch)
		}
		op.Call = time.Duration(number(t, call)) * time.Millisecond
		op.Return = time.Duration(number(t, back)) * time.Millisecond
		switch reply {
		case "?":
			op.Outcome, op.Err = Unknown, "connection reset"
		case "!":
			op.Outcome, op.Reply = Refused, resp.Err("CLUSTERDOWN no leader")
		default:
			op.Reply = replyOf(reply)
		}
		ops = append(ops, op)
	}
	return ops
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func replyOf(s string) resp.Value {
	if n, err := strconv.Atoi(s); err == nil {
		return resp.Int(n)
	}
	switch {
	case s == "OK":
		return resp.OK
	case s == "nil":
		return resp.Null
	case strings.HasPrefix(s, "["):
		v := resp.Value{Kind: resp.Array}
		for e := range strings.FieldsSeq(strings.Trim(s, "[]")) {
			v.Elems = append(v.Elems, replyOf(e))
		}
		return v
	case strings.HasPrefix(s, "ERR "), strings.HasPrefix(s, "WRONGTYPE "):
		return resp.Err(s)
	}
	return resp.Str(strings.Trim(s, `"`))
}

// TestLocksThatNeverExpire: once the cluster is left alone they must.
func TestLocksThatNeverExpire(t *testing.T) {
	text := `
		1 0-10 SET l a NX PX 100 = OK
		2 %d-%[1]d GET l = a`
	o := CheckOptions{Healed: 500 * time.Millisecond, Grace: 50 * time.Millisecond}
	for at, violations := range map[int]int{600: 0, 650: 0, 651: 1} {
		if report := Check(parse(t, fmt.Sprintf(text, at)), o); len(report.Violations) != violations {
			t.Errorf("read at %d: %v", at, report.Err())
		}
	}
	late := parse(t, fmt.Sprintf(text, 5000)+`
		1 4000-4010 EVALSHA `+extendSHA+` 1 l a 900 0 = ?`)
	if report := Check(late, o); len(report.Violations) != 1 {
		t.Error("an extension long after its end was taken for one")
	}
}

// TestSlack: clocks that differ a little are allowed for.
func TestSlack(t *testing.T) {
	early := parse(t, `
		1 0-10 SET l a NX PX 10000 = OK
		2 20-9997 SET l b NX PX 100 = OK`)
	for _, tt := range []struct {
		o    CheckOptions
		good bool
	}{
		{CheckOptions{}, false},
		{CheckOptions{Drift: 299}, false},
		{CheckOptions{Drift: 300}, true},
		{CheckOptions{Slack: 2 * time.Millisecond}, false},
		{CheckOptions{Slack: 3 * time.Millisecond}, true},
		{CheckOptions{Drift: 100, Slack: 2 * time.Millisecond}, true},
	} {
		if report := Check(early, tt.o); (len(report.Violations) == 0) != tt.good {
			t.Errorf("%+v: %v", tt.o, report.Err())
		}
	}
}

func TestSingleOperations(t *testing.T) {
	ops := parse(t, `
		1 0-10 SET k a = OK
		1 20-30 PING = "PONG"
		2 0-11001 SET j a = ?
		2 12000-12001 SET j b = ?`)
	ops[3].Return = Never
	o := CheckOptions{MaxDuration: 11 * time.Second}
	report := Check(ops, o)
	if len(report.Violations) != 1 || report.Violations[0].Why != "not answered within 11s" || !strings.Contains(report.Violations[0].Text, "SET j a") {
		t.Errorf("late: %v", report.Err())
	}
	if report.Ops != 4 || report.Keys != 2 || report.Unknowns != 2 || report.Kinds["set"] != (Count{1, 2, 0}) {
		t.Errorf("%+v", report)
	}
	waits := parse(t, `
		1 0-10 SET k a = ?
		2 11500-11501 GET k = nil`)
	waits[0].Return = Never
	if report := Check(waits, o); len(report.Violations) != 1 {
		t.Errorf("a client that still waits: %v", report.Err())
	}
	ops = parse(t, `1 0-10 GET k = ?`)
	ops[0].Garbled = true
	if report := Check(ops, CheckOptions{}); len(report.Violations) != 1 {
		t.Error("a reply that is none is not seen")
	}
	for _, args := range []string{"SPOP s", "SET k v EX 1", "FLUSHALL", "EXPIRE k 1", "SCAN 0", "NOSUCH k", "GET"} {
		if report := Check(parse(t, "1 0-10 "+args+" = 1"), CheckOptions{}); len(report.Violations) != 1 || !strings.Contains(report.Violations[0].Why, "cannot be judged") {
			t.Errorf("%s: %v", args, report.Err())
		}
	}
	if report := Check(parse(t, "1 0-10 SET l a NX PX 5 = OK\n1 20-30 DEL l = 1"), CheckOptions{}); len(report.Violations) != 1 {
		t.Error("DEL of a lock is judged")
	}
}

// TestSearchIsBounded: a history that takes too long is a violation too.
func TestSearchIsBounded(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "%d 0-1 INCRBY n %d = ?\n", i, 1<<i)
	}
	text.WriteString("99 10-20 GET n = \"-1\"\n")
	report := Check(parse(t, text.String()), CheckOptions{MaxSteps: 10_000})
	if len(report.Violations) != 1 || !strings.HasPrefix(report.Violations[0].Why, "not decided") {
		t.Errorf("%+v", report)
	}
	if report.MostSteps > 20_000 {
		t.Errorf("%d steps", report.MostSteps)
	}
}

// TestViolationsCanBeRead: the text names the reply that cannot be, and what should
// be in its place.
func TestViolationsCanBeRead(t *testing.T) {
	report := Check(parse(t, `
		1 0-10 SET k a = OK
		1 20-30 SET k b = OK
		2 35-36 SET k z = ?
		2 40-50 GET k = a
		3 60-70 GET k = b`), CheckOptions{})
	if len(report.Violations) != 1 {
		t.Fatal(report.Violations)
	}
	text := report.Violations[0].String()
	for _, want := range []string{
		`k: no order of the operations explains the replies`,
		`>     0.040000     0.050000  c2@n  GET k -> "a"`,
		`leaves: SET k b`,
		`GET k -> "a", where it should be "b"`,
		`SET k z -> unknown: connection reset`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if strings.Count(text, ">  ") != 1 {
		t.Errorf("more than one reply is marked:\n%s", text)
	}
}

func TestFinalReads(t *testing.T) {
	got := fmt.Sprint(FinalReads(parse(t, `
		1 0-10 SET k a = OK
		1 0-10 GET h = nil
		1 0-10 HSET h f v = 1
		1 0-10 MSET {t}a v {t}b v = ?
		1 0-10 SADD s a = 1
		1 0-10 RPUSH l a = 1
		1 0-10 ZADD z 1 a = 1
		1 0-10 EVALSHA `+releaseSHA+` 1 lock a = 0
		1 0-10 PING = "PONG"`)))
	want := "[[GET k] [HGETALL h] [GET {t}a] [GET {t}b] [SMEMBERS s] [LRANGE l 0 -1] [ZRANGE z 0 -1 WITHSCORES] [GET lock]]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
