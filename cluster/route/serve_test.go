package route

import (
	"bufio"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"phonond/cluster/group"
	"phonond/fsm"
	"phonond/redisproto/command"
)

// wire is a connection to a node's link service that the test writes itself.
type wire struct {
	t  *testing.T
	in *bufio.Reader
	io.WriteCloser
}

func (r *rig) wire(to string) *wire {
	r.t.Helper()
	c, err := r.net.Host("hostile", "").Dial(context.Background(), addr(to))
	if err != nil {
		r.t.Fatal(err)
	}
	return &wire{r.t, bufio.NewReader(c), c}
}

// ask sends a frame and returns the answer to it.
func (w *wire) ask(kind frameType, payload []byte) answer {
	w.t.Helper()
	if _, err := w.Write(appendFrame(nil, kind, 5, func(b []byte) []byte { return append(b, payload...) })); err != nil {
		w.t.Fatal(err)
	}
	f, err := readFrame(w.in)
	if err != nil || f.kind != frameReply || f.id != 5 {
		w.t.Fatalf("the answer is %+v, %v", f, err)
	}
	return decodeAnswer(f.payload)
}

// TestForwardedGarbageIsRefused: what a replica cannot apply would stop it, and all
// others of the group, if it came into the log.
func TestForwardedGarbageIsRefused(t *testing.T) {
	named := func(group string, body []byte) []byte { return append(appendString(nil, group), body...) }
	request := func(args ...string) []byte {
		c := command.Call{}
		for _, a := range args {
			c.Args = append(c.Args, []byte(a))
		}
		req := fsm.Request{Kind: fsm.Run, Origin: 1, Seq: 1, Acked: 1, Calls: []command.Call{c}}
		return req.Append(nil)
	}
	good := request("SET", "k", "v")
	bubble(t, func(r *rig) {
		r.start("e")
		g := r.nodes["e"].groups["east"]
		w := r.wire("e")
		defer w.Close()
		before := g.Status().Entries
		for _, tc := range []struct {
			name    string
			kind    frameType
			payload []byte
			want    error
		}{
			{"empty", frameWrite, nil, ErrRefused},
			{"a name that is cut off", frameWrite, []byte{9, 'e'}, ErrRefused},
			{"no such group", frameWrite, named("north", good), ErrNoReplica},
			{"no request", frameWrite, named("east", nil), ErrRefused},
			{"a request that is cut off", frameWrite, named("east", good[:len(good)-1]), ErrRefused},
			{"a request and more", frameWrite, named("east", append(append([]byte{}, good...), 0)), ErrRefused},
			{"two requests", frameAgain, named("east", append(append([]byte{}, good...), good...)), ErrRefused},
			{"an unknown kind", frameWrite, named("east", append([]byte{9}, good[1:]...)), ErrRefused},
			{"an unknown command", frameWrite, named("east", request("NOSUCH")), ErrRefused},
			{"no command", frameWrite, named("east", request()), ErrRefused},
			{"an unknown subcommand", frameAgain, named("east", request("SCRIPT", "NOSUCH")), ErrRefused},
			{"a container alone", frameWrite, named("east", request("SCRIPT")), ErrRefused},
			{"too few arguments", frameWrite, named("east", request("SET", "k")), ErrRefused},
			{"a command of the system group", frameWrite, named("east", request("SYS.SET")), ErrRefused},
			{"a read of a command that is unknown", frameRead, named("east", fsm.AppendCalls(nil, []command.Call{{Args: [][]byte{[]byte("NOSUCH")}}})), ErrRefused},
			{"a read that is cut off", frameRead, named("east", []byte{1, 0, 2, 3}), ErrRefused},
			{"a pulse of no group", framePulse, named("north", nil), ErrNoReplica},
			{"half a pulse", framePulse, []byte{4}, ErrRefused},
			{"half a query", frameQuery, []byte{4}, ErrRefused},
		} {
			if a := w.ask(tc.kind, tc.payload); !errors.Is(a.err, tc.want) {
				t.Errorf("%s: %+v", tc.name, a)
			}
		}
		if more := g.Status().Entries - before; more != 0 {
			t.Errorf("%d entries were written", more)
		}
		// A write in a frame that is for reads changes nothing.
		a := w.ask(frameRead, named("east", fsm.AppendCalls(nil, []command.Call{{Args: [][]byte{[]byte("SET"), []byte("k"), []byte("v")}}})))
		if len(a.replies) != 1 || !a.replies[0].IsError() {
			t.Errorf("a write as a read: %+v", a)
		}
		if a := w.ask(frameWrite, named("east", good)); !errors.Is(a.err, group.ErrUnknownOrigin) {
			t.Errorf("a sound request of nobody: %+v", a)
		}
		if n := r.nodes["e"]; n.do("DBSIZE").Int != 0 && !n.do("DBSIZE").IsError() {
			t.Error("something was applied")
		}
	})
}

// TestUnknownFrameEndsTheConnection: it may be the start of anything.
func TestUnknownFrameEndsTheConnection(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"kind":   appendFrame(nil, 99, 1, func(b []byte) []byte { return b }),
		"reply":  appendFrame(nil, frameReply, 1, func(b []byte) []byte { return b }),
		"length": {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.start("e")
				w := r.wire("e")
				defer w.Close()
				if _, err := w.Write(bytes); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() {
					_, err := w.in.ReadByte()
					ended <- err
				}()
				select {
				case err := <-ended:
					if err == nil {
						t.Error("there was an answer")
					}
				case <-time.After(time.Minute):
					t.Error("the connection is kept")
					w.Close()
				}
			})
		})
	}
}
