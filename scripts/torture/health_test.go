package main

import (
	"testing"
	"time"
)

// fourNodes is a cluster of two regions in which all is well.
func fourNodes() *health {
	h := newHealth([]string{"e1", "e2", "w1", "w2"})
	h.setGroups(map[string][]string{"east": {"e1", "e2", "w1"}, "west": {"w1", "w2", "e1"}})
	for _, n := range []string{"e1", "e2", "w1", "w2"} {
		h.setReady(n, true)
	}
	h.setQuiet(false)
	return h
}

func TestWhoOughtToBeServed(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(h *health)
		want string // seats that ought to be served
	}{
		{"all is well", func(h *health) {}, "e1east e1west e2east e2west w1east w1west w2east w2west "},
		{"a voter of both is away", func(h *health) { h.setReady("e1", false) }, "e2east e2west w1east w1west w2east w2west "},
		{"two voters of one are away", func(h *health) { h.setReady("e1", false); h.ail("e2", stopped) }, "w1west w2west "},
		{"a disk is slow", func(h *health) { h.ail("e1", slow) }, "e1east e1west e2east e2west w1east w1west w2east w2west "},
		{"an interface is down", func(h *health) { h.ail("w2", cutOff) }, "e1east e1west e2east e2west w1east w1west "},
		{"the regions are apart", func(h *health) {
			h.drop([]direction{{"e1", "w1"}, {"e1", "w2"}, {"e2", "w1"}, {"e2", "w2"}}, 1)
		}, "e1east e2east w1west w2west "},
		{"one hears nothing", func(h *health) {
			h.drop([]direction{{"e1", "e2"}, {"w1", "e2"}, {"w2", "e2"}}, 1)
		}, "e1east e1west w1east w1west w2east w2west "},
		{"one cannot speak to a possible leader", func(h *health) { h.drop([]direction{{"w2", "e1"}}, 1) },
			"e1east e2east e2west w1east w1west "},
		{"nobody looks", func(h *health) { h.setQuiet(true) }, ""},
		{"a fault is over", func(h *health) {
			h.ail("e1", full)
			h.drop([]direction{{"e1", "e2"}}, 1)
			h.drop([]direction{{"e1", "e2"}}, -1)
			h.recover("e1", full)
		}, "e1east e1west e2east e2west w1east w1west w2east w2west "},
	} {
		h := fourNodes()
		c.harm(h)
		got := ""
		for _, n := range []string{"e1", "e2", "w1", "w2"} {
			for _, g := range []string{"east", "west"} {
				if _, ought := h.since(seat{n, g}); ought {
					got += n + g + " "
				}
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}

func TestServedSinceTheLastChangeForTheBetter(t *testing.T) {
	h := fourNodes()
	first, _ := h.since(seat{"w2", "west"})
	h.ail("e1", stopped) // w2 stays on the side of the majority
	if now, ought := h.since(seat{"w2", "west"}); !ought || now != first {
		t.Errorf("since %v, %v", now, ought)
	}
	h.ail("w2", stopped)
	h.recover("w2", stopped)
	if now, ought := h.since(seat{"w2", "west"}); !ought || !now.After(first) {
		t.Errorf("since %v, %v, first %v", now, ought, first)
	}
}

func TestSilenceAndEndsAreExcused(t *testing.T) {
	h := fourNodes()
	start := time.Now()
	h.ail("e1", stopped)
	if !h.silentSince("e1", time.Now()) || h.silentSince("e2", start) {
		t.Error("a stopped node has to answer, or another one has not")
	}
	h.recover("e1", stopped)
	if !h.silentSince("e1", start) || h.silentSince("e1", time.Now()) {
		t.Error("the silence lasts too short, or too long")
	}
	h.ail("e2", full)
	if h.silentSince("e2", start) {
		t.Error("a node whose disk is full need not answer")
	}
	if len(h.excuses("e2")) == 0 || len(h.excuses("w1")) > 0 {
		t.Error("a node may not end because its disk is full, or another may")
	}
	if h.readySince("w2", time.Time{}) || !h.readySince("w2", time.Now()) {
		t.Error("a node is ready since another time than it said")
	}
}
