package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// Options shape a [Workload]. Zero values are defaults.
type Options struct {
	// Name starts all keys: no two workloads of one history may have the same.
	Name string
	// Share is how many clients use the same keys, default 5. The cost of judging
	// grows steeply with it.
	Share int
	// KeyOps is after how many operations a key is left for a new one, default 60,
	// and LongOps the same for the few that are to live for the whole run, default
	// 1000. Locks, which are to live until they expire, get four times as many.
	KeyOps, LongOps int
	// MaxUnknown is after how many operations of unknown outcome a key is left,
	// default 4. The cost of judging doubles with each.
	MaxUnknown int
	// MinTTL and MaxTTL bound the times to live of locks. Default 100 ms and 5 s;
	// the short ones come most often.
	MinTTL, MaxTTL time.Duration
	// Pipeline is which part of the steps are pipelines, default 0.1; negative for
	// none.
	Pipeline float64
	// Transactions is which part of the steps are transactions, default 0.06; negative
	// for none.
	Transactions float64
	// Spin bounds how often a slow script goes round, default 1000.
	Spin int
	// Kinds are what is worked on, default all.
	Kinds []Kind
}

// maxPipeline is the most commands that are sent at once.
const maxPipeline = 5

// Kind is a kind of key, with the operations that belong to it.
type Kind string

// The kinds of keys. A pair is two strings with one tag that are mostly written and
// read together. Shared are some keys with one tag that transactions and scripts use.
const (
	Register  Kind = "register"
	Counter   Kind = "counter"
	Hash      Kind = "hash"
	List      Kind = "list"
	Set       Kind = "set"
	SortedSet Kind = "zset"
	Pair      Kind = "pair"
	Shared    Kind = "shared"
	Lock      Kind = "lock"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{Register, Counter, Hash, List, Set, SortedSet, Pair, Shared, Lock}
}

func (o Options) withDefaults() Options {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&o.Share, 5)
	set(&o.KeyOps, 60)
	set(&o.LongOps, 1000)
	set(&o.MaxUnknown, 4)
	if o.Name == "" {
		o.Name = "h"
	}
	if o.MinTTL == 0 {
		o.MinTTL = 100 * time.Millisecond
	}
	if o.MaxTTL == 0 {
		o.MaxTTL = 5 * time.Second
	}
	if o.Pipeline == 0 {
		o.Pipeline = 0.1
	}
	if o.Transactions == 0 {
		o.Transactions = 0.06
	}
	set(&o.Spin, 1000)
	if o.Kinds == nil {
		o.Kinds = Kinds()
	}
	return o
}

// Workload is what the clients of a run do. Its own methods are safe for concurrent
// use; its clients are each for one goroutine.
type Workload struct {
	o    Options
	seed uint64

	mu     sync.Mutex
	crowds map[int]*crowd
	named  int // keys so far
}

// NewWorkload returns the work of all clients of a run. The same rng makes each
// client's choices the same again; which keys they meet at depends on their timing.
func NewWorkload(rng *rand.Rand, o Options) *Workload {
	return &Workload{o: o.withDefaults(), seed: rng.Uint64(), crowds: map[int]*crowd{}}
}

// crowd is clients that use the same keys: a few in turn, so that they meet, one of
// each kind that lives long, and those of transactions.
type crowd struct {
	short, long []*slot
	shared      *slot
}

// activeSlots is how many keys a crowd uses at once, beside the long-lived ones.
const activeSlots = 3

// longShare is one in how many commands goes to a long-lived key.
const longShare = 16

// sharedShare is one in how many commands goes to the keys of transactions.
const sharedShare = 8

// slot is a place for a key, which is replaced from time to time, by one of its kind if
// it has any.
type slot struct {
	key  *key
	kind Kind
	long bool
}

// key is a key in use.
type key struct {
	name     string
	kind     Kind
	left     int // operations until it is replaced
	unknowns int
}

// Client makes what one client asks, one step after the other.
type Client struct {
	w      *Workload
	number int
	rng    *rand.Rand
	writes int               // counts the values, which are unique
	tokens map[string]string // of locks that the client has, or thinks it may have
	used   map[string]*key   // the keys of the last step, by the name in the command
	last   map[string]string // what it read last of keys that are compared and set
	// unknown are the scripts, by SHA1, whose text is to be sent.
	unknown map[string]bool
}

// Client returns the client of that number; ask for each number once.
func (w *Workload) Client(number int) *Client {
	return &Client{
		w: w, number: number, rng: rand.New(rand.NewPCG(w.seed, uint64(number))),
		tokens: map[string]string{}, used: map[string]*key{}, last: map[string]string{}, unknown: map[string]bool{},
	}
}

// Step returns what to ask next: one command, or several to be sent at once. Tell
// [Client.Saw] of each what became of it.
func (c *Client) Step() [][]string {
	n := 1
	if c.rng.Float64() < c.w.o.Pipeline {
		n = 2 + c.rng.IntN(maxPipeline-1)
	}
	clear(c.used)
	commands := make([][]string, n)
	for i := range commands {
		commands[i] = c.next()
	}
	return commands
}

// Next is Step for clients without pipelines: it returns one command.
func (c *Client) Next() []string {
	clear(c.used)
	return c.next()
}

func (c *Client) next() []string {
	k := c.w.take(c)
	args := c.command(k)
	c.used[firstKey(args)] = k
	return args
}

// Saw tells the client what became of a command of its last step, v and err as for
// [Classify]: it remembers its locks by it, and leaves keys of which too much is
// unknown.
func (c *Client) Saw(args []string, v resp.Value, err error) {
	outcome := Classify(v, err)
	if v.IsError() && strings.HasPrefix(v.Str, "NOSCRIPT ") {
		c.unknown[shaIn(args)] = true
	}
	name := firstKey(args)
	k := c.used[name]
	if k == nil {
		return
	}
	if outcome == Unknown {
		c.w.sawUnknown(k)
	}
	switch {
	case k.kind == Lock:
		c.sawLock(name, args, v, outcome)
	case k.kind == Shared && args[0] == "GET" && v.Kind == resp.Bulk:
		c.last[name] = v.Str
	}
}

// firstKey returns the first key of a command of ours.
func firstKey(args []string) string {
	if args[0] == "EVALSHA" || args[0] == "EVAL" {
		return args[3]
	}
	return args[1]
}

// Turn makes one step and records it: do sends the commands at once over one
// connection and returns the replies, or those that came before an error.
func (c *Client) Turn(r *Recorder, node string, do func(commands [][]string) ([]resp.Value, error)) error {
	if c.rng.Float64() < c.w.o.Transactions {
		return c.transact(r, node, do)
	}
	commands := c.Step()
	replies, err := r.Pipeline(c.number, node, commands, do)
	for i, args := range commands {
		if i < len(replies) {
			c.Saw(args, replies[i], nil)
		} else {
			c.Saw(args, resp.Value{}, err)
		}
	}
	return err
}

// transact does a transaction: it watches keys and reads them, and then lets all
// commands be done if they are as they were.
func (c *Client) transact(r *Recorder, node string, do func(commands [][]string) ([]resp.Value, error)) error {
	k := c.w.takeShared(c)
	names, calls := c.transaction(k.name)
	var watched []Read
	if names != nil {
		var err error
		if watched, err = c.watch(r, node, names, do); err != nil || watched == nil {
			return err
		}
	}
	v, err := r.Exec(c.number, node, watched, calls, do)
	if Classify(v, err) == Unknown {
		c.w.sawUnknown(k)
	}
	return err
}

// watch watches keys and reads them. It returns nil when that was refused: nothing is
// watched then.
func (c *Client) watch(r *Recorder, node string, names []string, do func(commands [][]string) ([]resp.Value, error)) ([]Read, error) {
	// Not at once with what is read: both may take as long as a request may.
	replies, err := r.Pipeline(c.number, node, [][]string{append(cmd("WATCH"), names...)}, do)
	if err != nil || replies[0].IsError() {
		return nil, err
	}
	var commands [][]string
	for _, name := range names {
		commands = append(commands, cmd("GET", name))
	}
	if replies, err = r.Pipeline(c.number, node, commands, do); err != nil {
		return nil, err
	}
	var watched []Read
	for i, v := range replies {
		if v.IsError() {
			_, err := do([][]string{{"UNWATCH"}})
			return nil, err
		}
		watched = append(watched, Read{commands[i], v})
	}
	return watched, nil
}

// takeShared returns the keys of the client's next transaction.
func (w *Workload) takeShared(c *Client) *key {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.use(w.crowd(c).shared, c)
}

// take returns a key for the client's next command.
func (w *Workload) take(c *Client) *key {
	w.mu.Lock()
	defer w.mu.Unlock()
	group := w.crowd(c)
	s := group.short[c.rng.IntN(len(group.short))]
	switch {
	case c.rng.IntN(longShare) == 0:
		s = group.long[c.rng.IntN(len(group.long))]
	case c.rng.IntN(sharedShare) == 0 && slices.Contains(w.o.Kinds, Shared):
		s = group.shared
	}
	return w.use(s, c)
}

// crowd returns the crowd that a client belongs to. The lock is held.
func (w *Workload) crowd(c *Client) *crowd {
	number := c.number / w.o.Share
	group := w.crowds[number]
	if group == nil {
		group = &crowd{short: make([]*slot, activeSlots), shared: &slot{kind: Shared}}
		for i := range group.short {
			group.short[i] = &slot{}
		}
		for _, kind := range w.o.Kinds {
			group.long = append(group.long, &slot{key: w.newKey(number, kind, true), kind: kind, long: true})
		}
		w.crowds[number] = group
	}
	return group
}

// use returns the key in a slot for one operation, a new one if the last has been used
// enough. The lock is held.
func (w *Workload) use(s *slot, c *Client) *key {
	if s.key == nil || s.key.left <= 0 || s.key.unknowns >= w.o.MaxUnknown {
		kind := s.kind
		if kind == "" {
			kind = w.o.Kinds[c.rng.IntN(len(w.o.Kinds))]
		}
		s.key = w.newKey(c.number/w.o.Share, kind, s.long)
	}
	s.key.left--
	return s.key
}

// newKey names a key. The lock is held.
func (w *Workload) newKey(crowd int, kind Kind, long bool) *key {
	w.named++
	k := &key{kind: kind, left: w.o.KeyOps, name: fmt.Sprintf("%s:%s:%d:%d", w.o.Name, kind, crowd, w.named)}
	if long {
		k.left = w.o.LongOps
	} else if kind == Lock {
		k.left *= 4
	}
	if kind == Pair || kind == Shared {
		k.name = "{" + k.name + "}"
	}
	return k
}

func (w *Workload) sawUnknown(k *key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.unknowns++
}
