package fsm

import (
	"slices"
	"testing"

	"phonond/redisproto/resp"
)

// Small collections are listed in an order that does not depend on a cluster's
// secret, the one that Redis has for those that it keeps packed.
func TestSmallCollectionsAreListedInOrder(t *testing.T) {
	r := newRig(t)
	r.do("HSET", "h", "field0", "0", "field1", "1", "field2", "2")
	r.do("SADD", "s", "10", "9", "-1", "100")
	r.do("ZADD", "z", "3", "a", "1", "c", "2", "b", "1", "d")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"HKEYS", "h"}, []string{"field0", "field1", "field2"}},
		{[]string{"HVALS", "h"}, []string{"0", "1", "2"}},
		{[]string{"HGETALL", "h"}, []string{"field0", "0", "field1", "1", "field2", "2"}},
		{[]string{"HSCAN", "h", "0"}, []string{"0", "field0", "0", "field1", "1", "field2", "2"}},
		{[]string{"SMEMBERS", "s"}, []string{"-1", "9", "10", "100"}},
		{[]string{"SSCAN", "s", "0", "COUNT", "1"}, []string{"0", "-1", "9", "10", "100"}},
		{[]string{"ZSCAN", "z", "0"}, []string{"0", "c", "1", "d", "1", "b", "2", "a", "3"}},
	} {
		if got := strs(r.do(c.args...)); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, not %q", c.args, got, c.want)
		}
	}
}

// strs returns all strings in a reply.
func strs(v resp.Value) (list []string) {
	if v.Kind == resp.Bulk {
		return []string{v.Str}
	}
	for _, e := range v.Elems {
		list = append(list, strs(e)...)
	}
	return list
}
