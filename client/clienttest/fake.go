// Package clienttest is a node to test clients against: it speaks the Redis
// protocol, versions 2 and 3, and answers what it was told to. The tests of client
// and phononctl use it; it keeps no data.
package clienttest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/redcon"
)

// Map is a mapping in order: name, value, name, value.
type Map []any

// Status is a reply such as OK.
type Status string

// Error is an error reply, with its prefix such as "ERR ".
type Error string

// What a real server says.
const (
	wrongPassword = Error("WRONGPASS invalid username-password pair or user is disabled.")
	noPassword    = Error("NOAUTH Authentication required.")
	unknown       = "ERR unknown command '%s', with args beginning with: "
)

// Node is a fake node.
type Node struct {
	// Addr is where it listens.
	Addr string

	mu       sync.Mutex
	replies  map[string]any
	received []string
	resp3    bool
	password string
	drop     map[string]int
}

// Option changes how a node behaves.
type Option func(*Node)

// RESP2 makes a node that does not know HELLO.
func RESP2() Option { return func(n *Node) { n.resp3 = false } }

// Password makes a node ask for one.
func Password(password string) Option { return func(n *Node) { n.password = password } }

// Drop closes the connection without an answer the first times a command comes.
func Drop(command string, times int) Option {
	return func(n *Node) { n.drop[strings.ToUpper(command)] = times }
}

// Start runs a node on a free port of 127.0.0.1 until the test is over. The
// replies are by command, with its arguments after single spaces or without any.
// A reply is a string, int, bool, Status, Error, nil, []any or Map.
func Start(t testing.TB, replies map[string]any, options ...Option) *Node {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Serve(t, ln, replies, options...)
}

// Serve is Start on a listener of the caller's.
func Serve(t testing.TB, ln net.Listener, replies map[string]any, options ...Option) *Node {
	t.Helper()
	n := &Node{Addr: ln.Addr().String(), replies: replies, resp3: true, drop: map[string]int{}}
	for _, o := range options {
		o(n)
	}
	server := redcon.NewServer(n.Addr, n.handle, nil, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ln)
	}()
	t.Cleanup(func() {
		ln.Close() // also where Serve has not begun yet
		server.Close()
		<-done
	})
	return n
}

// Received returns the commands that came, but for those that open a connection.
func (n *Node) Received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.received...)
}

// session is what a connection has agreed on.
type session struct {
	proto int
	known bool // has given the password
}

func (n *Node) handle(conn redcon.Conn, cmd redcon.Command) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := conn.Context().(*session)
	if !ok {
		s = &session{proto: 2, known: n.password == ""}
		conn.SetContext(s)
	}
	args := make([]string, len(cmd.Args))
	for i, a := range cmd.Args {
		args[i] = string(a)
	}
	args[0] = strings.ToUpper(args[0])
	conn.WriteRaw(appendReply(nil, n.reply(s, conn, args), s.proto))
}

func (n *Node) reply(s *session, conn redcon.Conn, args []string) any {
	switch args[0] {
	case "HELLO":
		return n.hello(s, args)
	case "AUTH":
		if s.known = args[len(args)-1] == n.password; !s.known {
			return wrongPassword
		}
		return Status("OK")
	}
	if !s.known {
		return noPassword
	}
	switch args[0] {
	case "PING":
		return Status("PONG")
	case "SELECT", "CLIENT":
		return Status("OK")
	}
	n.received = append(n.received, strings.Join(args, " "))
	if n.drop[args[0]] > 0 {
		n.drop[args[0]]--
		conn.Close()
		return nil
	}
	for _, key := range []string{strings.Join(args, " "), args[0]} {
		if reply, ok := n.replies[key]; ok {
			return reply
		}
	}
	return Error(fmt.Sprintf(unknown, args[0]))
}

func (n *Node) hello(s *session, args []string) any {
	if !n.resp3 {
		return Error(fmt.Sprintf(unknown, "HELLO"))
	}
	for i, a := range args {
		if strings.EqualFold(a, "AUTH") && i+2 < len(args) {
			s.known = args[i+2] == n.password
		}
	}
	if !s.known {
		return wrongPassword
	}
	if len(args) > 1 && args[1] == "3" {
		s.proto = 3
	}
	return Map{"server", "redis", "proto", s.proto}
}

func appendReply(b []byte, v any, proto int) []byte {
	switch v := v.(type) {
	case nil:
		if proto == 3 {
			return append(b, "_\r\n"...)
		}
		return redcon.AppendNull(b)
	case string:
		return redcon.AppendBulkString(b, v)
	case Status:
		return redcon.AppendString(b, string(v))
	case Error:
		return redcon.AppendError(b, string(v))
	case int:
		return redcon.AppendInt(b, int64(v))
	case bool:
		switch {
		case proto == 3 && v:
			return append(b, "#t\r\n"...)
		case proto == 3:
			return append(b, "#f\r\n"...)
		case v:
			return redcon.AppendInt(b, 1)
		}
		return redcon.AppendInt(b, 0)
	case []any:
		return appendAll(redcon.AppendArray(b, len(v)), v, proto)
	case Map:
		if proto == 3 {
			return appendAll(fmt.Appendf(b, "%%%d\r\n", len(v)/2), v, proto)
		}
		return appendAll(redcon.AppendArray(b, len(v)), v, proto)
	}
	panic(fmt.Sprintf("clienttest: no reply can be a %T", v))
}

func appendAll(b []byte, all []any, proto int) []byte {
	for _, v := range all {
		b = appendReply(b, v, proto)
	}
	return b
}
