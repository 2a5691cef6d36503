package fsm

import (
	"math"
	"math/big"
	"strconv"

	"phonond/redisproto/resp"
)

// BlockTimeout returns for how many milliseconds a call of a command with the flag
// Blocking waits, 0 for ever and -1 not at all, or the error that it is answered with. The number of
// arguments is one that the command's arity allows. As in Redis a fraction of a
// millisecond counts as a whole one.
func BlockTimeout(args [][]byte) (ms int64, fault resp.Value) {
	if takesTurns(nameOf(args)) {
		return turnWait(args), fault
	}
	at := len(args) - 1
	if is(args[0], "BLMPOP") || is(args[0], "BZMPOP") {
		at = 1
	}
	seconds, ok := parseLongDouble(args[at])
	if !ok {
		return 0, resp.Err("ERR timeout is not a float or out of range")
	}
	ms, ok = ceilMillis(seconds)
	if !ok {
		return 0, resp.Err("ERR timeout is negative") // so Redis answers what is too large, as well
	}
	return ms, fault
}

// ceilMillis returns seconds as milliseconds; ok is false when they are below 0 or
// beyond 64 bits.
func ceilMillis(seconds *big.Float) (ms int64, ok bool) {
	if seconds.IsInf() {
		return 0, false
	}
	exact := new(big.Float).SetPrec(longDoubleBits).Mul(seconds, big.NewFloat(1000))
	ms, rounding := exact.Int64()
	if rounding == big.Below && ms < math.MaxInt64 {
		ms++
		rounding = big.Exact
	}
	return ms, ms >= 0 && !(ms == math.MaxInt64 && rounding == big.Below)
}

// Undo returns the command that puts back what a call of a command with the flag
// Blocking has taken, by its reply: for a client that is gone when it is served.
// nil means that there is nothing to put back: nothing was taken, or it is in
// another list. The time to live and the token of a key that was emptied are lost.
func (t *Table) Undo(args [][]byte, reply resp.Value) (undo [][]byte) {
	cmd := t.Lookup(args)
	if cmd == nil || reply.Kind != resp.Array || len(reply.Elems) < 2 {
		return nil
	}
	if takesTurns(cmd.Name) {
		return undoTurn(args, reply)
	}
	key, taken := reply.Elems[0].Str, reply.Elems[1:]
	switch cmd.Name {
	case "blpop":
		return undoCommand("LPUSH", key, taken[0])
	case "brpop":
		return undoCommand("RPUSH", key, taken[0])
	case "bzpopmin", "bzpopmax":
		return undoCommand("ZADD", key, taken[1], taken[0])
	case "blmpop":
		push := "LPUSH"
		if _, rest, _ := parsePopKeys(args[2:]); is(rest[0], "RIGHT") {
			push = "RPUSH"
		}
		return undoCommand(push, key, reversed(taken[0].Elems)...)
	case "bzmpop":
		var pairs []resp.Value
		for _, m := range taken[0].Elems {
			pairs = append(pairs, m.Elems[1], m.Elems[0])
		}
		return undoCommand("ZADD", key, pairs...)
	}
	return nil
}

func undoCommand(name, key string, elems ...resp.Value) [][]byte {
	args := [][]byte{[]byte(name), []byte(key)}
	for _, e := range elems {
		args = append(args, []byte(e.Str))
	}
	return args
}

// reversed returns the elements in the order in which they go back: the one that was
// taken last first.
func reversed(elems []resp.Value) []resp.Value {
	back := make([]resp.Value, len(elems))
	for i, e := range elems {
		back[len(elems)-1-i] = e
	}
	return back
}

// undoTurn gives back what a call has got by its turn.
func undoTurn(args [][]byte, reply resp.Value) [][]byte {
	switch t := turnOf(nobody, args).(type) {
	case *claim:
		undo := [][]byte{[]byte("LOCK.UNDO"), t.all[0], strconv.AppendInt(nil, reply.Elems[0].Int, 10)}
		return append(undo, t.all[1:]...)
	case *lastClaim:
		return [][]byte{[]byte("REF.UNDO"), []byte(t.resource), strconv.AppendInt(nil, reply.Elems[2].Int, 10)}
	}
	return nil
}
