package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Commands of later versions of Redis, and of Valkey, that release a lock without a
// script.
var compareCommands = group("string",
	write("delex", -2, 1, delexCmd, "key [IFEQ value|IFNE value]", "Deletes a key if its string is, or is not, the given one.").
		flags(command.Fast).since("8.4.0").refuse(delexRefuse),
	write("delifeq", 3, 1, delifeqCmd, "key value", "Deletes a key if its string is the given one: Valkey's name for DELEX with IFEQ.").
		flags(command.Fast).refuse(delifeqRefuse),
)

// delexCmd deletes unless there is a reason not to.
func delexCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := delexRefuse(&t.View, args); ok {
		return reply
	}
	return resp.Flag(t.delete(args[1]))
}

func delexRefuse(v *View, args [][]byte) (reply resp.Value, ok bool) {
	if len(args) != 2 && len(args) != 4 {
		return resp.ErrArity("delex"), true
	}
	equal := true
	if len(args) == 4 {
		switch {
		case is(args[2], "IFEQ"):
		case is(args[2], "IFNE"):
			equal = false
		case is(args[2], "IFDEQ"), is(args[2], "IFDNE"):
			return resp.Err("ERR syntax error, digests are not supported: use IFEQ or IFNE"), true
		default:
			return resp.Err("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"), true
		}
	}
	e := v.find(args[1])
	switch {
	case e == nil:
		return resp.Int(0), true
	case len(args) == 2:
		return reply, false
	case e.obj != nil:
		return resp.Err("ERR Key should be of string type if conditions are specified"), true
	}
	return resp.Int(0), (e.str == string(args[3])) != equal
}

func delifeqCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := delifeqRefuse(&t.View, args); ok {
		return reply
	}
	return resp.Flag(t.delete(args[1]))
}

func delifeqRefuse(v *View, args [][]byte) (resp.Value, bool) {
	s, found, ok := getString(v, args[1])
	if !ok {
		return resp.ErrWrongType, true
	}
	return resp.Int(0), !found || s != string(args[2])
}
