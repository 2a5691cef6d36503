// Package route decides which group a command belongs to and gets it there: to
// the replica on this node if that leads, else over a link to the node that
// does. It holds requests while a group elects a leader, and asks again with the
// same request id when one is lost, so that a client sees a pause instead of an
// error and nothing is applied twice. It never tells a client to go elsewhere.
// Package cluster owns the router of a node.
package route

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Config is what a router is made from.
type Config struct {
	Node   string                  // this node's id
	Home   string                  // the group of commands that have no key
	Groups map[string]*group.Group // the replicas on this node
	// Table returns the current slot table. It must not block.
	Table func() *Table
	// Regions returns the names of the region groups, in order.
	Regions func() []string
	// Replicas returns the nodes that have a replica of a group, voters first.
	Replicas func(group string) []string
	Commands *fsm.Table // of region groups
	System   *fsm.Table // of the system group
	// Dial connects to another node's link service.
	Dial func(ctx context.Context, node string) (net.Conn, error)
	// Compile returns what is wrong with the text of a script, or no reply at all.
	Compile func(sha, text string) resp.Value
	// Query answers another node's query. It must return within seconds.
	Query func(name string, in []byte) (out []byte, err error)
	// Receive gets what other nodes post, in order. It must not block.
	Receive func(in []byte) (out []byte, err error)
	// Timeout is how long a request is tried. Default 10 s.
	Timeout time.Duration
	Log     *slog.Logger
}

// Router routes the commands of one node.
type Router struct {
	cfg          Config
	origin       uint64 // this run of the node
	waitOutboxes waitOutboxes
	links        links

	waitConns waitConns
	lingering context.Context
	// Hurry ends what goes on for clients that are gone, whatever is lost with it.
	Hurry context.CancelFunc

	mu       sync.Mutex
	outboxes map[string]*outbox
	leaders  map[string]string // last known leader of groups without a replica here
	conns    map[*served]struct{}
	senders  map[string]*sender // of posts, by node
	closed   bool

	scripts atomic.Pointer[map[string]bool] // texts that all groups have loaded
	// scriptsAfter is when texts may be sent to all groups again, unix ms.
	scriptsAfter atomic.Int64
	spread       atomic.Uint64 // chooses where to ask next
}

// New returns a router. Close ends it.
func New(cfg Config) *Router {
	r := &Router{
		cfg: cfg, origin: rand.Uint64(), waitOutboxes: waitOutboxes{origin: rand.Uint64()}, outboxes: map[string]*outbox{}, leaders: map[string]string{}, conns: map[*served]struct{}{},
		senders: map[string]*sender{},
	}
	r.links.dial = cfg.Dial
	r.links.ctx, r.links.cancel = context.WithCancel(context.Background())
	r.links.byNode = map[string]*link{}
	r.lingering, r.Hurry = context.WithCancel(context.Background())
	return r
}

// Lingering returns the context of what goes on for clients that are gone, so that
// nothing is lost with them. It ends with [Router.Hurry].
func (r *Router) Lingering() context.Context { return r.lingering }

// Close ends all links. Requests that are under way fail.
func (r *Router) Close() {
	r.Hurry()
	r.mu.Lock()
	r.closed = true
	conns := make([]*served, 0, len(r.conns))
	for c := range r.conns {
		conns = append(conns, c)
	}
	r.mu.Unlock()
	for _, c := range conns {
		c.fail(net.ErrClosed)
		c.Conn.Close()
	}
	r.links.close()
}

func (r *Router) track(s *served) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.conns[s] = struct{}{}
	return true
}

func (r *Router) untrack(s *served) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, s)
}

func (r *Router) outbox(group string) *outbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.outboxes[group]
	if o == nil {
		o = newOutbox(r.origin)
		r.outboxes[group] = o
	}
	return o
}

// known reports whether all calls are of commands that may stand in the group's log:
// one that does not know them would stop all its replicas.
func (r *Router) known(group string, calls []command.Call) bool {
	table := r.cfg.Commands
	if group == placement.System {
		table = r.cfg.System
	}
	for i := range calls {
		c := &calls[i]
		cmd := table.Lookup(c.Args)
		if cmd == nil || !cmd.ArityOK(len(c.Args)) {
			return false
		}
		c.Spec = &cmd.Spec
	}
	return true
}

// work is what one group is asked to do at once.
type work struct {
	group    string
	calls    []command.Call
	at       []int // where each call's reply goes
	readOnly bool
	seq      uint64
	decoded  fsm.Request
	request  []byte // the same, encoded; nil for reads
	maybe    bool   // an attempt may have been applied
	kind     fsm.RequestKind
	watched  []command.KeyVersion
	wait     *wait // a blocking call
}

// Run sends calls, all of one group, in order and at once, and waits for their
// replies. Calls that only read see everything acknowledged before.
func (r *Router) Run(ctx context.Context, groupName string, calls []command.Call) ([]resp.Value, error) {
	w := &work{group: groupName, calls: calls, readOnly: readOnly(calls)}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	return r.run(ctx, w)
}

func readOnly(calls []command.Call) bool {
	return !slices.ContainsFunc(calls, func(c command.Call) bool { return c.Spec.Has(command.Write) })
}

// run tries until there is an answer that is final, or ctx ends.
func (r *Router) run(ctx context.Context, w *work) ([]resp.Value, error) {
	a, err := r.start(ctx, w)
	if err != nil {
		return nil, err
	}
	return r.finish(ctx, w, a)
}

// attempt is one try at one replica.
type attempt struct {
	answer  chan answer
	node    string          // where, "" when there was nowhere to send it
	changed <-chan struct{} // closed when the group's leader may have changed
	began   time.Time
	frame   uint64 // the id with which it was sent, 0 if it was not
}

// start numbers the work and makes the first attempt.
func (r *Router) start(ctx context.Context, w *work) (attempt, error) {
	if ctx.Err() != nil { // an attempt now would have an outcome that nobody hears of
		return attempt{}, &Error{Group: w.group, Cause: group.ErrNotLeader}
	}
	if !w.readOnly {
		box := r.outbox(w.group)
		seq, err := box.begin(ctx)
		if err != nil {
			return attempt{}, &Error{Group: w.group, Cause: group.ErrBusy}
		}
		w.seq = seq
		kind := cmp.Or(w.kind, fsm.Run)
		w.decoded = fsm.Request{Kind: kind, Origin: r.origin, Seq: seq, Acked: box.ack(), Reads: w.watched, Calls: w.calls}
		w.request = w.decoded.Append(make([]byte, 0, 64*len(w.calls)+32))
	}
	return r.try(w), nil
}

// The pauses between attempts. While a leader is being elected there is nobody
// to wake us on a node without a replica.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = 100 * time.Millisecond
)

// finish waits for the attempt's answer and makes further ones as long as they
// may help.
func (r *Router) finish(ctx context.Context, w *work, a attempt) ([]resp.Value, error) {
	if !w.readOnly {
		defer r.outbox(w.group).finish(w.seq)
	}
	pause := firstPause
	opened := false // just now
	for {
		final, ok, err := r.outcome(ctx, w, a)
		if ok {
			return final, nil
		}
		w.maybe = w.maybe || !notApplied(err) && !w.readOnly
		if errors.Is(err, group.ErrConflict) && len(w.watched) > 0 {
			w.maybe = false // had an earlier attempt been applied, this one had its reply; and none will be
		}
		if ctx.Err() != nil || errors.Is(err, group.ErrConflict) || settled(err) {
			return nil, &Error{Group: w.group, Maybe: w.maybe, Request: w.seq, Cause: err}
		}
		if unknown := errors.Is(err, group.ErrUnknownOrigin); unknown && !opened {
			opened = true
			r.open(ctx, r.outbox(w.group), w.group, a.began)
		} else {
			opened = false
			t := time.NewTimer(pause/2 + rand.N(pause/2))
			select {
			case <-ctx.Done():
			case <-t.C:
			case <-a.changed:
			}
			t.Stop()
			pause = min(pause*2, maxPause)
		}
		if ctx.Err() != nil { // no further attempt, whose outcome nobody would know
			return nil, &Error{Group: w.group, Maybe: w.maybe, Request: w.seq, Cause: err}
		}
		a = r.try(w)
	}
}

// outcome waits for what becomes of one attempt. ok means that the replies are
// final; err is why another attempt is needed.
func (r *Router) outcome(ctx context.Context, w *work, a attempt) (replies []resp.Value, ok bool, err error) {
	changed := a.changed
	for {
		select {
		case got := <-a.answer:
			return r.take(w, a, got)
		case <-changed:
			// The node that was asked may hang, cut off from a group that has a new
			// leader by now. The replica here always answers.
			g := r.cfg.Groups[w.group]
			changed = g.LeaderChanged()
			if leader := g.Leader(); leader != "" && leader != a.node && a.node != r.cfg.Node {
				return nil, false, group.ErrUncertain
			}
		case <-ctx.Done():
			select {
			case got := <-a.answer: // at the last moment
				return r.take(w, a, got)
			default:
				return nil, false, group.ErrUncertain
			}
		}
	}
}

// take makes what outcome returns of an answer.
func (r *Router) take(w *work, a attempt, got answer) (replies []resp.Value, ok bool, err error) {
	r.hear(w, a, got)
	switch {
	case got.at != nil:
		return got.at.Read(w.calls), true, nil
	case got.err != nil:
		return nil, false, got.err
	case len(got.replies) != len(w.calls):
		return nil, false, group.ErrUncertain // not an answer to this
	}
	return got.replies, true, nil
}

// hear learns from an answer who leads.
func (r *Router) hear(w *work, a attempt, got answer) {
	switch {
	case got.err == nil, errors.Is(got.err, group.ErrUnknownOrigin), errors.Is(got.err, group.ErrConflict), errors.Is(got.err, group.ErrCancelled):
		r.learn(w.group, a.node) // only a leader says so
	default:
		r.learn(w.group, got.hint)
	}
}

// try makes one attempt where the leader is believed to be.
func (r *Router) try(w *work) attempt {
	a := attempt{answer: make(chan answer, 1), began: time.Now()}
	g := r.cfg.Groups[w.group]
	if g != nil {
		a.changed = g.LeaderChanged()
		if g.Leads() {
			a.node = r.cfg.Node
			r.local(g, w, func(got answer) { a.answer <- got })
			return a
		}
	}
	a.node = r.target(w.group, g)
	if a.node == "" {
		a.answer <- answer{err: group.ErrNotLeader}
		return a
	}
	l := r.links.get(a.node)
	if l == nil {
		a.answer <- answer{err: ErrUnreachable}
		return a
	}
	kind := frameWrite
	switch {
	case w.wait != nil:
		kind = frameWait
	case w.readOnly:
		kind = frameRead
	case w.maybe:
		kind = frameAgain
	}
	a.frame = l.send(kind, func(b []byte) []byte {
		if w.wait != nil {
			b = w.wait.append(b)
		}
		b = appendString(b, w.group)
		if w.readOnly {
			return fsm.AppendCalls(b, w.calls)
		}
		return append(b, w.request...)
	}, func(got answer) { a.answer <- got })
	return a
}

// target returns the node to ask for a group that this node does not lead, ""
// for none.
func (r *Router) target(name string, g *group.Group) string {
	var leader string
	if g != nil {
		leader = g.Leader()
	} else {
		r.mu.Lock()
		leader = r.leaders[name]
		r.mu.Unlock()
	}
	if leader == "" {
		// Ask any other: one that does not lead says who does.
		if replicas := r.cfg.Replicas(name); len(replicas) > 0 {
			leader = replicas[r.spread.Add(1)%uint64(len(replicas))]
		}
	}
	if leader == r.cfg.Node {
		return "" // elected, but not yet open: it will say when it is
	}
	return leader
}

// learn notes who leads a group that has no replica here.
func (r *Router) learn(name, node string) {
	if r.cfg.Groups[name] != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaders[name] = node
}

// local has the replica on this node, which leads, do the work.
func (r *Router) local(g *group.Group, w *work, done func(answer)) {
	if w.wait != nil {
		g.Wait(w.wait.prepare(done))
		return
	}
	clock := slices.ContainsFunc(w.calls, func(c command.Call) bool { return c.Spec.Has(command.Clock) })
	if w.readOnly {
		for _, c := range w.calls {
			if c.Spec.Has(command.KeepAlive) && !g.KeepAlive(string(c.Args[1])) {
				done(answer{err: group.ErrNotLeader}) // it ends now, or not at all: ask again
				return
			}
		}
		g.Barrier(clock, func(err error) {
			if err != nil {
				done(answer{err: err})
				return
			}
			done(answer{at: g})
		})
		return
	}
	if slices.ContainsFunc(w.calls, fsm.Evaluated) {
		g.Evaluate(&group.Evaluation{Request: w.decoded, Again: w.maybe, Done: func(replies []resp.Value, err error) {
			done(answer{replies: replies, err: err})
		}})
		return
	}
	propose := func() {
		g.Propose(&group.Call{Request: w.request, Calls: w.calls, Done: func(replies []resp.Value, err error) {
			done(answer{replies: replies, err: err})
		}})
	}
	// A lock that is held is refused without an entry of its own: the refusal is
	// a read, and shares its barrier with all others. Not so once an attempt may
	// have been applied: it may be this very request that holds the lock.
	if _, ok := g.Refuse(w.calls); !ok || w.maybe || len(w.watched) > 0 {
		propose()
		return
	}
	g.Barrier(clock, func(err error) {
		if err != nil {
			done(answer{err: err})
			return
		}
		if replies, ok := g.Refuse(w.calls); ok {
			done(answer{replies: replies})
			return
		}
		propose()
	})
}
