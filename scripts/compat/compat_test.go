package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// A server has to be found equal to itself, or the program finds what is not there.
func TestRedisIsLikeItself(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if err := run(t.Context(), []string{"-self", "-n", "800", "-only", k.name, "-seed", "7"}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestComparison(t *testing.T) {
	set := func(list ...string) resp.Value { v := resp.Strs(list...); v.Kind = resp.Set; return v }
	for _, c := range []struct {
		name      string
		rule      *rule
		want, got resp.Value
		equal     bool
	}{
		{"equal", nil, resp.Strs("a", "b"), resp.Strs("a", "b"), true},
		{"order", nil, resp.Strs("a", "b"), resp.Strs("b", "a"), false},
		{"any order", &rule{unordered: 1}, resp.Strs("a", "b"), resp.Strs("b", "a"), true},
		{"twice", &rule{unordered: 1}, resp.Strs("a", "b"), resp.Strs("b", "b"), false},
		{"pairs", &rule{unordered: 2}, resp.Strs("a", "1", "b", "2"), resp.Strs("b", "2", "a", "1"), true},
		{"mixed pairs", &rule{unordered: 2}, resp.Strs("a", "1", "b", "2"), resp.Strs("b", "1", "a", "2"), false},
		{"a set is no array", &rule{unordered: 1}, resp.Strs("a"), set("a"), false},
		{"nil arrays", nil, resp.Null, resp.NullArray, false},
		{"status", nil, resp.Status("OK"), resp.Str("OK"), false},
		{"number", nil, resp.Int(1), resp.Str("1"), false},
		{"error text", nil, resp.Err("ERR a b"), resp.Err("ERR a c"), false},
		{"error in any order", &rule{unordered: 1}, resp.Err("ERR a"), resp.Err("ERR b"), false},
		{"near", &rule{within: 3}, resp.Int(100), resp.Int(98), true},
		{"not near", &rule{within: 3}, resp.Int(100), resp.Int(96), false},
		{"none is not near", &rule{within: 3}, resp.Int(-2), resp.Int(-1), false},
		{"as many", &rule{counted: true}, resp.Strs("a", "b"), resp.Strs("c", "d"), true},
		{"not as many", &rule{counted: true}, resp.Strs("a", "b"), resp.Strs("c"), false},
		{"cursor", &rule{scan: 1}, resp.List(resp.Str("0"), resp.Strs("a", "b")), resp.List(resp.Str("5"), resp.Strs("a", "b")), false},
		{"scan", &rule{scan: 1}, resp.List(resp.Str("0"), resp.Strs("a", "b")), resp.List(resp.Str("0"), resp.Strs("b", "a")), true},
		{"patterns", &rule{messages: true}, resp.List(resp.Strs("pmessage", "a*", "ab", "m"), resp.Strs("pmessage", "*", "ab", "m")),
			resp.List(resp.Strs("pmessage", "*", "ab", "m"), resp.Strs("pmessage", "a*", "ab", "m")), true},
		{"messages", &rule{messages: true}, resp.List(resp.Strs("message", "a", "1"), resp.Strs("message", "a", "2")),
			resp.List(resp.Strs("message", "a", "2"), resp.Strs("message", "a", "1")), false},
	} {
		if equal(c.rule, c.want, c.got) != c.equal {
			t.Errorf("%s: equal is not %v", c.name, c.equal)
		}
	}
}

// Replies in EXEC are compared as those of the commands that were queued.
func TestQueuedCommandsAreComparedByTheirNames(t *testing.T) {
	steps := []step{{args: []string{"MULTI"}}, {args: []string{"KEYS", "*"}}, {args: []string{"LRANGE", "l", "0", "-1"}}, {args: []string{"EXEC"}}}
	outs := func(exec ...resp.Value) []outcome {
		return []outcome{{v: resp.OK}, {v: resp.Status("QUEUED")}, {v: resp.Status("QUEUED")}, {v: resp.List(exec...)}}
	}
	var names []string
	judge(steps, outs(resp.Strs("a", "b"), resp.Strs("a", "b")), outs(resp.Strs("b", "a"), resp.Strs("b", "a")), func(d difference) bool {
		names = append(names, d.name)
		return true
	})
	if !slices.Equal(names, []string{"lrange"}) {
		t.Errorf("differences in %v, not in lrange alone", names)
	}
}

func TestShapes(t *testing.T) {
	d := newDrawer(1)
	d.plain = true
	for range 200 {
		args := d.expand(nil, parse("ZADD zkey < NX , GT|LT > ( CH ) #Lkey"))
		if args[0] != "ZADD" || !strings.HasPrefix(args[1], "{t}") {
			t.Fatalf("%q", args)
		}
		keys := 0
		for _, a := range args[2:] {
			if strings.HasPrefix(a, "{t}L") {
				keys++
			}
		}
		if !slices.Contains(args, []string{"0", "1", "2", "3"}[keys]) {
			t.Fatalf("%q: the count is not %d", args, keys)
		}
	}
	if got := (session{}); drawSession(options{seed: 3}, 5).kind == got.kind {
		t.Error("a session is of no kind")
	}
	a, b := drawSession(options{seed: 3}, 5), drawSession(options{seed: 3}, 5)
	if !slices.EqualFunc(a.steps, b.steps, func(a, b step) bool { return a.op == b.op && slices.Equal(a.args, b.args) }) {
		t.Error("a seed does not decide a session")
	}
}

// What is drawn must not wait for ever where nobody serves it.
func TestCommandsWaitALittleAtMost(t *testing.T) {
	d := newDrawer(0)
	for seed := range uint64(2000) {
		d.Rand = rand.New(rand.NewPCG(seed, 1))
		args := draw(d, waiting).args
		if at := timeoutAt(args); at > 0 && at < len(args) && (args[at] == "0" || args[at] == "1000000") {
			t.Fatalf("%q", args)
		}
	}
}

func TestLinesAreSplitAsRedisCLIDoes(t *testing.T) {
	for line, want := range map[string][]string{
		`SET k v`:            {"SET", "k", "v"},
		`SET  k ""`:          {"SET", "k", ""},
		`SET k "a b\n\x00"`:  {"SET", "k", "a b\n\x00"},
		`SET k 'a "b\' c'`:   {"SET", "k", `a "b' c`},
		`SET k "a\"b" "\\x"`: {"SET", "k", `a"b`, `\x`},
	} {
		got, err := splitLine(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	if _, err := splitLine(`SET "a`); err == nil {
		t.Error("quotes that do not end are taken")
	}
}

// A slice of what "make compat" plays to a node and to two regions.
func TestPhonondIsLikeRedis(t *testing.T) {
	for _, only := range []string{"data", "untagged", "crossslot", "commands"} {
		t.Run(only, func(t *testing.T) {
			if err := run(t.Context(), []string{"-n", "3000", "-only", only, "-seed", "7"}); err != nil {
				t.Error(err)
			}
		})
	}
}
