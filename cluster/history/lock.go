package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"phonond/redisproto/resp"
)

// locks is the model of a key that is a lock: taken by SET NX PX, given back and
// extended by redis-py's scripts, seen by GET and PTTL.
//
// The promise: a lock with a time to live is not given away before that much real
// time has passed since it was asked for, or extended; it may be later by the time
// that the group had no leader. The time runs from when the leader takes the request
// in: what it takes to get it to the disks is a part of it, as in Redis. When it expires is therefore not known, only from
// when on it may have. The model does not guess: a state that names a holder stands
// for "he holds it, or it has expired at some time from then on", and the first
// operation that can tell decides it. That makes the next state depend on the reply
// alone. Nothing is lost by it: once it was seen to be free, nobody can see the old
// holder again.
//
// Neither is it known when, between its call and its return, an operation was done.
// The model takes it for the earliest time that its place in the order leaves,
// which is the one that allows the most to those after it.
type locks struct {
	// rate is how much of a time to live must have passed, 1 for all, less slack:
	// what the clocks of nodes and clients may differ by.
	rate  float64
	slack time.Duration
	// healed is the time from which on the group has a leader that is not disturbed,
	// 0 if that is not known. A lock is gone when its time is over since it was
	// granted or, if that was earlier, since healed, and grace more.
	healed, grace time.Duration
}

// lockState is who holds a lock.
type lockState struct {
	token string        // of the holder, "" when it is free
	from  time.Duration // the earliest time at which it can have expired
	until time.Duration // the latest time at which it can still be held
	ttl   time.Duration // the most that can be left of it
	at    time.Duration // the earliest time at which the last operation can have been done
}

// lockAction is what an operation asks of a lock.
type lockAction byte

const (
	acquire lockAction = iota
	release
	extend  // by so much more than is left
	replace // what is left
	holder
	left
)

// lockCall is an operation on a lock, understood.
type lockCall struct {
	action lockAction
	token  string
	ttl    time.Duration
}

// The scripts of redis-py's lock, by SHA1.
const (
	releaseSHA   = "c3f8721cbb97f72bc19e972846bd7aaf91901658"
	extendSHA    = "a4e8783852e6b949f9ef3a97212805108459a890"
	reacquireSHA = "1cac51482acf5858da00f6d685d68f886cd6b6b2"
)

// parseLock understands a command on a lock. ok is false for one that the model
// does not know.
func parseLock(args []string) (c lockCall, ok bool) {
	name := strings.ToLower(args[0])
	switch {
	case name == "get" && len(args) == 2:
		return lockCall{action: holder}, true
	case name == "pttl" && len(args) == 2:
		return lockCall{action: left}, true
	case name == "set" && len(args) == 6 && strings.EqualFold(args[3], "NX") && strings.EqualFold(args[4], "PX"):
		ttl, ok := millis(args[5])
		return lockCall{acquire, args[2], ttl}, ok && args[2] != "" // "" is nobody
	case (name == "evalsha" || name == "eval") && len(args) >= 5 && args[2] == "1" && args[4] != "":
		sha := args[1]
		if name == "eval" {
			sha = shaOf(sha)
		}
		return parseScript(strings.ToLower(sha), args[4:])
	}
	return c, false
}

func parseScript(sha string, argv []string) (c lockCall, ok bool) {
	c.token = argv[0]
	switch {
	case sha == releaseSHA && len(argv) == 1:
		c.action = release
		return c, true
	case sha == extendSHA && len(argv) == 3 && argv[2] == "0":
		c.action = extend
	case sha == extendSHA && len(argv) == 3, sha == reacquireSHA && len(argv) == 2:
		c.action = replace
	default:
		return c, false
	}
	c.ttl, ok = millis(argv[1])
	return c, ok
}

// millis reads a positive number of ms.
func millis(s string) (time.Duration, bool) {
	n, err := strconv.ParseInt(s, 10, 32)
	return time.Duration(n) * time.Millisecond, err == nil && n > 0
}

// isLock reports whether the command makes its key a lock.
func isLock(args []string) bool {
	c, ok := parseLock(args)
	return ok && c.action != holder
}

func (l locks) start() any { return lockState{} }

func (l locks) step(state any, op *Op) (fits bool, next any) {
	s := state.(lockState)
	c, _ := parseLock(op.Args)
	back := op.Return
	if op.Outcome == Unknown {
		back = Never
	}
	s.at = max(s.at, op.Call)
	if s.at > back {
		return false, state // what it comes after was later
	}
	if op.Outcome == Unknown {
		fits, next := l.effect(s, c, op.Call)
		return fits, next
	}
	return l.answered(s, c, op, back)
}

// effect is what an operation of unknown outcome does, if it does anything.
func (l locks) effect(s lockState, c lockCall, asked time.Duration) (fits bool, next lockState) {
	held := s.token == c.token && s.at <= s.until
	switch c.action {
	case acquire:
		if s, fits = s.expired(Never); fits {
			s = l.granted(s, c, asked, Never)
		}
		return fits, s
	case release:
		return held, lockState{at: s.at}
	case extend, replace:
		return held, l.extended(s, c, asked, Never)
	}
	return false, s
}

// answered is what an operation with a reply, which came back at the given time,
// leaves.
func (l locks) answered(s lockState, c lockCall, op *Op, back time.Duration) (fits bool, next lockState) {
	gone, mayBeGone := s.expired(back)
	held := s.token != "" && s.at <= s.until
	reply := op.Reply
	switch c.action {
	case acquire:
		if reply.Str == "OK" {
			return mayBeGone, l.granted(gone, c, op.Call, back)
		}
		return held && isNil(reply), s
	case holder:
		if isNil(reply) {
			return mayBeGone, gone
		}
		return held && reply.Kind != resp.Error && reply.Str == s.token, s
	case left:
		if reply.Kind == resp.Integer && reply.Int == -2 {
			return mayBeGone, gone
		}
		n := time.Duration(reply.Int) * time.Millisecond
		return held && reply.Kind == resp.Integer && reply.Int >= 0 && n <= s.ttl && n >= s.from-back-time.Millisecond, s
	}
	switch own := s.token == c.token; {
	case reply.Kind != resp.Integer:
		return false, s
	case reply.Int == 1 && c.action == release:
		return held && own, lockState{at: s.at}
	case reply.Int == 1:
		return held && own, l.extended(s, c, op.Call, back)
	case reply.Int == 0 && own:
		return mayBeGone, gone
	case reply.Int == 0:
		return true, s // it is not his, whoever's it is
	}
	return false, s
}

// expired returns the lock when it is free, which can only be so from some time on.
func (s lockState) expired(back time.Duration) (free lockState, ok bool) {
	if s.token == "" {
		return s, true
	}
	return lockState{at: max(s.at, s.from)}, back >= s.from
}

func (l locks) granted(s lockState, c lockCall, asked, back time.Duration) lockState {
	s.token, s.ttl = c.token, c.ttl
	s.from = asked + l.least(c.ttl)
	s.until = l.latest(back, c.ttl)
	return s
}

func (l locks) extended(s lockState, c lockCall, asked, back time.Duration) lockState {
	if c.action == replace {
		return l.granted(s, c, asked, back)
	}
	s.ttl += c.ttl
	s.from = max(s.from, asked) + l.least(c.ttl) // it was still held when that was asked for
	if s.until != Never {
		s.until += c.ttl
	}
	return s
}

// least is the real time that a time to live is at least.
func (l locks) least(ttl time.Duration) time.Duration {
	return max(0, time.Duration(float64(ttl)*l.rate)-l.slack)
}

// latest is the time until which a lock may be held that was granted at back or
// before.
func (l locks) latest(back, ttl time.Duration) time.Duration {
	if back == Never || l.healed == 0 {
		return Never
	}
	return max(back, l.healed) + ttl + l.grace
}

func isNil(v resp.Value) bool { return v.Kind == resp.Nil || v.Kind == resp.NilArray }

func (l locks) describe(state any) string {
	s := state.(lockState)
	if s.token == "" {
		return "the lock is free"
	}
	text := fmt.Sprintf("%s holds the lock, which may expire from %s on", s.token, instant(s.from))
	if s.until != Never {
		text += " and must have by " + instant(s.until)
	}
	return text
}

func (l locks) expected(state any, op *Op) string {
	s := state.(lockState)
	c, _ := parseLock(op.Args)
	free := s.token == "" || op.Return >= s.from
	switch c.action {
	case acquire:
		return oneOf(free, `"OK"`, s.token != "", "nil")
	case holder:
		return oneOf(free, "nil", s.token != "", strconv.Quote(s.token))
	case left:
		return oneOf(free, "-2", s.token != "", fmt.Sprintf("%d to %d", max(0, (s.from-op.Return)/time.Millisecond), s.ttl/time.Millisecond))
	}
	return oneOf(s.token != c.token || free, "0", s.token == c.token, "1")
}

func oneOf(a bool, textA string, b bool, textB string) string {
	switch {
	case a && b:
		return textA + " or " + textB
	case a:
		return textA
	}
	return textB
}
