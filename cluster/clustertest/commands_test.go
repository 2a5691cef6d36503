package clustertest

import (
	"slices"
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
	"phonond/scripts/compat/differ"
)

// TestEveryCommandOfRedisIsThereOrListed compares the commands of a node with those
// of a real server: what a node does not have is in the list of what is missing, and is
// answered as Redis answers what it has never heard of.
func TestEveryCommandOfRedisIsThereOrListed(t *testing.T) {
	addr := proctest.RunRedis(t)
	list, err := proctest.Ask(addr, "COMMAND", "LIST")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, a := range differ.Missing {
		for _, name := range a.Commands {
			if listed[name] {
				t.Errorf("%s is listed twice", name)
			}
			listed[name] = true
		}
	}
	bubble(t, func(t *testing.T, c *Cluster) {
		c.WaitReady("east-1")
		cl := c.Client("east-1")
		var ours []string
		for _, e := range cl.Do("COMMAND", "LIST").Elems {
			ours = append(ours, e.Str)
		}
		for _, e := range list.Elems {
			container, _, _ := strings.Cut(e.Str, "|")
			if there, missing := slices.Contains(ours, e.Str), listed[e.Str] || listed[container]; there == missing {
				t.Errorf("%s: a node has it: %v, it is listed as missing: %v", e.Str, there, missing)
			}
		}
		for name := range listed {
			if !slices.ContainsFunc(list.Elems, func(e resp.Value) bool { return e.Str == name }) {
				t.Errorf("%s is no command of Redis", name)
			}
			args := strings.Split(name, "|")
			want := "ERR unknown command '" + name + "', with args beginning with: "
			if len(args) == 2 {
				want = "ERR unknown subcommand '" + args[1] + "'. Try " + strings.ToUpper(args[0]) + " HELP."
			}
			if got := cl.Do(args...); got.Kind != resp.Error || got.Str != want {
				t.Errorf("%s: %+v, not %s", name, got, want)
			}
		}
	}, Region{"east", 1})
}
