package main

import (
	"testing"
	"time"
)

// TestRun measures a small group: that nothing is lost on the way is checked by run
// itself.
func TestRun(t *testing.T) {
	o := options{keys: 3000, keySize: 12, valueSize: 5, rate: 500, before: 200 * time.Millisecond, dir: t.TempDir()}
	if err := run(o); err != nil {
		t.Error(err)
	}
	o.keySize = 3
	if err := run(o); err == nil {
		t.Error("keys that cannot all differ were accepted")
	}
}

func TestLatencies(t *testing.T) {
	var l latencies
	if got := l.String(); got != "none" {
		t.Errorf("no latencies print as %q", got)
	}
	for i := range 1001 {
		l = append(l, time.Duration(i)*time.Millisecond)
	}
	if got, want := l.String(), "p50 500ms  p99 990ms  p99.9 999ms  max 1s"; got != want {
		t.Errorf("they print as %q, not %q", got, want)
	}
}
