package redisproto

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

const popped = "*2\r\n$1\r\nq\r\n$1\r\nx\r\n"

func TestBlockingCommandsAnswerLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	compare(t, mine, realRedis(t), []string{
		lines("BLPOP", "BLPOP a", "BLPOP a -1", "BLPOP a x", "BLPOP a 0.01", "PING", "HELLO 3", "BLPOP a b 0.01"),
		lines("RPUSH a 1 2 3", "BLPOP a 0", "BLPOP b a 0", "MULTI", "BLPOP a 0", "BLPOP a 0", "BLPOP a x", "PING", "EXEC"),
		lines("PING", "BLPOP a 0.01", "RPUSH a 1", "BLPOP a 1", "SELECT 1", "BLPOP a 0.01", "PING"),
		lines("CLIENT REPLY OFF", "RPUSH a 1", "BLPOP a 0", "BLPOP a 0.01", "CLIENT REPLY ON", "CLIENT REPLY SKIP", "BLPOP a 0.01", "PING"),
		lines("WAIT", "WAIT a 0", "WAIT 0 a", "WAIT 0 -1", "WAIT -1 0", "WAIT 0 0", "WAIT 1 10", "WAIT 0 1.5", "WAIT 0 99999999999999999999",
			"WAIT 0 9223372036854775807", "MULTI", "WAIT 0 0", "WAIT 1 0", "PING", "EXEC"),
		lines("CLIENT UNBLOCK", "CLIENT UNBLOCK a", "CLIENT UNBLOCK 1", "CLIENT UNBLOCK 1 x", "CLIENT UNBLOCK 1 error", "CLIENT UNBLOCK 1 TIMEOUT a",
			"CLIENT UNBLOCK -1", "CLIENT UNBLOCK 99999999999999999999"),
	})
}

func TestBlockedClientIsServedAndGoesOn(t *testing.T) {
	m := newMemory()
	cfg := DefaultConfig()
	cfg.IdleTimeout = 200 * time.Millisecond
	srv, addr := start(t, cfg, m)
	p, q := dial(t, addr), dial(t, addr)
	// What comes before is answered at once, what comes after later; twice, with bytes
	// that come in pieces while it waits.
	for range 2 {
		p.send(lines("SET a 1", "BLPOP q 0", "GET a") + "*1\r\n$4\r\nPI")
		p.want("+OK\r\n")
		eventually(t, "the client to wait", func() bool { return m.waits() == 1 && srv.blocked.Load() == 1 })
		p.send("NG\r\n" + cmd("ECHO", "late"))
		q.ask(cmd("PING"), "+PONG\r\n")
		if line := clientLine(t, q, 1); !strings.Contains(line, " flags=b ") || !strings.Contains(line, " cmd=blpop ") {
			t.Errorf("CLIENT LIST: %s", line)
		}
		q.ask(cmd("RPUSH", "q", "x"), ":1\r\n")
		p.want(popped + "$1\r\n1\r\n+PONG\r\n$4\r\nlate\r\n")
	}
	// Time-outs for silence do not hold while it waits, and do again after that.
	p.send(cmd("BLPOP", "nosuch", "0.5") + cmd("PING"))
	p.want("*-1\r\n+PONG\r\n")
	p.wantEnd()
}

func TestDeadClientsGetNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p, q peer)
	}{
		{"closes", func(p, _ peer) { p.Conn.Close() }},
		{"resets", func(p, _ peer) { p.Conn.(*net.TCPConn).SetLinger(0); p.Conn.Close() }},
		{"closes with commands behind", func(p, _ peer) { p.send(cmd("SET", "a", "1")); p.Conn.Close() }},
		{"is killed", func(p, q peer) { q.ask(cmd("CLIENT", "KILL", "ID", "1"), ":1\r\n"); p.wantEnd() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMemory()
			srv, addr := start(t, DefaultConfig(), m)
			p := dial(t, addr)
			p.ask(cmd("PING"), "+PONG\r\n")
			q := dial(t, addr)
			p.send(cmd("BLPOP", "q", "0") + cmd("SET", "b", "1"))
			eventually(t, "the client to wait", func() bool { return m.waits() == 1 })
			tt.end(p, q)
			eventually(t, "the client to go", func() bool { return m.waits() == 0 && srv.ClientCount() == 1 })
			q.ask(cmd("RPUSH", "q", "x")+cmd("BLPOP", "q", "0")+cmd("GET", "b"), ":1\r\n"+popped+"$-1\r\n")
			if n := srv.blocked.Load(); n != 0 {
				t.Errorf("%d clients blocked", n)
			}
		})
	}
}

// late gives a client its element only when the client is gone.
type late struct {
	*memory
	gone chan struct{}
}

func (l late) Wait(ctx context.Context, call command.Call) (resp.Value, bool) {
	<-ctx.Done()
	close(l.gone)
	return l.memory.Wait(context.Background(), call)
}

func TestWhatADeadClientGotIsPutBack(t *testing.T) {
	l := late{newMemory(), make(chan struct{})}
	_, addr := start(t, DefaultConfig(), l)
	p, q := dial(t, addr), dial(t, addr)
	q.ask(cmd("RPUSH", "q", "x", "y"), ":2\r\n")
	p.send(cmd("BLPOP", "q", "0"))
	p.Conn.Close()
	<-l.gone
	eventually(t, "the element to be put back", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.undone == 1 && len(l.lists["0 q"]) == 2 && l.lists["0 q"][0] == "x"
	})
}

func TestUnblock(t *testing.T) {
	m := newMemory()
	_, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	p.ask(cmd("CLIENT", "ID"), ":1\r\n")
	q := dial(t, addr)
	for _, tt := range []struct{ send, how, want string }{
		{"BLPOP q 0", "", "*-1\r\n"}, {"BLPOP q 100", " TIMEOUT", "*-1\r\n"}, {"WAIT 1 0", " timeout", ":0\r\n"},
		{"BLPOP q 0", " ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
		{"WAIT 1 0", " ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
	} {
		p.send(lines(tt.send, "PING"))
		eventually(t, "the client to be unblocked", func() bool {
			q.send(lines("CLIENT UNBLOCK 1" + tt.how))
			line, err := q.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return line == ":1\r\n"
		})
		p.want(tt.want + "+PONG\r\n")
	}
	q.ask(lines("CLIENT UNBLOCK 1"), ":0\r\n")
}

func TestWAITCountsReplicas(t *testing.T) {
	m := newMemory()
	m.replicas = 2
	_, addr := start(t, DefaultConfig(), m)
	p := dial(t, addr)
	p.ask(lines("WAIT 2 0", "WAIT 1 0", "WAIT 3 1", "MULTI", "WAIT 3 0", "EXEC"), ":2\r\n:2\r\n:2\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n")
}

func TestShutdownEndsWaiting(t *testing.T) {
	m := newMemory()
	srv, addr := start(t, DefaultConfig(), m)
	p, q := dial(t, addr), dial(t, addr)
	p.send(cmd("PING") + cmd("BLPOP", "q", "0") + cmd("PING"))
	q.send(cmd("PING") + cmd("WAIT", "1", "0") + cmd("PING"))
	eventually(t, "the clients to wait", func() bool { return srv.blocked.Load() == 2 })
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for _, p := range []peer{p, q} {
		p.want("+PONG\r\n")
		p.wantEnd()
	}
}

// A client may send more than is read ahead. All of it is executed in the end.
func TestLongPipelineBehindABlockingCommand(t *testing.T) {
	m := newMemory()
	_, addr := start(t, DefaultConfig(), m)
	p, q := dial(t, addr), dial(t, addr)
	const n = 3 * maxAhead / 20
	p.send(cmd("BLPOP", "q", "0"))
	eventually(t, "the client to wait", func() bool { return m.waits() == 1 })
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		io.WriteString(p.Conn, strings.Repeat(cmd("COUNT", "a"), n))
	}()
	q.ask(cmd("RPUSH", "q", "x"), ":1\r\n")
	p.want(popped + strings.Repeat(":2\r\n", n))
	<-sent
}

// Reading that stops at a deadline loses nothing of a TLS record that has come in part.
func TestBlockingOverTLS(t *testing.T) {
	server, client := certificate(t)
	srv, addr := startTLS(t, DefaultConfig(), server)
	slow := &halting{Conn: dial(t, addr).Conn}
	conn := tls.Client(slow, withName(client))
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := peer{conn, bufio.NewReader(conn), t}
	p.ask(cmd("PING"), "+PONG\r\n")
	for i := range 20 {
		p.send(cmd("WAIT", "1", "0"))
		eventually(t, "the client to wait", func() bool { return srv.blocked.Load() == 1 })
		slow.hold = 3 + 5*i // these bytes of the record come while it waits, the others later
		p.send(cmd("ECHO", fmt.Sprint(i)))
		q, _ := net.Dial("tcp", addr)
		other := tls.Client(q, withName(client))
		io.WriteString(other, cmd("CLIENT", "UNBLOCK", "1"))
		p.want(":0\r\n")
		other.Close()
		slow.release()
		p.want(fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i)), i))
	}
}

func withName(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.ServerName = "127.0.0.1"
	return config
}

// halting sends only the first hold bytes of a write, when hold is not 0, and the rest
// with release.
type halting struct {
	net.Conn
	hold int
	rest []byte
}

func (h *halting) Write(b []byte) (int, error) {
	n := len(b)
	if h.hold > 0 {
		cut := min(h.hold, n-1)
		b, h.rest, h.hold = b[:cut], append([]byte(nil), b[cut:]...), 0
	}
	if _, err := h.Conn.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

func (h *halting) release() { h.Conn.Write(h.rest) }
