package proctest_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// TestRecordedConversations replays what phonon clients said to a real Redis, to
// a node of the second region: first in quiet, then while the lead of every group
// changes once a second, PHONOND_MOVES times. The conversations are those in
// the directory PHONOND_VECTORS; without it, their beginnings in testdata.
func TestRecordedConversations(t *testing.T) {
	c := start(t)
	node := c.Nodes()[2]
	paths := conversations(t)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { t.Logf("%d replies are equal", replay(t, node, path)) })
	}
	t.Run("while leaders change", func(t *testing.T) {
		want := number(t, "PHONOND_MOVES", 4)
		mover := startMover(c)
		deadline := time.Now().Add(patience + time.Duration(2*want)*moveEvery)
		replays, replies := 0, 0
		for ; (mover.least() < want || replays < len(paths)) && time.Now().Before(deadline); replays++ {
			replies += replay(t, node, paths[replays%len(paths)])
		}
		moves := mover.stop()
		t.Logf("%d replays, %d replies are equal, leads moved: %v", replays, replies, moves)
		if replays < len(paths) {
			t.Errorf("only %d replays", replays)
		}
		for _, g := range []string{"system", "us-east-1", "us-west-1"} {
			if moves[g] < want {
				t.Errorf("the lead of group %s moved %d times, not %d", g, moves[g], want)
			}
		}
	})
	settled(t, c)
}

// conversations returns the recorded files.
func conversations(t *testing.T) []string {
	t.Helper()
	dir := os.Getenv("PHONOND_VECTORS")
	if dir == "" {
		dir = "testdata"
	}
	paths, err := filepath.Glob(filepath.Join(dir, "phonon-*.jsonl"))
	must(t, err)
	if len(paths) != 3 {
		t.Fatalf("%s: %d conversations, not 3", dir, len(paths))
	}
	return paths
}

// replay empties a node, has the conversation with it, and returns how many replies
// it compared.
func replay(t *testing.T, node *proctest.Node, path string) (n int) {
	t.Helper()
	empty := dial(t, node.RESP)
	do(t, empty, "FLUSHALL")
	do(t, empty, "SCRIPT", "FLUSH")
	n, err := proctest.Replay(node.RESP, path)
	must(t, err)
	return n
}
