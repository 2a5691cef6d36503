package route

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/fsm"
	"phonond/redisproto/resp"
)

// release is a lock script that the state machine knows (redsync's).
const release = `
	if redis.call("GET", KEYS[1]) == ARGV[1] then
		return redis.call("DEL", KEYS[1])
	else
		return 0
	end
`

const releaseSHA = "00583931c4e4d483f6233879c133c71ed5393f9d"

func TestCommandsOfSeveralGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		a, b, c := r.keyIn("east", 0), r.keyIn("west", 0), r.keyIn("east", 1)
		want := func(want string, args ...string) {
			t.Helper()
			if got := text(r.nodes["x"].do(args...)); got != want {
				t.Errorf("%v: %s, not %s", args, got, want)
			}
		}
		want("OK", "MSET", a, "1", b, "2", c, "3")
		want("[2 1 3 nil 2]", "MGET", b, a, c, "absent", b)
		want("4", "EXISTS", a, b, c, a)
		want("3", "DBSIZE")
		want("2", "TOUCH", a, b)
		want("CROSSSLOT", "RENAME", a, b)
		want("CROSSSLOT", "MSETNX", a, "1", b, "2")
		want("OK", "RENAME", a, c)
		want("ERR", "MSET", a, "1", b)
		want("2", "DEL", a, b, c)
		want("nil", "RANDOMKEY")
		want("["+"]", "KEYS", "*")
		want("OK", "MSET", a, "1", b, "2")
		if v := r.nodes["x"].do("RANDOMKEY"); v.Str != a && v.Str != b {
			t.Errorf("RANDOMKEY: %+v", v)
		}
		want("OK", "FLUSHALL")
		want("0", "DBSIZE")
	})
}

// text is a reply as a short text; of an error the prefix.
func text(v resp.Value) string {
	switch v.Kind {
	case resp.Nil:
		return "nil"
	case resp.Integer:
		return strconv.FormatInt(v.Int, 10)
	case resp.Array:
		var parts []string
		for _, e := range v.Elems {
			parts = append(parts, text(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case resp.Error:
		prefix, _, _ := strings.Cut(v.Str, " ")
		return prefix
	}
	return v.Str
}

// TestScanGoesThroughAllGroups: every key once, with cursors that fit a client's
// unsigned 64 bits.
func TestScanGoesThroughAllGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		x := r.nodes["x"]
		var keys []string
		for i := range 40 {
			keys = append(keys, r.keyIn("east", i), r.keyIn("west", i))
			x.do("SET", keys[2*i], "v")
			x.do("SET", keys[2*i+1], "v")
		}
		var found []string
		cursor, pages := "0", 0
		for {
			v := x.do("SCAN", cursor, "COUNT", "7")
			if v.Kind != resp.Array || len(v.Elems) != 2 {
				t.Fatalf("SCAN %s: %+v", cursor, v)
			}
			for _, e := range v.Elems[1].Elems {
				found = append(found, e.Str)
			}
			pages++
			if cursor = v.Elems[0].Str; cursor == "0" {
				break
			}
		}
		slices.Sort(keys)
		slices.Sort(found)
		if !slices.Equal(keys, found) || pages < 10 {
			t.Errorf("%d keys on %d pages, not %d", len(found), pages, len(keys))
		}
		for _, bad := range []string{"x", "99999999999999999999"} {
			if v := x.do("SCAN", bad); !v.IsError() {
				t.Errorf("SCAN %s: %+v", bad, v)
			}
		}
		// What fits on a page is not scattered over several.
		if v := x.do("SCAN", "", "COUNT", "1000"); text(v.Elems[0]) != "0" || len(v.Elems[1].Elems) != len(keys) {
			t.Errorf("SCAN COUNT 1000: cursor %s and %d keys", text(v.Elems[0]), len(v.Elems[1].Elems))
		}
		if v := x.do("SCAN", strconv.FormatUint(7<<fsm.CursorBits, 10)); text(v) != "[0 []]" {
			t.Errorf("a cursor beyond the last group: %+v", v)
		}
	})
}

// TestScriptIsKnownEverywhere: as on the one server that Redis is.
func TestScriptIsKnownEverywhere(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		a, b := r.keyIn("east", 0), r.keyIn("west", 0)
		x, e := r.nodes["x"], r.nodes["e"]
		if v := x.do("EVALSHA", releaseSHA, "1", a, "t"); text(v) != "NOSCRIPT" {
			t.Errorf("EVALSHA of nothing: %+v", v)
		}
		if v := x.do("EVAL", release, "1", a, "t"); text(v) != "0" {
			t.Errorf("EVAL: %+v", v)
		}
		for _, n := range []*node{x, e} {
			if v := n.do("EVALSHA", releaseSHA, "1", b, "t"); text(v) != "0" {
				t.Errorf("EVALSHA in the other group: %+v", v)
			}
			if v := n.do("SCRIPT", "EXISTS", releaseSHA, strings.Repeat("0", 40)); text(v) != "[1 0]" {
				t.Errorf("SCRIPT EXISTS: %+v", v)
			}
		}
		if v := x.do("SCRIPT", "FLUSH"); text(v) != "OK" {
			t.Errorf("SCRIPT FLUSH: %+v", v)
		}
		if v := x.do("SCRIPT", "EXISTS", releaseSHA); text(v) != "[0]" {
			t.Errorf("SCRIPT EXISTS after FLUSH: %+v", v)
		}
		x.do("EVAL", release, "1", b, "t")
		if v := x.do("EVALSHA", releaseSHA, "1", a, "t"); text(v) != "0" {
			t.Errorf("EVALSHA after FLUSH and EVAL: %+v", v)
		}
	})
}

// TestScriptDoesNotWaitForOtherGroups: a region that is lost must not take the locks
// of another with it.
func TestScriptDoesNotWaitForOtherGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "x") // nobody has group west
		x, key := r.nodes["x"], r.keyIn("east", 0)
		for i, most := range []time.Duration{2 * time.Second, 0, 0} {
			x.do("SET", key, "t")
			began := time.Now()
			v := x.do("EVAL", release, "1", key, "t")
			if took := time.Since(began); text(v) != "1" || took > most {
				t.Errorf("EVAL %d: %+v after %v", i, v, took)
			}
		}
	})
}
