package proctest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// Line is many clients that stand in line for one lock, spread over all nodes of a
// cluster. Some of them die while they wait; then the lock goes round.
type Line struct {
	Waiters int
	Killed  int
	Settle  bool // wait until the memory is given back
}

// Round is what came of a line.
type Round struct {
	Granted    int
	Took       time.Duration // from the first release to the last
	Entries    int64         // of the logs of all groups, while it went round
	OutOfOrder int           // granted before somebody who had come earlier
	Ghosts     int           // who has the lock when all are served
	Before     map[string]Memory
	Most       map[string]Memory
	After      map[string]Memory // of the nodes, by their ids
}

const (
	lineKey   = "line:lock"
	lineOwner = "first"
	// lineTTL is so long that a ghost holds up the line for good.
	lineTTL = "3600000"
	// lineSettle is how long memory may take to be given back.
	lineSettle = 3 * time.Minute
	// lineKept is what a node keeps all the same, which is bounded: the last events, the
	// keys that were wanted most, replies that may be asked for again.
	lineKept = 20 << 20
)

// waiter is one client of a line.
type lineWaiter struct {
	conn  *Conn
	owner string
	token int64
}

// Run does it. The nodes are told nothing of who dies but by the ends of connections.
func (l Line) Run(ctx context.Context, c *Cluster, say func(string)) (r Round, err error) {
	r = Round{Before: map[string]Memory{}, Most: map[string]Memory{}, After: map[string]Memory{}}
	watch, err := c.Nodes()[0].Dial()
	if err != nil {
		return r, err
	}
	defer watch.Close()
	first, err := watch.Must("LOCK.ACQUIRE", lineKey, lineOwner, lineTTL)
	if err != nil {
		return r, err
	}
	if err := memory(c, r.Before); err != nil {
		return r, err
	}
	all, err := l.join(ctx, c)
	defer func() {
		for _, w := range all {
			w.conn.Close()
		}
	}()
	if err != nil {
		return r, err
	}
	if err := inLine(ctx, watch, l.Waiters); err != nil {
		return r, err
	}
	order, err := queueOf(watch)
	if err != nil {
		return r, err
	}
	if err := memory(c, r.Most); err != nil {
		return r, err
	}
	say(fmt.Sprintf("%d wait", len(order)))
	for _, i := range rand.Perm(l.Waiters)[:l.Killed] {
		w := all["w-"+strconv.Itoa(i)]
		w.conn.Close()
		delete(all, w.owner)
	}
	order = slices.DeleteFunc(order, func(owner string) bool { return all[owner] == nil })
	if err := inLine(ctx, watch, len(order)); err != nil {
		return r, fmt.Errorf("those who died stay in line: %w", err)
	}
	say(fmt.Sprintf("%d of them died", l.Killed))
	before, err := c.Entries()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := goRound(ctx, watch, first.Elems[0].Int, all); err != nil {
		return r, err
	}
	r.Took, r.Granted = time.Since(began), len(all)
	after, err := c.Entries()
	if err != nil {
		return r, err
	}
	r.Entries = after - before
	r.OutOfOrder = outOfOrder(order, all)
	if v, err := watch.Must("EXISTS", lineKey); err != nil || v.Int != 0 {
		r.Ghosts++
	}
	for _, w := range all {
		w.conn.Close()
	}
	return r, l.settle(ctx, c, &r)
}

// join makes all wait, each through the next node.
func (l Line) join(ctx context.Context, c *Cluster) (map[string]*lineWaiter, error) {
	all := make(map[string]*lineWaiter, l.Waiters)
	for i := range l.Waiters {
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		conn, err := c.Nodes()[i%len(c.Nodes())].Dial()
		if err != nil {
			return all, err
		}
		w := &lineWaiter{conn: conn, owner: "w-" + strconv.Itoa(i)}
		all[w.owner] = w
		if err := conn.Send("LOCK.ACQUIRE", lineKey, w.owner, lineTTL, "WAIT", "0"); err != nil {
			return all, err
		}
	}
	return all, nil
}

// goRound lets each that gets the lock release it at once.
func goRound(ctx context.Context, watch *Conn, token int64, all map[string]*lineWaiter) error {
	var waiting sync.WaitGroup
	errs := make(chan error, len(all))
	for _, w := range all {
		waiting.Go(func() {
			v, err := w.conn.Wait(ctx)
			if err == nil && len(v.Elems) != 3 {
				err = fmt.Errorf("%s was answered %+v", w.owner, v)
			}
			if err != nil {
				errs <- err
				return
			}
			w.token = v.Elems[0].Int
			if v, err := w.conn.Do("LOCK.RELEASE", lineKey, strconv.FormatInt(w.token, 10)); err != nil || v.Kind != resp.Integer {
				errs <- fmt.Errorf("%s could not release the lock: %+v, %w", w.owner, v, err)
			}
		})
	}
	_, err := watch.Must("LOCK.RELEASE", lineKey, strconv.FormatInt(token, 10))
	waiting.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

// outOfOrder counts who got the lock before somebody earlier in line, by the tokens.
func outOfOrder(order []string, all map[string]*lineWaiter) (n int) {
	granted := slices.SortedFunc(func(yield func(*lineWaiter) bool) {
		for _, w := range all {
			if !yield(w) {
				return
			}
		}
	}, func(a, b *lineWaiter) int { return cmp.Compare(a.token, b.token) })
	for i, w := range granted {
		if i >= len(order) || w.owner != order[i] {
			n++
		}
	}
	return n
}

// inLine waits until so many stand in line.
func inLine(ctx context.Context, watch *Conn, want int) error {
	return Until(ctx, func() error {
		list, err := queueOf(watch)
		if err == nil && len(list) != want {
			err = fmt.Errorf("%d wait, not %d", len(list), want)
		}
		return err
	})
}

// queueOf lists who stands in line, in order.
func queueOf(watch *Conn) ([]string, error) {
	v, err := watch.Must("LOCK.INFO", lineKey)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range fields(v)["queue"].Elems {
		list = append(list, fields(e)["owner"].Str)
	}
	return list, nil
}

// Entries counts those of the logs of all groups.
func (c *Cluster) Entries() (n int64, err error) {
	last := map[string]int64{}
	for _, node := range c.Nodes() {
		list, err := node.Replicas()
		if err != nil {
			return 0, err
		}
		for _, r := range list {
			last[r.Group] = max(last[r.Group], r.Index)
		}
	}
	for _, index := range last {
		n += index
	}
	return n, nil
}

// Memory is what a node takes, in bytes: what is in use as it says itself, and what it has
// from the system, which is given back late.
type Memory struct{ Used, Resident int64 }

// memory notes what the nodes take.
func memory(c *Cluster, by map[string]Memory) error {
	for _, n := range c.Nodes() {
		resident, err := n.resident()
		if err != nil {
			return err
		}
		info, err := n.ask("INFO", "memory")
		if err != nil {
			return err
		}
		_, text, _ := strings.Cut(info.Str, "used_memory:")
		text, _, _ = strings.Cut(text, "\r")
		used, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		by[n.ID] = Memory{used, resident}
	}
	return nil
}

// settle waits until the nodes have about the memory that they began with.
func (l Line) settle(ctx context.Context, c *Cluster, r *Round) error {
	ctx, cancel := context.WithTimeout(ctx, lineSettle)
	defer cancel()
	return Until(ctx, func() error {
		if err := memory(c, r.After); err != nil || !l.Settle {
			return err
		}
		for id, m := range r.After {
			if before := r.Before[id].Used; m.Used > before+lineKept {
				return fmt.Errorf("%s uses %d MiB, %d before", id, m.Used>>20, before>>20)
			}
		}
		return nil
	})
}
