package fsm

import (
	"math"
	"slices"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

func TestBlockTimeout(t *testing.T) {
	for _, tt := range []struct {
		call  string
		ms    int64
		fault string
	}{
		{"BLPOP k 0", 0, ""},
		{"blpop k l 1.5", 1500, ""},
		{"BRPOP k 0.0001", 1, ""},
		{"BRPOP k 1.0001", 1001, ""},
		{"BRPOP k -0.0001", 0, ""},
		{"BLMOVE a b LEFT LEFT 2", 2000, ""},
		{"BRPOPLPUSH a b 3", 3000, ""},
		{"BLMPOP 4 1 k LEFT", 4000, ""},
		{"bzmpop 5 1 k MIN COUNT 7", 5000, ""},
		{"BZPOPMIN k 9e15", 9e18, ""},
		{"BZPOPMAX k 9223372036854775.807", math.MaxInt64, ""},
		{"BZPOPMAX k 9.3e15", 0, "ERR timeout is negative"},
		{"BZPOPMAX k inf", 0, "ERR timeout is negative"},
		{"BLPOP k -1", 0, "ERR timeout is negative"},
		{"BLPOP k x", 0, "ERR timeout is not a float or out of range"},
		{"BLMPOP x 1 k LEFT", 0, "ERR timeout is not a float or out of range"},
	} {
		ms, fault := BlockTimeout(callOf(0, strings.Fields(tt.call)...).Args)
		if ms != tt.ms && tt.fault == "" || fault.Str != tt.fault {
			t.Errorf("%s: %d ms, %q", tt.call, ms, fault.Str)
		}
	}
}

func TestUndoPutsBackWhatACallTook(t *testing.T) {
	for _, tt := range []struct{ make, call, undo string }{
		{"RPUSH k a b c", "BLPOP x k 0", "LPUSH k a"},
		{"RPUSH k a b c", "BRPOP x k 0", "RPUSH k c"},
		{"RPUSH k a b c", "BLMPOP 0 2 x k LEFT COUNT 2", "LPUSH k b a"},
		{"RPUSH k a b c", "BLMPOP 0 1 k right COUNT 9", "RPUSH k a b c"},
		{"RPUSH k a b c", "BLMOVE k dst LEFT LEFT 0", ""},
		{"RPUSH k a b c", "BRPOPLPUSH k dst 0", ""},
		{"RPUSH k a b c", "BLPOP x 0", ""},
		{"RPUSH k a b c", "BZPOPMIN k 0", ""},
		{"ZADD k 1.5 a inf b 0.1 c", "BZPOPMIN k 0", "ZADD k 0.10000000000000001 c"},
		{"ZADD k 1.5 a inf b 0.1 c", "BZPOPMAX k 0", "ZADD k inf b"},
		{"ZADD k 1.5 a inf b 0.1 c", "BZMPOP 0 1 k MIN COUNT 2", "ZADD k 0.10000000000000001 c 1.5 a"},
		{"ZADD k 1.5 a inf b 0.1 c", "BZMPOP 0 1 x MIN COUNT 2", ""},
	} {
		r := newRig(t)
		r.line(tt.make)
		before := r.do("DUMP", "k")
		args := callOf(0, strings.Fields(tt.call)...).Args
		undo := DataCommands().Undo(args, r.line(tt.call))
		var words []string
		for _, a := range undo {
			words = append(words, string(a))
		}
		if got := strings.Join(words, " "); got != tt.undo {
			t.Errorf("%s after %s: undone by %q, want %q", tt.call, tt.make, got, tt.undo)
		}
		if undo != nil {
			r.do(words...)
			wantReply(t, r.do("DUMP", "k"), before)
		}
	}
	if DataCommands().Undo(callOf(0, "BLPOP", "k", "0").Args, resp.NullArray) != nil {
		t.Error("nothing was taken, and it is put back")
	}
}

func TestCallsThatTakeNothingWriteNothing(t *testing.T) {
	r := newRig(t)
	r.do("SET", "s", "v")
	r.do("RPUSH", "l", "a")
	for _, tt := range []struct {
		call string
		want resp.Value
	}{
		{"BLPOP x y 0", resp.NullArray},
		{"BRPOP x s 0", resp.ErrWrongType},
		{"BLMOVE x l LEFT LEFT 0", resp.Null},
		{"BRPOPLPUSH s l 0", resp.ErrWrongType},
		{"BLMPOP 0 2 x y LEFT", resp.NullArray},
		{"BZPOPMIN x l 0", resp.ErrWrongType},
		{"BZMPOP 0 1 x MAX", resp.NullArray},
		{"BLPOP l x", resp.Err("ERR timeout is not a float or out of range")},
	} {
		reply, refused := r.m.Refuse(callOf(0, strings.Fields(tt.call)...))
		if !refused || !equal(reply, tt.want) {
			t.Errorf("%s: %s, refused %v", tt.call, show(reply), refused)
		}
	}
	if _, refused := r.m.Refuse(callOf(0, "BLPOP", "x", "l", "0")); refused {
		t.Error("a call that would be served is refused")
	}
}

func TestSwapdbSwapsDatabasesAndTellsOfIt(t *testing.T) {
	r := newRig(t)
	var told [][2]int
	r.m.cfg.Swapped = func(a, b int) { told = append(told, [2]int{a, b}) }
	r.do("SET", "k", "v", "EX", "10")
	r.do("SWAPDB", "0", "5")
	wantReply(t, r.do("EXISTS", "k"), resp.Int(0))
	wantReply(t, r.call(callOf(5, "TTL", "k")), resp.Int(10))
	r.do("SWAPDB", "3", "3")
	if !slices.Equal(told, [][2]int{{0, 5}}) {
		t.Errorf("told of %v", told)
	}
	checkSound(t, r.m)
}

func TestSortPatterns(t *testing.T) {
	for call, want := range map[string]string{
		"SORT k":                               "",
		"SORT k BY nosort GET # GET x":         "",
		"sort k BY w_* GET {o}_*->f STORE d":   "w_* {o}_*",
		"SORT_RO k GET a* GET *->f* LIMIT 0 1": "a* *",
		"SORT k BY w_*->":                      "w_*->",
		"GET w_*":                              "",
		"SORT":                                 "",
	} {
		var got []string
		for _, p := range SortPatterns(callOf(0, strings.Fields(call)...).Args) {
			got = append(got, string(p))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q", call, got)
		}
	}
}

func TestSortDestinationIsAKey(t *testing.T) {
	table := DataCommands()
	for call, want := range map[string]string{
		"SORT k BY a STORE d":         "k d",
		"SORT k GET STORE":            "k",
		"SORT k STORE a STORE b DESC": "k b",
		"SORT k":                      "k",
	} {
		args := callOf(0, strings.Fields(call)...).Args
		keys, ok := table.Lookup(args).Keys(nil, args)
		var got []string
		for _, k := range keys {
			got = append(got, string(k))
		}
		if !ok || strings.Join(got, " ") != want {
			t.Errorf("%s: %q", call, got)
		}
	}
}
