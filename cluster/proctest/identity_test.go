package proctest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"phonond/cluster/proctest"
)

// TestNodeKeepsItsIdentity starts a node as another one, and without what it
// knew. It must be refused, by itself or by the others, with a message that says
// why, and the others must go on.
func TestNodeKeepsItsIdentity(t *testing.T) {
	c := start(t)
	node := c.Node("us-west-1-2")
	others := c.Others(node)
	moved := fmt.Sprintf("  us-east-1: [%q, %q, %q]\n  us-west-1: [%q]\n", others[0].Cluster, others[1].Cluster, node.Cluster, others[2].Cluster)
	for _, test := range []struct {
		name   string
		spoil  func()
		expect []string
	}{
		{"another id", func() { must(t, node.Configure("somebody", node.Region, "")) },
			[]string{node.DataDir + "/node.json", "us-west-1-2", "somebody", "a data directory of its own"}},
		{"another region", func() { must(t, node.Configure(node.ID, "us-east-1", moved)) },
			[]string{node.DataDir + "/node.json", "us-west-1", "us-east-1", "cannot move between regions"}},
		{"an empty data directory", func() { must(t, os.RemoveAll(node.DataDir)) },
			[]string{node.ID, "another data directory", "Bring the old directory back"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			must(t, node.Kill())
			restore := keep(t, node)
			defer func() {
				must(t, node.Kill())
				restore()
				must(t, node.Configure(node.ID, node.Region, ""))
				must(t, node.Start())
				must(t, node.Ready(within(t, patience)))
				settled(t, c)
			}()
			test.spoil()
			says := refuses(t, node)
			for _, want := range test.expect {
				if !strings.Contains(says, want) {
					t.Errorf("the message does not say %q:\n%s", want, says)
				}
			}
			serves(t, others)
		})
	}
}

// TestDataDirectoryInUse starts a second process with the data directory of one
// that runs, once with the same addresses and once with others. It must be
// refused, and the first must not notice.
func TestDataDirectoryInUse(t *testing.T) {
	c := start(t)
	for _, movedAway := range []bool{false, true} {
		first := c.Node("us-east-1-1")
		second, err := first.Twin(movedAway)
		must(t, err)
		says := refuses(t, second)
		for _, want := range []string{first.DataDir, "in use by another process"} {
			if !strings.Contains(says, want) {
				t.Errorf("the message does not say %q:\n%s", want, says)
			}
		}
		load, err := proctest.StartLoad(proctest.LoadOptions{
			Name: fmt.Sprint("twin", movedAway), Addrs: addrs(c.Nodes()), Clients: clients, Shared: shared,
		})
		must(t, err)
		// With the lead elsewhere, and back, every node has to find the first anew.
		for _, g := range []string{"us-east-1", "us-west-1"} {
			must(t, c.Node("us-west-1-2").Lead(within(t, patience), g))
			must(t, first.Lead(within(t, patience), g))
		}
		must(t, load.Progress(within(t, patience), steady))
		must(t, load.Stop())
		must(t, load.Check(first.RESP))
		settled(t, c)
		for _, n := range c.Nodes() {
			if addr, err := n.AddrOf(first.ID); err != nil || addr != first.Cluster {
				t.Errorf("node %s believes that %s is at %q, not %s: %v", n.ID, first.ID, addr, first.Cluster, err)
			}
		}
	}
}
