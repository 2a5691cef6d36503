package proctest_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// patience bounds every wait of a test. Nothing that works takes so long, on a
// busy machine either.
const patience = 60 * time.Second

// pauseLimit is the longest that a client may wait because a node has died.
const pauseLimit = 5 * time.Second

// twoByTwo is the recommended minimum.
var twoByTwo = []proctest.Region{{Name: "us-east-1", Nodes: 2}, {Name: "us-west-1", Nodes: 2}}

// start runs a cluster of two regions with two nodes each for the length of the
// test, and shows the nodes' logs if it fails. PHONOND_FLAGS are given to every
// node: to find out what a setting does to the figures.
func start(t *testing.T, flags ...string) *proctest.Cluster {
	t.Helper()
	return startRegions(t, twoByTwo, flags...)
}

func startRegions(t *testing.T, regions []proctest.Region, flags ...string) *proctest.Cluster {
	t.Helper()
	flags = append(flags, strings.Fields(os.Getenv("PHONOND_FLAGS"))...)
	c, err := proctest.New(proctest.Options{Program: program, Dir: t.TempDir(), Regions: regions, Flags: flags})
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, n := range c.Nodes() {
			for _, bad := range []string{"DATA RACE", "goroutine "} { // the latter is in every stack
				if _, after, found := strings.Cut(n.Log(), bad); found {
					t.Errorf("node %s: %s%.4000s", n.ID, bad, after)
				}
			}
		}
		if t.Failed() {
			t.Log(c.Logs())
		}
	})
	must(t, c.Start(within(t, patience)))
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within returns a context for one wait.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// dial connects for the length of the test.
func dial(t testing.TB, addr string) *proctest.Conn {
	t.Helper()
	c, err := proctest.Dial(addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// do sends a command that must succeed.
func do(t testing.TB, c *proctest.Conn, args ...string) resp.Value {
	t.Helper()
	v, err := c.Must(args...)
	must(t, err)
	return v
}

// addrs are the nodes' addresses for clients.
func addrs(nodes []*proctest.Node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.RESP
	}
	return list
}

// settled waits until all replicas agree.
func settled(t testing.TB, c *proctest.Cluster) {
	t.Helper()
	if _, err := c.Settled(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}

// number reads a number from the environment.
func number(t testing.TB, name string, fallback int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number above 0", name, s)
	}
	return n
}

// spread describes a distribution.
type spread []time.Duration

func (s spread) log(t *testing.T, what string) {
	t.Helper()
	slices.Sort(s)
	at := func(share float64) time.Duration { return s[int(share*float64(len(s)-1)+0.5)].Round(time.Millisecond) }
	t.Logf("%s: n=%d min=%v median=%v p90=%v max=%v", what, len(s), at(0), at(0.5), at(0.9), at(1))
}
