// Package history makes the work that test clients do, records what they asked
// and what they were told, and judges whether any order of the operations explains
// the replies: linearizability, by porcupine. The simulation and the torture
// program use it. It never talks to a cluster itself, and no product code uses it.
//
// The judgement rests on three kinds of outcome. What was answered has to fit. What
// is of unknown outcome may have been done once, at any time after it was asked, or
// not at all. What was refused counts as not done: the history is judged without it,
// so if it was done after all, somebody sees an effect that nothing explains.
package history

import (
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// Outcome is what the client of an operation knows of it.
type Outcome byte

const (
	// Answered operations have a reply, which may be an error of the command's.
	Answered Outcome = iota
	// Unknown operations were done at most once, then or later, or not at all.
	Unknown
	// Refused operations were certainly not done.
	Refused
)

func (o Outcome) String() string { return [...]string{"answered", "unknown", "refused"}[o] }

// Never is the Return of an operation whose client still waits.
const Never = time.Duration(math.MaxInt64)

// Op is one operation of one client.
type Op struct {
	Client int
	Node   string   // the client was connected to it
	Args   []string // the command
	// Call and Return are when the client asked and when it had its reply or gave
	// up, since the start of the run, by one monotonic clock for all clients.
	Call, Return time.Duration
	Reply        resp.Value // if it was Answered, or an error reply otherwise
	Outcome      Outcome
	Err          string // of the connection, "" if there is a reply
	// Garbled is set when what came back was no reply in the protocol.
	Garbled bool
	// Batch is not 0 for commands that were sent at once, in the order recorded.
	Batch int
	// Calls are the commands of a transaction, of which Args is then EXEC alone, and
	// Watched what its client had read of the keys that it watched: if one of them reads
	// otherwise now, EXEC must answer nil and do nothing.
	Calls   [][]string
	Watched []Read
	// Gone is set when the client itself broke the connection while it waited.
	Gone bool
}

// Read is a command that reads, and what it answered.
type Read struct {
	Args  []string
	Reply resp.Value
}

// commands returns all that the operation asks.
func (o *Op) commands() [][]string {
	if o.Calls == nil {
		return [][]string{o.Args}
	}
	list := slices.Clone(o.Calls)
	for _, w := range o.Watched {
		list = append(list, w.Args)
	}
	return list
}

// Recorder keeps the history of a run. It is safe for concurrent use.
type Recorder struct {
	now func() time.Duration

	mu      sync.Mutex
	last    time.Duration
	batches int
	ops     []Op
}

// NewRecorder returns an empty history. now is the time since the start of the run;
// it must not go back.
func NewRecorder(now func() time.Duration) *Recorder { return &Recorder{now: now} }

// stamp returns a time later than all before, by a nanosecond where the clock did
// not move: in virtual time much happens in one instant, and what was over before
// something else began must be seen to be. The lock is held.
func (r *Recorder) stamp() time.Duration {
	r.last = max(r.now(), r.last+1)
	return r.last
}

// Do records a command around do, which sends it once and returns the reply. Its
// error is about the connection, see [Classify].
func (r *Recorder) Do(client int, node string, args []string, do func(args ...string) (resp.Value, error)) (resp.Value, error) {
	replies, err := r.Pipeline(client, node, [][]string{args}, func(commands [][]string) ([]resp.Value, error) {
		v, err := do(commands[0]...)
		if err != nil {
			return nil, err
		}
		return []resp.Value{v}, nil
	})
	if err != nil {
		return resp.Value{}, err
	}
	return replies[0], nil
}

// errTooFew is what became of a command without a reply when do returned no error.
var errTooFew = errors.New("history: fewer replies than commands")

// Pipeline records commands that do sends at once over one connection, in order.
// When do returns an error it also returns the replies that came before.
func (r *Recorder) Pipeline(client int, node string, commands [][]string, do func(commands [][]string) ([]resp.Value, error)) ([]resp.Value, error) {
	first := r.begin(client, node, commands)
	replies, err := do(commands)
	if err == nil && len(replies) < len(commands) {
		err = errTooFew
	}
	r.end(first, len(commands), replies, err)
	return replies, err
}

func (r *Recorder) begin(client int, node string, commands [][]string) (first int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := 0
	if len(commands) > 1 {
		r.batches++
		batch = r.batches
	}
	first, call := len(r.ops), r.stamp()
	for _, args := range commands {
		r.ops = append(r.ops, Op{
			Client: client, Node: node, Args: slices.Clone(args), Call: call, Return: Never,
			Outcome: Unknown, Err: "no reply yet", Batch: batch,
		})
	}
	return first
}

func (r *Recorder) end(first, n int, replies []resp.Value, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.stamp()
	for i := range n {
		op := &r.ops[first+i]
		op.Return, op.Err = now, ""
		if i < len(replies) {
			op.Reply = replies[i]
			op.Outcome = Classify(replies[i], nil)
			continue
		}
		op.Outcome = Classify(resp.Value{}, err)
		op.Err, op.Garbled = err.Error(), errors.Is(err, resp.ErrProtocol)
	}
}

// Exec records a transaction as one operation: do sends MULTI, the calls and EXEC at
// once, over the connection on which what was watched was read.
func (r *Recorder) Exec(client int, node string, watched []Read, calls [][]string, do func(commands [][]string) ([]resp.Value, error)) (resp.Value, error) {
	first := r.begin(client, node, [][]string{{"EXEC"}})
	r.mu.Lock()
	r.ops[first].Calls, r.ops[first].Watched = calls, watched
	r.mu.Unlock()
	commands := slices.Concat([][]string{{"MULTI"}}, calls, [][]string{{"EXEC"}})
	replies, err := do(commands)
	if err == nil && len(replies) < len(commands) {
		err = errTooFew
	}
	var last []resp.Value
	if err == nil {
		last = replies[len(replies)-1:]
	}
	r.end(first, 1, last, err)
	if err != nil {
		return resp.Value{}, err
	}
	return last[0], nil
}

// Wait records a command that may wait. gone reports whether the client has broken the
// connection itself.
func (r *Recorder) Wait(client int, node string, args []string, gone func() bool, do func(commands [][]string) ([]resp.Value, error)) error {
	first := r.begin(client, node, [][]string{args})
	replies, err := do([][]string{args})
	if err == nil && len(replies) < 1 {
		err = errTooFew
	}
	r.end(first, 1, replies, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops[first].Gone = err != nil && gone()
	return err
}

// Ops returns the history so far, in the order of calls. An operation that still
// waits is of unknown outcome, and its Return is [Never].
func (r *Recorder) Ops() []Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ops)
}
