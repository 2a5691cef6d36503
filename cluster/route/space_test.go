package route

import (
	"context"
	"errors"
	"strings"
	"testing"

	"phonond/cluster/group"
	"phonond/redisproto/resp"
)

// TestNoSpaceSurvivesTheWire: with whatever an operator needs.
func TestNoSpaceSurvivesTheWire(t *testing.T) {
	sent := &group.NoSpaceError{Level: group.SpaceLow, Where: "e (7 MiB free), f (0 MiB free)"}
	got, ok := errors.AsType[*group.NoSpaceError](decodeAnswer(appendAnswer(nil, answer{err: sent, hint: "e"})).err)
	if !ok || *got != *sent {
		t.Errorf("%+v arrives as %+v", sent, got)
	}
	if got := decodeAnswer([]byte{codeNoSpace, 0, byte(group.SpaceFull) + 1}); !errors.Is(got.err, group.ErrUncertain) {
		t.Errorf("an unknown level arrives as %v", got.err)
	}
	for _, b := range []string{"", "\x03", "\x03\x63\x02", "\x03\x63\x02\x03\x01\x01", "\x03\x63\x02\x01\x80", "\x03\x63\x02\x01\x01"} {
		if p, err := decodePulse([]byte(b)); err == nil {
			t.Errorf("%x is a pulse: %+v", b, p)
		}
	}
}

// TestPipelineOnLowDisks: each call is answered as it would be by itself, in order,
// on the leader's node as on others.
func TestPipelineOnLowDisks(t *testing.T) {
	for _, at := range []string{"e", "x"} {
		t.Run(at, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.start("e", "w", "x")
				a, b, c := r.keyIn("east", 0), r.keyIn("east", 1), r.keyIn("west", 0)
				n := r.nodes[at]
				for _, key := range []string{a, b, c} {
					n.do("SET", key, "v")
				}
				r.level.Store(uint32(group.SpaceLow))
				replies := n.Do(context.Background(), calls(
					[]string{"GET", a}, []string{"SET", a, "w"}, []string{"GET", a}, []string{"DEL", a}, []string{"GET", a},
					[]string{"EVALSHA", "c3f8721cbb97f72bc19e972846bd7aaf91901658", "1", b, "v"}, []string{"INCR", a}, []string{"DEL", b},
					[]string{"SET", c, "w"}, []string{"GETDEL", c}, []string{"DEL", a, c},
				))
				const refused = "MISCONF"
				for i, want := range []string{"v", refused, "v", "1", "", "NOSCRIPT", refused, "1", refused, "v", "0"} {
					v := replies[i]
					text := v.Str
					if v.Kind == resp.Integer {
						text = string(rune('0' + v.Int))
					}
					if want == "" && v.Kind != resp.Nil || !strings.HasPrefix(text, want) || v.IsError() != (want == refused || want == "NOSCRIPT") {
						t.Errorf("reply %d is %+v, not %s", i, v, want)
					}
				}
				if text := replies[1].Str; !strings.Contains(text, "group east") || !strings.Contains(text, "e (7 MiB free)") || !strings.Contains(text, "not applied") {
					t.Errorf("a client is told %q", text)
				}
				r.level.Store(uint32(group.SpaceOK))
				n.do("MSET", b, "1", c, "2")
				r.level.Store(uint32(group.SpaceFull))
				for _, step := range [][]string{{"DEL", b, c}, {"SET", a, "x"}, {"MSET", a, "1", c, "2"}, {"FLUSHALL"}} {
					if v := n.do(step...); !strings.HasPrefix(v.Str, refused) {
						t.Errorf("%v on full disks: %+v", step, v)
					}
				}
				if v := n.do("GET", a); v.Kind != resp.Nil {
					t.Errorf("GET on full disks: %+v", v)
				}
				r.level.Store(uint32(group.SpaceOK))
				if v := n.do("SET", a, "x"); v.IsError() {
					t.Errorf("SET with room: %+v", v)
				}
			})
		})
	}
}

// TestLongPipelineOnLowDisks ends, and asks no more often than it has to.
func TestLongPipelineOnLowDisks(t *testing.T) {
	bubble(t, func(r *rig) {
		asked := 0
		low := appendAnswer(nil, answer{err: &group.NoSpaceError{Level: group.SpaceLow, Where: "e"}})
		r.peer("e", func(frame) ([]byte, bool) { asked++; return low, true })
		r.start("x")
		var all [][]string
		for range 100 {
			all = append(all, []string{"SET", r.keyIn("east", 0), "v"}, []string{"DEL", r.keyIn("east", 0)}, []string{"DEL", r.keyIn("east", 1)})
		}
		for i, v := range r.nodes["x"].Do(context.Background(), calls(all...)) {
			if !strings.HasPrefix(v.Str, "MISCONF ") {
				t.Errorf("reply %d is %+v", i, v)
			}
		}
		if asked != 101 { // the whole, and each pair of DEL
			t.Errorf("it asked %d times", asked)
		}
	})
}
