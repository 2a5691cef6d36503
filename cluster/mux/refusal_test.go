package mux_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

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
