package group

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"phonond/cluster/clustertest/simnet"
)

const termPort = 7380

// serveTerms answers other replicas' questions for the term of n, and returns how n
// asks them: over the simulated network, so that questions and answers are cut and
// delayed as all else.
func (r *rig) serveTerms(n *replica, host *simnet.Host) func(node string, done func(uint64, error)) {
	r.t.Helper()
	ln, err := host.Listen(fmt.Sprintf("%s:%d", n.name, termPort))
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
					c.Write(binary.BigEndian.AppendUint64(nil, n.CurrentTerm()))
				}
			}()
		}
	}()
	ask := func(node string) (uint64, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := host.Dial(ctx, fmt.Sprintf("%s:%d", node, termPort))
		if err != nil {
			return 0, err
		}
		defer c.Close()
		// Longer than any delay of the tests: late answers must do no harm.
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write([]byte{0}); err != nil {
			return 0, err
		}
		b := make([]byte, 8)
		_, err = io.ReadFull(c, b)
		return binary.BigEndian.Uint64(b), err
	}
	return func(node string, done func(uint64, error)) {
		go func() { done(ask(node)) }()
	}
}
