package mux_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

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
