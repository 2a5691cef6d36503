package proctest_test

import (
	"errors"
	"testing"

	"phonond/cluster/proctest"
)

// TestLoadNoticesMiscounts holds the judge of the other tests to what it must
// find: an increment too many, one that is lost, and a client that was cut off.
func TestLoadNoticesMiscounts(t *testing.T) {
	c := startRegions(t, []proctest.Region{{Name: "alone", Nodes: 1}})
	node := c.Nodes()[0]
	conn := dial(t, node.RESP)
	run := func(name string) *proctest.Load {
		t.Helper()
		load, err := proctest.StartLoad(proctest.LoadOptions{Name: name, Addrs: addrs(c.Nodes()), Clients: 2, Shared: 1})
		must(t, err)
		must(t, load.Progress(within(t, patience), steady))
		return load
	}

	load := run("meddled")
	do(t, conn, "INCR", "meddled:own:1")
	must(t, load.Progress(within(t, patience), steady))
	if err := load.Stop(); !errors.Is(err, proctest.ErrMiscount) && !errors.Is(err, proctest.ErrStale) {
		t.Errorf("a foreign increment of an own counter: %v", err)
	}

	load = run("sound")
	must(t, load.Stop())
	must(t, load.Check(node.RESP))
	for _, change := range [][2]string{{"DECR", "sound:own:0"}, {"INCR", "sound:own:0"}, {"DECR", "sound:shared:0"}, {"INCR", "sound:shared:0"}} {
		do(t, conn, change[0], change[1])
		if err := load.Check(node.RESP); !errors.Is(err, proctest.ErrMiscount) {
			t.Errorf("%v: %v", change, err)
		}
		undo := map[string]string{"DECR": "INCR", "INCR": "DECR"}[change[0]]
		do(t, conn, undo, change[1])
		must(t, load.Check(node.RESP))
	}

	load = run("rewound")
	do(t, conn, "SET", "rewound:shared:0", "0")
	must(t, load.Progress(within(t, patience), steady))
	must(t, load.Stop())
	if err := load.Check(node.RESP); !errors.Is(err, proctest.ErrMiscount) {
		t.Errorf("a shared counter that began again: %v", err)
	}

	load = run("cut off")
	must(t, node.Kill())
	if load.Stop() == nil {
		t.Error("no client noticed that its node was killed")
	}
}
