package fsm

import (
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

func TestConditionsOnValues(t *testing.T) {
	typeFault := resp.Err("ERR Key should be of string type if conditions are specified")
	r := newRig(t)
	r.checked = true
	for _, tt := range []struct {
		call string
		want resp.Value
	}{
		{"SET k v IFEQ x", resp.Null},
		{"EXISTS k", resp.Int(0)},
		{"SET k v IFEQ x GET", resp.Null},
		{"SET k v", resp.OK},
		{"SET k w IFEQ x", resp.Null},
		{"SET k w ifeq v EX 100", resp.OK},
		{"TTL k", resp.Int(100)},
		{"SET k x IFEQ w KEEPTTL GET", resp.Str("w")},
		{"TTL k", resp.Int(100)},
		{"SET k y IFEQ nosuch GET", resp.Str("x")},
		{"GET k", resp.Str("x")},
		{"SET k y IFEQ x NX", resp.ErrSyntax},
		{"SET k y XX IFEQ x", resp.ErrSyntax},
		{"SET k y IFEQ x IFEQ x", resp.ErrSyntax},
		{"SET k y IFEQ", resp.ErrSyntax},
		{"SET k y IFEQ nosuch EX 0", resp.ErrInvalidExpire("set")},
		{"RPUSH l a", resp.Int(1)},
		{"SET l y IFEQ a", resp.ErrWrongType},
		{"SET l y IFEQ a GET", resp.ErrWrongType},

		{"DELEX k IFEQ nosuch", resp.Int(0)},
		{"DELEX k IFNE x", resp.Int(0)},
		{"DELEX k IFEQ x", resp.Int(1)},
		{"DELEX k IFEQ x", resp.Int(0)},
		{"SET k v", resp.OK},
		{"DELEX k ifne x", resp.Int(1)},
		{"DELEX k IFNE x", resp.Int(0)},
		{"DELEX l IFEQ a", typeFault},
		{"DELEX l IFNE b", typeFault},
		{"DELEX l nosuch a", resp.Err("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE")},
		{"DELEX l IFDEQ 0123456789abcdef", resp.Err("ERR syntax error, digests are not supported: use IFEQ or IFNE")},
		{"DELEX l IFEQ", resp.ErrArity("delex")},
		{"DELEX l IFEQ a b", resp.ErrArity("delex")},
		{"DELEX l", resp.Int(1)},
		{"DELEX l", resp.Int(0)},

		{"SET k v", resp.OK},
		{"DELIFEQ k x", resp.Int(0)},
		{"DELIFEQ k v", resp.Int(1)},
		{"DELIFEQ k v", resp.Int(0)},
		{"SADD s v", resp.Int(1)},
		{"DELIFEQ s v", resp.ErrWrongType},
	} {
		if got := r.do(strings.Fields(tt.call)...); !equal(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.call, show(got), show(tt.want))
		}
	}
}

func TestConditionsThatDoNotHoldWriteNothing(t *testing.T) {
	r := newRig(t)
	r.do("SET", "k", "v")
	for _, call := range []string{"SET k w IFEQ x", "SET nosuch w IFEQ x", "SET nosuch w XX", "DELEX k IFEQ x", "DELEX k IFNE v", "DELIFEQ k x", "DELIFEQ nosuch x"} {
		if _, refused := r.m.Refuse(callOf(0, strings.Fields(call)...)); !refused {
			t.Errorf("%s would write to the log", call)
		}
	}
}
