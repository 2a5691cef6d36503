package redisproto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// failing is a listener that has no file descriptors left for a while.
type failing struct {
	net.Listener
	left atomic.Int64
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestFailedAcceptsPauseAndPass(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{Listener: ln}
	f.left.Store(4)
	began := time.Now()
	srv := startOn(t, DefaultConfig(), newMemory(), f)
	p := dial(t, ln.Addr().String())
	p.ask(cmd("PING"), "+PONG\r\n")
	if d := time.Since(began); d < (1+2+4+8)*acceptPause {
		t.Errorf("four failures passed in %v", d)
	}
	if n := srv.Stats().AcceptErrors.Load(); n != 4 {
		t.Errorf("%d failures counted", n)
	}
}

func TestKill(t *testing.T) {
	m := newMemory()
	m.block, m.inside = make(chan struct{}), make(chan struct{}, 1)
	_, addr := start(t, DefaultConfig(), m)
	a, b, c := dial(t, addr), dial(t, addr), dial(t, addr)
	a.ask(cmd("CLIENT", "ID"), ":1\r\n")
	b.ask(cmd("CLIENT", "ID"), ":2\r\n")
	c.ask(cmd("CLIENT", "ID"), ":3\r\n")
	b.send(cmd("GET", "k")) // waits in the backend, which never answers
	<-m.inside
	a.ask(cmd("CLIENT", "KILL", "ID", "2"), ":1\r\n")
	b.wantEnd()
	a.ask(cmd("CLIENT", "KILL", c.LocalAddr().String()), "+OK\r\n")
	c.wantEnd()
	a.ask(cmd("CLIENT", "KILL", "TYPE", "normal"), ":0\r\n") // not itself
	a.ask(cmd("CLIENT", "KILL", "ADDR", a.LocalAddr().String(), "LADDR", addr, "SKIPME", "no")+cmd("PING"), ":1\r\n")
	a.wantEnd()
}

func TestShutdownAnswersWhatHasArrived(t *testing.T) {
	m := newMemory()
	m.block, m.inside = make(chan struct{}), make(chan struct{}, 10)
	srv, addr := start(t, DefaultConfig(), m)
	busy, idle := dial(t, addr), dial(t, addr)
	idle.ask(cmd("PING"), "+PONG\r\n")
	busy.send(cmd("SET", "a", "1"))
	<-m.inside
	busy.send(cmd("GET", "a") + cmd("PING")) // sent before the shutdown, not yet read
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(context.Background()) }()
	idle.wantEnd()
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still accepts clients")
	}
	close(m.block)
	busy.want("+OK\r\n")
	rest, err := io.ReadAll(busy)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if text := string(rest); text != "" && text != "$1\r\n1\r\n+PONG\r\n" {
		t.Errorf("half of a pipeline was answered: %q", text)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

func TestShutdownCancelsWhatDoesNotEnd(t *testing.T) {
	m := newMemory()
	m.block, m.inside = make(chan struct{}), make(chan struct{}, 1)
	srv, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	p.send(cmd("GET", "k"))
	<-m.inside
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if n := srv.ClientCount(); n != 0 {
		t.Errorf("%d clients left", n)
	}
}

func TestServeReturnsTheErrorOfAListenerClosedByOthers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(DefaultConfig(), newMemory())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	p := dial(t, ln.Addr().String())
	p.ask(cmd("PING"), "+PONG\r\n")
	ln.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if err := srv.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"databases": func(c *Config) { c.Databases = 0 },
		"clients":   func(c *Config) { c.MaxClients = -1 },
		"bulk":      func(c *Config) { c.MaxBulk = 1 << 40 },
		"idle":      func(c *Config) { c.IdleTimeout = -1 },
		"write":     func(c *Config) { c.WriteTimeout = 0 },
		"logger":    func(c *Config) { c.Logger = nil },
		"version":   func(c *Config) { c.Version = "" },
		"handshake": func(c *Config) { c.HandshakeTimeout = 0 },
	} {
		cfg := DefaultConfig()
		spoil(&cfg)
		if _, err := New(cfg, newMemory()); !errors.Is(err, ErrBadConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesInTwoTablesPanic(t *testing.T) {
	run := func(*Client, [][]byte) resp.Value { return resp.OK }
	for _, rows := range [][]Command{
		{{Spec: command.Spec{Name: "get", Arity: 2}, Run: run}},
		{{Spec: command.Spec{Name: "ping", Arity: 2}, Run: run}},
		{{Spec: command.Spec{Name: "empty", Arity: 2}}},
		{{Spec: command.Spec{Name: "a", Arity: -2}, Subs: []Command{
			{Spec: command.Spec{Name: "a|b", Arity: 2}, Run: run}, {Spec: command.Spec{Name: "a|b", Arity: 2}, Run: run}}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic for %s", rows[0].Name)
				}
			}()
			cfg := DefaultConfig()
			cfg.Commands = rows
			New(cfg, newMemory())
		}()
	}
}

func TestConcurrentClients(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 10 {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				script := cmd("CLIENT", "SETNAME", fmt.Sprint("c", i)) + cmd("SET", "k", "v") + cmd("SELECT", "3") + cmd("CLIENT", "LIST") + cmd("INFO")
				if j%5 == 4 {
					script += cmd("CLIENT", "KILL", "ID", fmt.Sprint(i*10+j))
				}
				io.WriteString(conn, script+cmd("QUIT"))
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		})
	}
	for range 50 {
		srv.InfoClients()
		srv.InfoStats()
		runtime.Gosched()
	}
	wg.Wait()
	if n := srv.Stats().Connections.Load(); n != 200 {
		t.Errorf("%d connections counted", n)
	}
	eventually(t, "all clients to go", func() bool { return srv.ClientCount() == 0 })
}
