package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"time"

	"phonond/redisproto/resp"
)

// patience bounds the wait for a reply, and for whatever has to come about.
const patience = 10 * time.Second

// conn is a connection whose replies are read as they come: a command may be left
// waiting, and messages may come at any time.
type conn struct {
	net.Conn
	in  chan resp.Value // closed when nothing more comes, for the reason err
	err error
	buf []byte
	id  string // as CLIENT ID says
}

// maxUnread is how many replies a connection holds until somebody asks for them.
const maxUnread = 1 << 14

func dial(addr string, proto int) (*conn, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, in: make(chan resp.Value, maxUnread)}
	go func() {
		defer close(c.in)
		r := bufio.NewReaderSize(nc, 1<<16)
		for {
			v, err := resp.Read(r)
			if err != nil {
				c.err = err
				return
			}
			c.in <- v
		}
	}()
	if proto == 3 {
		if _, err := c.do("HELLO", "3"); err != nil {
			c.Close()
			return nil, err
		}
	}
	v, err := c.must("CLIENT", "ID")
	c.id = strconv.FormatInt(v.Int, 10)
	return c, err
}

// send sends commands and does not wait.
func (c *conn) send(commands ...[]string) error {
	c.buf = c.buf[:0]
	for _, args := range commands {
		c.buf = resp.AppendCommand(c.buf, args...)
	}
	c.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.Write(c.buf)
	return err
}

var errLate = fmt.Errorf("no reply within %v", patience)

// receive returns the next reply.
func (c *conn) receive() (resp.Value, error) {
	select { // without a timer, most of the time
	case v, ok := <-c.in:
		if !ok {
			return v, c.err
		}
		return v, nil
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v, ok := <-c.in:
		if !ok {
			return v, c.err
		}
		return v, nil
	case <-late.C:
		return resp.Value{}, errLate
	}
}

// pipe sends commands at once and returns their replies, those that came if err is
// not nil.
func (c *conn) pipe(commands [][]string) (replies []resp.Value, err error) {
	if err := c.send(commands...); err != nil {
		return nil, err
	}
	for range commands {
		v, err := c.receive()
		if err != nil {
			return replies, err
		}
		replies = append(replies, v)
	}
	return replies, nil
}

func (c *conn) do(args ...string) (resp.Value, error) {
	if err := c.send(args); err != nil {
		return resp.Value{}, err
	}
	return c.receive()
}

// must is do for commands that succeed.
func (c *conn) must(args ...string) (resp.Value, error) {
	v, err := c.do(args...)
	if err == nil && v.IsError() {
		err = fmt.Errorf("%q: %s", args, v.Str)
	}
	return v, err
}

// stream returns what has come by itself until the server answers a PING, but at
// least n values.
func (c *conn) stream(n int, nonce int) (list []resp.Value, err error) {
	for len(list) < n {
		v, err := c.receive()
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
	word := "sync-" + strconv.Itoa(nonce)
	if err := c.send([]string{"PING", word}); err != nil {
		return list, err
	}
	for {
		v, err := c.receive()
		if err != nil {
			return list, err
		}
		if v.Str == word || len(v.Elems) == 2 && v.Elems[1].Str == word {
			return list, nil
		}
		list = append(list, v)
	}
}

// waitUntil asks cond until it is true.
func waitUntil(what string, cond func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		ok, err := cond()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}
