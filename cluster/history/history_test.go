package history

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// redisError is an error reply as go-redis returns it.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		reply resp.Value
		err   error
		want  Outcome
	}{
		{resp.OK, nil, Answered},
		{resp.Null, nil, Answered},
		{resp.ErrWrongType, nil, Answered},
		{resp.ErrNotInteger, nil, Answered},
		{resp.ErrInternal, nil, Answered}, // a defect, which no model explains
		{resp.Err("MOVED 1 127.0.0.1:1"), nil, Answered},
		{resp.Value{}, nil, Unknown},
		{resp.Err("TIMEOUT outcome unknown: group eu did not answer"), nil, Unknown},
		{resp.Err("CLUSTERDOWN group eu has no leader"), nil, Refused},
		{resp.Err("TRYAGAIN group eu has too many requests waiting"), nil, Refused},
		{resp.Err("LOADING phonond is starting"), nil, Refused},
		{resp.Err("READONLY region fenced"), nil, Refused},
		{resp.Err("MISCONF the disks of group eu are full"), nil, Refused},
		{resp.ErrNoScript, nil, Refused},
		{resp.ErrNoAuth, nil, Refused},
		{resp.Err("ERR the leader of group eu does not know this command, is it of another version? Nothing was applied"), nil, Refused},
		{resp.Err("ERR the replies to this pipeline are larger than 64 MiB together and were dropped"), nil, Unknown},
		{resp.Err("TIMEOUTS"), nil, Answered},
		{resp.Value{}, io.EOF, Unknown},
		{resp.Value{}, &net.OpError{Op: "read", Err: errors.New("reset")}, Unknown},
		{resp.Value{}, &net.OpError{Op: "write", Err: errors.New("reset")}, Unknown},
		{resp.Value{}, fmt.Errorf("client: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), Refused},
		{resp.Value{}, fmt.Errorf("no node: %w", ErrNotSent), Refused},
		{resp.Value{}, redisError("CLUSTERDOWN group eu has no leader"), Refused},
		{resp.Value{}, redisError("TIMEOUT outcome unknown"), Unknown},
		{resp.Value{}, redisError("WRONGTYPE Operation against"), Answered},
		{resp.Value{}, redisError("redis: nil"), Answered},
	} {
		if got := Classify(tt.reply, tt.err); got != tt.want {
			t.Errorf("%+v, %v: %v, not %v", tt.reply, tt.err, got, tt.want)
		}
	}
}

// TestRepliesOfGoRedis: what the library makes of a reply is the same text as the
// reply itself, in either protocol.
func TestRepliesOfGoRedis(t *testing.T) {
	score := resp.Value{Kind: resp.Double, Str: "3"}
	for _, tt := range []struct {
		command string
		result  any
		err     error
		same    []resp.Value
	}{
		{"SET", "OK", nil, []resp.Value{resp.OK}},
		{"GET", nil, redisError("redis: nil"), []resp.Value{resp.Null, resp.NullArray}},
		{"GET", nil, redisError("WRONGTYPE x"), []resp.Value{resp.Err("WRONGTYPE x")}},
		{"INCR", int64(5), nil, []resp.Value{resp.Int(5)}},
		{"SISMEMBER", true, nil, []resp.Value{resp.Int(1)}},
		{"ZINCRBY", 3.0, nil, []resp.Value{score, resp.Str("3")}},
		{"MGET", []any{"a", nil}, nil, []resp.Value{resp.List(resp.Str("a"), resp.Null)}},
		{"HGETALL", map[any]any{"f": "v", "g": "w"}, nil, []resp.Value{
			resp.Pairs(resp.Str("g"), resp.Str("w"), resp.Str("f"), resp.Str("v")), resp.Strs("f", "v", "g", "w"),
		}},
		{"ZRANGE", []any{[]any{"m", 3.0}}, nil, []resp.Value{resp.Twos(resp.Str("m"), score), resp.Strs("m", "3")}},
		{"SMEMBERS", []any{"b", "a"}, nil, []resp.Value{{Kind: resp.Set, Elems: []resp.Value{resp.Str("a"), resp.Str("b")}}}},
	} {
		v, err := FromRedis(tt.result, tt.err)
		if err != nil {
			t.Errorf("%s: %v", tt.command, err)
		}
		for _, same := range tt.same {
			if got, want := textOf(tt.command, v), textOf(tt.command, same); got != want {
				t.Errorf("%s: %s is not %s", tt.command, got, want)
			}
		}
	}
	if _, err := FromRedis(nil, io.EOF); err != io.EOF {
		t.Error("a broken connection became a reply")
	}
	if textOf("LRANGE", resp.Strs("a", "b")) == textOf("LRANGE", resp.Strs("b", "a")) {
		t.Error("the order of a list does not count")
	}
	if textOf("GET", resp.Str("1")) == textOf("GET", resp.Int(1)) || textOf("GET", resp.Str("nil")) == textOf("GET", resp.Null) {
		t.Error("a string is taken for something else")
	}
}

// TestRecorderKeepsTheOrderOfOneInstant: in virtual time the clock stands still
// while things happen one after the other.
func TestRecorderKeepsTheOrderOfOneInstant(t *testing.T) {
	r := NewRecorder(func() time.Duration { return time.Second })
	for range 2 {
		v, err := r.Do(1, "n", []string{"GET", "k"}, func(args ...string) (resp.Value, error) {
			return resp.Str(args[1]), nil
		})
		if v.Str != "k" || err != nil {
			t.Fatal(v, err)
		}
	}
	ops := r.Ops()
	if !(time.Second <= ops[0].Call && ops[0].Call < ops[0].Return && ops[0].Return < ops[1].Call) {
		t.Errorf("%v", ops)
	}
}

func TestRecorderKeepsWhatBecameOfAPipeline(t *testing.T) {
	r := NewRecorder(func() time.Duration { return 0 })
	commands := [][]string{{"GET", "a"}, {"GET", "b"}, {"GET", "c"}}
	replies, err := r.Pipeline(1, "n", commands, func([][]string) ([]resp.Value, error) {
		return []resp.Value{resp.Str("1"), resp.Err("TRYAGAIN later")}, resp.ErrProtocol
	})
	if len(replies) != 2 || err != resp.ErrProtocol {
		t.Fatal(replies, err)
	}
	commands[0][1] = "changed"
	ops := r.Ops()
	if ops[0].Outcome != Answered || ops[0].Args[1] != "a" || ops[1].Outcome != Refused || ops[2].Outcome != Unknown || !ops[2].Garbled || ops[0].Garbled {
		t.Errorf("%v", ops)
	}
	if ops[0].Batch == 0 || ops[0].Batch != ops[2].Batch || ops[0].Return != ops[2].Return {
		t.Errorf("%v", ops)
	}
	if _, err := r.Pipeline(1, "n", commands, func([][]string) ([]resp.Value, error) { return nil, nil }); err == nil {
		t.Error("replies are missing, and that is no error")
	}
	if r.Ops()[3].Batch == ops[0].Batch {
		t.Error("two pipelines with one number")
	}
}

// TestRecorderKnowsWhoWaits: and many may record at once.
func TestRecorderKnowsWhoWaits(t *testing.T) {
	r := NewRecorder(func() time.Duration { return 0 })
	var running sync.WaitGroup
	asked, answer := make(chan bool), make(chan bool)
	for i := range 10 {
		running.Go(func() {
			r.Do(i, "n", []string{"GET", "k"}, func(...string) (resp.Value, error) {
				asked <- true
				<-answer
				return resp.Null, nil
			})
		})
	}
	for range 10 {
		<-asked
	}
	waits := func(op Op) bool { return op.Return == Never && op.Outcome == Unknown && op.Err != "" }
	if ops := r.Ops(); len(ops) != 10 || !waits(ops[0]) || !waits(ops[9]) {
		t.Errorf("%v", ops)
	}
	close(answer)
	running.Wait()
	if slices.ContainsFunc(r.Ops(), waits) {
		t.Errorf("%v", r.Ops())
	}
}
