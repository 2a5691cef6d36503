package route

import (
	"context"
	"errors"
	"testing"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// TestPipelineWithFullMemory: what needs no more goes on, in its place, on the leader's
// node as on others.
func TestPipelineWithFullMemory(t *testing.T) {
	if err := decodeAnswer(appendAnswer(nil, answer{err: group.ErrNoMemory})).err; !errors.Is(err, group.ErrNoMemory) {
		t.Errorf("it arrives as %v", err)
	}
	for _, at := range []string{"e", "x"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.start("e", "w", "x")
				a, b, c := r.keyIn("east", 0), r.keyIn("east", 1), r.keyIn("west", 0)
				n := r.nodes[at]
				for _, key := range []string{a, b, c} {
					n.do("SET", key, "v")
				}
				r.memoryFull.Store(true)
				replies := n.Do(context.Background(), calls(
					[]string{"GET", a}, []string{"SET", a, "w"}, []string{"GET", a}, []string{"EXPIRE", a, "100"}, []string{"INCR", b}, []string{"DEL", b},
					[]string{"SET", c, "w"}, []string{"GETDEL", c}, []string{"MSET", a, "1", c, "2"}, []string{"DEL", a, c},
				))
				for i, want := range []resp.Value{resp.Str("v"), resp.ErrNoMemory, resp.Str("v"), resp.Int(1), resp.ErrNoMemory, resp.Int(1),
					resp.ErrNoMemory, resp.Str("v"), resp.ErrNoMemory, resp.Int(1)} {
					if v := replies[i]; v.Kind != want.Kind || v.Str != want.Str || v.Int != want.Int {
						t.Errorf("reply %d is %+v, not %+v", i, v, want)
					}
				}
				r.memoryFull.Store(false)
				if v := n.do("SET", a, "x"); v.IsError() {
					t.Errorf("SET with memory again: %+v", v)
				}
			})
		})
	}
}
