package fsm

import (
	"slices"

	"phonond/redisproto/command"
)

// turn is a call of a command that may stand in line for its turn: for locks, for
// permits of a semaphore, or to be the one that completes a reference.
type turn interface {
	// keys are those in whose lines it stands.
	keys() [][]byte
	// shares reports whether it has its turn together with those beside it that share.
	shares() bool
	// holds reports whether it has had it: then it is answered whoever waits.
	holds(v *View) bool
	// ready reports whether it could have its turn now, or will not have it at all.
	ready(v *View) bool
}

const (
	lockAcquire = "lock.acquire"
	lockMulti   = "lock.multi"
	semAcquire  = "sem.acquire"
	refWaitLast = "ref.waitlast"
)

// takesTurns reports whether the command with a name, in lower case, takes turns.
func takesTurns(name string) bool {
	switch name {
	case lockAcquire, lockMulti, semAcquire, refWaitLast:
		return true
	}
	return false
}

// turnOf returns the turn that a call takes, nil if its command takes none or the call
// is wrong.
func turnOf(v *View, args [][]byte) turn {
	switch name := nameOf(args); name {
	case lockAcquire, lockMulti, semAcquire:
		if q, fault := parseClaim(v, args); !fault.IsError() {
			return &q
		}
	case refWaitLast:
		if q, fault := parseLastClaim(args); !fault.IsError() {
			return &q
		}
	}
	return nil
}

// AwaitsTurn reports whether a call of a blocking command waits for its turn, and whether
// it shares it.
func AwaitsTurn(c command.Call) (awaits, shares bool) {
	if !takesTurns(nameOf(c.Args)) {
		return false, false
	}
	t := turnOf(nobody, c.Args)
	return true, t != nil && t.shares()
}

// nobody is a view of nothing, at the beginning of time.
var nobody = &View{m: &Machine{}}

// Holds reports whether a call has had its turn already: it is answered whoever waits.
// The caller holds off Apply.
func (m *Machine) Holds(c command.Call) bool {
	v := &View{m: m, db: c.DB}
	t := turnOf(v, c.Args)
	return t != nil && t.holds(v)
}

// turnReady reports whether a call that waits has its turn now, if others stand in vain in
// the given lines. Nobody overtakes them, but who has had it.
func (m *Machine) turnReady(c command.Call, lines []dbKey) bool {
	v := &View{m: m, db: c.DB}
	t := turnOf(v, c.Args)
	switch {
	case t == nil || !t.ready(v):
		return false
	case t.holds(v):
		return true
	}
	return !slices.ContainsFunc(t.keys(), func(key []byte) bool { return among(lines, c.DB, key) })
}

// linesOf returns the lines that a call stands in.
func linesOf(c command.Call) []dbKey {
	t := turnOf(nobody, c.Args)
	if t == nil {
		return nil
	}
	var lines []dbKey
	for _, key := range t.keys() {
		lines = append(lines, dbKey{c.DB, string(key)})
	}
	return lines
}

// among reports whether a key is in a list.
func among(list []dbKey, db int, key []byte) bool {
	return slices.ContainsFunc(list, func(k dbKey) bool { return k.db == db && k.key == string(key) })
}

// turnWait returns for how many milliseconds a call waits for its turn, 0 for ever, -1 if
// it does not.
func turnWait(args [][]byte) int64 {
	switch t := turnOf(nobody, args).(type) {
	case *claim:
		return t.wait
	case *lastClaim:
		return t.wait
	}
	return -1
}
