package redisproto

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"
)

// recorded is a connection whose client has sent everything beforehand: each Read
// gets one of the pieces at most, then the end. What the server writes is kept.
type recorded struct {
	pieces [][]byte
	mu     sync.Mutex
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

func (c *recorded) Read(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *recorded) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *recorded) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *recorded) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix", Name: "here"} }
func (c *recorded) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix", Name: "there"} }
func (c *recorded) SetDeadline(time.Time) error      { return nil }
func (c *recorded) SetReadDeadline(time.Time) error  { return nil }
func (c *recorded) SetWriteDeadline(time.Time) error { return nil }

// oneConn is a listener that has one connection.
type oneConn struct {
	conn   chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: "here"} }

// firstID is a number of a connection that no fuzzed command has by chance.
const firstID = 1000

// answers returns everything that a new server answers to a connection on which the
// pieces arrive, until the client has no more to say.
func answers(t *testing.T, cfg Config, pieces ...[]byte) string {
	t.Helper()
	m := newMemory()
	srv, err := New(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	srv.lastID = firstID
	conn := &recorded{pieces: pieces, closed: make(chan struct{})}
	ln := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	ln.conn <- conn
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case <-conn.closed:
	case <-time.After(10 * time.Second):
		t.Fatalf("the connection does not end:\n%q", conn.out.String())
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := srv.Stats().Panics.Load(); n != 0 {
		t.Fatalf("%d commands panicked", n)
	}
	return conn.out.String()
}

// pending is what CLIENT LIST says of replies that wait, and of how long: it depends
// on the moment.
var pending = regexp.MustCompile(`age=\d+ idle=\d+|oll=\d+ omem=\d+`)

// FuzzStream: the same bytes have the same replies, whatever pieces they arrive in,
// and whether a password has to come first or not.
func FuzzStream(f *testing.F) {
	for i, in := range scannerInputs {
		f.Add([]byte(in+cmd("GET", "k")+cmd("CLIENT", "INFO")), uint64(i), i%3 == 0)
	}
	for i, in := range streamInputs {
		f.Add([]byte(in), uint64(i), i%3 == 0)
		f.Add([]byte(cmd("AUTH", "sesame")+in), uint64(i), true)
	}
	open := DefaultConfig()
	open.MaxBulk, open.MaxQuery, open.MaxInline, open.MaxArgs = 20<<10, 64<<10, 256, 32 // within reach
	locked := open
	locked.Password = "sesame"
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, password bool) {
		if bytes.Contains(bytes.ToLower(in), []byte("fill")) || bytes.Contains(bytes.ToLower(in), []byte("boom")) {
			return // commands of the backend that answer with any size, or panic on purpose
		}
		cfg := open
		if password {
			cfg = locked
		}
		want := pending.ReplaceAllString(answers(t, cfg, bytes.Clone(in)), "")
		got := pending.ReplaceAllString(answers(t, cfg, split(bytes.Clone(in), seed)...), "")
		if got != want {
			t.Fatalf("%q\nin pieces %q\nhas the replies %q\nin one piece    %q", in, split(bytes.Clone(in), seed), got, want)
		}
	})
}

var streamInputs = []string{
	lines("PING", "SET k v", "GET k", "SELECT 3", "GET k", "CLIENT INFO", "HELLO 3", "GET k", "MSET a 1 b 2", "COUNT a b c", "RESET", "GET k"),
	cmd("SET", "k", "v") + cmd("CLIENT", "REPLY", "SKIP") + cmd("GET", "k") + cmd("GET", "k") + cmd("CLIENT", "REPLY", "OFF") + cmd("PING") + "*a\r\n",
	cmd("CLIENT", "SETNAME", "joe") + cmd("CLIENT", "LIST") + cmd("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") + cmd("PING"),
	cmd("GET", "k") + cmd("ECHO", "x") + cmd("SET", "k") + cmd("nosuch", "a\r\nb") + cmd("CONFIG", "GET", "*max*") + cmd("QUIT") + cmd("PING"),
	cmd("HELLO", "3", "AUTH", "default", "sesame", "SETNAME", "j") + cmd("OBJECT", "ENCODING", "k") + cmd("COMMAND", "INFO", "get") + "PING\r\n",
	cmd("SET", "k", string(bytes.Repeat([]byte("x"), 5000))) + cmd("GET", "k") + cmd("GET", "k") + "*33\r\n",
}
