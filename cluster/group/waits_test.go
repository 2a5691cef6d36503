package group

import (
	"slices"
	"testing"

	"phonond/redisproto/command"
)

func TestSwappedDatabasesAreOfferedToThoseWhoWait(t *testing.T) {
	w := &waits{}
	for db, key := range []string{"a", "b", "c"} {
		args := [][]byte{[]byte("BLPOP"), []byte(key), []byte("0")}
		w.add(&Wait{Origin: 1, Seq: uint64(db), Call: command.Call{DB: db, Args: args}}, false)
	}
	w.changed(2, "c")
	w.swapped(0, 2)
	slices.SortFunc(w.ready, func(a, b waitKey) int { return a.db - b.db })
	if want := []waitKey{{0, "a"}, {2, "c"}}; !slices.Equal(w.ready, want) {
		t.Fatalf("ready are %v, want %v", w.ready, want)
	}
}
