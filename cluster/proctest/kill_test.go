package proctest_test

import (
	"fmt"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// The load of the tests below.
const (
	clients = 32
	shared  = 8
	// steady is how many replies every client must get before and after each event.
	steady = 50
)

// TestLeaderKilledUnderLoad kills a leader in each round, and has it come back.
// Clients of the other nodes must see a pause and nothing else. PHONOND_ROUNDS
// sets how many rounds there are.
func TestLeaderKilledUnderLoad(t *testing.T) {
	c := start(t)
	var pauses, returns spread
	var total int64
	for round := range number(t, "PHONOND_ROUNDS", 3) {
		victim, led := chooseVictim(t, c, round)
		others := c.Others(victim)
		load, err := proctest.StartLoad(proctest.LoadOptions{
			Name: fmt.Sprintf("kill%d", round), Addrs: addrs(others), Clients: clients, Shared: shared,
		})
		must(t, err)
		must(t, load.Progress(within(t, patience), steady))

		killed := time.Now()
		must(t, victim.Kill())
		for _, group := range led {
			if _, err := others[0].Leader(within(t, patience), group, victim); err != nil {
				t.Error(err)
			}
		}
		progress := load.Progress(within(t, patience), steady)
		back := time.Now()
		must(t, victim.Start())
		must(t, victim.Ready(within(t, patience)))
		if progress == nil {
			progress = load.Progress(within(t, patience), steady)
		}
		end := time.Now()
		if err := load.Stop(); err != nil {
			t.Fatalf("round %d, %s killed: a client of a living node saw: %v", round, victim.ID, err)
		}
		must(t, progress)
		if err := load.Check(victim.RESP); err != nil {
			t.Fatalf("round %d, %s killed: %v", round, victim.ID, err)
		}
		settled(t, c)

		pause, onReturn := load.Pause(killed, back), load.Pause(back, end)
		pauses, returns, total = append(pauses, pause), append(returns, onReturn), total+load.Acked()
		t.Logf("round %d: killed %s, leader of %v: pause %v, %v when it came back, %d increments",
			round, victim.ID, led, pause.Round(time.Millisecond), onReturn.Round(time.Millisecond), load.Acked())
		if pause >= pauseLimit {
			t.Errorf("round %d: a client waited %v", round, pause)
		}
	}
	pauses.log(t, "longest pause of any client after a kill")
	returns.log(t, "longest pause of any client when the node came back")
	t.Logf("%d increments, each of them counted once", total)
}

// chooseVictim returns a leader and the groups it leads: in turn that of either
// region's group, and a node that leads all groups.
func chooseVictim(t *testing.T, c *proctest.Cluster, round int) (victim *proctest.Node, led []string) {
	t.Helper()
	groups, err := c.Nodes()[0].Groups()
	must(t, err)
	if round%3 < 2 {
		victim, err = c.Nodes()[0].Leader(within(t, patience), c.Nodes()[2*(round%3)].Region, nil)
		must(t, err)
	} else {
		votes := map[string]int{}
		for _, g := range groups {
			for _, id := range g.Voters {
				votes[id]++
				if votes[id] == len(groups) {
					victim = c.Node(id)
				}
			}
		}
		if victim == nil {
			t.Fatalf("no node votes in all groups: %v", groups)
		}
		for _, g := range groups {
			must(t, victim.Lead(within(t, patience), g.Name))
		}
	}
	groups, err = victim.Groups()
	must(t, err)
	for _, g := range groups {
		if g.Leader == victim.ID {
			led = append(led, g.Name)
		}
	}
	return victim, led
}

// TestStoppedNodeHandsOver stops leaders as a supervisor does.
func TestStoppedNodeHandsOver(t *testing.T) {
	const stopLimit = 10 * time.Second
	c := start(t)
	var pauses, stops spread
	for round := range number(t, "PHONOND_ROUNDS", 3) {
		victim, led := chooseVictim(t, c, round)
		load, err := proctest.StartLoad(proctest.LoadOptions{
			Name: fmt.Sprintf("stop%d", round), Addrs: addrs(c.Others(victim)), Clients: clients, Shared: shared,
		})
		must(t, err)
		must(t, load.Progress(within(t, patience), steady))

		asked := time.Now()
		code, took, err := victim.Terminate(within(t, patience))
		must(t, err)
		progress := load.Progress(within(t, patience), steady)
		end := time.Now()
		if err := load.Stop(); err != nil {
			t.Fatalf("round %d, %s stopped: a client of another node saw: %v", round, victim.ID, err)
		}
		must(t, progress)
		must(t, load.Check(c.Others(victim)[0].RESP))
		pause := load.Pause(asked, end)
		pauses, stops = append(pauses, pause), append(stops, took)
		t.Logf("round %d: stopped %s, leader of %v: exit code %d after %v, pause %v", round, victim.ID, led, code, took.Round(time.Millisecond), pause.Round(time.Millisecond))
		if code != 0 || took > stopLimit {
			t.Errorf("round %d: exit code %d after %v", round, code, took)
		}
		if pause >= pauseLimit {
			t.Errorf("round %d: a client waited %v", round, pause)
		}
		must(t, victim.Start())
		must(t, victim.Ready(within(t, patience)))
		settled(t, c)
	}
	pauses.log(t, "longest pause of any client when a node is stopped")
	stops.log(t, "time to stop")
}
