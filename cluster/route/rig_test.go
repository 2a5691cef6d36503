package route

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"

	"github.com/hashicorp/raft"
)

// rig is some nodes with routers, and groups of one replica each, in virtual time.
type rig struct {
	t          *testing.T
	net        *simnet.Network
	nodes      map[string]*node
	leads      map[string]string // the node of each group
	table      *Table
	level      atomic.Uint32 // of every disk
	memoryFull atomic.Bool   // of all groups
	// wrap may change a connection that a node dials.
	wrap func(from string, c net.Conn) net.Conn

	mu    sync.Mutex
	posts map[string][]string // what nodes were posted
}

type node struct {
	*Router
	groups map[string]*group.Group
	ln     net.Listener
	served sync.WaitGroup
}

const linkPort = 7379

var dataTable = fsm.DataCommands()

// bubble runs a test on regions "east" and "west", of which nodes "e" and "w" have
// the group; node "x" has none.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: simnet.New(), nodes: map[string]*node{}, leads: map[string]string{"east": "e", "west": "w"}, posts: map[string][]string{}}
		var err error
		r.table, err = NewTable(1, ranges("east", "west"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer time.Sleep(5 * time.Minute) // virtual: the last timers of the libraries fire
		defer r.close()
		test(r)
	})
}

func ranges(regions ...string) []placement.Range { return placement.Slots(regions) }

func (r *rig) start(names ...string) {
	r.t.Helper()
	for _, name := range names {
		n := &node{groups: map[string]*group.Group{}}
		r.nodes[name] = n
		host := r.net.Host(name, "")
		for _, g := range []string{"east", "west"} {
			if r.leads[g] == name {
				n.groups[g] = r.group(host, g)
			}
		}
		ln, err := host.Listen(addr(name))
		if err != nil {
			r.t.Fatal(err)
		}
		n.ln = ln
		router := New(r.config(name, n.groups))
		n.Router = router // a test may put another in its place
		n.served.Go(func() { router.Serve(ln) })
	}
	for _, n := range r.nodes {
		for _, g := range n.groups {
			for !g.Leads() {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

func addr(name string) string { return fmt.Sprintf("%s:%d", name, linkPort) }

func (r *rig) config(name string, groups map[string]*group.Group) Config {
	return Config{
		Node: name, Home: "east", Groups: groups, Table: func() *Table { return r.table },
		Regions:  func() []string { return []string{"east", "west"} },
		Replicas: func(g string) []string { return []string{r.leads[g]} },
		Commands: dataTable, System: fsm.NewTable([]fsm.Command{{
			Spec:  command.Spec{Name: "sys.set", Arity: 1, Flags: command.Write},
			Write: func(*fsm.Tx, [][]byte) resp.Value { return resp.OK },
		}}),
		Dial: func(ctx context.Context, to string) (net.Conn, error) {
			c, err := r.net.Host(name, "").Dial(ctx, addr(to))
			if err == nil && r.wrap != nil {
				c = r.wrap(name, c)
			}
			return c, err
		},
		Query:   func(name string, in []byte) ([]byte, error) { return append([]byte(name+":"), in...), nil },
		Receive: func(in []byte) ([]byte, error) { return r.receive(name, in) },
		Compile: oneLine{}.Compile, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
}

// group opens the only replica of a group.
func (r *rig) group(host *simnet.Host, name string) *group.Group {
	r.t.Helper()
	ln, err := host.Listen(host.Name() + ":0")
	if err != nil {
		r.t.Fatal(err)
	}
	id := host.Name()
	g, err := group.Open(group.Config{
		Name: name, Node: id, Storage: group.Memory(), Stream: lonely{ln},
		Servers: []raft.Server{{ID: raft.ServerID(id), Address: raft.ServerAddress(id)}},
		Machine: fsm.Config{Group: name, Seed: [2]uint64{1, 2}, Table: dataTable},
		Timing:  group.DefaultTiming(), Limits: group.DefaultLimits(), Wall: time.Now, Log: slog.New(slog.DiscardHandler),
		Space: func() group.Space {
			return group.Space{Level: group.Level(r.level.Load()), Free: 7 << 20, Room: 6 << 20}
		},
		MemoryFull: r.memoryFull.Load,
		Scripts:    oneLine{}, Owns: func(key []byte) bool { return r.table.Region(key) == name },

		Ask:   func(_ string, done func(group.Pulse, error)) { done(group.Pulse{}, ErrUnreachable) }, // nobody is there
		Fatal: func(err error) { r.t.Errorf("group %s: %v", name, err) },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// lonely is the stream of a group that has one replica.
type lonely struct{ net.Listener }

func (lonely) Dial(raft.ServerAddress, time.Duration) (net.Conn, error) {
	return nil, net.ErrClosed
}

func (r *rig) close() {
	for _, n := range r.nodes {
		n.Close()
		n.ln.Close()
	}
	for _, n := range r.nodes {
		n.served.Wait()
		for _, g := range n.groups {
			if err := g.Close(); err != nil {
				r.t.Error(err)
			}
		}
	}
}

// peer is a node that the test plays itself: answer says what becomes of a frame,
// nil bytes that it has no answer, and false that the connection breaks.
func (r *rig) peer(name string, answer func(f frame) (payload []byte, ok bool)) {
	r.t.Helper()
	ln, err := r.net.Host(name, "").Listen(addr(name))
	if err != nil {
		r.t.Fatal(err)
	}
	n := &node{ln: ln, Router: New(r.config(name, nil))}
	r.nodes[name] = n
	n.served.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n.served.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					f, err := readFrame(in)
					if err != nil {
						return
					}
					payload, ok := answer(f)
					if !ok {
						return
					}
					if payload != nil {
						c.Write(appendFrame(nil, frameReply, f.id, func(b []byte) []byte { return append(b, payload...) }))
					}
				}
			})
		}
	})
}

// do runs one command through a node's router.
func (n *node) do(args ...string) resp.Value { return n.Do(context.Background(), calls(args))[0] }

func calls(all ...[]string) []command.Call {
	var list []command.Call
	for _, args := range all {
		c := command.Call{}
		for _, a := range args {
			c.Args = append(c.Args, []byte(a))
		}
		c.Spec = &dataTable.Lookup(c.Args).Spec
		list = append(list, c)
	}
	return list
}

// keyIn returns the n-th of some keys that live in a region.
func (r *rig) keyIn(region string, n int) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("key-%d", i); r.table.Region([]byte(key)) == region {
			if n--; n < 0 {
				return key
			}
		}
	}
}
