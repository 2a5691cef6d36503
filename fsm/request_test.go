package fsm

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// next makes the rig's next request of a kind, of calls that are one line each.
func (r *rig) next(kind RequestKind, lines ...string) Request {
	r.seq++
	req := Request{Kind: kind, Origin: testOrigin, Seq: r.seq}
	for _, line := range lines {
		req.Calls = append(req.Calls, callOf(0, strings.Fields(line)...))
	}
	return req
}

// told is what the outcomes say, one word a request: its replies, or its status.
func told(outcomes []Outcome) (all []string) {
	for _, o := range outcomes {
		word := fmt.Sprint("status ", o.Status)
		if o.Status == Applied || o.Status == Repeated {
			word = ""
			for _, v := range o.Replies {
				word += string(v.Append(nil, 3))
			}
			word = strings.Join(strings.Fields(word), " ")
		}
		all = append(all, word)
	}
	return all
}

func (r *rig) want(outcomes []Outcome, want ...string) {
	r.t.Helper()
	if got := told(outcomes); !reflect.DeepEqual(got, want) {
		r.t.Errorf("got %q, want %q", got, want)
	}
}

var nothingYet = fmt.Sprint("status ", Waiting)

func TestExecDependsOnWhatWasRead(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "1")
	exec := r.next(Exec, "INCR k", "GET k")
	exec.Reads = []command.KeyVersion{{Key: []byte("k"), Version: r.m.Version(0, []byte("k"))}, {Key: []byte("none")}}
	r.want(r.apply(exec), ":2 $1 2")
	r.want(r.apply(exec), ":2 $1 2") // the same again is not done again
	late := r.next(Exec, "INCR k")
	late.Reads = exec.Reads
	version := r.m.Changes()
	r.want(r.apply(late), fmt.Sprint("status ", Conflict))
	if r.m.Changes() != version {
		t.Error("a conflict has changed something")
	}
}

// TestExecSeesWhatIsOnItsWay: what comes and goes in the entry that has the transaction, or
// after it was sent, was not there to be seen when it was sent.
func TestExecSeesWhatIsOnItsWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []string // applied when the transaction is sent
		on     []string // on their way
	}{
		{"it came and goes", []string{"SET k v"}, []string{"DEL k"}},
		{"it comes and goes", nil, []string{"SET k v", "DEL k"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			watched := command.KeyVersion{Key: []byte("k"), Version: uint64(r.do("KEYVERSION", "k").Elems[0].Int)}
			for _, line := range tt.before {
				r.do(strings.Fields(line)...)
			}
			onTheirWay, exec := r.next(Run, tt.on...), r.next(Exec, "INCR k")
			exec.Reads = []command.KeyVersion{watched}
			outcomes := r.apply(onTheirWay, exec)
			if outcomes[1].Status != Conflict {
				t.Errorf("got %q, want a conflict", told(outcomes))
			}
		})
	}
}

func TestExecBoundsItsReplies(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", strings.Repeat("x", 1<<20))
	exec := r.next(Exec)
	for range 40 {
		exec.Calls = append(exec.Calls, callOf(0, "GET", "k"))
	}
	exec.Calls = append(exec.Calls, callOf(0, "SET", "done", "yes"))
	replies, size := r.apply(exec)[0].Replies, int64(0)
	for _, v := range replies {
		size += v.Size()
	}
	if size > execRoom+1<<20 || !equal(replies[39], errExecRoom) || !equal(replies[40], resp.OK) {
		t.Errorf("%d bytes of replies, the last of them %s and %s", size, show(replies[39]), show(replies[40]))
	}
}

func TestEffectsDependOnWhatScriptsRead(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "1")
	effects := r.next(Effects, "SET k 2")
	effects.Replies = []resp.Value{resp.Str("found out")}
	effects.Changes = r.m.Changes()
	other := effects
	other.Seq, other.Changes = r.seq+1, effects.Changes+1
	r.seq++
	r.want(r.apply(other, effects), fmt.Sprint("status ", Conflict), "$9 found out")
	r.want(r.apply(effects), "$9 found out")
	if v := r.do("GET", "k"); v.Str != "2" {
		t.Errorf("k is %q", v.Str)
	}
}

func TestWaitersInAnEntry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		make     string
		requests []string // "W" waits, "R" runs calls, "X" executes them as one, "E" are effects; calls end with ;
		want     []string
	}{
		{"what is there", "RPUSH k a", []string{"W BLPOP k 0"}, []string{"*2 $1 k $1 a"}},
		{"nothing", "", []string{"W BLPOP k 0"}, []string{nothingYet}},
		{"first come, first served", "", []string{"W BLPOP k 0", "W BRPOP k 0", "W BLPOP k 0", "R RPUSH k a b"},
			[]string{"*2 $1 k $1 a", "*2 $1 k $1 b", nothingYet, ":2"}},
		{"between two calls", "", []string{"W BLPOP k 0", "R RPUSH k a; LPOP k; RPUSH k b; LLEN k"},
			[]string{"*2 $1 k $1 a", ":1 _ :1 :1"}},
		{"not within a transaction", "", []string{"W BLPOP k 0", "X RPUSH k a; LPOP k; RPUSH k b; LLEN k"},
			[]string{"*2 $1 k $1 b", ":1 $1 a :1 :1"}},
		{"not within effects", "", []string{"W BLPOP k 0", "E RPUSH k a; LPOP k; RPUSH k b"}, []string{"*2 $1 k $1 b", ""}},
		{"the first key that has any", "", []string{"W BLPOP a b c 0", "X RPUSH c 3; RPUSH b 2"}, []string{"*2 $1 b $1 2", ":1 :1"}},
		{"the wrong type is not for them", "SET s v", []string{"W BLPOP s k 0", "R ZADD k 1 m", "R DEL k; RPUSH k a"},
			[]string{"*2 $1 k $1 a", ":1", ":1 :1"}},
		{"a sorted set", "", []string{"W BZPOPMIN k 0", "W BZMPOP 0 2 j k MAX COUNT 2", "R ZADD k 1 a 2 b 3 c"},
			[]string{"*3 $1 k $1 a ,1", "*2 $1 k *2 *2 $1 c ,3 *2 $1 b ,2", ":3"}},
		{"a chain", "", []string{"W BLPOP c 0", "W BLMOVE b c LEFT LEFT 0", "W BRPOPLPUSH a b 0", "R RPUSH a x"},
			[]string{"*2 $1 c $1 x", "$1 x", "$1 x", ":1"}},
		{"round and round", "", []string{"W BLMOVE a b LEFT LEFT 0", "W BLMOVE b a LEFT LEFT 0", "R RPUSH a x; LLEN a"},
			[]string{"$1 x", "$1 x", ":1 :1"}},
		{"who comes behind", "", []string{"R RPUSH k a", "W BLPOP k 0", "W BLPOP k 0"}, []string{":1", "*2 $1 k $1 a", nothingYet}},
		{"another database", "", []string{"W BLPOP k 0", "R MOVE k 1; SWAPDB 0 1"}, []string{nothingYet, ":0 +OK"}},
		{"where it goes is no list", "SET to v", []string{"W BLMOVE k to LEFT LEFT 0", "R RPUSH k a; LLEN k"},
			[]string{"-WRONGTYPE Operation against a key holding the wrong kind of value", ":1 :1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.make != "" {
				r.line(tt.make)
			}
			var reqs []Request
			for _, text := range tt.requests {
				kind := map[string]RequestKind{"W": Wait, "R": Run, "X": Exec, "E": Effects}[text[:1]]
				reqs = append(reqs, r.next(kind, strings.Split(text[2:], "; ")...))
			}
			r.want(r.apply(reqs...), tt.want...)
			checkSound(t, r.m)
		})
	}
}

func TestWaitIsServedOnce(t *testing.T) {
	r := newRig(t)
	wait := r.next(Wait, "BLPOP k 0")
	push := r.next(Run, "RPUSH k a b")
	stranger := wait
	stranger.Origin++
	unknown := fmt.Sprint("status ", UnknownOrigin)
	r.want(r.apply(stranger, wait), unknown, nothingYet)
	r.want(r.apply(wait, push), "*2 $1 k $1 a", ":2")
	repeated := r.apply(wait)
	r.want(repeated, "*2 $1 k $1 a")
	if repeated[0].Status != Repeated {
		t.Errorf("status %d", repeated[0].Status)
	}
	// A snapshot knows what was answered.
	m, err := Restore(testConfig(), bytes.NewReader(written(t, r.m)))
	if err != nil {
		t.Fatal(err)
	}
	r.m = m
	r.want(r.apply(wait), "*2 $1 k $1 a")
	if _, known := r.m.Replied(testOrigin, wait.Seq); !known {
		t.Error("the reply is not remembered")
	}
	// Who has got the reply says so with a later wait, whatever comes of that.
	later := r.next(Wait, "BLPOP none 0")
	later.Done = []uint64{wait.Seq}
	r.want(r.apply(later), nothingYet)
	if _, known := r.m.Replied(testOrigin, wait.Seq); known {
		t.Error("the reply is remembered")
	}
	if v := r.do("LLEN", "k"); v.Int != 1 {
		t.Errorf("%d elements are left", v.Int)
	}
}

// A fork is as the next entry will find the state: its clocks, and what has expired.
func TestForkIsWhatTheNextEntryFinds(t *testing.T) {
	for _, ahead := range []int64{0, 1, 700, 40_000} {
		r := newRig(t)
		for i := range 2 * reapLimit {
			r.do("SET", fmt.Sprint("k", i), "v", "PX", "500")
		}
		r.clock += 600
		wall := testWall + r.clock + ahead
		f := r.m.Fork(r.clock, wall)
		e := r.entry(r.next(Effects, "SET new v"))
		e.Wall = wall
		f.Try(callOf(0, "SET", "new", "v"))
		if _, err := r.m.Apply(r.m.Index()+1, 1, e); err != nil {
			t.Fatal(err)
		}
		if f.Changes() != r.m.Changes() || f.clock != r.m.clock || f.wall != r.m.wall {
			t.Errorf("changes %d and %d, clocks %d and %d, walls %d and %d", f.Changes(), r.m.Changes(), f.clock, r.m.clock, f.wall, r.m.wall)
		}
	}
}

func TestScriptsAreForgottenInTheOrderInWhichTheyCame(t *testing.T) {
	r := newRig(t)
	big := strings.Repeat("x", maxScriptBytes/4)
	var shas []string
	for i := range 4 {
		text := fmt.Sprint(i, big)
		shas = append(shas, shaOf([]byte(text)))
		r.do("SCRIPT", "LOAD", text)
		if i == 1 { // the order goes through a snapshot
			m, err := Restore(testConfig(), bytes.NewReader(written(t, r.m)))
			if err != nil {
				t.Fatal(err)
			}
			r.m = m
		}
	}
	for i, sha := range shas {
		if _, known := r.m.Script([]byte(sha)); known != (i > 0) {
			t.Errorf("script %d is known: %v", i, known)
		}
	}
	r = newRig(t)
	for i := range maxScripts + 3 {
		r.m.scripts.add(fmt.Sprintf("%040d", i), "x")
	}
	if n := r.m.scripts.len(); n != maxScripts || r.m.scripts.bySHA.has([]byte(fmt.Sprintf("%040d", 2))) {
		t.Errorf("%d are known", n)
	}
}
