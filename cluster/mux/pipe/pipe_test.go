package pipe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// read reads once and also tells how long that took.
func read(t *testing.T, p *Pipe) (string, time.Duration, error) {
	t.Helper()
	start, buf := time.Now(), make([]byte, 100)
	n, err := p.Read(buf)
	return string(buf[:n]), time.Since(start), err
}

func write(t *testing.T, p *Pipe, s string, delay time.Duration) {
	t.Helper()
	if n, err := p.Write([]byte(s), delay); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

func expect(t *testing.T, p *Pipe, want string, after time.Duration, wantErr error) {
	t.Helper()
	got, took, err := read(t, p)
	if got != want || took != after || !errors.Is(err, wantErr) {
		t.Fatalf("read %q after %v, %v; want %q after %v, %v", got, took, err, want, after, wantErr)
	}
}

func TestBytesArriveInOrderAfterTheDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(100)
		write(t, p, "slow", 50*ms)
		write(t, p, "fast", 10*ms) // cannot overtake
		expect(t, p, "slowfast", 50*ms, nil)
		write(t, p, "x", 0)
		expect(t, p, "x", 0, nil)
	})
}

func TestEndComesAfterWhatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(100)
		write(t, p, "last", 30*ms)
		p.End(io.EOF, 10*ms)
		if _, err := p.Write([]byte("more"), 0); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("write after the end: %v", err)
		}
		expect(t, p, "last", 30*ms, nil)
		expect(t, p, "", 0, io.EOF)
		expect(t, p, "", 0, io.EOF)
	})
}

func TestResetOvertakesWhatWasNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(100)
		write(t, p, "lost", 0)
		p.End(syscall.ECONNRESET, 20*ms)
		time.Sleep(20 * ms)
		expect(t, p, "", 0, syscall.ECONNRESET)
	})
}

func TestHeldBytesWaitAndThenFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(100)
		write(t, p, "a", 10*ms)
		p.Hold(true, 0)
		write(t, p, "b", 10*ms)
		p.End(io.EOF, 10*ms)
		p.SetReadDeadline(time.Now().Add(time.Hour))
		expect(t, p, "", time.Hour, os.ErrDeadlineExceeded)
		if p.Ended() {
			t.Fatal("the end arrived through a held pipe")
		}
		p.SetReadDeadline(time.Time{})
		p.Hold(false, 5*ms)
		expect(t, p, "ab", 5*ms, nil)
		expect(t, p, "", 0, io.EOF)
	})
}

func TestWriterWaitsWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		p.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := p.Write([]byte("123456"), 0); n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write = %d, %v", n, err)
		}
		p.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Second)
			_, _ = p.Read(make([]byte, 4))
		}()
		start := time.Now()
		write(t, p, "789", 0)
		if took := time.Since(start); took != time.Second {
			t.Fatalf("the writer waited for %v", took)
		}
	})
}

func TestClosedReaderFreesTheWriterUnlessHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		write(t, p, "full", 0)
		p.Hold(true, 0)
		p.CloseRead()
		expect(t, p, "", 0, net.ErrClosed)
		go func() {
			time.Sleep(time.Minute)
			p.Hold(false, 0)
		}()
		start := time.Now()
		write(t, p, "into the void", 0)
		if took := time.Since(start); took != time.Minute {
			t.Fatalf("the writer learned through a held pipe, after %v", took)
		}
	})
}

func TestDeadlineAndAbortWakeWaiters(t *testing.T) {
	gone := errors.New("gone")
	for name, wake := range map[string]struct {
		do   func(*Pipe)
		want error
	}{
		"deadline in the past": {func(p *Pipe) { p.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"abort":                {func(p *Pipe) { p.Abort(gone) }, gone},
		"close":                {func(p *Pipe) { p.CloseRead() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(4)
				time.AfterFunc(time.Second, func() { wake.do(p) })
				expect(t, p, "", time.Second, wake.want)
			})
		})
	}
}
