package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
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

// What comes while the log waits for a script is not stamped with the time at which that
// began: locks would end before their holders reckon.
func TestNothingIsStampedBeforeItCame(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "held", "1", "PX", "1000")
		held := n.nextDeadline.Load()
		patient := make(chan result, 1)
		n.Evaluate(&Evaluation{
			Request: n.request(call("EVAL", "sleep 50ms\nSET KEYS[1] 1", "1", "k")), tries: patience,
			Done: func(replies []resp.Value, err error) { patient <- result{replies, err} },
		})
		time.Sleep(25 * time.Millisecond)
		now := n.lead.Load().now()
		left := n.submit(n.request(call("PTTL", "held")))
		n.must("SET", "short", "1", "PX", "100")
		if from := n.nextDeadline.Load() - 100; from < now {
			t.Errorf("a time to live began %d ms before it was asked for", now-from)
		}
		if out := <-left; out.err != nil || out.replies[0].Int > held-now {
			t.Errorf("PTTL says %+v, where %d ms are left", out, held-now)
		}
		if out := <-patient; out.err != nil {
			t.Error(out.err)
		}
	})
}

// TestScriptIsNotStoppedInItsMiddle: a disk without room keeps it from writing, but not
// from going on to.
func TestScriptIsNotStoppedInItsMiddle(t *testing.T) {
	bubble(t, func(r *rig) {
		s := withSpace(r)
		space := r.config
		r.config = func(cfg *Config) {
			space(cfg)
			cfg.Scripts = lines{}
		}
		r.openAll()
		n := r.leader()
		n.must("SET", "k", "v")
		s.all(SpaceLow)
		if out := n.eval("SET KEYS[1] w", "k"); out.err != nil || !strings.HasPrefix(out.replies[0].Str, "MISCONF") {
			t.Errorf("a script that begins to write: %+v", out)
		}
		if out := n.eval("GETDEL KEYS[1]\nSET KEYS[1]-moved $", "k"); out.err != nil || out.replies[0].IsError() {
			t.Errorf("a script that has written: %+v", out)
		}
		if v, err := n.get("k-moved"); err != nil || v.Str != "v" {
			t.Errorf("half of a script was done: %+v, %v", v, err)
		}
	}, "a", "b", "c")
}

// TestScriptsWaitInPeace: no majority takes an entry, a key is due, and scripts wait for
// what is on its way. The leader must not turn in circles meanwhile, and time goes on.
func TestScriptsWaitInPeace(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "1")
		n.must("SET", "short", "1", "PX", "50")
		for _, s := range r.servers {
			if name := string(s.ID); name != n.name {
				r.disks[name].stall()
			}
		}
		write := n.submit(n.request(call("INCR", "k")))
		r.wait("an entry is on its way", func() bool { return !n.queue.drained() })
		script := n.evaluate(n.request(call("EVAL", "INCR KEYS[1]", "1", "k")))
		time.Sleep(3 * clockEvery)
		for _, d := range r.disks {
			d.repair()
		}
		<-write
		<-script // whatever became of them
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
			{"KEYVERSION k", errScriptUnknown.Str},
			{"MULTI", errScriptForbidden.Str},
			{"MULTI x", errScriptArity.Str},
			{"CLIENT", errScriptArity.Str},
			{"CLIENT ID", errScriptForbidden.Str},
			{"SCRIPT DEBUG NO", errScriptForbidden.Str},
			{"SCRIPT DEBUG", errScriptArity.Str},
			{"client nosuch", errScriptUnknown.Str},
			{"CONFIG SET a", errScriptArity.Str},
			{"#readonly\nSET k w", errScriptReadOnly.Str},
			{"#readonly\nPUBLISH c m", errScriptReadOnly.Str},
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

func TestWhoWaitsIsServedBetweenTwoScripts(t *testing.T) {
	waitRig(t, func(r *rig, n *replica) {
		w := n.waitFor(1, "BLPOP", "k", "0")
		push, pop := n.evaluate(n.request(call("EVAL", "RPUSH KEYS[1] a\nRPUSH KEYS[1] b", "1", "k"))), n.evaluate(n.request(call("EVAL", "LPOP KEYS[1]", "1", "k")))
		if out := <-push; out.err != nil || out.replies[0].Int != 2 {
			t.Fatalf("%+v", out)
		}
		if out := <-pop; out.err != nil || out.replies[0].Str != "b" {
			t.Fatalf("%+v", out)
		}
		w.want(t, "a")
		if n.stats.scriptRetries.Load() != 0 {
			t.Errorf("%d were evaluated again", n.stats.scriptRetries.Load())
		}
	})
}

func TestScriptsEndWithTheGroup(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "1")
		slow := n.slowly(call("EVAL", "SET KEYS[1] 2\nsleep 1h\nSET KEYS[1] 3", "1", "k"))
		time.Sleep(time.Second)
		began := time.Now()
		r.crash(n.name)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v to stop", took)
		}
		if out := <-slow; out.err == nil {
			t.Errorf("%+v", out)
		}
		if v := r.leader().must("GET", "k"); v.Str != "1" {
			t.Errorf("a script that was cut off left %q", v.Str)
		}
	})
}

func TestKilledScriptHasNoEffect(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "1")
		if killed := n.KillScripts(); killed != 0 {
			t.Errorf("%d were killed", killed)
		}
		for _, kind := range []fsm.RequestKind{fsm.Run, fsm.Exec} {
			req := n.request(call("INCR", "k"), call("EVAL", "SET KEYS[1] x\nsleep 1h\nSET KEYS[1] 3", "1", "k"), call("INCR", "k"))
			req.Kind = kind
			slow := n.evaluate(req)
			r.wait("the script to run for long", func() bool { return n.KillScripts() > 0 })
			out := <-slow
			if out.err != nil || out.replies[1].Str != "ERR "+errKilled.Error() {
				t.Fatalf("%+v", out)
			}
			if last := out.replies[2]; kind == fsm.Run && last.Kind != resp.None || kind == fsm.Exec && last.Str != out.replies[1].Str {
				t.Errorf("behind it: %+v", last)
			}
		}
		if v := n.must("GET", "k"); v.Str != "3" {
			t.Errorf("k is %q", v.Str)
		}
		r.level()
	})
}

// A script that went on beside the log while the lead was lost and won again has seen a
// state that may never have been.
func TestScriptOfALostLeadIsVoid(t *testing.T) {
	for _, text := range []string{"GET KEYS[1]\nsleep 20s", "GET KEYS[1]\nsleep 20s\nSET KEYS[1] late"} {
		scripted(t, func(r *rig) {
			n := r.leader()
			n.must("SET", "k", "1")
			n.eval(text[:12], "k")
			slow := n.slowly(call("EVAL", text, "1", "k"))
			time.Sleep(time.Second)
			lead := n.lead.Load()
			for n.lead.Load() == lead {
				r.net.Isolate(n.name)
				next := r.leader(n.name)
				next.must("SET", "k", "2")
				r.net.HealAll()
				r.wait("the first to lead again", func() bool {
					if next := r.leader(); next != n {
						next.Transfer(context.Background(), n.name)
						time.Sleep(200 * time.Millisecond)
						return false
					}
					return true
				})
			}
			if out := <-slow; !errors.Is(out.err, ErrNotLeader) {
				t.Errorf("%+v", out)
			}
			if v := n.must("GET", "k"); v.Str != "2" {
				t.Errorf("k is %q", v.Str)
			}
		})
	}
}

func TestScriptsWithoutMemory(t *testing.T) {
	bubble(t, func(r *rig) {
		var full atomic.Bool
		r.config = func(cfg *Config) { cfg.Scripts, cfg.MemoryFull = lines{}, full.Load }
		n := r.open("v")
		r.leader()
		n.must("SET", "k", "v")
		full.Store(true)
		oom := resp.ErrNoMemory.Str
		for _, tt := range []struct{ text, want string }{
			{"SET KEYS[1] w", oom},
			{"GET KEYS[1]", "v"},
			{"DEL none\nSET KEYS[1] x", "OK"}, // no script is stopped in its middle
			{"#declared\nGET KEYS[1]", oom},
			{"#readonly\nGET KEYS[1]", "x"},
			{"#oom\nSET KEYS[1] y", "OK"},
		} {
			if out := n.eval(tt.text, "k"); out.err != nil || out.replies[0].Str != tt.want {
				t.Errorf("%q: %+v, want %s", tt.text, out, tt.want)
			}
		}
		req := n.request(call("SET", "k", "no"), call("EVAL", "GET KEYS[1]", "1", "k"))
		if out := <-n.evaluate(req); !errors.Is(out.err, ErrNoMemory) {
			t.Errorf("%+v", out)
		}
	}, "v")
}

func TestScriptIsBounded(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", strings.Repeat("x", 1<<20))
		if out := n.eval(strings.Repeat("GET KEYS[1]\nRPUSH other $\n", 70), "k"); out.err != nil || out.replies[0].Str != errScriptEffects.Str {
			t.Errorf("what it changes: %v, %.60s", out.err, out.replies[0].Str)
		}
		req := n.request()
		for range 20 {
			req.Calls = append(req.Calls, call("EVAL", "GET KEYS[1]", "1", "k"))
		}
		out := <-n.evaluate(req)
		if out.err != nil || out.replies[10].IsError() || out.replies[19].Str != scriptReplyText {
			t.Errorf("what it answers: %v, %.60s", out.err, out.replies[19].Str)
		}
		r.level()
	})
}

// While others' effects are not yet in the log, what was read of them may never be.
func TestAnswerFromOthersEffectsGoesThroughTheLog(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "0")
		first := n.evaluate(n.request(call("EVAL", "INCR KEYS[1]", "1", "k")))
		second := n.slowly(call("EVAL", "sleep 50ms\nGET KEYS[1]", "1", "k"))
		if out := <-first; out.err != nil {
			t.Fatal(out.err)
		}
		n.must("INCR", "k")
		if out := <-second; out.err != nil || out.replies[0].Str == "" {
			t.Fatalf("%+v", out)
		}
		r.level()
	})
}

func TestConditionalDeadlineIsSetAsFound(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "v", "PX", "60000")
		slow := n.slowly(call("EVAL", "PEXPIRE KEYS[1] 59900 LT\nsleep 5s", "1", "k"))
		if out := <-slow; out.err != nil {
			t.Fatal(out.err)
		}
		if ttl := n.must("PTTL", "k").Int; ttl < 59_000 {
			t.Errorf("%d ms are left of what the script was told it has set", ttl)
		}
	})
}

func TestScriptAmongCommandsThatMoveKeysAbout(t *testing.T) {
	scripted(t, func(r *rig) {
		n := r.leader()
		n.must("SET", "k", "0")
		there := call("SET", "k", "there")
		there.DB = 1
		out := <-n.evaluate(n.request(there, call("SWAPDB", "0", "1"), call("GET", "k"), call("EVAL", "SET copy KEYS[1]", "1", "k")))
		if out.err != nil || out.replies[2].Str != "there" {
			t.Fatalf("%+v", out)
		}
		if again := n.stats.scriptRetries.Load(); again != 0 {
			t.Errorf("it was evaluated again %d times", again)
		}
	})
}
