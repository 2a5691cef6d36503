package proctest_test

import (
	"testing"

	"phonond/cluster/proctest"
)

// TestLineForALock is a short one of "make waiters".
func TestLineForALock(t *testing.T) {
	r, err := proctest.Line{Waiters: 400, Killed: 100}.Run(within(t, patience), start(t), func(s string) { t.Log(s) })
	must(t, err)
	if r.Granted != 300 || r.OutOfOrder != 0 || r.Ghosts != 0 {
		t.Errorf("%+v", r)
	}
	if r.Entries > 2*int64(r.Granted) {
		t.Errorf("%d entries for %d grants", r.Entries, r.Granted)
	}
}
