package fsm

import (
	"math"
	"strconv"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// journalCommands are asked by nodes for EVENTS.
var journalCommands = group("lock",
	read("told", -4, 0, toldCmd, "key|prefix* since count [milliseconds]", "What was told of keys since an index, or when the next is told.").
		flags(command.Internal|command.Tail),
	read("hottest", 2, 0, hottestCmd, "count", "The keys that the leader knows to be waited for longest.").
		flags(command.Internal),
)

func hottestCmd(v *View, args [][]byte) resp.Value {
	n, ok := parseCount(args[1])
	if !ok || v.m.cfg.Hottest == nil {
		return resp.EmptyArray
	}
	return resp.List(v.m.cfg.Hottest(int(min(n, math.MaxInt32)))...)
}

// compacted begins the reply to who asks for what is kept no more.
const compacted = "COMPACTED "

// Told command: the index up to which was looked, then what was told of the keys. Since
// "$" is from now on.
func toldCmd(v *View, args [][]byte) resp.Value {
	j := v.m.journal
	if is(args[2], "$") {
		return resp.List(resp.Int64(int64(j.last)))
	}
	since, ok := parseInt(args[2])
	count, ok2 := parseInt(args[3])
	switch {
	case !ok || !ok2 || since < 0 || count < 1:
		return resp.ErrSyntax
	case since == 0: // the oldest that is kept
		since = int64(j.first() - 1)
	case uint64(since) > j.last:
		return resp.Err("ERR there was no such event: the last one is " + strconv.FormatUint(j.last, 10))
	case uint64(since) < j.first()-1:
		return resp.Err(compacted + "events up to " + strconv.FormatUint(j.first()-1, 10) + " are no more kept: begin with 0, after a look at the locks")
	}
	reply := []resp.Value{resp.Null}
	for i := uint64(since) + 1; i <= j.last && int64(len(reply)) <= count; i++ {
		since = int64(i)
		if e := j.at(i); e.about(v.db, string(args[1])) {
			reply = append(reply, e.reply())
		}
	}
	reply[0] = resp.Int64(since)
	return resp.List(reply...)
}

// about reports whether something was told of a key, or one with a prefix that ends with a
// star. What is told of sessions is for who asks for all keys.
func (e *Told) about(db int, pattern string) bool {
	prefix, many := strings.CutSuffix(pattern, "*")
	switch {
	case e.Key == "":
		return pattern == "*"
	case e.DB != db:
		return false
	case many:
		return strings.HasPrefix(e.Key, prefix)
	}
	return e.Key == pattern
}

func (e *Told) reply() resp.Value {
	return resp.Pairs(
		resp.Str("index"), resp.Int64(int64(e.Index)), resp.Str("time-ms"), resp.Int64(e.Wall), resp.Str("event"), resp.Str(e.Event),
		resp.Str("key"), resp.Str(e.Key), resp.Str("db"), resp.Int(e.DB), resp.Str("owner"), resp.Str(e.Owner),
		resp.Str("token"), resp.Int64(int64(min(e.Token, math.MaxInt64))), resp.Str("session"), resp.Str(e.Session), resp.Str("reason"), resp.Str(e.Reason),
	)
}

// ToldSince reports whether anything was told of the keys that a call asks for. The caller
// holds off Apply.
func (m *Machine) ToldSince(c command.Call) bool {
	since, ok := parseInt(c.Args[2])
	if !ok || uint64(since) > m.journal.last || uint64(since) < m.journal.first()-1 {
		return true // the reply says what is wrong
	}
	for i := uint64(since) + 1; i <= m.journal.last; i++ {
		if m.journal.at(i).about(c.DB, string(c.Args[1])) {
			return true
		}
	}
	return false
}
