package history

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
)

// CheckOptions say how strictly a history is judged.
type CheckOptions struct {
	// MaxSteps bounds the search for each partition; one that takes more is not
	// decided, which counts as a violation. It is steps and not time, so that the
	// verdict does not depend on the machine, or on its time being virtual. Default
	// 300,000: some seconds and 200 MB at worst, where some hundred steps
	// are usual.
	MaxSteps int
	// MaxDuration is how long an operation may take; 0 for any time.
	MaxDuration time.Duration
	// Drift is by how many parts per million the clocks of nodes may run faster than
	// the one that recorded the history, Slack what may be missing of a lock's time
	// beside that. Both are 0 in virtual time.
	Drift int
	Slack time.Duration
	// Healed, if not 0, is the time in the history from which on the cluster is left
	// alone: locks must then expire, at most Grace later than promised.
	Healed, Grace time.Duration
	// Well, if not 0, is the time in the history from which on every operation that
	// is asked for has to be answered.
	Well time.Duration
	// Notice is how long it may take then until a client that waits is given what is
	// there, and until nothing is given any more to one that has gone away. Default 2 s.
	Notice time.Duration
	// Workers is how many partitions are judged at once. Default GOMAXPROCS.
	Workers int
}

const (
	defaultSteps  = 300_000
	defaultNotice = 2 * time.Second
)

// Violation is something that must not happen.
type Violation struct {
	Key  string // or keys
	Why  string // one line
	Text string // the operations, for a person to see what is wrong
}

func (v *Violation) String() string { return fmt.Sprintf("%s: %s\n%s", v.Key, v.Why, v.Text) }

// Count is operations by outcome.
type Count struct{ Answered, Unknown, Refused int }

// Report is what a check found.
type Report struct {
	Ops, Keys, Partitions int
	Unknowns, Refusals    int
	Kinds                 map[string]Count // by command, lower case
	Longest               time.Duration    // that an operation took
	Steps                 int              // of all searches
	MostSteps             int              // of one search
	Elements              int              // that went into queues
	Swallowed             int              // of these, those that went to clients that had gone away
	Violations            []Violation
}

// ErrViolated is returned when a history has violations.
var ErrViolated = errors.New("history: violated")

// Err returns nil if all is well, or all violations as an error that wraps
// [ErrViolated].
func (r *Report) Err() error {
	if len(r.Violations) == 0 {
		return nil
	}
	var b strings.Builder
	for i := range r.Violations {
		fmt.Fprintf(&b, "\n%s", r.Violations[i].String())
	}
	return fmt.Errorf("%w: %d violations%s", ErrViolated, len(r.Violations), b.String())
}

// String returns the figures, without the violations.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations on %d keys: %d of unknown outcome, %d refused; the longest took %v; %d violations\n",
		r.Ops, r.Keys, r.Unknowns, r.Refusals, r.Longest.Round(time.Millisecond), len(r.Violations))
	if r.Elements > 0 {
		fmt.Fprintf(&b, "%d elements were waited for, of which %d went to clients that had gone away\n", r.Elements, r.Swallowed)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		c := r.Kinds[kind]
		fmt.Fprintf(&b, "  %-12s %8d answered %6d unknown %6d refused\n", kind, c.Answered, c.Unknown, c.Refused)
	}
	return b.String()
}

// Check judges a history. Its violations are in the order of the first call on
// their keys.
func Check(ops []Op, o CheckOptions) Report {
	if o.MaxSteps == 0 {
		o.MaxSteps = defaultSteps
	}
	if o.Notice == 0 {
		o.Notice = defaultNotice
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	c := &check{o: o, reader: reader{fsm.DataCommands()}}
	c.report.Kinds = map[string]Count{}
	c.count(ops)
	parts, left := c.partitions(ops)
	c.report.Partitions = len(parts)
	c.single(ops, left)
	results := c.judgeAll(parts)
	for i, p := range parts {
		c.report.Keys += len(p.keys)
		c.report.Steps += results[i].steps
		c.report.MostSteps = max(c.report.MostSteps, results[i].steps)
		if v := results[i].violation; v != nil {
			c.report.Violations = append(c.report.Violations, *v)
		}
	}
	return c.report
}

// check is one run of Check.
type check struct {
	reader
	o      CheckOptions
	mu     sync.Mutex // guards report while partitions are judged
	report Report
}

func (c *check) count(ops []Op) {
	r := &c.report
	r.Ops = len(ops)
	for i := range ops {
		op := &ops[i]
		name := ""
		if len(op.Args) > 0 {
			name = strings.ToLower(op.Args[0])
		}
		n := r.Kinds[name]
		switch op.Outcome {
		case Answered:
			n.Answered++
		case Unknown:
			n.Unknown++
			r.Unknowns++
		case Refused:
			n.Refused++
			r.Refusals++
		}
		r.Kinds[name] = n
		if asked, endless := c.patience(op); op.Return != Never && !endless {
			r.Longest = max(r.Longest, op.Return-op.Call-asked)
		}
	}
}

// maxLines bounds the operations listed for one violation.
const maxLines = 60

// single finds the violations that one operation shows by itself.
func (c *check) single(ops []Op, left []*Op) {
	var last time.Duration
	for i := range ops {
		last = max(last, ops[i].Call)
		if ops[i].Return != Never {
			last = max(last, ops[i].Return)
		}
	}
	var late, garbled, denied []*Op
	for i := range ops {
		op := &ops[i]
		asked, endless := c.patience(op)
		if c.o.MaxDuration > 0 && !endless && min(op.Return, last)-op.Call > asked+c.o.MaxDuration {
			late = append(late, op)
		}
		if op.Garbled {
			garbled = append(garbled, op)
		}
		if c.o.Well > 0 && op.Call > c.o.Well && op.Outcome != Answered && !op.Gone && !unknownScript(op) {
			denied = append(denied, op)
		}
	}
	c.list(fmt.Sprintf("not answered within %v", c.o.MaxDuration), late)
	c.list("the answer is not in the protocol", garbled)
	c.list(fmt.Sprintf("refused or of unknown outcome, though nothing was wrong any more since %s", instant(c.o.Well)), denied)
	c.list("no model for it, so it cannot be judged", left)
}

// patience returns how long an operation has asked the node to wait.
func (c *check) patience(op *Op) (asked time.Duration, endless bool) {
	if !c.has(op.Args, command.Blocking) {
		return 0, false
	}
	ms, _ := fsm.BlockTimeout(callOf(op.Args).Args)
	return time.Duration(ms) * time.Millisecond, ms == 0
}

// unknownScript reports whether an operation was refused as any node may at any time:
// the client has to send the script's text.
func unknownScript(op *Op) bool { return strings.HasPrefix(op.Reply.Str, "NOSCRIPT") }

func (c *check) list(why string, ops []*Op) {
	if len(ops) == 0 {
		return
	}
	var lines []string
	for _, op := range ops[:min(len(ops), maxLines)] {
		lines = append(lines, op.String())
	}
	c.report.Violations = append(c.report.Violations, Violation{
		Key: fmt.Sprintf("%d operations", len(ops)), Why: why, Text: strings.Join(lines, "\n") + "\n",
	})
}

// judgement is what became of a partition.
type judgement struct {
	steps     int
	violation *Violation
}

func (c *check) judgeAll(parts []*partition) []judgement {
	results := make([]judgement, len(parts))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(c.o.Workers, len(parts)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(parts); i = int(next.Add(1)) - 1 {
				results[i] = c.judge(parts[i])
			}
		})
	}
	workers.Wait()
	return results
}

func (c *check) judge(p *partition) judgement {
	if c.isQueue(p) {
		return c.judgeQueue(p)
	}
	lock := p.isLock()
	if op := p.foreign(lock); op != nil {
		return judgement{violation: &Violation{
			Key: strings.Join(p.keys, " "), Why: "no model for an operation on it, so it cannot be judged", Text: op.String() + "\n",
		}}
	}
	var m model = locks{rate: 1 - float64(c.o.Drift)/1e6, slack: c.o.Slack, healed: c.o.Healed, grace: c.o.Grace}
	if !lock {
		m = newValues(c.table, p.keys)
	}
	j := newJudge(m, c.relevant(p.ops), c.o.MaxSteps)
	v, _ := j.search(false)
	done := judgement{steps: j.steps}
	if v != explained {
		done.violation = c.explain(p, m, v)
	}
	return done
}
