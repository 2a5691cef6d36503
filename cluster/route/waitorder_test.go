package route

import (
	"testing"
	"time"

	"phonond/fsm"
)

// What a frame says of a wait's age leaves out its way, which is not equally long for
// all: the order of a node's numbers holds whatever the ages say.
func TestWaitsOfANodeKeepTheirOrder(t *testing.T) {
	var wc waitConns
	conn, now := &servedWaits{}, time.Now()
	frames := uint64(0)
	begun := func(origin, seq uint64, since time.Duration) time.Duration {
		frames++
		at, ok := wc.begun(&fsm.Request{Origin: origin, Seq: seq}, conn, frames, now.Add(since))
		if !ok {
			t.Fatal("a frame of the newest connection is refused")
		}
		return at.Sub(now)
	}
	for _, c := range []struct {
		what        string
		origin, seq uint64
		since, want time.Duration
	}{
		{"the first", 1, 1, 5, 5},
		{"one that seems older, but has the next number", 1, 2, 3, 5},
		{"one of another node", 2, 1, 3, 3},
		{"one that is younger", 1, 4, 8, 8},
		{"an old one that comes late, from another leader", 1, 3, 4, 4},
		{"the same again", 1, 4, 6, 6},
		{"the one after them", 1, 5, 7, 8},
	} {
		if got := begun(c.origin, c.seq, c.since); got != c.want {
			t.Errorf("%s: since %d, want %d", c.what, got, c.want)
		}
	}
	frames = 0
	if _, ok := wc.begun(&fsm.Request{Origin: 1, Seq: 6}, &servedWaits{}, frames, now); ok {
		t.Error("a frame of a connection that has a successor is taken")
	}
}
