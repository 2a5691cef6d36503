package proctest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"time"

	"phonond/redisproto/resp"
)

// The bounds of a connection. A reply takes longer than any node tries a request
// for: what is late is lost.
const (
	dialTimeout  = 5 * time.Second
	replyTimeout = 20 * time.Second
)

// Conn is a plain client connection. It never asks twice and never connects
// again: what happens to it is what happens to a client.
type Conn struct {
	c   net.Conn
	r   *bufio.Reader
	buf []byte
}

// Dial connects to a node's port for clients.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &Conn{c: c, r: bufio.NewReader(c)}, nil
}

// DialAs is Dial with a password, "" for none.
func DialAs(addr, password string) (*Conn, error) {
	c, err := Dial(addr)
	if err != nil || password == "" {
		return c, err
	}
	if _, err := c.Must("AUTH", password); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the connection. A command that waits fails.
func (c *Conn) Close() error { return c.c.Close() }

// Do sends a command and returns its reply, which may be an error reply: err is
// about the connection alone.
func (c *Conn) Do(args ...string) (resp.Value, error) {
	c.c.SetDeadline(time.Now().Add(replyTimeout))
	c.buf = resp.AppendCommand(c.buf[:0], args...)
	if _, err := c.c.Write(c.buf); err != nil {
		return resp.Value{}, err
	}
	return resp.Read(c.r)
}

// Send sends a command whose reply may take long: see [Conn.Wait].
func (c *Conn) Send(args ...string) error {
	c.c.SetDeadline(time.Time{})
	c.buf = resp.AppendCommand(c.buf[:0], args...)
	_, err := c.c.Write(c.buf)
	return err
}

// Wait waits for the reply to what was sent, until ctx ends.
func (c *Conn) Wait(ctx context.Context) (resp.Value, error) {
	defer context.AfterFunc(ctx, func() { c.c.SetDeadline(time.Unix(1, 0)) })()
	return resp.Read(c.r)
}

// Next waits for what the node sends next, such as a message.
func (c *Conn) Next() (resp.Value, error) {
	c.c.SetDeadline(time.Now().Add(replyTimeout))
	return resp.Read(c.r)
}

// Pipe sends commands at once and returns their replies, which may be error
// replies. When err is not nil, they are those that came before.
func (c *Conn) Pipe(commands [][]string) (replies []resp.Value, err error) {
	c.c.SetDeadline(time.Now().Add(replyTimeout))
	c.buf = c.buf[:0]
	for _, args := range commands {
		c.buf = resp.AppendCommand(c.buf, args...)
	}
	if _, err := c.c.Write(c.buf); err != nil {
		return nil, err
	}
	for range commands {
		v, err := resp.Read(c.r)
		if err != nil {
			return replies, err
		}
		replies = append(replies, v)
	}
	return replies, nil
}

// Must is Do for commands that are expected to succeed: an error reply becomes
// an error.
func (c *Conn) Must(args ...string) (resp.Value, error) {
	v, err := c.Do(args...)
	if err == nil && v.IsError() {
		err = fmt.Errorf("%s: %s", args[0], v.Str)
	}
	return v, err
}

// Ask sends one command over a connection of its own. See [Conn.Must].
func Ask(addr string, args ...string) (resp.Value, error) {
	c, err := Dial(addr)
	if err != nil {
		return resp.Value{}, err
	}
	defer c.Close()
	return c.Must(args...)
}
