package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

func TestEndReasonIsThatOfTheLastProcess(t *testing.T) {
	before := `{"level":"ERROR","msg":"fatal: the process ends","error":"input/output error"}` + "\n"
	for _, c := range []struct{ name, log, want string }{
		{"nothing", "", "nothing was logged"},
		{"no error", `{"level":"INFO","msg":"leading"}` + "\n", "nothing was logged"},
		{"an error", `{"level":"ERROR","msg":"a","error":"b"}` + "\n" + `{"level":"ERROR","msg":"c","error":"d"}` + "\nno JSON\n", "c: d"},
		{"an error after the end began", `{"level":"ERROR","msg":"fatal: the process ends","error":"it has hung"}` + "\n" + `{"level":"ERROR","msg":"a","error":"b"}`,
			"fatal: the process ends: it has hung"},
	} {
		file := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(file, []byte(before+c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := endReason(file, int64(len(before))); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestEndsAreExcusedByTheirReason(t *testing.T) {
	const (
		eio     = "fatal: the process ends: group a: writing the log in /d failed: input/output error"
		noStart = "the node cannot start: /d/node.json: sync /d/node.json.tmp: input/output error"
		hangs   = "fatal: the process ends: group a: writing the log in /d has hung for 10s: the disk does not answer"
		noSpace = "fatal: the process ends: group a: trimming the log in /d failed: 1.wal: no space left on device"
	)
	for _, c := range []struct {
		ails        ailment
		why, reason string
		want        bool
	}{
		{failing, "", eio, true},
		{failing, "", noStart, true},
		{failing, "", hangs, false},
		{hung, "", hangs, true},
		{hung, "", eio, false},
		{stopped, "", hangs, true},
		{stopped, "", "nothing was logged", false},
		{full, "", noSpace, true},
		{full, "", eio, false},
		{slow, "", hangs, false},
		{cutOff, "", hangs, false},
		{slow, "terminated", lateStop + ": ", true},
		{slow, "", lateStop + ": ", false},
		{cutOff, "terminated", lateStop + ": ", false},
		{failing, "terminated", eio, true},
	} {
		h := fourNodes()
		h.ail("e1", c.ails)
		for _, node := range []string{"e1", "w2"} {
			k := &keeper{node: &proctest.Node{ID: node}, health: h}
			if want := c.want && node == "e1"; k.excused(c.why, c.reason) != want {
				t.Errorf("%s, %q: %q is excused: %v", c.ails, c.why, c.reason, !want)
			}
		}
		h.recover("e1", c.ails)
		if k := (&keeper{node: &proctest.Node{ID: "e1"}, health: h}); k.excused(c.why, c.reason) != c.want {
			t.Errorf("%s is no excuse any more as soon as it is over", c.ails)
		}
	}
}

func TestTraceOfWhatDoesNotRunIsIdle(t *testing.T) {
	h := fourNodes()
	s := &scene{rig: &rig{health: h}}
	k := &keeper{node: &proctest.Node{ID: "e1"}, health: h}
	if err := s.trace(t.Context(), []*keeper{k}, slow, "delay_enter=1ms", time.Millisecond); !errors.Is(err, errIdle) {
		t.Errorf("%v", err)
	}
	if !h.allWell("e1") {
		t.Error("it is still slow")
	}
}
