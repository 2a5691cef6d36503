package group

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"phonond/cluster/clustertest/simnet"
)

const pulsePort = 7380

// servePulses answers other replicas' questions for the pulse of n, and returns how n
// asks them: over the simulated network, so that questions and answers are cut and
// delayed as all else.
func (r *rig) servePulses(n *replica, host *simnet.Host) func(node string, done func(Pulse, error)) {
	r.t.Helper()
	ln, err := host.Listen(fmt.Sprintf("%s:%d", n.name, pulsePort))
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 1)); err == nil && n.opened.Load() {
					p := n.Pulse()
					b := binary.BigEndian.AppendUint64(nil, p.Term)
					b = binary.BigEndian.AppendUint64(b, p.Index)
					b = append(binary.BigEndian.AppendUint64(b, uint64(p.Clock)), byte(p.Space.Level))
					b = binary.BigEndian.AppendUint64(b, p.Space.Free)
					c.Write(binary.BigEndian.AppendUint64(b, p.Space.Room))
				}
			}()
		}
	}()
	ask := func(node string) (Pulse, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := host.Dial(ctx, fmt.Sprintf("%s:%d", node, pulsePort))
		if err != nil {
			return Pulse{}, err
		}
		defer c.Close()
		// Longer than any delay of the tests: late answers must do no harm.
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write([]byte{0}); err != nil {
			return Pulse{}, err
		}
		b := make([]byte, 41)
		_, err = io.ReadFull(c, b)
		return Pulse{
			Term: binary.BigEndian.Uint64(b), Index: binary.BigEndian.Uint64(b[8:]), Clock: int64(binary.BigEndian.Uint64(b[16:])),
			Space: Space{Level(b[24]), binary.BigEndian.Uint64(b[25:]), binary.BigEndian.Uint64(b[33:])},
		}, err
	}
	return func(node string, done func(Pulse, error)) {
		go func() { done(ask(node)) }()
	}
}
