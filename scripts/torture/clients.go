package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"phonond/cluster/history"
	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// The times of clients. A node answers within request_timeout, which is 10 s, and
// this machine may be busy; a client waits longer, so that a late answer is seen to
// be late.
const (
	answerWithin = 15 * time.Second
	callTimeout  = 20 * time.Second
	dialTimeout  = 5 * time.Second
	redialPause  = 200 * time.Millisecond
	maxThink     = 20 * time.Millisecond // between two operations of a client
)

// clients are those whose histories are judged. They are spread over all nodes;
// every second one is go-redis, in either protocol, the others are plain.
type clients struct {
	r *rig
	// gate is held for reading during every operation, probes' included: who holds
	// it for writing knows that nobody waits for anything.
	gate   sync.RWMutex
	window *window // changed by who holds gate
}

func newClients(r *rig) *clients {
	c := &clients{r: r}
	c.gate.Lock() // until the first window opens
	return c
}

// enter takes the gate for an operation, unless everything ends.
func (c *clients) enter(ctx context.Context) bool {
	c.gate.RLock()
	if ctx.Err() == nil {
		return true
	}
	c.gate.RUnlock()
	return false
}

// caller is a connection of a client. It never sends anything twice.
type caller interface {
	// Pipe sends commands at once and returns their replies, or those that came
	// before the connection broke.
	Pipe(commands [][]string) ([]resp.Value, error)
	Close() error
}

// workers are the clients' loops.
func (c *clients) workers() (list []func(context.Context)) {
	for i := range c.r.o.clients {
		k := c.r.keepers[i%len(c.r.keepers)]
		round := i / len(c.r.keepers) // of the nodes
		connect := func() (caller, error) { return k.node.Dial() }
		if (i+round)%2 == 0 {
			protocol := 2 + round/2%2
			connect = func() (caller, error) { return newRedisCaller(k.node.Addr(), c.r.password, protocol) }
		}
		turn := func(ctx context.Context, conn caller) bool { return c.turn(ctx, i, k.node.ID, conn) }
		list = append(list, func(ctx context.Context) { c.work(ctx, maxThink, connect, turn) })
	}
	for i := range queueClients {
		k := c.r.keepers[i%len(c.r.keepers)]
		connect := func() (caller, error) { return k.node.Dial() }
		list = append(list, func(ctx context.Context) {
			c.work(ctx, maxBringing, connect, func(_ context.Context, conn caller) bool { return c.bring(i, k.node.ID, conn) })
		}, func(ctx context.Context) {
			c.work(ctx, maxThink, connect, func(_ context.Context, conn caller) bool { return c.await(i, k.node.ID, conn) })
		})
	}
	return list
}

// The clients of queues.
const (
	queueClients   = 4    // who bring elements, and as many who wait for them
	clientsOfQueue = 2    // of each
	firstOfQueues  = 1000 // the first one's number in the history
	maxBringing    = 150 * time.Millisecond
)

// bring does one step of a client that brings elements.
func (c *clients) bring(i int, node string, conn caller) bool {
	return c.window.producers[i].Turn(c.window.rec, node, conn.Pipe) == nil
}

// await does one step of a client that waits for them.
func (c *clients) await(i int, node string, conn caller) bool {
	return c.window.consumers[i].Turn(c.window.rec, node, conn.Pipe, func() { conn.Close() }, c.window.leave) == nil
}

// work is one client's: it does one turn after the other, and connects again when its
// connection breaks.
func (c *clients) work(ctx context.Context, think time.Duration, connect func() (caller, error), turn func(context.Context, caller) bool) {
	var conn caller
	for ctx.Err() == nil {
		pause := rand.N(think)
		if !c.enter(ctx) {
			break
		}
		if conn == nil {
			var err error
			if conn, err = connect(); err != nil {
				conn, pause = nil, redialPause
			}
		}
		if conn != nil && !turn(ctx, conn) {
			conn.Close()
			conn = nil
		}
		c.gate.RUnlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if conn != nil {
		conn.Close()
	}
}

// brokenPause is how long a client waits before it asks whether a node that broke
// a connection had a reason: of a process that ended by itself its keeper hears
// later than its clients.
const brokenPause = time.Second

// turn does one step and judges how it was answered. It returns false if the
// connection is of no more use.
func (c *clients) turn(ctx context.Context, client int, node string, conn caller) bool {
	var start time.Time
	var commands [][]string
	var took time.Duration
	silent := false
	err := c.window.clients[client].Turn(c.window.rec, node, func(list [][]string) ([]resp.Value, error) {
		start, commands = time.Now(), list
		replies, err := conn.Pipe(list)
		took, silent = time.Since(start), c.r.health.silentSince(node, start)
		c.r.measure.countTurn(list, replies, err, took, silent)
		if took > answerWithin && !silent {
			c.r.faults.add("%.300q through %s: after %v there were %d replies and the error %v", list, node, took.Round(time.Millisecond), len(replies), err)
		}
		return replies, err
	})
	if err == nil {
		return true
	}
	select {
	case <-time.After(brokenPause):
	case <-ctx.Done():
		return false
	}
	if !silent && took <= answerWithin && c.r.health.readySince(node, start) && len(c.r.health.excuses(node)) == 0 {
		c.r.faults.add("%s, with which nothing was wrong, broke a connection after %v: %v (%.300q)", node, took.Round(time.Millisecond), err, commands)
	}
	return false
}

// outcomeOf names what a client was told, for the report.
func outcomeOf(v resp.Value, err error) string {
	outcome := history.Classify(v, err)
	switch {
	case err != nil:
		return outcome.String() + ", no reply"
	case v.IsError():
		word, _, _ := strings.Cut(v.Str, " ")
		return outcome.String() + ", " + word
	}
	return outcome.String()
}

// redisCaller is go-redis. It has one connection, out of the pool's reach, for what is
// watched is watched by a connection, and is given up with it. Its
// own retries are off: with them an operation whose connection broke could be done
// twice, or its outcome be that of the second try alone, and the history would be
// wrong.
type redisCaller struct {
	client *redis.Client
	conn   *redis.Conn
}

func newRedisCaller(addr, password string, protocol int) (*redisCaller, error) {
	c := redis.NewClient(&redis.Options{
		Addr: addr, Password: password, Protocol: protocol, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, DialTimeout: dialTimeout,
		ReadTimeout: callTimeout, WriteTimeout: callTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	conn := c.Conn()
	if err := conn.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(err, conn.Close(), c.Close())
	}
	return &redisCaller{c, conn}, nil
}

func (c *redisCaller) Pipe(commands [][]string) (replies []resp.Value, err error) {
	ctx := context.Background() // the client's own timeouts bound it
	cmds := make([]*redis.RawCmd, len(commands))
	for i, args := range commands {
		words := make([]any, len(args))
		for i, a := range args {
			words[i] = a
		}
		cmds[i] = redis.NewRawCmd(ctx, words...)
	}
	if len(cmds) == 1 {
		c.conn.Process(ctx, cmds[0])
	} else {
		c.conn.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, cmd := range cmds {
				p.Process(ctx, cmd)
			}
			return nil
		})
	}
	for _, cmd := range cmds {
		b, err := cmd.Result()
		if err != nil {
			return replies, err
		}
		v, err := resp.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return replies, fmt.Errorf("go-redis took %.200q for a reply: %w", b, err)
		}
		replies = append(replies, v)
	}
	return replies, nil
}

func (c *redisCaller) Close() error { return errors.Join(c.conn.Close(), c.client.Close()) }

var _ caller = (*proctest.Conn)(nil)

// reachable waits until every seat's probe has written since a moment.
func (r *rig) reachable(ctx context.Context, since time.Time) error {
	return proctest.Until(ctx, func() error {
		for _, k := range r.keepers {
			for _, g := range r.groups {
				if !r.measure.lastWrite(seat{k.node.ID, g}).After(since) {
					return fmt.Errorf("no write to group %s through %s", g, k.node.ID)
				}
			}
		}
		return nil
	})
}
