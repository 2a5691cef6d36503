package fsm

import (
	"bufio"
	"bytes"
	"strconv"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// redisConn is a connection to a real redis-server.
type redisConn struct{ *proctest.Conn }

// connect dials a server of [proctest.RunRedis] in the given protocol version.
func connect(t testing.TB, addr string, proto int) redisConn {
	t.Helper()
	c, err := proctest.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Must("HELLO", strconv.Itoa(proto)); err != nil {
		t.Fatal(err)
	}
	return redisConn{c}
}

// must is Do for a connection that works.
func (c redisConn) must(t testing.TB, args ...string) resp.Value {
	t.Helper()
	v, err := c.Do(args...)
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
func (c redisConn) atOnce(t testing.TB, args ...string) resp.Value {
	t.Helper()
	replies, err := c.Pipe(unwaiting(args))
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return answered(replies)
}

// onWire returns v as a client of the given protocol version reads it.
func onWire(t testing.TB, v resp.Value, proto int) resp.Value {
	t.Helper()
	got, err := resp.Read(bufio.NewReader(bytes.NewReader(v.Append(nil, proto))))
	if err != nil {
		t.Fatal(err)
	}
	return got
}
