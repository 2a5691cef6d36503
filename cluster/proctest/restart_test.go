package proctest_test

import (
	"fmt"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// TestEveryNodeKilledAtOnce kills all nodes under load, and starts them again:
// with the addresses that they had, with new ones for all, and with new ones for
// one of them. Whatever was acknowledged must be there. PHONOND_ROUNDS sets how
// often this is done.
func TestEveryNodeKilledAtOnce(t *testing.T) {
	c := start(t)
	all := c.Nodes()
	var loads []*proctest.Load
	for round := range number(t, "PHONOND_ROUNDS", 1) {
		for _, restart := range []struct {
			name  string
			kill  []*proctest.Node
			moved []*proctest.Node
		}{
			{"with the same addresses", all, nil},
			{"with new addresses for all", all, all},
			{"with a new address for one of them", all, all[:1]},
			{"with a new address for one while the others run", all[len(all)-1:], all[len(all)-1:]},
		} {
			load, err := proctest.StartLoad(proctest.LoadOptions{
				Name: fmt.Sprintf("all%d %s", round, restart.name), Addrs: addrs(all), Clients: clients, Shared: shared,
			})
			must(t, err)
			loads = append(loads, load)
			must(t, load.Progress(within(t, patience), steady))
			must(t, c.Kill(restart.kill...))
			if err := load.Stop(); err == nil {
				t.Fatal("no client saw that its node was killed")
			}
			must(t, c.Move(restart.moved...))
			began := time.Now()
			must(t, c.Start(within(t, patience)))
			ready := time.Since(began)
			for _, n := range all {
				for _, load := range loads {
					if err := load.Check(n.RESP); err != nil {
						t.Fatalf("restarted %s: by %s: %v", restart.name, n.ID, err)
					}
				}
			}
			settled(t, c)
			t.Logf("round %d, %s: ready after %v, %d increments kept", round, restart.name, ready.Round(time.Millisecond), load.Acked())
		}
	}
}
