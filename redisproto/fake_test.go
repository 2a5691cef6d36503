package redisproto

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// memory is a backend that keeps strings in a map.
type memory struct {
	mu     sync.Mutex
	data   map[string]string
	calls  []int         // how many each Do got
	execs  []int         // how many each Exec got
	block  chan struct{} // when not nil, Do waits for it or for ctx
	inside chan struct{} // gets a token when Do waits

	versions map[string]uint64
	lists    map[string][]string
	pushed   chan struct{} // closed by the next push
	waiting  int           // how many are in Wait
	undone   int
	replicas int
	servers  []*Server // all nodes
	posts    []int     // how many messages each Publish got
}

func newMemory() *memory {
	return &memory{data: map[string]string{}, versions: map[string]uint64{}, lists: map[string][]string{}, pushed: make(chan struct{})}
}

func (m *memory) Specs() []*command.Spec {
	return []*command.Spec{
		{Name: "get", Arity: 2, Flags: command.ReadOnly | command.Fast, FirstKey: 1, LastKey: 1, KeyStep: 1,
			Group: "string", Since: "1.0.0", Syntax: "key", Summary: "Returns a string."},
		{Name: "set", Arity: -3, Flags: command.Write | command.DenyOOM, FirstKey: 1, LastKey: 1, KeyStep: 1, Group: "string"},
		{Name: "mset", Arity: -3, Flags: command.Write | command.DenyOOM, FirstKey: 1, LastKey: -1, KeyStep: 2, Group: "string"},
		{Name: "eval", Arity: -3, Flags: command.NoScript | command.Stale, NumKeys: 2, Group: "scripting"},
		{Name: "rpush", Arity: -3, Flags: command.Write | command.DenyOOM | command.Fast, FirstKey: 1, LastKey: 1, KeyStep: 1, Group: "list"},
		{Name: "blpop", Arity: -3, Flags: command.Write | command.NoScript | command.Blocking, FirstKey: 1, LastKey: -2, KeyStep: 1, Group: "list"},
		{Name: "count", Arity: -1, Group: "string"},
		{Name: "fill", Arity: 2, Group: "string"},
		{Name: "boom", Arity: 1, Group: "string"},
		{Name: "expire-internally", Arity: 1, Flags: command.Internal},
		{Name: "object", Arity: -2, Group: "generic", Subcommands: []*command.Spec{
			{Name: "object|encoding", Arity: 3, Flags: command.ReadOnly, FirstKey: 2, LastKey: 2, KeyStep: 1, Group: "generic"},
		}},
	}
}

func (m *memory) Do(ctx context.Context, calls []command.Call) []resp.Value {
	if m.block != nil {
		select {
		case m.inside <- struct{}{}:
		default:
		}
		select {
		case <-m.block:
		case <-ctx.Done():
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, len(calls))
	replies := make([]resp.Value, len(calls))
	for i, call := range calls {
		replies[i] = m.one(call)
	}
	return replies
}

func (m *memory) one(call command.Call) resp.Value {
	switch call.Spec.Name {
	case "get":
		if v, ok := m.data[slot(call.DB, call.Args[1])]; ok {
			return resp.Str(v)
		}
		return resp.Null
	case "set":
		if len(call.Args) > 3 {
			return resp.ErrSyntax
		}
		m.data[slot(call.DB, call.Args[1])] = string(call.Args[2])
		m.versions[slot(call.DB, call.Args[1])]++
		return resp.OK
	case "rpush":
		list := slot(call.DB, call.Args[1])
		for _, arg := range call.Args[2:] {
			m.lists[list] = append(m.lists[list], string(arg))
		}
		m.versions[list]++
		close(m.pushed)
		m.pushed = make(chan struct{})
		return resp.Int(len(m.lists[list]))
	case "blpop":
		if _, fault := m.Timeout(call); fault.IsError() {
			return fault
		}
		for _, key := range call.Args[1 : len(call.Args)-1] {
			if list := slot(call.DB, key); len(m.lists[list]) > 0 {
				first := m.lists[list][0]
				m.lists[list] = m.lists[list][1:]
				return resp.Strs(string(key), first)
			}
		}
		return resp.NullArray
	case "count":
		return resp.Int(len(call.Args))
	case "fill":
		n := 0
		fmt.Sscan(string(call.Args[1]), &n)
		if n > 512<<20 {
			return resp.ErrStringTooLong
		}
		return resp.Str(strings.Repeat("x", n))
	case "boom":
		panic("boom")
	}
	return resp.Status(call.Spec.Name)
}

// start serves on a loopback port until the test ends, and checks then that no
// goroutine is left.
func start(t testing.TB, cfg Config, backend Backend) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, cfg, backend, ln), ln.Addr().String()
}

func startOn(t testing.TB, cfg Config, backend Backend, ln net.Listener) *Server {
	t.Helper()
	before := runtime.NumGoroutine()
	srv, err := New(cfg, backend)
	if err != nil {
		t.Fatal(err)
	}
	backend.(interface{ host(*Server) }).host(srv)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := srv.ClientCount(); n != 0 {
			t.Errorf("%d clients after Close", n)
		}
		eventually(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return srv
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

// peer is the client's end of a connection.
type peer struct {
	net.Conn
	*bufio.Reader
	t testing.TB
}

func (p peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

func dial(t testing.TB, addr string) peer {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return peer{conn, bufio.NewReader(conn), t}
}

func (p peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// want reads exactly the given bytes.
func (p peer) want(text string) {
	p.t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(p.Reader, got)
	if err != nil || string(got) != text {
		p.t.Fatalf("got %q (%v), want %q", got[:n], err, text)
	}
}

// wantEnd checks that the server sends nothing more and closes.
func (p peer) wantEnd() {
	p.t.Helper()
	rest, err := io.ReadAll(p.Reader)
	if err != nil || len(rest) > 0 {
		p.t.Fatalf("got %q (%v), want the end", rest, err)
	}
}

func (p peer) ask(text, reply string) {
	p.t.Helper()
	p.send(text)
	p.want(reply)
}

// cmd encodes a command as programs send it.
func cmd(args ...string) string {
	var b [][]byte
	for _, a := range args {
		b = append(b, []byte(a))
	}
	return string(appendCommand(nil, b))
}

// logBuffer keeps what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
