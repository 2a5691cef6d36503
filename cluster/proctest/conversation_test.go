package proctest

import (
	"encoding/json"
	"testing"

	"phonond/redisproto/resp"
)

// TestComparisonNoticesDifferences holds the comparison to what it must refuse.
func TestComparisonNoticesDifferences(t *testing.T) {
	same := []struct {
		cmd  string
		want string
		got  resp.Value
	}{
		{"GET", `"a"`, resp.Str("a")},
		{"GET", `null`, resp.Null},
		{"SET", `{"status": "OK"}`, resp.OK},
		{"GET", `{"latin1": "\u00e9"}`, resp.Str("\xe9")},
		{"EVALSHA", `{"error": "NOSCRIPT No matching script."}`, resp.Err("NOSCRIPT other words")},
		{"HGETALL", `["a", "1", "b", "2"]`, resp.Strs("b", "2", "a", "1")},
		{"SMEMBERS", `["a", "b"]`, resp.Strs("b", "a")},
		{"SRANDMEMBER", `["a", "b"]`, resp.Strs("c", "a")},
	}
	different := []struct {
		cmd  string
		want string
		got  resp.Value
	}{
		{"GET", `"1"`, resp.Int(1)},
		{"GET", `"a"`, resp.Status("a")},
		{"GET", `null`, resp.NullArray},
		{"EVALSHA", `{"error": "NOSCRIPT No matching script."}`, resp.Err("ERR No matching script.")},
		{"HGETALL", `["a", "1", "b", "2"]`, resp.Strs("a", "2", "b", "1")},
		{"SMEMBERS", `["a", "b"]`, resp.Strs("a")},
		{"LRANGE", `["a", "b"]`, resp.Strs("b", "a")},
		{"SRANDMEMBER", `["a", "b"]`, resp.Strs("a")},
	}
	compare := func(cmd, want string, got resp.Value) error {
		var v any
		if err := json.Unmarshal([]byte(want), &v); err != nil {
			t.Fatal(err)
		}
		return equal([]string{cmd}, v, got)
	}
	for _, c := range same {
		if err := compare(c.cmd, c.want, c.got); err != nil {
			t.Errorf("%s: %v", c.cmd, err)
		}
	}
	for _, c := range different {
		if compare(c.cmd, c.want, c.got) == nil {
			t.Errorf("%s: %v passes for %s", c.cmd, c.got, c.want)
		}
	}
}
