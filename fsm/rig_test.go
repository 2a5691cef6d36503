package fsm

import (
	"fmt"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// testConfig is what the machines of these tests are made from.
func testConfig() Config {
	return Config{Group: "eu", Seed: [2]uint64{0x0123456789abcdef, 0xfedcba9876543210}, Table: DataCommands()}
}

const (
	testOrigin = 7
	testWall   = 1_700_000_000_000 // unix ms
)

// rig drives one machine as a group's leader does, one command an entry.
type rig struct {
	t       testing.TB
	m       *Machine
	seq     uint64
	clock   int64
	checked bool // compare the ways of running a command
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, m: New(testConfig()), clock: 1000}
	r.apply(Request{Kind: OpenOrigin, Origin: testOrigin, Node: "n1"})
	return r
}

func (r *rig) entry(reqs ...Request) *Entry {
	return &Entry{Epoch: r.m.Epoch(), Term: 1, Stamp: r.clock, Wall: testWall + r.clock, Requests: reqs}
}

func (r *rig) apply(reqs ...Request) []Outcome {
	r.t.Helper()
	out, err := r.m.Apply(r.m.Index()+1, 1, r.entry(reqs...))
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// run applies calls as one request and returns the replies.
func (r *rig) run(calls ...command.Call) []resp.Value {
	r.t.Helper()
	r.seq++
	out := r.apply(Request{Kind: Run, Origin: testOrigin, Seq: r.seq, Acked: r.seq, Calls: calls})
	if out[0].Status != Applied {
		r.t.Fatalf("%v: status %d", calls, out[0].Status)
	}
	return out[0].Replies
}

func callOf(db int, args ...string) command.Call {
	c := command.Call{DB: db}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	return c
}

// do answers one command in database 0, as a server over the machine would.
func (r *rig) do(args ...string) resp.Value { r.t.Helper(); return r.call(callOf(0, args...)) }

func (r *rig) call(c command.Call) resp.Value {
	r.t.Helper()
	cmd := r.m.cfg.Table.Lookup(c.Args)
	switch {
	case cmd == nil:
		return r.unknown(c)
	case !cmd.ArityOK(len(c.Args)):
		return resp.ErrArity(cmd.Name)
	case cmd.Read != nil && r.checked && !drawn[cmd.Name]:
		reply := r.m.Read(c)
		if logged := r.run(c)[0]; !equal(logged, reply) {
			r.t.Fatalf("%s: read beside the log %v, in the log %v", printable(c.Args), reply, logged)
		}
		return reply
	case cmd.Read != nil:
		return r.m.Read(c)
	}
	refused, ok := r.m.Refuse(c)
	before := r.m.version
	reply := r.run(c)[0]
	if ok && (!equal(refused, reply) || r.m.version != before) {
		r.t.Fatalf("%s: refused with %v, but executed with %v", printable(c.Args), refused, reply)
	}
	return reply
}

// unknown makes the replies to what no row stands for.
func (r *rig) unknown(c command.Call) resp.Value {
	name := strings.ToLower(string(c.Args[0]))
	switch {
	case r.m.cfg.Table.byName[name] == nil:
		return resp.Err("ERR unknown command '" + string(c.Args[0]) + "'")
	case len(c.Args) == 1:
		return resp.ErrArity(name)
	}
	return resp.Err("ERR unknown subcommand '" + string(c.Args[1]) + "'. Try " + strings.ToUpper(name) + " HELP.")
}

// drawn are the commands whose replies are drawn.
var drawn = map[string]bool{"randomkey": true, "srandmember": true, "hrandfield": true, "zrandmember": true}

func equal(a, b resp.Value) bool {
	return string(a.AppendBinary(nil)) == string(b.AppendBinary(nil))
}

func wantReply(t testing.TB, got, want resp.Value) {
	t.Helper()
	if !equal(got, want) {
		t.Fatalf("got %s, want %s", show(got), show(want))
	}
}

func show(v resp.Value) string { return fmt.Sprintf("%q", v.Append(nil, 3)) }
