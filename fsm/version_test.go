package fsm

import (
	"bytes"
	"testing"

	"phonond/redisproto/command"
)

// TestWatchedKeyThatCameAndWent: a key that was not there when it was watched and is not
// there now may have been there in between.
func TestWatchedKeyThatCameAndWent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls []command.Call
		same  bool
	}{
		{"nothing happened", nil, true},
		{"other keys changed", []command.Call{callOf(0, "INCR", "other"), callOf(0, "DEL", "third")}, true},
		{"it came", []command.Call{callOf(0, "SET", "k", "v")}, false},
		{"it came and was deleted", []command.Call{callOf(0, "SET", "k", "v"), callOf(0, "DEL", "k")}, false},
		{"it came and was emptied", []command.Call{callOf(0, "RPUSH", "k", "v"), callOf(0, "LPOP", "k")}, false},
		{"it came and all was deleted", []command.Call{callOf(0, "SET", "k", "v"), callOf(0, "FLUSHDB")}, false},
		{"it came to another database", []command.Call{callOf(1, "SET", "k", "v"), callOf(0, "SWAPDB", "0", "1"), callOf(0, "SWAPDB", "0", "1")}, false},
		{"nothing was deleted", []command.Call{callOf(1, "FLUSHDB")}, true},
		{"all of another database was deleted", []command.Call{callOf(1, "SET", "k", "v"), callOf(1, "FLUSHDB")}, true},
		{"its database went elsewhere", []command.Call{callOf(0, "SWAPDB", "0", "1")}, true},
		{"others changed places", []command.Call{callOf(2, "SET", "k", "v"), callOf(0, "SWAPDB", "2", "3")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.do("SET", "third", "v")
			watched := command.KeyVersion{Key: []byte("k"), Version: uint64(r.do("KEYVERSION", "k").Elems[0].Int)}
			r.run(tt.calls...)
			if got := r.m.Unchanged(watched); got != tt.same {
				t.Errorf("unchanged: %v", got)
			}
			m, err := Restore(testConfig(), bytes.NewReader(written(t, r.m)))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Unchanged(watched); got != tt.same {
				t.Errorf("unchanged, by a machine that was restored: %v", got)
			}
		})
	}
}
