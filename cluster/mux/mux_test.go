package mux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

var cluster = mux.ClusterID{1}

// start makes a Mux on a simulated host named like the node, in cluster 1 unless
// adjust says otherwise.
func start(t *testing.T, n *simnet.Network, node string, adjust func(*mux.Config)) *mux.Mux {
	t.Helper()
	host := n.Host(node, "us")
	cfg := mux.Config{
		Network: host,
		Addr:    node + ":7379",
		Self:    mux.Identity{Cluster: cluster, Region: "us", Node: node},
		Log:     slog.New(slog.DiscardHandler),
		Resolve: func(node string) (string, bool) { return node + ":7379", node != "nobody" },
	}
	if adjust != nil {
		adjust(&cfg)
	}
	m, err := mux.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// echo serves every connection of a listener by sending back what comes.
func echo(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

// check says something and wants to hear it again.
func check(t *testing.T, c net.Conn, text string) {
	t.Helper()
	buf := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		t.Fatalf("said %q, heard %q, %v", text, buf, err)
	}
}

func TestServicesAndGroupsShareThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		n.Latency("us", "us", 0)
		a, b := start(t, n, "a", nil), start(t, n, "b", nil)
		type call struct {
			service mux.Service
			group   string
		}
		calls := []call{{mux.Raft, "us"}, {mux.Raft, "eu"}, {mux.Link, ""}, {mux.Hello, ""}}
		for _, call := range calls {
			ln := b.Handle(call.service, call.group)
			go func() {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				p, ok := mux.Peer(mux.WithProgress(c, time.Minute))
				fmt.Fprintf(c, "%v %s %v: %s in %s, epoch %d\n", call.service, call.group, ok, p.From, p.Region, p.Epoch)
			}()
		}
		for i, call := range calls {
			c, err := a.DialNode(t.Context(), "b", call.service, call.group, uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := mux.Peer(c); ok {
				t.Error("a dialled connection claims to know who called")
			}
			got, err := io.ReadAll(c)
			want := fmt.Sprintf("%v %s true: a in us, epoch %d\n", call.service, call.group, i)
			if string(got) != want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
			c.Close()
		}
	})
}

func TestBothSidesHearOfAHigherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		heard := make(map[string]uint64) // by the node that heard
		epoch := map[string]uint64{"a": 3, "b": 3}
		at := func(node string) func(*mux.Config) {
			return func(c *mux.Config) {
				c.EpochOf = func(string) (uint64, bool) { return epoch[node], true }
				c.OnHigherEpoch = func(_ string, e uint64) { heard[node] = e }
			}
		}
		a, b := start(t, n, "a", at("a")), start(t, n, "b", at("b"))
		go echo(b.Handle(mux.Raft, "us"))
		for _, epoch := range []uint64{3, 2, 5} {
			if c, err := a.DialNode(t.Context(), "b", mux.Raft, "us", epoch); err == nil {
				check(t, c, "hi")
				c.Close()
			}
		}
		if heard["b"] != 5 || heard["a"] != 3 {
			t.Fatalf("heard: %v", heard)
		}
	})
}

func TestNodeJoinsItsClusterLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := start(t, n, "a", nil), start(t, n, "b", noCluster)
		go echo(b.Handle(mux.Link, ""))
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); !errors.Is(err, mux.ErrWrongCluster) {
			t.Fatal(err)
		}
		b.SetCluster(cluster)
		c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c, "hi")
		c.Close()
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := start(t, n, "a", nil), start(t, n, "b", nil)
		b.Handle(mux.Link, "")
		if _, err := a.DialNode(t.Context(), "nobody", mux.Link, "", 0); !errors.Is(err, mux.ErrNoAddress) {
			t.Errorf("unknown node: %v", err)
		}
		if _, err := a.Dial(t.Context(), "b:7379", "", mux.Link, "", 0); err == nil || errors.Is(err, mux.ErrRefused) {
			t.Errorf("nameless target: %v", err)
		}
		n.Cut("a", "b")
		begin := time.Now()
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("cut link: %v after %v", err, time.Since(begin))
		}
		n.HealAll()
		// The answer is lost on its way: the dialler must not wait for ever.
		n.Delay("b", "a", time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if _, err := a.DialNode(ctx, "b", mux.Link, "", 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("silent node: %v", err)
		}
		a.Close()
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); !errors.Is(err, mux.ErrClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("closed mux: %v", err)
		}
	})
}

func TestConnectionThatNobodyTakesIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := start(t, n, "a", nil), start(t, n, "b", nil)
		b.Handle(mux.Link, "") // and never accepts
		c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(begin) != 5*time.Second {
			t.Fatalf("read: %v after %v", err, time.Since(begin))
		}
	})
}

// The bubble fails when a goroutine is left.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := start(t, n, "a", nil), start(t, n, "b", nil)
		taken, untaken := b.Handle(mux.Link, ""), b.Handle(mux.Raft, "us")
		go echo(taken)
		for _, call := range []mux.Service{mux.Link, mux.Raft} {
			group := map[mux.Service]string{mux.Raft: "us"}[call]
			c, err := a.DialNode(t.Context(), "b", call, group, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Errorf("a connection of %v outlived its mux", call)
				}
				c.Close()
			}()
		}
		half, err := n.Host("stranger", "us").Dial(t.Context(), "b:7379")
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		synctest.Wait()
		begin := time.Now()
		if err := b.Close(); err != nil || time.Since(begin) != 0 {
			t.Fatalf("close: %v after %v", err, time.Since(begin))
		}
		for _, ln := range []net.Listener{taken, untaken, b.Handle(mux.Hello, "")} {
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("accept after close: %v", err)
			}
			if err := ln.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestListenerCloseUnregistersAndClosesItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := start(t, n, "a", nil), start(t, n, "b", nil)
		for range 2 { // the second time as if the group had been started again
			ln := b.Handle(mux.Raft, "us")
			go echo(ln)
			c, err := a.DialNode(t.Context(), "b", mux.Raft, "us", 0)
			if err != nil {
				t.Fatal(err)
			}
			check(t, c, "hi")
			ln.Close()
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Fatal("the connection outlived its listener")
			}
			c.Close()
			if _, err := a.DialNode(t.Context(), "b", mux.Raft, "us", 0); !errors.Is(err, mux.ErrUnknownService) {
				t.Fatal(err)
			}
		}
	})
}

func TestAcceptGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a := start(t, n, "a", nil)
		b := start(t, n, "b", func(c *mux.Config) { c.Network = failing{c.Network, 4} })
		go echo(b.Handle(mux.Link, ""))
		begin := time.Now()
		c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c, "hi")
		c.Close()
		if took := time.Since(begin); took != (5+10+20+40)*time.Millisecond {
			t.Fatalf("the pauses took %v", took)
		}
	})
}

// failing is a network whose listeners fail to accept at first.
type failing struct {
	mux.Network
	failures int
}

func (f failing) Listen(addr string) (net.Listener, error) {
	ln, err := f.Network.Listen(addr)
	return &failingListener{ln, f.failures}, err
}

type failingListener struct {
	net.Listener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestManyAtOnceOverTCP(t *testing.T) {
	real := func(c *mux.Config) { c.Network, c.Addr = mux.TCP(), "127.0.0.1:0" }
	n := simnet.New()
	b := start(t, n, "b", real)
	a := start(t, n, "a", func(c *mux.Config) {
		real(c)
		c.Resolve = func(string) (string, bool) { return b.Addr().String(), true }
	})
	for _, group := range []string{"us", "eu"} {
		go echo(b.Handle(mux.Raft, group))
	}
	var callers sync.WaitGroup
	for i := range 40 {
		callers.Go(func() {
			group := []string{"us", "eu"}[i%2]
			c, err := a.DialNode(context.Background(), "b", mux.Raft, group, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			text, buf := strings.Repeat("x", 10000+i), make([]byte, 10000+i)
			go io.WriteString(c, text)
			if _, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
				t.Errorf("echo of %d bytes: %v", len(text), err)
			}
		})
	}
	callers.Wait()
}
