package main

import (
	"strings"
	"testing"
	"time"
)

func TestSecondsAreCounted(t *testing.T) {
	m := newMeasure()
	start := time.Now()
	s, other := seat{"n", "g"}, seat{"o", "g"}
	m.seat(s)
	m.seat(other)
	long := func(seat) (time.Time, bool) { return start, true }
	for i, step := range []struct {
		last            time.Duration // of the first seat's last write, before the end of the second
		since           func(seat) (time.Time, bool)
		served, seconds int // after it, of both seats
	}{
		{100 * time.Millisecond, long, 1, 2},
		{1100 * time.Millisecond, long, 1, 4}, // the write was in the second before
		{100 * time.Millisecond, func(seat) (time.Time, bool) { return time.Time{}, false }, 1, 4},
		{100 * time.Millisecond, func(seat) (time.Time, bool) { return time.Now().Add(time.Hour), true }, 1, 4},
		{100 * time.Millisecond, long, 2, 6},
	} {
		now := start.Add(time.Duration(i+2) * time.Second)
		m.seat(s).last = now.Add(-step.last)
		m.second(now, step.since)
		if served, seconds := m.availability(); served != step.served || seconds != step.seconds {
			t.Errorf("step %d: %d of %d seconds, not %d of %d", i, served, seconds, step.served, step.seconds)
		}
	}
}

func TestWorstPauseStays(t *testing.T) {
	m := newMeasure()
	m.begin("kill-one")
	m.pause(seat{"a", "g"}, 2*time.Second)
	m.pause(seat{"b", "g"}, time.Second)
	m.begin("clock")
	m.pause(seat{"b", "g"}, time.Minute)
	if f := m.figures("kill-one"); f.pause != 2*time.Second || f.at.node != "a" {
		t.Errorf("%+v", f)
	}
	m.recovered(3 * time.Second)
	m.recovered(time.Second)
	m.recovered(2 * time.Second)
	if f := m.figures("clock"); f.recovery != 3*time.Second || median(f.recoveries) != 2*time.Second {
		t.Errorf("%+v", f)
	}
}

func TestReportNamesWhatWasViolated(t *testing.T) {
	r := &rig{o: options{seed: 42}, began: time.Now(), measure: newMeasure()}
	r.faults = &violations{say: func(string, ...any) {}, first: make(chan struct{})}
	r.leads, r.digests = newLeads(r), newDigests(r)
	if text := r.report(); !strings.Contains(text, "seed 42") || !strings.Contains(text, "no violation") {
		t.Errorf("%s", text)
	}
	r.leads.line("a", []byte(`{"msg":"leading","group":"g","term":3}`))
	r.leads.line("b", []byte(`{"msg":"leading","group":"h","term":3}`))
	if r.faults.any() {
		t.Errorf("%v", r.faults.list)
	}
	r.leads.line("b", []byte(`{"msg":"leading","group":"g","term":3}`))
	r.leads.line("b", []byte("WARNING: DATA RACE\n"))
	for range maxViolations {
		r.faults.add("more")
	}
	text := r.report()
	for _, want := range []string{"VIOLATION 1: group g has two leaders in term 3: a and b", "DATA RACE", "and 2 more"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}
