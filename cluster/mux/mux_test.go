package mux_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
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

func TestRefusals(t *testing.T) {
	type dial struct {
		to      string
		service mux.Service
		group   string
		epoch   uint64
	}
	good := dial{"b", mux.Raft, "us", 7}
	for name, test := range map[string]struct {
		caller func(*mux.Config) // adjusts a, which dials
		callee func(*mux.Config) // adjusts b
		dial   dial
		want   error // nil: not refused
	}{
		"nothing wrong":       {dial: good},
		"newer epoch":         {dial: dial{"b", mux.Raft, "us", 9}},
		"wrong cluster":       {caller: func(c *mux.Config) { c.Self.Cluster[0]++ }, dial: good, want: mux.ErrWrongCluster},
		"caller in no":        {caller: func(c *mux.Config) { c.Self.Cluster = mux.ClusterID{} }, dial: good, want: mux.ErrWrongCluster},
		"callee in no":        {callee: func(c *mux.Config) { c.Self.Cluster = mux.ClusterID{} }, dial: good, want: mux.ErrWrongCluster},
		"neither in a":        {caller: noCluster, callee: noCluster, dial: good, want: mux.ErrWrongCluster},
		"hello, caller in no": {caller: noCluster, dial: dial{"", mux.Hello, "", 0}},
		"hello, callee in no": {callee: noCluster, dial: dial{"b", mux.Hello, "", 0}},
		"hello, neither":      {caller: noCluster, callee: noCluster, dial: dial{"b", mux.Hello, "", 0}},
		"hello, others": {caller: func(c *mux.Config) { c.Self.Cluster[0]++ },
			dial: dial{"", mux.Hello, "", 0}, want: mux.ErrWrongCluster},
		"wrong node":       {dial: dial{"c", mux.Raft, "us", 7}, want: mux.ErrWrongNode},
		"hello, wrong":     {dial: dial{"c", mux.Hello, "", 0}, want: mux.ErrWrongNode},
		"unknown group":    {dial: dial{"b", mux.Raft, "eu", 7}, want: mux.ErrUnknownService},
		"unknown service":  {dial: dial{"b", mux.Link, "us", 7}, want: mux.ErrUnknownService},
		"stale epoch":      {dial: dial{"b", mux.Raft, "us", 6}, want: mux.ErrStaleEpoch},
		"too many already": {callee: func(c *mux.Config) { c.Limits.PerPeer = -1 }, dial: good, want: mux.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New()
				a := start(t, n, "a", test.caller)
				b := start(t, n, "b", func(c *mux.Config) {
					c.EpochOf = func(group string) (uint64, bool) { return 7, group == "us" }
					if test.callee != nil {
						test.callee(c)
					}
				})
				var reached bool // a service saw the connection
				var services sync.WaitGroup
				for _, ln := range []net.Listener{b.Handle(mux.Raft, "us"), b.Handle(mux.Hello, "")} {
					services.Go(func() {
						for {
							c, err := ln.Accept()
							if err != nil {
								return
							}
							reached = true
							c.Close()
						}
					})
				}
				c, err := a.Dial(t.Context(), "b:7379", test.dial.to, test.dial.service, test.dial.group, test.dial.epoch)
				if c != nil {
					defer c.Close()
				}
				synctest.Wait()
				b.Close()
				services.Wait()
				if !errors.Is(err, test.want) || reached != (test.want == nil) {
					t.Fatalf("error %v, want %v; the service was reached: %v", err, test.want, reached)
				}
				var refusal *mux.Refusal
				if test.want != nil && (!errors.Is(err, mux.ErrRefused) || !errors.As(err, &refusal) || refusal.Text == "") {
					t.Fatalf("%v is not a refusal", err)
				}
			})
		})
	}
}

func noCluster(c *mux.Config) { c.Self.Cluster = mux.ClusterID{} }

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

func TestStrangersAreAnsweredAndClosed(t *testing.T) {
	for name, bytes := range map[string]string{
		"another protocol": "GET / HTTP/1.1\r\nHost: b\r\n\r\n",
		"another version":  "PHND\x02" + strings.Repeat("\x01", 100),
		"long name":        "PHND\x01\x01" + strings.Repeat("\x00", 24) + "\xff",
		"no caller":        "PHND\x01\x01" + strings.Repeat("\x00", 28),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New()
				start(t, n, "b", nil).Handle(mux.Raft, "us")
				c, err := n.Host("stranger", "us").Dial(t.Context(), "b:7379")
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				begin := time.Now()
				_, _ = io.WriteString(c, bytes)
				answer, err := io.ReadAll(c)
				if len(answer) < 11 || answer[0] != 1 || err != nil || time.Since(begin) != 0 {
					t.Fatalf("answer %q, %v, after %v", answer, err, time.Since(begin))
				}
			})
		})
	}
}

func TestSlowStrangersHoldNothingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		limit := func(c *mux.Config) { c.Limits.Handshakes = 20 }
		a, b := start(t, n, "a", nil), start(t, n, "b", limit)
		go echo(b.Handle(mux.Link, ""))
		stranger := n.Host("stranger", "us")
		var slow []net.Conn
		for range 20 {
			c, err := stranger.Dial(t.Context(), "b:7379")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, "PHN")
			slow = append(slow, c)
		}
		synctest.Wait()
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); err == nil {
			t.Fatal("a connection came in although every handshake was taken")
		}
		begin := time.Now()
		for _, c := range slow {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Fatalf("a stranger who says nothing was cut off after %v", took)
		}
		c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		check(t, c, "hi")
		c.Close()
	})
}

func TestPeerLimitCountsOpenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a := start(t, n, "a", nil)
		b := start(t, n, "b", func(c *mux.Config) { c.Limits.PerPeer = 2 })
		go echo(b.Handle(mux.Link, ""))
		var open []net.Conn
		for range 2 {
			c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); !errors.Is(err, mux.ErrBusy) {
			t.Fatal(err)
		}
		open[0].Close()
		synctest.Wait()
		c, err := a.DialNode(t.Context(), "b", mux.Link, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		open[1].Close()
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

// TestClose relies on the bubble, which fails when a goroutine is left.
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

func TestProgress(t *testing.T) {
	// Each is done by the side with a limit of 30 s, after the other one has
	// written one byte; the other then is silent.
	for name, test := range map[string]struct {
		do   func(c net.Conn) error
		want time.Duration // until it fails; 0: it does not within an hour
	}{
		"waiting for a request": {func(c net.Conn) error {
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Write([]byte("answer"))
			_, err := c.Read(make([]byte, 1))
			return err
		}, 0},
		"in the middle of one": {func(c net.Conn) error {
			_, err := io.ReadFull(c, make([]byte, 2))
			return err
		}, 30 * time.Second},
		"with an earlier deadline": {func(c net.Conn) error {
			c.SetDeadline(time.Now().Add(time.Second))
			_, err := io.ReadFull(c, make([]byte, 2))
			return err
		}, time.Second},
		"writing to one who does not read": {func(c net.Conn) error {
			_, err := c.Write(make([]byte, 10<<20))
			return err
		}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := simnet.New()
				a, b := n.Host("a", "us"), n.Host("b", "us")
				ln, _ := b.Listen(":1")
				defer ln.Close()
				other, err := a.Dial(t.Context(), "b:1")
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				raw, _ := ln.Accept()
				c := mux.WithProgress(raw, 30*time.Second)
				hour := time.AfterFunc(time.Hour, func() { c.Close() })
				defer hour.Stop()
				defer c.Close()
				other.Write([]byte("x"))
				begin := time.Now()
				err = test.do(c)
				took := time.Since(begin)
				if test.want == 0 && took != time.Hour || test.want != 0 && (took != test.want || !errors.Is(err, os.ErrDeadlineExceeded)) {
					t.Fatalf("%v after %v", err, took)
				}
			})
		})
	}
}

func TestProgressLetsASlowPeerFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		ln, _ := n.Host("b", "us").Listen(":1")
		defer ln.Close()
		other, err := n.Host("a", "us").Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := ln.Accept()
		c := mux.WithProgress(raw, 30*time.Second)
		defer c.Close()
		go func() {
			defer other.Close()
			for range 100 {
				time.Sleep(29 * time.Second)
				other.Write([]byte("x"))
			}
		}()
		if got, err := io.ReadAll(c); len(got) != 100 || err != nil {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		ln, _ := n.Host("b", "us").Listen(":1")
		defer ln.Close()
		slow := mux.Delay(n.Host("a", "us"), func(addr string) time.Duration {
			return map[string]time.Duration{"b:1": 35 * time.Millisecond}[addr]
		})
		begin := time.Now()
		took := func(want time.Duration, what string) {
			t.Helper()
			if got := time.Since(begin); got != want {
				t.Fatalf("%s took %v, want %v", what, got, want)
			}
			begin = time.Now()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := slow.Dial(ctx, "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		begin = time.Now()
		c, err := slow.Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		took(70*time.Millisecond, "dialling")
		other, _ := ln.Accept()
		go io.Copy(other, other)
		check(t, c, "there and back")
		took(70*time.Millisecond, "a round trip")
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		took(time.Second, "reading nothing")
		c.Close()
		took(35*time.Millisecond, "closing")
		other.Close()
	})
}

func TestDelayedEndArrivesOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		ln, _ := n.Host("b", "us").Listen(":1")
		defer ln.Close()
		slow := mux.Delay(n.Host("a", "us"), func(string) time.Duration { return time.Second })
		for _, first := range []string{"dialler", "acceptor"} {
			c, err := slow.Dial(t.Context(), "b:1")
			if err != nil {
				t.Fatal(err)
			}
			other, _ := ln.Accept()
			from, to := c, other
			if first == "acceptor" {
				from, to = other, c
			}
			go func() {
				io.WriteString(from, "last words")
				from.Close()
			}()
			if got, err := io.ReadAll(to); string(got) != "last words" || err != nil {
				t.Fatalf("%s closed: %q, %v", first, got, err)
			}
			to.Close()
		}
	})
}
