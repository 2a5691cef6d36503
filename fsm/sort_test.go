package fsm

import (
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// TestKeysOfSortAgainstRedis has arguments of SORT that are wrong beside those of which
// STORE is one: COMMAND GETKEYS looks at STORE alone.
func TestKeysOfSortAgainstRedis(t *testing.T) {
	c := connect(t, proctest.RunRedis(t), 2)
	for _, line := range []string{
		"sort k", "sort k store d", "sort k STORE", "sort k store d store e", "sort k store d store", "sort k nosuch store d",
		"sort k by store d", "sort k get store d", "sort k limit store d", "sort k limit 0 store d", "sort k limit 0 1 store d",
		"sort k limit x y store d alpha", "sort k store limit 0 1", "sort k store store store d", "sort k by", "sort k get",
	} {
		args := strings.Fields(line)
		want := c.must(t, append([]string{"COMMAND", "GETKEYS"}, args...)...)
		call := callOf(0, args...).Args
		keys, _ := dataTable.Lookup(call).Keys(nil, call)
		var elems []resp.Value
		for _, k := range keys {
			elems = append(elems, resp.Str(string(k)))
		}
		if got := resp.List(elems...); string(got.Append(nil, 2)) != string(want.Append(nil, 2)) {
			t.Errorf("%s: got %v, want %v", line, got, want)
		}
	}
}
