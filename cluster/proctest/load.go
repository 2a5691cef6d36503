package proctest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/resp"
)

// LoadOptions say what a [Load] does.
type LoadOptions struct {
	Name    string   // part of the keys: no two loads may have the same
	Addrs   []string // of the nodes that the clients are spread over
	Clients int
	Shared  int // counters that all clients increment, besides one of their own
}

// Load is clients that count. Each sends INCR for a counter of its own and for a
// shared one in turn, one at a time, over a connection that it never replaces. In
// between it reads its own counter from another node: no reply may be older than
// what it was told before.
type Load struct {
	opts    LoadOptions
	clients []*counting
	stop    atomic.Bool
	running sync.WaitGroup
}

// ack is a reply to an increment of a shared counter.
type ack struct {
	counter int
	value   int64
}

// counting is one client.
type counting struct {
	addr   string
	own    string
	conn   *Conn
	reader *Conn        // to another node, if there is one
	count  atomic.Int64 // replies

	// The rest is the client's own until it is done.
	acked   int64 // the own counter
	shared  []ack
	times   []time.Time // of every reply
	pending string      // the counter whose reply has not come
	err     error       // why the client ended, nil when it was told to

	failed atomic.Bool // err is set
}

var (
	// ErrMiscount is returned when a counter is not what its replies say.
	ErrMiscount = errors.New("miscount")
	// ErrStale is returned when a read does not see what was acknowledged before.
	ErrStale = errors.New("stale read")
)

// StartLoad connects the clients and has them count until [Load.Stop].
func StartLoad(o LoadOptions) (*Load, error) {
	l := &Load{opts: o}
	for i := range o.Clients {
		c := &counting{addr: o.Addrs[i%len(o.Addrs)], own: fmt.Sprintf("%s:own:%d", o.Name, i)}
		var err error
		if c.conn, err = Dial(c.addr); err == nil {
			l.clients = append(l.clients, c)
			c.reader, err = Dial(o.Addrs[(i+1)%len(o.Addrs)])
		}
		if err != nil {
			for _, c := range l.clients {
				c.close()
			}
			return nil, err
		}
	}
	for i, c := range l.clients {
		l.running.Go(func() {
			defer c.close()
			c.err = l.count(c, i)
			c.failed.Store(c.err != nil)
		})
	}
	return l, nil
}

func (l *Load) sharedKey(i int) string { return fmt.Sprintf("%s:shared:%d", l.opts.Name, i) }

// count is one client's work.
func (l *Load) count(c *counting, number int) error {
	for n := number; !l.stop.Load(); n++ {
		c.pending = c.own
		v, err := c.incr(c.own)
		if err != nil {
			return err
		}
		if v != c.acked+1 {
			return fmt.Errorf("%w: %s went from %d to %d", ErrMiscount, c.own, c.acked, v)
		}
		c.acked, c.pending = v, ""
		if err := c.read(); err != nil {
			return err
		}
		if l.opts.Shared == 0 {
			continue
		}
		i := n % l.opts.Shared
		c.pending = l.sharedKey(i)
		if v, err = c.incr(c.pending); err != nil {
			return err
		}
		c.shared = append(c.shared, ack{i, v})
	}
	c.pending = ""
	return nil
}

func (c *counting) close() {
	c.conn.Close()
	if c.reader != nil {
		c.reader.Close()
	}
}

// read reads the own counter.
func (c *counting) read() error {
	v, err := c.reader.Do("GET", c.own)
	switch {
	case err != nil:
		return fmt.Errorf("a reader for the client of %s: GET %s: %w", c.addr, c.own, err)
	case v.Kind != resp.Bulk && v.Kind != resp.Nil:
		return fmt.Errorf("a reader for the client of %s: GET %s: %s", c.addr, c.own, v.Str)
	case v.Str != strconv.FormatInt(c.acked, 10):
		return fmt.Errorf("%w: %s is read as %q after %d", ErrStale, c.own, v.Str, c.acked)
	}
	c.times = append(c.times, time.Now())
	c.count.Add(1)
	return nil
}

func (c *counting) incr(key string) (int64, error) {
	v, err := c.conn.Do("INCR", key)
	if err != nil {
		return 0, fmt.Errorf("client of %s: INCR %s: %w", c.addr, key, err)
	}
	if v.Kind != resp.Integer {
		return 0, fmt.Errorf("client of %s: INCR %s: %s", c.addr, key, v.Str)
	}
	c.times = append(c.times, time.Now())
	c.count.Add(1)
	return v.Int, nil
}

// Progress waits until every client has got n more replies.
func (l *Load) Progress(ctx context.Context, n int64) error {
	from := make([]int64, len(l.clients))
	for i, c := range l.clients {
		from[i] = c.count.Load()
	}
	return Until(ctx, func() error {
		for i, c := range l.clients {
			if c.failed.Load() {
				return nil // Stop tells
			}
			if got := c.count.Load() - from[i]; got < n {
				return fmt.Errorf("client %d of %s has %d of %d replies", i, c.addr, got, n)
			}
		}
		return nil
	})
}

// Stop ends the clients, each after the reply that it waits for. It returns what
// went wrong for any of them.
func (l *Load) Stop() error {
	l.stop.Store(true)
	l.running.Wait()
	var errs []error
	for _, c := range l.clients {
		errs = append(errs, c.err)
	}
	return errors.Join(errs...)
}

// Acked returns how many increments were acknowledged. Call it after Stop.
func (l *Load) Acked() (n int64) {
	for _, c := range l.clients {
		n += c.acked + int64(len(c.shared))
	}
	return n
}

// Pause returns the longest time between two consecutive replies to one client,
// of those times that touch the interval. Call it after Stop.
func (l *Load) Pause(from, to time.Time) (longest time.Duration) {
	for _, c := range l.clients {
		for i := 1; i < len(c.times); i++ {
			if c.times[i].After(from) && c.times[i-1].Before(to) {
				longest = max(longest, c.times[i].Sub(c.times[i-1]))
			}
		}
	}
	return longest
}

// Check compares the counters with the replies: every increment that was
// acknowledged is there once, no reply came twice, and nothing else is there but
// what clients waited for when they were cut off. Call it after Stop.
func (l *Load) Check(addr string) error {
	conn, err := Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	pending := map[string]int64{}
	for _, c := range l.clients {
		if c.pending != "" {
			pending[c.pending]++
		}
	}
	check := func(key string, acked int64) error {
		v, err := conn.Must("GET", key)
		if err != nil {
			return err
		}
		value := int64(0)
		if v.Kind == resp.Bulk {
			if _, err := fmt.Sscan(v.Str, &value); err != nil {
				return fmt.Errorf("GET %s: %q", key, v.Str)
			}
		}
		if value < acked || value > acked+pending[key] {
			return fmt.Errorf("%w: %s is %d, acknowledged were %d, without a reply stayed %d", ErrMiscount, key, value, acked, pending[key])
		}
		return nil
	}
	var errs []error
	replies := make([][]int64, l.opts.Shared)
	for _, c := range l.clients {
		errs = append(errs, check(c.own, c.acked))
		for _, a := range c.shared {
			replies[a.counter] = append(replies[a.counter], a.value)
		}
	}
	for i, values := range replies {
		slices.Sort(values)
		for j := 1; j < len(values); j++ {
			if values[j] == values[j-1] {
				errs = append(errs, fmt.Errorf("%w: %s: the reply %d came twice", ErrMiscount, l.sharedKey(i), values[j]))
			}
		}
		errs = append(errs, check(l.sharedKey(i), int64(len(values))))
	}
	return errors.Join(errs...)
}
