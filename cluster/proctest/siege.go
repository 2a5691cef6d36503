package proctest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/resp"
)

// Siege is what hostile clients do to one node, by sheer numbers, while another client
// works.
type Siege struct {
	Idle    int   // connections that say nothing
	Mute    int   // clients that ask for much and never read
	Garbage int64 // bytes that are no commands, or do not end
	Scripts int   // scripts that would not end, or take all memory
}

// Phase is what was seen of the node, and of the client that worked, during a part of a
// siege.
type Phase struct {
	Name     string
	Commands int           // that were answered
	P50, P99 time.Duration // of them
	Worst    time.Duration
	Resident int64 // bytes of memory at the end
}

func (p Phase) String() string {
	return fmt.Sprintf("%-28s %6d commands, p50 %v, p99 %v, worst %v, %d MiB resident", p.Name, p.Commands,
		p.P50.Round(time.Microsecond), p.P99.Round(time.Microsecond), p.Worst.Round(time.Microsecond), p.Resident>>20)
}

const (
	// leastCommands is how many commands a phase lasts at least.
	leastCommands = 1000
	// A mute client asks so often for a value of so many bytes.
	muteAsks  = 400
	muteValue = 64 << 10
	// throwers send garbage at the same time.
	throwers = 8
)

// Run does one after the other to a node, and what came stays while the next comes.
// report gets every phase. The error is that of the client that works: hostile clients
// may fail as they like.
func (s Siege) Run(ctx context.Context, n *Node, report func(Phase)) error {
	work, err := n.Dial()
	if err != nil {
		return err
	}
	defer work.Close()
	if _, err := work.Must("SET", "siege:value", strings.Repeat("x", muteValue)); err != nil {
		return err
	}
	var held crowd
	defer held.disperse()
	var idle, mute, thrown atomic.Int64
	for _, p := range []struct {
		name   func() string
		attack func(ctx context.Context)
	}{
		{func() string { return "quiet" }, func(context.Context) {}},
		{func() string { return fmt.Sprintf("%d idle connections", idle.Load()) }, func(ctx context.Context) {
			for range s.Idle {
				if held.join(ctx, n.Addr()) != nil {
					idle.Add(1)
				}
			}
		}},
		{func() string { return fmt.Sprintf("%d clients that never read", mute.Load()) }, func(ctx context.Context) {
			asks := bytes.Repeat([]byte("*2\r\n$3\r\nGET\r\n$11\r\nsiege:value\r\n"), muteAsks)
			var asking sync.WaitGroup
			for range s.Mute {
				if c := held.join(ctx, n.Addr()); c != nil {
					mute.Add(1)
					asking.Go(func() { c.Write(asks) }) // as much as goes
				}
			}
			asking.Wait()
		}},
		{func() string { return fmt.Sprintf("%d MiB of garbage", thrown.Load()>>20) }, func(ctx context.Context) {
			var throwing sync.WaitGroup
			for i := range throwers {
				throwing.Go(func() {
					r := rand.New(rand.NewPCG(uint64(i), 0))
					for thrown.Load() < s.Garbage && ctx.Err() == nil {
						throw(r, n.Addr(), &thrown)
					}
				})
			}
			throwing.Wait()
		}},
		{func() string { return fmt.Sprintf("%d hostile scripts", s.Scripts) }, func(ctx context.Context) {
			var running sync.WaitGroup
			for i := range s.Scripts {
				running.Go(func() { held.eval(ctx, n.Addr(), hostileScripts[i%len(hostileScripts)]) })
			}
			running.Wait()
		}},
	} {
		seen, err := during(ctx, work, p.attack)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name(), err)
		}
		seen.Name = p.name()
		if seen.Resident, err = n.resident(); err != nil {
			return err
		}
		report(seen)
	}
	return nil
}

// hostileScripts never end, or build what does not fit into memory.
var hostileScripts = []string{
	"while true do end",
	"local s = 'x' while true do s = s .. s end",
	"local t = {} while true do t[#t + 1] = {} end",
	"return string.rep('x', 1e9)",
	"return string.find(string.rep('a', 30000), string.rep('a?', 30000) .. 'b')",
	"while true do pcall(error, 'x') end",
	"while true do redis.call('SET', KEYS[1], string.rep('x', 1e5)) end",
	"local function f() return f() + 1 end return f()",
}

// during works while an attack lasts, and for a while in any case.
func during(ctx context.Context, work *Conn, attack func(ctx context.Context)) (Phase, error) {
	ctx, cancel := context.WithCancel(ctx)
	var attacking sync.WaitGroup
	var over atomic.Bool
	attacking.Go(func() {
		attack(ctx)
		over.Store(true)
	})
	defer attacking.Wait()
	defer cancel()
	var took []time.Duration
	for i := 0; !over.Load() || i < leastCommands; i++ {
		key, value := fmt.Sprintf("siege:%d", i%100), strconv.Itoa(i)
		for _, args := range [][]string{{"SET", key, value}, {"GET", key}} {
			began := time.Now()
			v, err := work.Must(args...)
			took = append(took, time.Since(began))
			if err != nil {
				return Phase{}, err
			}
			if args[0] == "GET" && v.Str != value {
				return Phase{}, fmt.Errorf("GET %s: %q, not %q", key, v.Str, value)
			}
		}
		if ctx.Err() != nil {
			return Phase{}, ctx.Err()
		}
	}
	slices.Sort(took)
	return Phase{Commands: len(took), P50: took[len(took)/2], P99: took[len(took)*99/100], Worst: took[len(took)-1]}, nil
}

// crowd is connections that stay.
type crowd struct {
	mu    sync.Mutex
	conns []net.Conn
}

// join adds a connection, nil if there is none to be had.
func (c *crowd) join(ctx context.Context, addr string) net.Conn {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return conn
}

// eval runs a script, and waits until the node has had enough of it.
func (c *crowd) eval(ctx context.Context, addr, script string) {
	conn := c.join(ctx, addr)
	if conn == nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.Write(resp.AppendCommand(nil, "EVAL", script, "1", "siege:hostile"))
	resp.Read(bufio.NewReader(conn))
}

func (c *crowd) disperse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// throw sends garbage over one connection until the node has had enough of it.
func throw(r *rand.Rand, addr string, thrown *atomic.Int64) {
	c, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return
	}
	defer c.Close()
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = byte(r.Uint32())
	}
	opening, times := "", 1+r.IntN(200)
	switch r.IntN(4) {
	case 0: // bytes, and nothing else
	case 1:
		opening = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16000000\r\n" // which do not come to their end
	case 2:
		opening, chunk = "*1000000\r\n", bytes.Repeat([]byte("$1\r\nx\r\n"), 9000)
	case 3:
		chunk = bytes.Repeat([]byte("no such command\r\n"), 4000)
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	for i := range times {
		b := chunk
		if i == 0 {
			b = append([]byte(opening), chunk...)
		}
		sent, err := c.Write(b)
		thrown.Add(int64(sent))
		if err != nil {
			return // cut off, as it should be
		}
	}
}

// resident returns how much memory the node's process has.
func (n *Node) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.Pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errors.New("statm is not as expected: " + string(text))
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
