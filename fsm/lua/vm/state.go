package vm

import (
	"context"
	"strconv"
	"time"
)

// Limits bound one run.
type Limits struct {
	Steps  int64         // evaluated nodes of the program, and libraries' work
	Memory int           // bytes reachable at once
	Time   time.Duration // of the wall clock
}

// State runs scripts, one at a time. It is for one goroutine.
type State struct {
	Globals *Table
	Strings *Table // the metatable of strings
	Host    any    // of the libraries

	limits   Limits
	ctx      context.Context
	deadline time.Time
	fuel     int64 // steps until the next look at ctx and deadline
	left     int64 // steps after that

	stack  stack
	frames []*frame
	depth  int // frames in use
	weight int // of Go's stack, in nested evaluations
	nested int // calls of scripts by libraries

	ret      []Value
	tailFn   *Closure
	tailArgs []Value

	memory
	lastID uint32
}

// frame is a call under way.
type frame struct {
	st      *State
	fn      *Closure // nil for a function of the host
	regs    []Value
	varargs []Value
	site    *site // where it calls, or what may fail
	tails   int   // calls that this one has replaced
}

const (
	checkEvery = 2048
	// maxDepth is how deep calls nest, as in the reference implementation.
	maxDepth = 20000
	// maxWeight bounds Go's stack to some 16 MiB.
	maxWeight = 60000
	// maxNested is how deep calls from libraries to scripts nest.
	maxNested = 195
)

// NewState returns a state without globals.
func NewState() *State {
	st := &State{Globals: &Table{}}
	st.stack.init()
	return st
}

// Begin starts a run within limits; ctx ends it, with the cause as the reason.
func (st *State) Begin(ctx context.Context, limits Limits) {
	st.limits, st.ctx = limits, ctx
	st.deadline = time.Now().Add(limits.Time)
	st.left, st.fuel = limits.Steps, 0
	st.memory.reset(limits.Memory)
}

// Protect calls f and returns what ended it early: an [*Error] that the script raised, or
// an [*Abort].
func (st *State) Protect(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			err = r
		case *Abort:
			err = r
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// Execute calls a function of [Compile].
func (st *State) Execute(p *Proto) []Value { return st.callLua(&Closure{proto: p}, nil) }

// Reset forgets everything of the last run but the globals.
func (st *State) Reset() {
	st.stack.reset()
	for i := range st.frames {
		if f := st.frames[i]; f.regs == nil && f.site == nil && f.fn == nil {
			break
		}
		*st.frames[i] = frame{st: st}
	}
	if len(st.frames) > 64 {
		st.frames = st.frames[:64:64]
	}
	st.depth, st.weight, st.nested, st.lastID = 0, 0, 0, 0
	clear(st.ret[:cap(st.ret)])
	clear(st.tailArgs[:cap(st.tailArgs)])
	st.ret, st.tailArgs, st.tailFn = st.ret[:0], st.tailArgs[:0], nil
	if cap(st.ret) > 1024 {
		st.ret = nil
	}
	if cap(st.tailArgs) > 1024 {
		st.tailArgs = nil
	}
	st.ctx, st.Host = nil, nil
}

// Spend counts steps of a library's work, and ends the run when there are none left
// or its time is over.
func (st *State) Spend(n int) {
	if st.fuel -= int64(n); st.fuel < 0 {
		st.refuel()
	}
}

func (st *State) refuel() {
	for st.fuel < 0 {
		if st.left <= 0 {
			st.abort("script exceeded its limit of " + strconv.FormatInt(st.limits.Steps, 10) + " steps")
		}
		slice := min(st.left, max(checkEvery, -st.fuel))
		st.left -= slice
		st.fuel += slice
	}
	st.CheckTime()
}

// CheckTime ends the run if its context has ended or its time is over. Libraries
// call it after what took time without steps.
func (st *State) CheckTime() {
	if err := context.Cause(st.ctx); err != nil {
		st.abort(err.Error())
	}
	if time.Now().After(st.deadline) {
		st.abort("script exceeded its limit of " + st.limits.Time.String())
	}
}

func (st *State) newID() uint32 {
	st.lastID++
	return st.lastID
}

// NewTable returns a table with room for so many elements and fields.
func (st *State) NewTable(array, hash int) *Table {
	st.Charge(tableBytes)
	t := &Table{id: st.newID()}
	if array > 0 || hash > 0 {
		t.resize(st, array, hash)
	}
	return t
}

// NewString returns a string that a script made.
func (st *State) NewString(s string) Value {
	st.Charge(stringBytes + len(s))
	return Value{ref: &String{s: s}}
}

// Return makes the results of a library's function.
func (st *State) Return(vs ...Value) []Value {
	st.ret = append(st.ret[:0], vs...)
	return st.ret
}

// ReturnAll makes the results of a library's function out of a list that may be part of
// the stack.
func (st *State) ReturnAll(vs []Value) []Value {
	st.ret = append(st.ret[:0], vs...)
	return st.ret
}

// Mark is a height of the stack.
type Mark = mark

// Hold keeps a value reachable, for a library that has it nowhere else while it takes
// more memory, until [State.Release] or the end of the library's function.
func (st *State) Hold(v Value) Mark {
	m := st.stack.mark()
	st.alloc(1)[0] = v
	return m
}

// Mark returns the height of the stack now.
func (st *State) Mark() Mark { return st.stack.mark() }

// Release lets go of what was held since a mark.
func (st *State) Release(m Mark) { st.stack.release(m) }

func (st *State) push(fn *Closure, weight int) *frame {
	if st.depth >= maxDepth || st.weight+weight > maxWeight {
		st.fail("stack overflow")
	}
	if st.depth == len(st.frames) {
		st.frames = append(st.frames, &frame{st: st})
	}
	fr := st.frames[st.depth]
	st.depth++
	st.weight += weight
	fr.fn, fr.tails, fr.site = fn, 0, nil
	return fr
}

func (st *State) pop(weight int) {
	st.depth--
	st.weight -= weight
}

// stack holds the registers and arguments of all calls, and what expressions hold
// while they evaluate another: all that a run can reach and Go's own stack hides. It
// is made of segments that never move.
type stack struct {
	segments [][]Value
	at       int // the segment in use
	top      int // its first free value
}

type mark struct{ at, top int }

const segmentSize = 1024

func (s *stack) init() { s.segments = [][]Value{make([]Value, segmentSize)} }

func (st *State) alloc(n int) []Value {
	s := &st.stack
	seg := s.segments[s.at]
	if s.top+n > len(seg) {
		return st.allocNext(n)
	}
	vs := seg[s.top : s.top+n : s.top+n]
	s.top += n
	clear(vs)
	return vs
}

func (st *State) allocNext(n int) []Value {
	s := &st.stack
	clear(s.segments[s.at][s.top:])
	s.at++
	if s.at < len(s.segments) && len(s.segments[s.at]) < n {
		s.segments = s.segments[:s.at]
	}
	s.top = 0
	if s.at == len(s.segments) {
		s.segments = append(s.segments, nil)
		size := max(n, segmentSize<<min(s.at, 6))
		st.Charge(size * valueBytes)
		s.segments[s.at] = make([]Value, size)
	}
	return st.alloc(n)
}

func (s *stack) mark() mark     { return mark{s.at, s.top} }
func (s *stack) release(m mark) { s.at, s.top = m.at, m.top }

func (s *stack) reset() {
	s.at, s.top = 0, 0
	s.segments = s.segments[:1:1]
	clear(s.segments[0])
}
