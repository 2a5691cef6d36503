package command

import (
	"strings"
	"testing"
)

func words(s string) [][]byte {
	var args [][]byte
	for w := range strings.FieldsSeq(s) {
		args = append(args, []byte(w))
	}
	return args
}

func TestKeysAreWhereTheSpecSays(t *testing.T) {
	for _, tt := range []struct {
		spec Spec
		args string
		keys string
		ok   bool
	}{
		{Spec{}, "ping", "", true},
		{Spec{FirstKey: 1, LastKey: 1, KeyStep: 1}, "get a b", "a", true},
		{Spec{FirstKey: 1, LastKey: -1, KeyStep: 1}, "del a b c", "a b c", true},
		{Spec{FirstKey: 1, LastKey: -1, KeyStep: 2}, "mset a 1 b 2", "a b", true},
		{Spec{NumKeys: 2}, "eval text 2 a b x", "a b", true},
		{Spec{NumKeys: 2}, "eval text 0 x", "", true},
		{Spec{NumKeys: 2}, "eval text 3 a b", "", false},
		{Spec{NumKeys: 2}, "eval text -1 a", "", false},
		{Spec{NumKeys: 2}, "eval text", "", false},
		{Spec{FirstKey: 1, LastKey: 1, KeyStep: 1, NumKeys: 2}, "zunionstore to 2 a b weights 1 2", "to a b", true},
	} {
		keys, ok := tt.spec.Keys(nil, words(tt.args))
		var got []string
		for _, k := range keys {
			got = append(got, string(k))
		}
		if ok != tt.ok || strings.Join(got, " ") != tt.keys {
			t.Errorf("%s: keys %q, %v", tt.args, got, ok)
		}
	}
}
