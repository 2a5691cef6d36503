package simnet

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// pair is a network of two hosts in two regions, 100 ms apart, with a connection
// from one to the other.
type pair struct {
	net    *Network
	us, eu *Host
	ln     net.Listener
	dialer net.Conn // at us-1
	server net.Conn // at eu-1
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{net: New()}
	p.us, p.eu = p.net.Host("us-1", "us"), p.net.Host("eu-1", "eu")
	p.net.Latency("us", "eu", 100*ms)
	var err error
	if p.ln, err = p.eu.Listen(":7379"); err != nil {
		t.Fatal(err)
	}
	if p.dialer, err = p.us.Dial(t.Context(), "eu-1:7379"); err != nil {
		t.Fatal(err)
	}
	if p.server, err = p.ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.dialer.Close()
		p.server.Close()
		p.ln.Close()
	})
	return p
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// receive reads as many bytes as want has and checks how long that took.
func receive(t *testing.T, c net.Conn, want string, after time.Duration) {
	t.Helper()
	start, buf := time.Now(), make([]byte, len(want))
	_, err := io.ReadFull(c, buf)
	if took := time.Since(start); err != nil || string(buf) != want || took != after {
		t.Fatalf("read %q after %v, %v; want %q after %v", buf, took, err, want, after)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := newPair(t)
		if took := time.Since(start); took != 100*ms {
			t.Fatalf("dialling took %v, not a round trip", took)
		}
		send(t, p.dialer, "ping")
		receive(t, p.server, "ping", 50*ms)
		p.net.Delay("eu-1", "us-1", time.Second) // only the answers, only these hosts
		send(t, p.server, "pong")
		receive(t, p.dialer, "pong", time.Second)
		send(t, p.dialer, "ping")
		receive(t, p.server, "ping", 50*ms)
	})
}

func TestCutStallsAndHealFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		send(t, p.dialer, "under way")
		p.net.Cut("us", "eu")
		send(t, p.dialer, ", then waiting")
		p.server.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := p.server.Read(make([]byte, 1)); !isTimeout(err) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read over a cut link: %v", err)
		}
		p.server.SetReadDeadline(time.Time{})
		p.net.Heal("us", "eu")
		receive(t, p.server, "under way, then waiting", 50*ms)
	})
}

func TestCutOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.CutOneWay("us-1", "eu-1")
		send(t, p.server, "still")
		receive(t, p.dialer, "still", 50*ms)
		send(t, p.dialer, "not")
		p.server.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := p.server.Read(make([]byte, 1)); !isTimeout(err) {
			t.Fatalf("read over the cut direction: %v", err)
		}
		for _, h := range []*Host{p.us, p.eu} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, err := h.Dial(ctx, "eu-1:7379"); (err == nil) != (h == p.eu) {
				t.Fatalf("dial from %s: %v", h.Name(), err)
			}
			cancel()
		}
	})
}

func TestWritersWaitBehindACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.Isolate("us-1")
		p.dialer.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := p.dialer.Write(make([]byte, window+1))
		if n != window || !isTimeout(err) {
			t.Fatalf("wrote %d, %v", n, err)
		}
		p.net.HealAll()
		receive(t, p.server, strings.Repeat("\x00", window), 50*ms)
	})
}

func TestDialWaitsForACutLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.Isolate("eu")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := p.us.Dial(ctx, "eu-1:7379"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Fatalf("dial over a cut link: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if _, err := p.us.Dial(t.Context(), "eu-1:7379"); !errors.Is(err, syscall.ETIMEDOUT) || time.Since(start) != connectTimeout {
			t.Fatalf("dial without deadline: %v after %v", err, time.Since(start))
		}
		time.AfterFunc(time.Second, p.net.HealAll)
		start = time.Now()
		c, err := p.us.Dial(t.Context(), "eu-1:7379")
		if err != nil || time.Since(start) != time.Second+100*ms {
			t.Fatalf("dial across a heal: %v after %v", err, time.Since(start))
		}
		c.Close()
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for addr, want := range map[string]error{
			"eu-1:1":        syscall.ECONNREFUSED,
			"10.9.9.9:7379": syscall.EHOSTUNREACH,
		} {
			if _, err := p.us.Dial(t.Context(), addr); !errors.Is(err, want) {
				t.Errorf("dial %s: %v, want %v", addr, err, want)
			}
		}
		var dns *net.DNSError
		if _, err := p.us.Dial(t.Context(), "nowhere:1"); !errors.As(err, &dns) {
			t.Errorf("dial of an unknown name: %v", err)
		}
		if _, err := p.eu.Listen("us-1:1"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("listen at another's address: %v", err)
		}
		if _, err := p.eu.Listen(":7379"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("listen twice: %v", err)
		}
	})
}

func TestCloseIsSeenAfterTheData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		send(t, p.dialer, "bye")
		p.dialer.Close()
		if _, err := p.server.Write([]byte("too early to know")); err != nil {
			t.Fatal(err)
		}
		receive(t, p.server, "bye", 50*ms)
		if _, err := p.server.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("read after the end: %v", err)
		}
		if _, err := p.server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatalf("write to a closed peer: %v", err)
		}
		if _, err := p.dialer.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("read of a closed connection: %v", err)
		}
	})
}

func TestCrashResetsAndRefusesUntilTheHostIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		send(t, p.server, "lost with the host")
		p.net.Crash("eu-1")
		if _, err := p.server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("the crashed host can read: %v", err)
		}
		if _, err := p.ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("the crashed host can accept: %v", err)
		}
		time.Sleep(50 * ms)
		if _, err := p.dialer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the other end sees %v", err)
		}
		if _, err := p.us.Dial(t.Context(), "eu-1:7379"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial of a crashed host: %v", err)
		}
		if _, err := p.eu.Dial(t.Context(), "us-1:7379"); !errors.Is(err, syscall.ENETDOWN) {
			t.Fatalf("dial by a crashed host: %v", err)
		}

		back := p.net.Host("eu-1", "eu")
		if back == p.eu || back.IP() != p.eu.IP() {
			t.Fatalf("the host came back as %v at %v", back, back.IP())
		}
		ln, err := back.Listen(":7379")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		c, err := p.us.Dial(t.Context(), back.IP().String()+":7379")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

func TestMovedHostHasANewAddress(t *testing.T) {
	n := New()
	before := n.Host("a", "r").IP()
	n.Crash("a")
	n.Move("a")
	if found, err := n.Host("b", "r").Lookup(t.Context(), "a"); err == nil {
		t.Fatalf("between addresses it lives at %v", found)
	}
	if after := n.Host("a", "r").IP(); after == before || !after.IsValid() {
		t.Fatalf("moved from %v to %v", before, after)
	}
}

func TestACutHidesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.Cut("us-1", "eu-1")
		p.net.Crash("eu-1")
		p.dialer.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := p.dialer.Read(make([]byte, 1)); !isTimeout(err) {
			t.Fatalf("the reset came over a cut link: %v", err)
		}
		p.dialer.SetReadDeadline(time.Time{})
		p.net.HealAll()
		if _, err := p.dialer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("after the heal: %v", err)
		}
	})
}

func TestUnacceptedConnectionsAreResetWithTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		c, err := p.us.Dial(t.Context(), "eu-1:7379")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.ln.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read: %v", err)
		}
	})
}

func TestGossipPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		us, err := p.us.Gossip(7946)
		if err != nil {
			t.Fatal(err)
		}
		defer us.Shutdown()
		eu, err := p.eu.Gossip(7946)
		if err != nil {
			t.Fatal(err)
		}
		defer eu.Shutdown()
		to := p.eu.IP().String() + ":7946"
		post := func(text string) {
			t.Helper()
			if _, err := us.WriteTo([]byte(text), to); err != nil {
				t.Fatal(err)
			}
		}

		start := time.Now()
		post("first")
		got := <-eu.PacketCh()
		if string(got.Buf) != "first" || time.Since(start) != 50*ms || got.From.String() != "us-1:7946" {
			t.Fatalf("packet %q from %v after %v", got.Buf, got.From, time.Since(start))
		}
		post("lost under way")
		p.net.Cut("us", "eu")
		post("lost at once")
		time.Sleep(time.Second)
		p.net.HealAll()
		post("last")
		if got := <-eu.PacketCh(); string(got.Buf) != "last" {
			t.Fatalf("packet %q came over a cut link", got.Buf)
		}

		c, err := us.DialTimeout(to, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		accepted := <-eu.StreamCh()
		defer accepted.Close()
		send(t, c, "state")
		receive(t, accepted, "state", 50*ms)
		us.Shutdown()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("a stream outlived its transport: %v", err)
		}
	})
}

// TestResetBreaksStreams: both ends hear of it, and new streams can be made.
func TestResetBreaksStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		send(t, p.dialer, "lost")
		p.net.Reset("us-1", "eu")
		for _, end := range []net.Conn{p.dialer, p.server} {
			if _, err := end.Read(make([]byte, 8)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read after the reset: %v", err)
			}
			if _, err := end.Write([]byte("x")); err == nil {
				t.Error("a write after the reset succeeded")
			}
		}
		c, err := p.us.Dial(t.Context(), "eu-1:7379")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

// TestJitterKeepsStreamsInOrder: bytes come late, each time by another while, but
// none overtakes another.
func TestJitterKeepsStreamsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.net.SetWeather(Weather{Rand: rand.New(rand.NewPCG(1, 2)), Jitter: 300 * ms})
		start := time.Now()
		for i := range 10 {
			send(t, p.dialer, string(rune('0'+i)))
		}
		b := make([]byte, 10)
		if _, err := io.ReadFull(p.server, b); err != nil || string(b) != "0123456789" {
			t.Errorf("%q, %v", b, err)
		}
		if took := time.Since(start); took <= 50*ms || took >= 350*ms {
			t.Errorf("it took %v", took)
		}
	})
}
