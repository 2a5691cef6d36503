package group

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"phonond/cluster/clustertest/simnet"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// rig is one group on hosts in memory and in virtual time.
type rig struct {
	t       *testing.T
	net     *simnet.Network
	servers []raft.Server
	disks   map[string]*disk
	running map[string]*replica
	origins uint64
	rounds  bool // reads ask the voters for their pulses
	// config may change a replica's configuration before it is opened.
	config func(*Config)
}

// replica is a running member of the group.
type replica struct {
	*Group
	rig    *rig
	name   string
	client client
	opened atomic.Bool // Group is set

	mu    sync.Mutex
	fatal []error
}

// bubble runs a test on a group of the given voters; a name that starts with "l"
// is of a learner.
func bubble(t *testing.T, test func(r *rig), names ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: simnet.New(), disks: map[string]*disk{}, running: map[string]*replica{}}
		for _, name := range names {
			s := raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)}
			if name[0] == 'l' {
				s.Suffrage = raft.Nonvoter
			}
			r.servers = append(r.servers, s)
			r.disks[name] = newDisk()
		}
		defer time.Sleep(5 * time.Minute) // virtual: the last timers of the library fire
		defer r.closeAll()
		test(r)
	})
}

func (r *rig) closeAll() {
	r.net.HealAll()
	for _, d := range r.disks {
		d.repair()
	}
	for name := range r.running {
		r.crash(name)
	}
}

const rigPort = 7379

func (r *rig) openAll() {
	r.t.Helper()
	for _, s := range r.servers {
		r.open(string(s.ID))
	}
}

func (r *rig) open(name string) *replica {
	r.t.Helper()
	n, err := r.tryOpen(name)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) tryOpen(name string) (*replica, error) {
	r.t.Helper()
	host := r.net.Host(name, "")
	ln, err := host.Listen(fmt.Sprintf("%s:%d", name, rigPort))
	if err != nil {
		r.t.Fatal(err)
	}
	r.origins++
	n := &replica{rig: r, name: name, client: client{origin: r.origins}}
	cfg := Config{
		Name: "eu", Node: name, Servers: r.servers, Stream: rigStream{ln, host, name}, Storage: r.disks[name].storage(),
		Machine: fsm.Config{Group: "eu", Seed: [2]uint64{1, 2}, Table: fsm.DataCommands()},
		Timing:  DefaultTiming(), Limits: DefaultLimits(), Wall: time.Now, Log: slog.New(slog.DiscardHandler),
		Fatal: func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.fatal = append(n.fatal, err)
		},
	}
	if r.rounds {
		cfg.Ask = r.servePulses(n, host)
	}
	if r.config != nil {
		r.config(&cfg)
	}
	if n.Group, err = Open(cfg); err != nil {
		return nil, err
	}
	n.opened.Store(true)
	r.running[name] = n
	return n, nil
}

// crash ends a replica; its disk keeps what was written.
func (r *rig) crash(name string) {
	r.t.Helper()
	r.net.Crash(name)
	if err := r.running[name].Close(); err != nil {
		r.t.Errorf("close %s: %v", name, err)
	}
	delete(r.running, name)
}

// wait waits in virtual time until ok.
func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for range 60 * 100 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("waited a minute in vain: %s", what)
}

// leader waits for a replica that serves, other than those given.
func (r *rig) leader(not ...string) *replica {
	r.t.Helper()
	var found *replica
	r.wait("a leader", func() bool {
		for name, n := range r.running {
			if !slices.Contains(not, name) && n.Leads() {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// follower returns a running voter that does not lead.
func (r *rig) follower() *replica {
	leader := r.leader()
	for _, s := range r.servers {
		if n := r.running[string(s.ID)]; n != nil && n != leader && s.Suffrage == raft.Voter {
			return n
		}
	}
	r.t.Fatal("no follower")
	return nil
}

// level waits until all running replicas have applied the same.
func (r *rig) level() {
	r.t.Helper()
	r.wait("equal digests", func() bool {
		seen := map[[2]uint64]bool{}
		for _, n := range r.running {
			index, digest := n.Digest()
			seen[[2]uint64{index, digest}] = true
		}
		return len(seen) == 1
	})
}

// failures returns what the replica's Fatal was told.
func (n *replica) failures() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.fatal)
}

// rigStream carries raft over the simulated network; an address is a name.
type rigStream struct {
	net.Listener
	host *simnet.Host
	name string
}

func (s rigStream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.host.Dial(ctx, fmt.Sprintf("%s:%d", to, rigPort))
}

func (s rigStream) Addr() net.Addr { return nameAddr(s.name) }

type nameAddr string

func (nameAddr) Network() string  { return "test" }
func (a nameAddr) String() string { return string(a) }

// client numbers the requests of one origin.
type client struct {
	origin uint64
	seq    uint64
	opened bool
}

// result is what Done was told.
type result struct {
	replies []resp.Value
	err     error
}

var dataTable = fsm.DataCommands()

func call(args ...string) command.Call {
	c := command.Call{}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	if cmd := dataTable.Lookup(c.Args); cmd != nil {
		c.Spec = &cmd.Spec
	}
	return c
}

func oneCall(args ...string) []command.Call { return []command.Call{call(args...)} }

// submit proposes a request and returns where its outcome will come.
func (n *replica) submit(req fsm.Request) <-chan result {
	done := make(chan result, 2) // room for a second one, which would be a defect
	n.Propose(&Call{Request: req.Append(nil), Calls: req.Calls, Done: func(replies []resp.Value, err error) { done <- result{replies, err} }})
	return done
}

// request makes the next request of the replica's client.
func (n *replica) request(calls ...command.Call) fsm.Request {
	n.client.seq++
	return fsm.Request{Kind: fsm.Run, Origin: n.client.origin, Seq: n.client.seq, Acked: n.client.seq, Calls: calls}
}

// do runs one command through the log.
func (n *replica) do(args ...string) (resp.Value, error) {
	n.rig.t.Helper()
	if !n.client.opened {
		if out := <-n.submit(fsm.Request{Kind: fsm.OpenOrigin, Origin: n.client.origin, Node: n.name}); out.err != nil {
			return resp.Value{}, out.err
		}
		n.client.opened = true
	}
	out := <-n.submit(n.request(call(args...)))
	if out.err != nil {
		return resp.Value{}, out.err
	}
	return out.replies[0], nil
}

// must is do for commands that succeed.
func (n *replica) must(args ...string) resp.Value {
	n.rig.t.Helper()
	v, err := n.do(args...)
	if err != nil || v.IsError() {
		n.rig.t.Fatalf("%v at %s: %+v, %v", args, n.name, v, err)
	}
	return v
}

// get reads linearizably.
func (n *replica) get(key string) (resp.Value, error) {
	done := make(chan error, 1)
	n.Barrier(false, func(err error) { done <- err })
	if err := <-done; err != nil {
		return resp.Value{}, err
	}
	return n.Read(oneCall("GET", key))[0], nil
}
