package mux

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"phonond/cluster/mux/pipe"
)

const (
	// delayWindow is how many bytes may be under way in each direction of a
	// delayed connection. 4 MiB at 150 ms one way is 28 MB/s, more than a
	// development cluster asks for.
	delayWindow = 4 << 20
	// delayLinger is how long Close waits for the other end to take the bytes
	// that had been written before it.
	delayLinger = time.Second
)

// Delay is n with latency: what is written to a dialled connection, and what
// comes back on it, arrives after oneWay(addr), and dialling takes a round trip.
// Accepted connections are left alone, since their other end was dialled. It is
// how a development cluster on loopback feels like several regions.
func Delay(n Network, oneWay func(addr string) time.Duration) Network {
	return delayNetwork{n, oneWay}
}

type delayNetwork struct {
	Network
	oneWay func(addr string) time.Duration
}

func (n delayNetwork) Dial(ctx context.Context, addr string) (net.Conn, error) {
	delay := n.oneWay(addr)
	if delay <= 0 {
		return n.Network.Dial(ctx, addr)
	}
	select {
	case <-time.After(2 * delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn, err := n.Network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return newDelayed(conn, delay), nil
}

// delayed is a connection with a pipe before each direction of a real one.
type delayed struct {
	net.Conn
	delay   time.Duration
	in, out *pipe.Pipe

	closing sync.Once
	pumps   sync.WaitGroup
}

func newDelayed(conn net.Conn, delay time.Duration) *delayed {
	d := &delayed{Conn: conn, delay: delay, in: pipe.New(delayWindow), out: pipe.New(delayWindow)}
	d.pumps.Go(d.send)
	d.pumps.Go(d.receive)
	return d
}

// pumpBuffer is how many bytes a pump moves at once.
const pumpBuffer = 64 << 10

// send moves what has come out of the delay to the real connection, and closes
// that after the last byte.
func (d *delayed) send() {
	defer d.Conn.Close()
	buf := make([]byte, pumpBuffer)
	for {
		n, err := d.out.Read(buf)
		if err != nil {
			return
		}
		if _, err := d.Conn.Write(buf[:n]); err != nil {
			d.out.Abort(err)
			return
		}
	}
}

// receive moves what the real connection brings into the delay.
func (d *delayed) receive() {
	buf := make([]byte, pumpBuffer)
	for {
		n, err := d.Conn.Read(buf)
		if n > 0 {
			// Fails only after Close, when nobody reads any more.
			_, _ = d.in.Write(buf[:n], d.delay)
		}
		if err != nil {
			d.in.End(err, d.delay)
			return
		}
	}
}

func (d *delayed) Read(b []byte) (int, error)  { return d.in.Read(b) }
func (d *delayed) Write(b []byte) (int, error) { return d.out.Write(b, d.delay) }

// Close lets what was written before it arrive, then closes the real connection.
// It returns when both are done, after the delay and at most delayLinger more.
func (d *delayed) Close() error {
	d.closing.Do(func() {
		d.in.CloseRead()
		_ = d.Conn.SetWriteDeadline(time.Now().Add(d.delay + delayLinger))
		d.out.End(io.EOF, d.delay)
	})
	d.pumps.Wait()
	return nil
}

func (d *delayed) SetDeadline(t time.Time) error {
	d.in.SetReadDeadline(t)
	d.out.SetWriteDeadline(t)
	return nil
}

func (d *delayed) SetReadDeadline(t time.Time) error  { d.in.SetReadDeadline(t); return nil }
func (d *delayed) SetWriteDeadline(t time.Time) error { d.out.SetWriteDeadline(t); return nil }
