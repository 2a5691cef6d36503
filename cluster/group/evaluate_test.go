package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// lines is a language for tests: a script is lines, each a command or "sleep DURATION",
// with KEYS[1] and the last reply $. The last reply is the script's.
type lines struct{}

func (lines) Compile(_, text string) resp.Value {
	if text == "" {
		return resp.Err("ERR nothing to run")
	}
	return resp.Value{}
}

func (lines) Flags(text string) ScriptFlags {
	return ScriptFlags{
		Declared: strings.HasPrefix(text, "#"), NoWrites: strings.HasPrefix(text, "#readonly"), AllowOOM: strings.HasPrefix(text, "#oom"),
	}
}

func (lines) Run(ctx context.Context, call func([][]byte) resp.Value, _, text string, keys, _ [][]byte) (reply resp.Value) {
	for line := range strings.Lines(text) {
		var args [][]byte
		for word := range strings.FieldsSeq(line) {
			word = strings.NewReplacer("KEYS[1]", string(append(keys, nil)[0]), "$", reply.Str).Replace(word)
			args = append(args, []byte(word))
		}
		switch {
		case strings.HasPrefix(line, "#"):
		case string(args[0]) == "sleep":
			d, err := time.ParseDuration(string(args[1]))
			if err != nil {
				return resp.Err("ERR " + err.Error())
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return resp.Err("ERR " + context.Cause(ctx).Error())
			}
		default:
			if reply = call(args); reply.IsError() {
				return reply
			}
		}
	}
	return reply
}

// scripted is a bubble whose groups run scripts.
func scripted(t *testing.T, test func(r *rig)) {
	t.Helper()
	bubble(t, func(r *rig) {
		r.config = func(cfg *Config) { cfg.Scripts = lines{} }
		r.rounds = true
		r.openAll()
		test(r)
	}, "a", "b", "c")
}

// evaluate sends a request with scripts on its way.
func (n *replica) evaluate(req fsm.Request) <-chan result {
	done := make(chan result, 2)
	n.Evaluate(&Evaluation{Request: req, Done: func(replies []resp.Value, err error) { done <- result{replies, err} }})
	return done
}

// slowly is evaluate for a client of its own, so that later requests of the replica's do
// not say that nobody waits for this one.
func (n *replica) slowly(calls ...command.Call) <-chan result {
	n.rig.t.Helper()
	const origin = 1 << 40
	if out := <-n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: origin, Node: n.name}); out.err != nil {
		n.rig.t.Fatal(out.err)
	}
	return n.evaluate(fsm.Request{Kind: fsm.Run, Origin: origin, Seq: 1, Acked: 1, Calls: calls})
}

// eval runs a script with one key.
func (n *replica) eval(text, key string) result {
	return <-n.evaluate(n.request(call("EVAL", text, "1", key)))
}

func TestScriptsThatComeTogetherShareAnEntry(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "0")
		entries, requests := n.stats.entries.Load(), 0
		var all []<-chan result
		for range 200 {
			all = append(all, n.evaluate(n.request(call("EVAL", "INCR KEYS[1]", "1", "k"))))
			requests++
		}
		for i, done := range all {
			if out := <-done; out.err != nil || out.replies[0].Int != int64(i+1) {
				t.Fatalf("script %d: %+v", i, out)
			}
		}
		if used := n.stats.entries.Load() - entries; used > 10 {
			t.Errorf("%d entries for %d scripts", used, requests)
		}
		if n.stats.scriptRetries.Load() != 0 {
			t.Errorf("%d were evaluated again", n.stats.scriptRetries.Load())
		}
		r.level()
	})
}

func TestScriptWithoutEffectsNeedsNoEntry(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "held")
		n.eval("SET KEYS[1] mine NX", "k") // known from here on
		index, _ := n.Digest()
		for range 10 {
			if out := n.eval("SET KEYS[1] mine NX", "k"); out.err != nil || out.replies[0].Kind != resp.Nil {
				t.Fatalf("%+v", out)
			}
		}
		if now, _ := n.Digest(); now != index {
			t.Errorf("%d entries for scripts that changed nothing", now-index)
		}
	})
}

func TestSlowScriptHoldsUpNothingElse(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "1")
		slow := n.slowly(call("EVAL", "GET KEYS[1]\nsleep 500ms\nAPPEND KEYS[1] -$", "1", "k"))
		began := time.Now()
		for i := range 20 {
			n.must("SET", "other", fmt.Sprint(i))
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("twenty commands took %v beside a slow script", took)
		}
		n.must("SET", "k", "2") // what it has read is not so any more
		if out := <-slow; out.err != nil || out.replies[0].Int != 3 {
			t.Fatalf("%+v", out)
		}
		if v := n.must("GET", "k"); v.Str != "2-2" {
			t.Errorf("the script left %q", v.Str)
		}
		if n.stats.scriptRetries.Load() != 1 {
			t.Errorf("it was evaluated again %d times", n.stats.scriptRetries.Load())
		}
	})
}

func TestScriptWhoseKeyIsNeverStillEndsAllTheSame(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "0")
		slow := n.slowly(call("EVAL", "GET KEYS[1]\nsleep 100ms\nSET KEYS[1]-seen $", "1", "k"))
		for {
			select {
			case out := <-slow:
				if out.err != nil {
					t.Fatal(out.err)
				}
				if tries := n.stats.scriptRetries.Load(); tries != patience {
					t.Errorf("it was evaluated again %d times, want %d", tries, patience)
				}
				return
			default:
				n.must("INCR", "k")
				time.Sleep(time.Millisecond) // virtual, as all time here
			}
		}
	})
}

func TestScriptsInATransaction(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "1")
		version := n.machine.Version(0, []byte("k"))
		req := n.request(call("INCR", "k"), call("EVAL", "GET KEYS[1]\nSET copy $", "1", "k"), call("GET", "copy"))
		req.Kind, req.Reads = fsm.Exec, []command.KeyVersion{{Key: []byte("k"), Version: version}}
		out := <-n.evaluate(req)
		if out.err != nil || len(out.replies) != 3 || out.replies[2].Str != "2" {
			t.Fatalf("%+v", out)
		}
		again := n.request(call("EVAL", "SET copy no", "0"))
		again.Kind, again.Reads = fsm.Exec, req.Reads
		if out := <-n.evaluate(again); !errors.Is(out.err, ErrConflict) {
			t.Fatalf("a watched key has changed: %+v", out)
		}
		if v := n.must("GET", "copy"); v.Str != "2" {
			t.Errorf("copy is %q", v.Str)
		}
	})
}

func TestWhatAScriptDrewIsWhatItTakes(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		for i := range 50 {
			n.must("SADD", "k", fmt.Sprint(i))
		}
		for range 50 {
			out := n.eval("SPOP KEYS[1]\nRPUSH drawn $\nGETSET last -\nSET last $", "k")
			if out.err != nil || out.replies[0].IsError() {
				t.Fatalf("%+v", out)
			}
		}
		if left := n.must("SCARD", "k").Int; left != 0 {
			t.Errorf("%d members are left", left)
		}
		drawn := n.must("LRANGE", "drawn", "0", "-1").Elems
		seen := map[string]bool{}
		for _, v := range drawn {
			seen[v.Str] = true
		}
		if len(drawn) != 50 || len(seen) != 50 {
			t.Errorf("%d were drawn, %d of them different", len(drawn), len(seen))
		}
		r.level()
	})
}

func TestScriptIsAskedForAgainAtTheNextLeader(t *testing.T) {
	scripted(t, func(r *rig) {
		first := r.leader()
		first.must("SET", "k", "0")
		req := first.request(call("EVAL", "INCR KEYS[1]", "1", "k"))
		if out := <-first.evaluate(req); out.err != nil {
			t.Fatal(out.err)
		}
		r.crash(first.name)
		next := r.leader()
		done := make(chan result, 1)
		next.Evaluate(&Evaluation{Request: req, Again: true, Done: func(replies []resp.Value, err error) { done <- result{replies, err} }})
		if out := <-done; out.err != nil || out.replies[0].Int != 1 {
			t.Fatalf("the second answer is %+v", out)
		}
		if v := next.must("GET", "k"); v.Str != "1" {
			t.Errorf("it ran twice: %s", v.Str)
		}
	})
}

func TestScriptMayNotDo(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "v")
		for _, tt := range []struct{ text, want string }{
			{"NOSUCH", errScriptUnknown.Str},
			{"EVAL x 0", errScriptForbidden.Str},
			{"GET", errScriptArity.Str},
			{"KEYVERSION k", errScriptForbidden.Str},
			{"#readonly\nSET k w", errScriptReadOnly.Str},
			{"LPUSH k x", resp.ErrWrongType.Str},
			{"SELECT 99", resp.ErrDBIndex.Str},
		} {
			if out := n.eval(tt.text, "k"); out.err != nil || out.replies[0].Str != tt.want {
				t.Errorf("%q: %+v, want %s", tt.text, out, tt.want)
			}
		}
		if out := n.eval("SELECT 3\nSET KEYS[1] there", "k"); out.err != nil {
			t.Error(out.err)
		}
		if v := n.must("GET", "k"); v.Str != "v" {
			t.Errorf("k is %q", v.Str)
		}
	})
}
