package fsm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// startRedis runs a real redis-server for the length of a test and returns its
// address.
func startRedis(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests compare with a real redis-server (7.0): install one, it is not in PATH")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	ln.Close()
	// The shell ends the server when its own input ends, which it also does when this
	// process is killed, as the fuzzer's workers are.
	cmd := exec.Command("sh", "-c", `"$@" & read -r _; kill -9 $!; wait`, "sh",
		path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait() // its error says that it was killed
	})
	// Wait for an answer: the port is there before the server.
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := dialRedis(addr)
		if err == nil {
			_, err = c.do("PING")
			c.Close()
		}
		if err == nil {
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer: %v", err)
		}
	}
}

// redisConn is a connection to a real server that reads replies as values.
type redisConn struct {
	net.Conn
	r *bufio.Reader
}

func dialRedis(addr string) (*redisConn, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	return &redisConn{c, bufio.NewReader(c)}, nil
}

// connect dials a server of [startRedis] in the given protocol version.
func connect(t testing.TB, addr string, proto int) *redisConn {
	t.Helper()
	c, err := dialRedis(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.do("HELLO", strconv.Itoa(proto)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *redisConn) do(args ...string) (resp.Value, error) {
	replies, err := c.pipeline([][]string{args})
	if err != nil {
		return resp.Value{}, err
	}
	return replies[0], nil
}

// pipeline sends many commands before it reads the first reply.
func (c *redisConn) pipeline(commands [][]string) ([]resp.Value, error) {
	var b []byte
	for _, args := range commands {
		b = resp.AppendCommand(b, args...)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	replies := make([]resp.Value, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = readReply(c.r); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// must is do for a connection that works.
func (c *redisConn) must(t testing.TB, args ...string) resp.Value {
	t.Helper()
	v, err := c.do(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return v
}

var dataTable = DataCommands()

// unwaiting returns what asks a real server for the reply to a command that it gives
// without waiting: the command itself, or a transaction with it.
func unwaiting(args []string) [][]string {
	if cmd := dataTable.Lookup(callOf(0, args...).Args); cmd != nil && cmd.Has(command.Blocking) {
		return [][]string{{"MULTI"}, args, {"EXEC"}}
	}
	return [][]string{args}
}

// answered returns the reply among those to what unwaiting has returned.
func answered(replies []resp.Value) resp.Value {
	switch {
	case len(replies) == 1:
		return replies[0]
	case replies[1].IsError():
		return replies[1]
	}
	return replies[2].Elems[0]
}

// atOnce is must for a command that is not to wait.
func (c *redisConn) atOnce(t testing.TB, args ...string) resp.Value {
	t.Helper()
	replies, err := c.pipeline(unwaiting(args))
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return answered(replies)
}

var kinds = map[byte]resp.Kind{
	'+': resp.Simple, '-': resp.Error, ':': resp.Integer, '$': resp.Bulk, '_': resp.Nil, '*': resp.Array,
	'%': resp.Map, '~': resp.Set, ',': resp.Double, '#': resp.Bool, '(': resp.BigNumber, '=': resp.Verbatim,
}

func readReply(r *bufio.Reader) (resp.Value, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return resp.Value{}, err
	}
	kind, ok := kinds[line[0]]
	if !ok || len(line) < 3 {
		return resp.Value{}, fmt.Errorf("strange reply %q", line)
	}
	v, text := resp.Value{Kind: kind}, line[1:len(line)-2]
	n, _ := strconv.Atoi(text)
	switch kind {
	case resp.Simple, resp.Error, resp.Double, resp.BigNumber:
		v.Str = text
	case resp.Integer:
		v.Int, err = strconv.ParseInt(text, 10, 64)
	case resp.Bool:
		v.Int = int64(map[string]int{"t": 1}[text])
	case resp.Bulk, resp.Verbatim:
		if n < 0 {
			return resp.Null, nil
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(r, b)
		v.Str = string(b[:n])
	case resp.Array, resp.Map, resp.Set:
		if n < 0 {
			return resp.NullArray, nil
		}
		if kind == resp.Map {
			n *= 2
		}
		for range n {
			e, e2 := readReply(r)
			v.Elems = append(v.Elems, e)
			err = errors.Join(err, e2)
		}
	}
	return v, err
}

// onWire returns v as a client of the given protocol version reads it.
func onWire(t testing.TB, v resp.Value, proto int) resp.Value {
	t.Helper()
	got, err := readReply(bufio.NewReader(bytesReader(v.Append(nil, proto))))
	if err != nil {
		t.Fatal(err)
	}
	return got
}
