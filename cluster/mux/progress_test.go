package mux_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

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
