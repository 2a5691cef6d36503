package redisproto

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// redcon's buffer holds 4 KiB at first; what has arrived is one pipeline all
// the same.
// short forgets the last reply.
func TestLimits(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxBulk, cfg.MaxArgs, cfg.MaxQuery, cfg.MaxInline = 2000, 100, 8000, 500
	srv, addr := start(t, cfg, newMemory())
	x := func(n int) string { return strings.Repeat("x", n) }
	words := strings.Fields(strings.Repeat("count ", 100))
	tests := []struct{ name, send, want string }{
		{"largest bulk", cmd("COUNT", x(2000)), ":2\r\n"},
		{"bulk too large", "*2\r\n$5\r\nCOUNT\r\n$2001\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"most arguments", cmd(words...), ":100\r\n"},
		{"too many arguments", "*101\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"largest query", cmd("COUNT", x(2000), x(2000), x(2000), x(1900)), ":5\r\n"},
		{"query too large", cmd("COUNT", x(2000), x(2000), x(2000)) + cmd("COUNT", x(2000), x(2000), x(2000), x(2000)),
			":4\r\n-ERR Protocol error: too big query\r\n"},
		{"longest line", "count " + x(494) + "\n", ":2\r\n"},
		{"line too long", "count " + x(495) + "\n", "-ERR Protocol error: too big inline request\r\n"},
		{"line without end", x(501), "-ERR Protocol error: too big inline request\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, addr)
			p.ask(tt.send, tt.want)
			if strings.Contains(tt.want, "-ERR") {
				p.wantEnd()
			} else {
				p.ask(cmd("PING"), "+PONG\r\n")
			}
		})
	}
	if n := srv.Stats().QueryLimit.Load(); n != 1 {
		t.Errorf("%d too long commands counted", n)
	}
	if n := srv.Stats().ProtocolErrors.Load(); n != 5 {
		t.Errorf("%d protocol errors counted", n)
	}
}

func TestForeignProtocolsAreClosedAtOnce(t *testing.T) {
	var log logBuffer
	cfg := DefaultConfig()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	m := newMemory()
	srv, addr := start(t, cfg, m)
	for i, in := range []string{
		"POST /x HTTP/1.1\r\nHost: a\r\n\r\nSET evil 1\r\n", "GET / HTTP/1.1\r\nX: y\r\nSET evil 1\r\n", "Host: a\r\nSET evil 1\r\n",
		"DELETE /x HTTP/1.0\r\n\r\nSET evil 1\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03SET evil 1\r\n",
	} {
		p := dial(t, addr)
		p.send(in)
		rest, err := io.ReadAll(p)
		if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: got %q, %v", in, rest, err)
		}
		if n := srv.Stats().ProtocolErrors.Load(); n != int64(i+1) {
			t.Errorf("%q: %d protocol errors counted", in, n)
		}
	}
	if len(m.data) > 0 {
		t.Errorf("a foreign peer wrote %v", m.data)
	}
	if n := strings.Count(log.String(), "does not speak"); n != 1 {
		t.Errorf("%d warnings, want one a minute:\n%s", n, log.String())
	}
	p := dial(t, addr) // what came before is answered
	p.ask(cmd("PING")+"host: x\r\n", "+PONG\r\n")
}

func TestClientsOverTheLimitAreTurnedAway(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxClients = 2
	srv, addr := start(t, cfg, newMemory())
	a, b := dial(t, addr), dial(t, addr)
	a.ask(cmd("PING"), "+PONG\r\n")
	b.ask(cmd("PING"), "+PONG\r\n")
	c := dial(t, addr)
	c.want("-ERR max number of clients reached\r\n")
	c.wantEnd()
	if n := srv.Stats().Rejected.Load(); n != 1 {
		t.Errorf("%d rejections counted", n)
	}
	a.ask(cmd("QUIT"), "+OK\r\n")
	a.wantEnd()
	a.Conn.Close()
	eventually(t, "a place", func() bool { return srv.ClientCount() == 1 })
	d := dial(t, addr)
	d.ask(cmd("PING"), "+PONG\r\n")
}

// abroad is a listener whose peers seem to be on another machine.
type abroad struct{ net.Listener }

type foreigner struct{ *net.TCPConn }

func (foreigner) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }

func (a abroad) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return foreigner{conn.(*net.TCPConn)}, nil
}

func TestProtectedMode(t *testing.T) {
	for _, tt := range []struct {
		name      string
		protected bool
		password  string
		abroad    bool
		want      string
	}{
		{"without a password", true, "", true, "-DENIED "},
		{"from this machine", true, "", false, "+PONG\r\n"},
		{"with a password", true, "sesame", true, "-NOAUTH "},
		{"turned off", false, "", true, "+PONG\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Protected, cfg.Password = tt.protected, tt.password
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := ln.Addr().String()
			if tt.abroad {
				ln = abroad{ln}
			}
			startOn(t, cfg, newMemory(), ln)
			p := dial(t, addr)
			p.ask(cmd("PING"), tt.want)
			if strings.HasPrefix(tt.want, "-DENIED") {
				if _, err := io.ReadAll(p); err != nil {
					t.Errorf("the connection is not closed: %v", err)
				}
			}
		})
	}
}

func TestIdleClientsAreClosed(t *testing.T) {
	cfg := DefaultConfig()
	cfg.IdleTimeout = 300 * time.Millisecond
	srv, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	p.ask(cmd("PING"), "+PONG\r\n")
	p.wantEnd()
	if n := srv.Stats().IdleTimeouts.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

func TestLongKeysAreRefused(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxKey = 64
	m := newMemory()
	srv, addr := start(t, cfg, m)
	p := dial(t, addr)
	ok, long := strings.Repeat("k", 64), strings.Repeat("k", 65)
	const refused = "-ERR key is too long, the limit is 64 bytes\r\n"
	p.ask(cmd("SET", ok, long)+cmd("GET", ok)+cmd("SET", long, "v")+cmd("MSET", "a", "b", long, "c")+cmd("MSET", "a", long)+cmd("COUNT", long)+
		cmd("EVAL", long, "1", ok)+cmd("EVAL", "x", "1", long),
		"+OK\r\n$65\r\n"+long+"\r\n"+refused+refused+"+mset\r\n:2\r\n+eval\r\n"+refused)
	if n := srv.Stats().KeyLimit.Load(); n != 3 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestStringsThatWouldBeTooLongAreCounted(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	const refused = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
	p.ask(cmd("FILL", "1000000000")+cmd("FILL", "1")+cmd("MULTI")+cmd("FILL", "1000000000")+cmd("EXEC"),
		refused+"$1\r\nx\r\n+OK\r\n+QUEUED\r\n*1\r\n"+refused)
	if n := srv.Stats().ValueLimit.Load(); n != 2 {
		t.Errorf("%d refusals counted", n)
	}
}

// A client may send all of a long pipeline before it reads the first reply.
func TestSlowReaderDoesNotStopItsPipeline(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	const n, size = 200, 100_000 // 20 MB of replies, more than sockets hold
	p.send(strings.Repeat(cmd("FILL", fmt.Sprint(size)), n) + cmd("SET", "done", "1"))
	q := dial(t, addr)
	eventually(t, "the last command", func() bool {
		q.send(cmd("GET", "done"))
		line, err := q.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "$1\r\n" {
			q.want("1\r\n")
			return true
		}
		return false
	})
	reply := fmt.Sprintf("$%d\r\n%s\r\n", size, strings.Repeat("x", size))
	for range n {
		p.want(reply)
	}
	p.want("+OK\r\n")
	p.ask(cmd("QUIT"), "+OK\r\n")
	p.wantEnd()
	if n := srv.Stats().OutputLimit.Load(); n != 0 {
		t.Errorf("%d connections closed", n)
	}
}

func TestClientThatNeverReadsIsClosed(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxOutput = 1 << 20
	srv, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	p.ask(cmd("PING"), "+PONG\r\n")
	p.send(strings.Repeat(cmd("FILL", "1000000"), 20))
	eventually(t, "the connection to be closed", func() bool { return srv.ClientCount() == 0 })
	if n := srv.Stats().OutputLimit.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

func TestWaitingRepliesTimeOut(t *testing.T) {
	cfg := DefaultConfig()
	cfg.WriteTimeout = 100 * time.Millisecond
	srv, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	p.ask(cmd("PING"), "+PONG\r\n")
	p.send(strings.Repeat(cmd("FILL", "1000000"), 20))
	eventually(t, "the connection to be closed", func() bool { return srv.ClientCount() == 0 })
	if n := srv.Stats().OutputLimit.Load(); n != 0 {
		t.Errorf("closed for the size of the output, not for the time")
	}
	if n := srv.Stats().WriteTimeouts.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

// Refusals need not be read either, and a client that has not said who it is
// has room for few.
func TestUnauthenticatedOutputIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Password = "sesame"
	srv, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	p.ask(cmd("PING"), "-NOAUTH Authentication required.\r\n")
	flood := []byte(strings.Repeat(cmd("PING"), 4000))
	for {
		if _, err := p.Conn.Write(flood); err != nil {
			break
		}
	}
	eventually(t, "the connection to be closed", func() bool { return srv.ClientCount() == 0 })
	if n := srv.Stats().OutputLimit.Load(); n != 1 {
		t.Errorf("%d connections counted", n)
	}
}

// Many clients come, work, list and kill each other, and go, while the server
// counts and then closes.

// Many clients, each within its own limits, must not take all memory: neither with
// replies that they do not read nor with commands that do not end.
func TestBuffersOfAllClientsAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxBuffers = 8 << 20
	srv, addr := start(t, cfg, newMemory())
	well := dial(t, addr)
	for range 10 {
		p := dial(t, addr)
		go io.WriteString(p.Conn, strings.Repeat(cmd("FILL", "1000000"), 20)) // never reads
		q := dial(t, addr)
		go io.WriteString(q.Conn, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16000000\r\n"+strings.Repeat("x", 15_000_000))
	}
	eventually(t, "most to be cut off", func() bool {
		if held := srv.ClientBuffers(); held > 8<<20+20*2*bufferShare {
			t.Fatalf("%d bytes are held", held)
		}
		well.ask(cmd("SET", "k", "v")+cmd("GET", "k"), "+OK\r\n$1\r\nv\r\n")
		return srv.Stats().Evicted.Load() >= 10
	})
	for _, c := range srv.all() {
		if c.Addr() != well.LocalAddr().String() {
			c.Kill()
		}
	}
	eventually(t, "the rest to go", func() bool { return srv.ClientCount() == 1 && srv.ClientBuffers() < 128<<10 })
}
