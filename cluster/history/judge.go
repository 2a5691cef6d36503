package history

import (
	"math"

	"github.com/anishathalye/porcupine"
)

// model says what operations do to the keys of one partition. Its states are
// comparable, and are not changed.
type model interface {
	start() any
	// step reports whether op fits in a state, and the state after it. One of unknown
	// outcome fits if it would change something.
	step(state any, op *Op) (fits bool, next any)
	// expected tells a person what would fit, describe what a state is.
	expected(state any, op *Op) string
	describe(state any) string
}

// judge searches an order of the operations of one partition that explains their
// replies. It adds two rules to the model's.
//
// The commands of one pipeline are done in the order in which they were sent.
//
// An operation of unknown outcome is placed where it changes something, or after an
// end that comes after all replies, where everything fits: that is where those go
// that were never done, or that nobody saw. Without the end the search would try
// each of them at each place where it makes no difference.
type judge struct {
	model model
	ops   []*Op
	// line is the place among those of its pipeline that have a reply, from 1, of
	// each operation that shares the partition with another of them; lines is their
	// number.
	line, number []int
	lines        int
	steps, limit int
}

// place is a state of the search.
type place struct {
	state any
	lines string // how far each pipeline is, a byte each
	ended bool
}

// end is the input of the end.
const end = -1

// verdict is what a search found.
type verdict byte

const (
	explained verdict = iota
	unexplained
	undecided // the search took too many steps
)

func newJudge(m model, ops []*Op, limit int) *judge {
	j := &judge{model: m, ops: ops, limit: limit, line: make([]int, len(ops)), number: make([]int, len(ops))}
	batches := map[int][]int{}
	for i, op := range ops {
		if op.Batch != 0 && op.Outcome == Answered {
			batches[op.Batch] = append(batches[op.Batch], i)
		}
	}
	for i, op := range ops {
		members := batches[op.Batch]
		if len(members) < 2 || len(members) > math.MaxUint8 || members[0] != i {
			continue
		}
		for n, member := range members {
			j.line[member], j.number[member] = j.lines, n+1
		}
		j.lines++
	}
	return j
}

// search looks for an order. longest is the longest one that was found, as indices
// of operations, if it is asked for.
func (j *judge) search(verbose bool) (v verdict, longest []int) {
	history, lastReturn := make([]porcupine.Operation, 0, len(j.ops)+1), int64(0)
	for i, op := range j.ops {
		o := porcupine.Operation{ClientId: op.Client, Input: i, Call: int64(op.Call), Return: math.MaxInt64}
		if op.Outcome == Answered {
			o.Return = int64(op.Return)
			lastReturn = max(lastReturn, o.Return)
		}
		history = append(history, o)
	}
	history = append(history, porcupine.Operation{Input: end, Call: lastReturn + 1, Return: math.MaxInt64})
	m := porcupine.Model{
		Init: func() any { return place{state: j.model.start(), lines: string(make([]byte, j.lines))} },
		Step: func(at, input, _ any) (bool, any) { return j.step(at.(place), input.(int)) },
	}
	j.steps = 0
	var result porcupine.CheckResult
	if verbose {
		var info porcupine.LinearizationInfo
		result, info = porcupine.CheckOperationsVerbose(m, history, 0)
		for _, order := range info.PartialLinearizations()[0] {
			if order = j.explaining(order); len(order) > len(longest) {
				longest = order
			}
		}
	} else {
		result = porcupine.CheckOperationsTimeout(m, history, 0)
	}
	switch {
	case result == porcupine.Ok:
		return explained, longest
	case j.steps > j.limit:
		return undecided, longest
	}
	return unexplained, longest
}

// explaining cuts off what comes after the last operation with a reply: nothing in
// an order speaks for that.
func (j *judge) explaining(order []int) []int {
	for n := len(order); n > 0; n-- {
		if i := order[n-1]; i < len(j.ops) && j.ops[i].Outcome == Answered {
			return order[:n]
		}
	}
	return nil
}

func (j *judge) step(at place, input int) (bool, place) {
	if j.steps++; j.steps > j.limit {
		return false, at // the search gives up
	}
	if input == end {
		return true, place{ended: true}
	}
	if at.ended {
		return true, at
	}
	if n := j.number[input]; n > 0 {
		line := j.line[input]
		if int(at.lines[line]) != n-1 {
			return false, at
		}
		lines := []byte(at.lines)
		lines[line]++
		at.lines = string(lines)
	}
	fits, next := j.model.step(at.state, j.ops[input])
	at.state = next
	return fits, at
}
