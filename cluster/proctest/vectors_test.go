package proctest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// TestRecordedConversations replays what phonon clients said to a real Redis, to
// a node of the second region: first in quiet, then while the lead of every group
// changes once a second, PHONOND_MOVES times. The conversations are those in
// the directory PHONOND_VECTORS; without it, their beginnings in testdata.
func TestRecordedConversations(t *testing.T) {
	c := start(t)
	node := c.Nodes()[2]
	paths := conversations(t)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { t.Logf("%d replies are equal", replay(t, node, path)) })
	}
	t.Run("while leaders change", func(t *testing.T) {
		want := number(t, "PHONOND_MOVES", 4)
		mover := startMover(c)
		deadline := time.Now().Add(patience + time.Duration(2*want)*moveEvery)
		replays, replies := 0, 0
		for ; (mover.least() < want || replays < len(paths)) && time.Now().Before(deadline); replays++ {
			replies += replay(t, node, paths[replays%len(paths)])
		}
		moves := mover.stop()
		t.Logf("%d replays, %d replies are equal, leads moved: %v", replays, replies, moves)
		if replays < len(paths) {
			t.Errorf("only %d replays", replays)
		}
		for _, g := range []string{"system", "us-east-1", "us-west-1"} {
			if moves[g] < want {
				t.Errorf("the lead of group %s moved %d times, not %d", g, moves[g], want)
			}
		}
	})
	settled(t, c)
}

// conversations returns the recorded files.
func conversations(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("PHONOND_VECTORS")
	if dir == "" {
		dir = "testdata"
	}
	paths, err := filepath.Glob(filepath.Join(dir, "phonon-*.jsonl"))
	must(t, err)
	if len(paths) != 3 {
		t.Fatalf("%s: %d conversations, not 3", dir, len(paths))
	}
	return paths
}

// exchange is one line of a conversation: what client Conn asked and got.
type exchange struct {
	Conn  int    `json:"conn"`
	Req   []text `json:"req"`
	Reply any    `json:"reply"`
}

// text is a string, or {"latin1": "..."} for one whose bytes are not ASCII.
type text string

func (s *text) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	str, ok := bytesOf(v)
	*s = text(str)
	if !ok {
		return fmt.Errorf("%s is no string", b)
	}
	return nil
}

func bytesOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case map[string]any:
		latin1, ok := v["latin1"].(string)
		b := make([]byte, 0, len(latin1))
		for _, r := range latin1 {
			b = append(b, byte(r))
		}
		return string(b), ok
	}
	return "", false
}

// replay has the conversation with a node that was emptied before, and returns
// how many replies it compared.
func replay(t *testing.T, node *proctest.Node, path string) (n int) {
	t.Helper()
	empty := dial(t, node.RESP)
	do(t, empty, "FLUSHALL")
	do(t, empty, "SCRIPT", "FLUSH")
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	conns := map[int]*proctest.Conn{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e exchange
		must(t, json.Unmarshal(lines.Bytes(), &e))
		if conns[e.Conn] == nil {
			conns[e.Conn] = dial(t, node.RESP)
		}
		args := make([]string, len(e.Req))
		for i, a := range e.Req {
			args[i] = string(a)
		}
		got, err := conns[e.Conn].Do(args...)
		n++
		if err == nil {
			err = equal(args, e.Reply, got)
		}
		if err != nil {
			t.Fatalf("%s, line %d: %q: %v", filepath.Base(path), n, args, err)
		}
	}
	must(t, lines.Err())
	for _, conn := range conns {
		conn.Close()
	}
	return n
}

// equal compares a reply with the recorded one. The order of some replies is
// free, some are drawn by lot, and of errors the first word counts.
func equal(args []string, want any, got resp.Value) error {
	switch cmd := strings.ToUpper(args[0]); cmd {
	case "SRANDMEMBER":
		if list, ok := want.([]any); ok && len(list) != len(got.Elems) || !ok && (want == nil) != (got.Kind == resp.Nil) {
			return fmt.Errorf("got %v, recorded is %v", got, want)
		}
		return nil
	case "HGETALL", "HKEYS", "SMEMBERS":
		list, ok := want.([]any)
		if !ok || got.Kind != resp.Array {
			break
		}
		step := 1
		if cmd == "HGETALL" {
			step = 2
		}
		a, errA := groupsOf(list, step)
		b, errB := groupsOf(recorded(got).([]any), step)
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			return fmt.Errorf("got %v, recorded is %v", got, want)
		}
		return nil
	}
	a, errA := json.Marshal(firstWord(want))
	b, errB := json.Marshal(firstWord(recorded(got)))
	if errA != nil || errB != nil || string(a) != string(b) {
		return fmt.Errorf("got %s, recorded is %s", b, a)
	}
	return nil
}

// groupsOf returns the elements, step at a time, sorted.
func groupsOf(list []any, step int) ([]string, error) {
	var groups []string
	for group := range slices.Chunk(list, step) {
		b, err := json.Marshal(group)
		if err != nil {
			return nil, err
		}
		groups = append(groups, string(b))
	}
	slices.Sort(groups)
	return groups, nil
}

// recorded returns a reply as the conversations write it.
func recorded(v resp.Value) any {
	switch v.Kind {
	case resp.Simple:
		return map[string]any{"status": v.Str}
	case resp.Error:
		return map[string]any{"error": v.Str}
	case resp.Integer:
		return float64(v.Int)
	case resp.Nil:
		return nil
	case resp.NilArray:
		return map[string]any{"nil": "array"}
	case resp.Array:
		list := make([]any, len(v.Elems))
		for i, e := range v.Elems {
			list[i] = recorded(e)
		}
		return list
	}
	for _, b := range []byte(v.Str) {
		if b >= 0x80 {
			runes := make([]rune, len(v.Str))
			for i := range len(v.Str) {
				runes[i] = rune(v.Str[i])
			}
			return map[string]any{"latin1": string(runes)}
		}
	}
	return v.Str
}

// firstWord cuts the text of an error.
func firstWord(v any) any {
	if m, ok := v.(map[string]any); ok {
		if s, ok := m["error"].(string); ok {
			word, _, _ := strings.Cut(s, " ")
			return map[string]any{"error": word}
		}
	}
	return v
}

// TestComparisonNoticesDifferences holds the comparison to what it must refuse.
func TestComparisonNoticesDifferences(t *testing.T) {
	same := []struct {
		cmd  string
		want string
		got  resp.Value
	}{
		{"GET", `"a"`, resp.Str("a")},
		{"GET", `null`, resp.Null},
		{"SET", `{"status": "OK"}`, resp.OK},
		{"GET", `{"latin1": "\u00e9"}`, resp.Str("\xe9")},
		{"EVALSHA", `{"error": "NOSCRIPT No matching script."}`, resp.Err("NOSCRIPT other words")},
		{"HGETALL", `["a", "1", "b", "2"]`, resp.Strs("b", "2", "a", "1")},
		{"SMEMBERS", `["a", "b"]`, resp.Strs("b", "a")},
		{"SRANDMEMBER", `["a", "b"]`, resp.Strs("c", "a")},
	}
	different := []struct {
		cmd  string
		want string
		got  resp.Value
	}{
		{"GET", `"1"`, resp.Int(1)},
		{"GET", `"a"`, resp.Status("a")},
		{"GET", `null`, resp.NullArray},
		{"EVALSHA", `{"error": "NOSCRIPT No matching script."}`, resp.Err("ERR No matching script.")},
		{"HGETALL", `["a", "1", "b", "2"]`, resp.Strs("a", "2", "b", "1")},
		{"SMEMBERS", `["a", "b"]`, resp.Strs("a")},
		{"LRANGE", `["a", "b"]`, resp.Strs("b", "a")},
		{"SRANDMEMBER", `["a", "b"]`, resp.Strs("a")},
	}
	compare := func(cmd, want string, got resp.Value) error {
		var v any
		must(t, json.Unmarshal([]byte(want), &v))
		return equal([]string{cmd}, v, got)
	}
	for _, c := range same {
		if err := compare(c.cmd, c.want, c.got); err != nil {
			t.Errorf("%s: %v", c.cmd, err)
		}
	}
	for _, c := range different {
		if compare(c.cmd, c.want, c.got) == nil {
			t.Errorf("%s: %v passes for %s", c.cmd, c.got, c.want)
		}
	}
}
