package route

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// oneLine is a language for tests: a script is one command, with KEYS[1], or
// "sleep DURATION".
type oneLine struct{}

func (oneLine) Compile(_, text string) resp.Value {
	if text == "" {
		return resp.Err("ERR nothing to run")
	}
	return resp.Value{}
}

func (oneLine) Flags(string) group.ScriptFlags { return group.ScriptFlags{} }

func (oneLine) Run(ctx context.Context, call func([][]byte) resp.Value, _, text string, keys, _ [][]byte) resp.Value {
	var args [][]byte
	for word := range strings.FieldsSeq(text) {
		if word == "KEYS[1]" {
			word = string(keys[0])
		}
		args = append(args, []byte(word))
	}
	if string(args[0]) != "sleep" {
		return call(args)
	}
	d, _ := time.ParseDuration(string(args[1]))
	select {
	case <-time.After(d):
		return resp.OK
	case <-ctx.Done():
		return resp.Err("ERR " + context.Cause(ctx).Error())
	}
}

// increment adds one to a counter by WATCH and EXEC, and reports whether it was done.
func (n *node) increment(t *testing.T, key string, script bool) bool {
	ctx := context.Background()
	watched, fault := n.Watch(ctx, 0, [][]byte{[]byte(key)})
	if fault.IsError() {
		t.Errorf("WATCH: %+v", fault)
		return true
	}
	was, _ := strconv.Atoi(n.do("GET", key).Str)
	next := fmt.Sprint(was + 1)
	todo := calls([]string{"SET", key, next}, []string{"GET", key})
	if script {
		todo = calls([]string{"EVAL", "INCR KEYS[1]", "1", key}, []string{"GET", key})
	}
	switch reply := n.Exec(ctx, watched, todo); {
	case reply.Kind == resp.NilArray:
		return false
	case reply.Kind != resp.Array || reply.Elems[1].Str != next:
		t.Errorf("EXEC: %+v, want %s", reply, next)
	}
	return true
}

// TestNoUpdateIsLost has clients increment the same counter, over links that lose answers
// and deliver requests late.
func TestNoUpdateIsLost(t *testing.T) {
	lossily(t, 10, 9, func(t *testing.T, r *rig, l *lossy) {
		var clients sync.WaitGroup
		r.start("e", "w", "x")
		x, key := r.nodes["x"], r.keyIn("west", 0)
		for i := range 4 {
			clients.Go(func() {
				for range 10 {
					for !x.increment(t, key, i%2 == 0) {
					}
					if v := x.do("EVAL", "INCR KEYS[1]", "1", key); v.IsError() {
						t.Errorf("EVAL: %+v", v)
					}
				}
			})
		}
		clients.Wait()
		l.end(r)
		if v := x.do("GET", key); v.Str != "80" {
			t.Errorf("the counter is %s after 80 increments", v.Str)
		}
	})
}

func TestTransactionsOfSeveralGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		x, ctx := r.nodes["x"], context.Background()
		east, west := r.keyIn("east", 0), r.keyIn("west", 0)
		watched, fault := x.Watch(ctx, 0, [][]byte{[]byte(east)})
		if fault.IsError() {
			t.Fatal(fault.Str)
		}
		if _, fault := x.Watch(ctx, 0, [][]byte{[]byte(east), []byte(west)}); fault.Str != resp.ErrCrossSlot.Str {
			t.Errorf("%+v", fault)
		}
		for what, reply := range map[string]resp.Value{
			"keys of two groups":              x.Exec(ctx, nil, calls([]string{"SET", east, "1"}, []string{"SET", west, "1"})),
			"a watched key of another":        x.Exec(ctx, watched, calls([]string{"SET", west, "1"})),
			"a call that concerns all groups": x.Exec(ctx, nil, calls([]string{"SET", east, "1"}, []string{"FLUSHALL"})),
			"a script for two groups":         x.do("EVAL", "GET KEYS[1]", "2", east, west),
			"patterns of another group":       x.do("SORT", east, "BY", "{"+west+"}*"),
		} {
			if reply.Str != resp.ErrCrossSlot.Str {
				t.Errorf("%s: %+v", what, reply)
			}
		}
		reply := x.Exec(ctx, watched, calls([]string{"SET", east, "1"}, []string{"PEXPIRE", east, "1000000"}, []string{"TIME"}))
		if reply.Kind != resp.Array || len(reply.Elems) != 3 {
			t.Errorf("%+v", reply)
		}
		if reply := x.Exec(ctx, watched, nil); reply.Kind != resp.NilArray {
			t.Errorf("a watched key has changed: %+v", reply)
		}
		before := r.nodes["e"].groups["east"].Status().Requests
		if reply := x.Exec(ctx, nil, calls([]string{"GET", east})); len(reply.Elems) != 1 || reply.Elems[0].Str != "1" {
			t.Errorf("%+v", reply)
		}
		if now := r.nodes["e"].groups["east"].Status().Requests; now != before {
			t.Errorf("a transaction that only reads costs %d requests", now-before)
		}
	})
}

func TestScriptsInAllGroups(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		x := r.nodes["x"]
		east, west := r.keyIn("east", 0), r.keyIn("west", 0)
		text := "INCR KEYS[1]"
		sha := shaOf([]byte(text))
		for _, tt := range []struct {
			call []string
			want string
		}{
			{[]string{"EVALSHA", sha, "1", west}, resp.ErrNoScript.Str},
			{[]string{"EVAL", text, "1", east}, "1"},
			{[]string{"EVALSHA", sha, "1", west}, "1"}, // another group than the one that ran it
			{[]string{"EVALSHA", strings.ToUpper(sha), "1", east}, "2"},
			{[]string{"EVAL", "", "0"}, "ERR nothing to run"},
			{[]string{"EVAL", "INCR " + west, "1", east}, "ERR Script attempted to access a non local key in a cluster node"},
			{[]string{"EVAL_RO", text, "1", east}, "ERR Write commands are not allowed from read-only scripts."},
			{[]string{"SCRIPT", "FLUSH"}, "OK"},
			{[]string{"EVALSHA", sha, "1", west}, resp.ErrNoScript.Str},
			{[]string{"EVAL", text, "1", west}, "2"},
			{[]string{"EVALSHA", sha, "1", east}, "3"},
			{[]string{"SCRIPT", "KILL"}, resp.ErrNotBusy.Str},
		} {
			v := x.do(tt.call...)
			if got := v.Str; got != tt.want && fmt.Sprint(v.Int) != tt.want {
				t.Errorf("%q: %+v, want %s", tt.call, v, tt.want)
			}
		}
	})
}

func TestScriptIsKilledWhereverItRuns(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e", "w", "x")
		done := make(chan resp.Value, 1)
		go func() { done <- r.nodes["x"].do("EVAL", "sleep 9s", "1", r.keyIn("west", 0)) }()
		time.Sleep(time.Second)
		if v := r.nodes["e"].do("SCRIPT", "KILL"); v.Str != "OK" {
			t.Errorf("%+v", v)
		}
		began := time.Now()
		if v := <-done; !strings.Contains(v.Str, "SCRIPT KILL") || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", v, time.Since(began))
		}
	})
}

func TestFrameOfAWaitThatDoesNotWaitIsRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		r.start("e")
		for _, args := range [][]string{{"SET", "k", "v"}, {"NOSUCH"}, {"BLPOP", "k"}} {
			w := wait{origin: 1, seq: 1, since: time.Now()}
			for _, a := range args {
				w.call.Args = append(w.call.Args, []byte(a))
			}
			payload := append(appendString(w.append(nil), "east"), w.request()...)
			got := make(chan answer, 1)
			r.nodes["e"].forwardedWait(&servedWaits{}, frame{frameWait, 1, payload}, func(a answer) { got <- a })
			if a := <-got; a.err != ErrRefused {
				t.Errorf("%q: %+v", args, a)
			}
			for n := range payload {
				r.nodes["e"].forwardedWait(&servedWaits{}, frame{frameWait, 1, payload[:n]}, func(a answer) { got <- a })
				if a := <-got; a.err == nil {
					t.Fatalf("%d bytes of it are taken", n)
				}
			}
		}
	})
}
