package history

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/resp"
)

// Queues is the work of clients that wait for what others bring: lists and a sorted set
// with one tag, into which each element goes once, and a list for what was moved out of
// them. See queueJudge for what is promised of them.
type Queues struct {
	name string
	seed uint64
}

// NewQueues returns the work on one set of queues. No other work of the history may
// have the same name.
func NewQueues(rng *rand.Rand, name string) *Queues {
	return &Queues{name: "{" + name + "}", seed: rng.Uint64()}
}

func (q *Queues) key(part string) string { return q.name + part }

// worker is what producers and consumers have in common. Each is for one goroutine.
type worker struct {
	q      *Queues
	number int
	rng    *rand.Rand
	list   string // two lists, in either order
	other  string
	zset   string
}

func (q *Queues) worker(number int) worker {
	return worker{
		q: q, number: number, rng: rand.New(rand.NewPCG(q.seed, uint64(number))),
		list: q.key("l"), other: q.key("m"), zset: q.key("z"),
	}
}

// Producer is a client that brings elements.
type Producer struct {
	worker
	brought int
	unknown bool // the node did not know the script
}

// Producer returns the producer with a number that no other client of the run has.
func (q *Queues) Producer(number int) *Producer { return &Producer{worker: q.worker(number)} }

// element returns one that nobody has brought before.
func (p *Producer) element() string {
	p.brought++
	return fmt.Sprintf("p%d-%d", p.number, p.brought)
}

// Turn brings something and records it, as [Client.Turn] does.
func (p *Producer) Turn(r *Recorder, node string, do func(commands [][]string) ([]resp.Value, error)) error {
	if p.rng.IntN(2) == 0 {
		p.list, p.other = p.other, p.list
	}
	switch p.rng.IntN(10) {
	case 0, 1:
		_, err := r.Exec(p.number, node, nil, [][]string{p.push(), p.push(), p.push()}, do)
		return err
	case 2, 3:
		return p.fill(r, node, do)
	case 4:
		_, err := r.Pipeline(p.number, node, [][]string{p.push(), p.push()}, do)
		return err
	}
	_, err := r.Pipeline(p.number, node, [][]string{p.push()}, do)
	return err
}

func (p *Producer) push() []string {
	switch p.rng.IntN(6) {
	case 0, 1:
		return cmd("RPUSH", p.list, p.element())
	case 2:
		return cmd("LPUSH", p.list, p.element())
	case 3:
		return cmd("RPUSH", p.list, p.element(), p.element(), p.element())
	case 4:
		return cmd("ZADD", p.zset, strconv.Itoa(p.rng.IntN(100)), p.element(), strconv.Itoa(p.rng.IntN(100)), p.element())
	}
	return cmd("ZADD", p.zset, strconv.Itoa(p.rng.IntN(100)), p.element())
}

// fill lets a script bring elements.
func (p *Producer) fill(r *Recorder, node string, do func(commands [][]string) ([]resp.Value, error)) error {
	args := cmd("EVALSHA", fillScript.sha)
	if p.unknown {
		args = cmd("EVAL", fillScript.text)
	}
	args = append(args, "2", p.list, p.other, p.element(), p.element())
	replies, err := r.Pipeline(p.number, node, [][]string{args}, do)
	p.unknown = err == nil && replies[0].Str == resp.ErrNoScript.Str
	return err
}

// Consumer is a client that waits for elements.
type Consumer struct{ worker }

// Consumer returns the consumer with a number that no other client of the run has.
func (q *Queues) Consumer(number int) *Consumer { return &Consumer{worker: q.worker(number)} }

// The bounds of a consumer's patience: what it tells the node, and how long it stays
// where it tells no time.
const (
	minPatience = 100 * time.Millisecond
	maxPatience = 5 * time.Second
	maxStay     = 12 * time.Second
)

// Turn waits for something and records it. do sends the command and waits for the reply,
// however long that takes; hangUp breaks the connection meanwhile. That is what a
// consumer does that loses its patience, and every one when leave is closed. When Turn
// returns an error the connection is of no more use.
func (c *Consumer) Turn(r *Recorder, node string, do func(commands [][]string) ([]resp.Value, error), hangUp func(), leave <-chan struct{}) error {
	var timeout time.Duration
	stay := c.between(minPatience, maxStay)
	if c.rng.IntN(3) > 0 {
		timeout = c.between(minPatience, maxPatience)
		if c.rng.IntN(4) > 0 {
			stay = 0 // until it is answered
		}
	}
	var gone atomic.Bool
	var watching sync.WaitGroup
	answered := make(chan struct{})
	watching.Go(func() {
		var enough <-chan time.Time
		if stay > 0 {
			timer := time.NewTimer(stay)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-answered:
			return
		case <-enough:
		case <-leave:
		}
		gone.Store(true)
		hangUp()
	})
	err := r.Wait(c.number, node, c.pop(timeout), gone.Load, do)
	close(answered)
	watching.Wait()
	if err == nil && gone.Load() {
		err = errHungUp
	}
	return err
}

// errHungUp is what a consumer returns that was answered and is gone all the same.
var errHungUp = fmt.Errorf("history: the client has hung up")

func (c *Consumer) between(min, max time.Duration) time.Duration {
	x := c.rng.Float64()
	return min + time.Duration(x*x*float64(max-min))
}

// pop returns a command that waits.
func (c *Consumer) pop(timeout time.Duration) []string {
	seconds := strconv.FormatFloat(timeout.Seconds(), 'f', 3, 64)
	if c.rng.IntN(2) == 0 {
		c.list, c.other = c.other, c.list
	}
	done := c.q.key("done")
	list := [][]string{
		cmd("BLPOP", c.list, c.other, seconds), cmd("BRPOP", c.other, c.list, seconds),
		cmd("BLPOP", c.list, seconds), cmd("BRPOP", c.list, seconds),
		cmd("BLMOVE", c.list, done, "LEFT", "RIGHT", seconds), cmd("BRPOPLPUSH", c.list, done, seconds),
		cmd("BLMPOP", seconds, "2", c.list, c.other, "RIGHT", "COUNT", "2"), cmd("BLMPOP", seconds, "1", c.list, "LEFT"),
		cmd("BZPOPMIN", c.zset, seconds), cmd("BZPOPMAX", c.zset, seconds),
		cmd("BZMPOP", seconds, "1", c.zset, "MIN", "COUNT", "2"),
	}
	return list[c.rng.IntN(len(list))]
}
