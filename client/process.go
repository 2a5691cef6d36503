package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults and bounds of ProcessOptions.
const (
	DefaultSessionTTL = 30 * time.Second
	MinSessionTTL     = time.Second
	MaxSessionTTL     = 24 * time.Hour
)

var (
	// ErrSessionLost is returned by, and the cause of the end of contexts of, all that
	// belongs to a process whose session has ended or cannot be proven to go on.
	ErrSessionLost = errors.New("client: the session is lost")
	// ErrLost is the same for a single lock, permits or a reference: it was taken away
	// by LOCK.FORCE or another client, or its time is over.
	ErrLost = errors.New("client: what was held is lost")
	// ErrNotAcquired is returned when something is held by others and was not waited
	// for.
	ErrNotAcquired = errors.New("client: not acquired: held by others")
	// ErrClosed is returned by what belongs to a process that was closed.
	ErrClosed = errors.New("client: the process is closed")
)

// ProcessOptions says what a process is like. All are optional.
type ProcessOptions struct {
	// Name identifies the process among all that share references, as phonon's process
	// ids do. It must differ from that of any other running process. Default: random.
	Name string
	// TTL is how long the process may be silent before all that it holds is released,
	// from [MinSessionTTL] to [MaxSessionTTL]. Default [DefaultSessionTTL].
	TTL time.Duration
	// Meta is shown to operators, up to 4096 bytes.
	Meta string
	// OnJeopardy is called when a sign of life was not answered (true), and when one is
	// again (false). Until the session is lost all that is held is valid. It must not
	// block.
	OnJeopardy func(inJeopardy bool)
	// OnLost is called once if the session is lost. It must not block.
	OnLost func(error)
}

// Process is this process as the cluster knows it: a session that owns locks, permits and
// references, kept alive in the background. When it ends, however it ends, the cluster
// releases all of them in one step. It is safe for use by many goroutines.
type Process struct {
	c    *Client
	o    ProcessOptions
	id   string
	ctx  context.Context // ends with the session
	end  context.CancelCauseFunc
	done sync.WaitGroup

	mu         sync.Mutex
	validUntil time.Time
	losses     int64
	held       map[*grant]struct{}
	references map[string]*Reference
	handlers   []completionHandler
	pending    bool // the loop that looks for completions runs
	calm       *time.Timer
}

// OpenProcess opens a session and keeps it alive until [Process.Close]. ctx bounds only
// the opening. Errors wrap [ErrNotApplied], or are the server's.
func (c *Client) OpenProcess(ctx context.Context, o ProcessOptions) (*Process, error) {
	if o.TTL == 0 {
		o.TTL = DefaultSessionTTL
	}
	if o.TTL < MinSessionTTL || o.TTL > MaxSessionTTL {
		return nil, fmt.Errorf("%w: TTL is %v, and has to be from %v to %v", ErrConfig, o.TTL, MinSessionTTL, MaxSessionTTL)
	}
	if o.Name == "" {
		o.Name = randomID()
	}
	// The id is ours, so that to ask again, when an answer was lost, opens no second one.
	args := []any{"SESSION.OPEN", o.TTL.Milliseconds(), "ID", randomID(), "NAME", o.Name, "META", o.Meta}
	var sent time.Time
	id, err := retry(ctx, func() (string, error) {
		sent = time.Now()
		return text(c.Do(ctx, args...))
	})
	if err != nil {
		return nil, err
	}
	p := &Process{c: c, o: o, id: id, held: map[*grant]struct{}{}, references: map[string]*Reference{}}
	p.ctx, p.end = context.WithCancelCause(context.Background())
	p.prove(sent)
	p.calm = time.AfterFunc(time.Until(p.validUntil), p.check)
	p.done.Go(p.keepAlive)
	return p, nil
}

// ID returns the id of the session.
func (p *Process) ID() string { return p.id }

// Name returns the name of the process.
func (p *Process) Name() string { return p.o.Name }

// Context ends when the session is lost ([ErrSessionLost] is its cause) or the process is
// closed ([ErrClosed]).
func (p *Process) Context() context.Context { return p.ctx }

// Err returns why the process has ended, nil while it goes on.
func (p *Process) Err() error { return context.Cause(p.ctx) }

// Close releases all that the process holds, and ends the session. If the cluster does not
// answer before ctx ends, the session ends by itself when its time is over.
func (p *Process) Close(ctx context.Context) error {
	p.end(ErrClosed)
	p.calm.Stop()
	p.done.Wait()
	_, err := retry(ctx, func() (any, error) { return p.c.Do(ctx, "SESSION.CLOSE", p.id) })
	return err
}

// drift is the part of a session's time that is left for clocks that do not run alike.
const drift = 100

// prove notes that the session goes on for its time, from before the request was sent that
// says so.
func (p *Process) prove(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := sent.Add(p.o.TTL - p.o.TTL/drift); until.After(p.validUntil) {
		p.validUntil = until
	}
}

// check ends the process when it cannot be proven any more that the session goes on.
func (p *Process) check() {
	p.mu.Lock()
	left := time.Until(p.validUntil)
	if left > 0 {
		p.calm.Reset(left)
	}
	p.mu.Unlock()
	if left <= 0 {
		p.lose(fmt.Errorf("%w: nobody has answered for %v", ErrSessionLost, p.o.TTL))
	}
}

func (p *Process) lose(err error) {
	if p.ctx.Err() != nil {
		return
	}
	p.end(err)
	if p.o.OnLost != nil {
		p.o.OnLost(err)
	}
}

// The pace of signs of life, as parts of the time to live, and after one that was not
// answered.
const (
	beats     = 3
	beatAgain = 100 * time.Millisecond
)

// keepAlive says that the process lives, until it ends.
func (p *Process) keepAlive() {
	beat := p.o.TTL / beats
	jeopardy := false
	for wait := jitter(beat); pause(p.ctx, wait); {
		err := p.beat(beat)
		if lost := errors.Is(err, ErrSessionLost); lost {
			p.lose(err)
			return
		}
		if wait = jitter(beat); err != nil {
			wait = min(beatAgain, beat)
		}
		if was := jeopardy; was != (err != nil) && p.ctx.Err() == nil {
			if jeopardy = !was; p.o.OnJeopardy != nil {
				p.o.OnJeopardy(jeopardy)
			}
		}
	}
}

// beat says once that the process lives.
func (p *Process) beat(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(p.ctx, max(limit, time.Second))
	defer cancel()
	sent := time.Now()
	reply, err := numbers(p.c.Do(ctx, "SESSION.KEEPALIVE", p.id))
	switch {
	case redis.HasErrorPrefix(err, "NOSESSION"):
		return fmt.Errorf("%w: %w", ErrSessionLost, err)
	case err != nil:
		return err
	case len(reply) < 2:
		return errReply
	}
	p.prove(sent)
	p.mu.Lock()
	more := reply[1] > p.losses
	p.losses = reply[1]
	p.mu.Unlock()
	if more {
		p.checkHeld(ctx)
	}
	return nil
}

// checkHeld finds out what was taken away.
func (p *Process) checkHeld(ctx context.Context) {
	p.mu.Lock()
	var all []*grant
	for g := range p.held {
		all = append(all, g)
	}
	p.mu.Unlock()
	for _, g := range all {
		if !g.check(ctx) {
			g.lose(fmt.Errorf("%w: %s was taken away", ErrLost, g.keys[0]))
		}
	}
}

// numbers reads a reply of numbers.
func numbers(v any, err error) ([]int64, error) {
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errReply
	}
	ns := make([]int64, len(list))
	for i, e := range list {
		if ns[i], ok = e.(int64); !ok {
			return nil, errReply
		}
	}
	return ns, nil
}

func text(v any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", errReply
	}
	return s, nil
}

func number(v any, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n, ok := v.(int64)
	if !ok {
		return 0, errReply
	}
	return n, nil
}

// retryEvery is the pause before something is asked for again.
const retryEvery = 50 * time.Millisecond

// retry calls f, which may be repeated safely, until it is answered or ctx ends.
func retry[T any](ctx context.Context, f func() (T, error)) (T, error) {
	for {
		v, err := f()
		again := errors.Is(err, ErrNotApplied) || errors.Is(err, ErrUnknownOutcome)
		if !again || ctx.Err() != nil || !pause(ctx, jitter(retryEvery)) {
			return v, err
		}
	}
}

// pause waits. It returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// jitter is a time of about d, so that many clients do not act at once.
func jitter(d time.Duration) time.Duration { return d*7/8 + mathrand.N(d/8+1) }

func randomID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
