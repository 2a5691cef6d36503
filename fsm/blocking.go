package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The commands that wait are, for the machine, commands that do not: they do what
// they do when there is something to take, and answer what a wait that is over
// answers when there is not, as in MULTI. Whoever keeps clients waiting calls them
// again. A call that would take nothing is refused and writes nothing to the log.
var blockingCommands = append(
	group("list",
		blocking("blpop", -3, 1, blpopCmd, blpopRefuse, "key [key ...] timeout", "Removes the first element of the first list that has any, or waits for one.").
			lastKey(-2, 1).flags(command.NoScript).since("2.0.0"),
		blocking("brpop", -3, 1, brpopCmd, blpopRefuse, "key [key ...] timeout", "Removes the last element of the first list that has any, or waits for one.").
			lastKey(-2, 1).flags(command.NoScript).since("2.0.0"),
		blocking("blmove", 6, 1, blmoveCmd, blmoveRefuse, "source destination LEFT|RIGHT LEFT|RIGHT timeout", "Moves an element from one list's end to another's, or waits for one.").
			lastKey(2, 1).flags(command.DenyOOM|command.NoScript).since("6.2.0"),
		blocking("brpoplpush", 4, 1, brpoplpushCmd, brpoplpushRefuse, "source destination timeout", "Moves the last element of a list to the head of another, or waits for one.").
			lastKey(2, 1).flags(command.DenyOOM|command.NoScript).since("2.2.0"),
		blocking("blmpop", -5, 0, blmpopCmd, blmpopRefuse, "timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]", "Removes elements from the first list that has any, or waits for one.").
			numKeys(2).since("7.0.0"),
	),
	group("sorted-set",
		blocking("bzpopmin", -3, 1, bzpopminCmd, bzpopRefuse, "key [key ...] timeout", "Removes the member with the lowest score of the first sorted set that has any, or waits for one.").
			lastKey(-2, 1).flags(command.NoScript|command.Fast).since("5.0.0"),
		blocking("bzpopmax", -3, 1, bzpopmaxCmd, bzpopRefuse, "key [key ...] timeout", "Removes the member with the highest score of the first sorted set that has any, or waits for one.").
			lastKey(-2, 1).flags(command.NoScript|command.Fast).since("5.0.0"),
		blocking("bzmpop", -5, 0, bzmpopCmd, bzmpopRefuse, "timeout numkeys key [key ...] MIN|MAX [COUNT count]", "Removes members from the first sorted set that has any, or waits for one.").
			numKeys(2).since("7.0.0"),
	)...,
)

// blocking makes the row of a command that may wait.
func blocking(name string, arity, firstKey int, f func(*Tx, [][]byte) resp.Value, refuse func(*View, [][]byte) (resp.Value, bool), syntax, summary string) Command {
	return write(name, arity, firstKey, f, syntax, summary).flags(command.Blocking).refuse(refuse)
}

func blpopCmd(t *Tx, args [][]byte) resp.Value { return t.blockingPop(args, left) }
func brpopCmd(t *Tx, args [][]byte) resp.Value { return t.blockingPop(args, right) }

func (t *Tx) blockingPop(args [][]byte, at end) resp.Value {
	if _, fault := BlockTimeout(args); fault.IsError() {
		return fault
	}
	key, l, fault := firstFilled[list](&t.View, args[1:len(args)-1])
	if key == nil {
		return fault
	}
	return resp.List(resp.Str(string(key)), t.popElements(key, l, at, 1)[0])
}

func blpopRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, fault := BlockTimeout(args); fault.IsError() {
		return fault, true
	}
	return refusePop[list](v, args[1:len(args)-1])
}

// firstFilled returns the first of the keys that holds anything, with what it holds.
// key is nil, and fault the reply, when there is none, or when one that holds
// another type comes first.
func firstFilled[T object](v *View, keys [][]byte) (key []byte, obj T, fault resp.Value) {
	for _, key := range keys {
		switch obj, ok := get[T](v, key); {
		case !ok:
			return nil, obj, resp.ErrWrongType
		case obj.len() > 0:
			return key, obj, fault
		}
	}
	return nil, obj, resp.NullArray
}

// refusePop answers a command that takes from the first of the keys that holds
// anything when there is none.
func refusePop[T object](v *View, keys [][]byte) (reply resp.Value, ok bool) {
	key, _, fault := firstFilled[T](v, keys)
	return fault, key == nil
}

func blmoveCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := blmoveRefuse(&t.View, args); ok {
		return reply
	}
	return lmoveCmd(t, args[:5])
}

func blmoveRefuse(v *View, args [][]byte) (resp.Value, bool) {
	_, ok1 := parseEnd(args[3])
	_, ok2 := parseEnd(args[4])
	if !ok1 || !ok2 {
		return resp.ErrSyntax, true
	}
	return refuseMove(v, args)
}

func brpoplpushCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := brpoplpushRefuse(&t.View, args); ok {
		return reply
	}
	return rpoplpushCmd(t, args[:3])
}

func brpoplpushRefuse(v *View, args [][]byte) (resp.Value, bool) { return refuseMove(v, args) }

// refuseMove answers a command that takes an element from a list that has none.
func refuseMove(v *View, args [][]byte) (resp.Value, bool) {
	if _, fault := BlockTimeout(args); fault.IsError() {
		return fault, true
	}
	l, ok := get[list](v, args[1])
	if !ok {
		return resp.ErrWrongType, true
	}
	return resp.Null, l.len() == 0
}

func blmpopCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := blmpopRefuse(&t.View, args); ok {
		return reply
	}
	return lmpopCmd(t, args[1:])
}

func blmpopRefuse(v *View, args [][]byte) (resp.Value, bool) {
	keys, fault := parseBlockingPop(args, "LEFT", "RIGHT")
	if fault.IsError() {
		return fault, true
	}
	return refusePop[list](v, keys)
}

// parseBlockingPop reads the arguments of BLMPOP and BZMPOP, where the timeout comes
// first but is looked at last, and returns the keys.
func parseBlockingPop(args [][]byte, ends ...string) (keys [][]byte, fault resp.Value) {
	keys, rest, fault := parsePopKeys(args[2:])
	switch {
	case fault.IsError():
		return nil, fault
	case !is(rest[0], ends[0]) && !is(rest[0], ends[1]):
		return nil, resp.ErrSyntax
	}
	if _, fault = parsePopCount(rest[1:]); fault.IsError() {
		return nil, fault
	}
	_, fault = BlockTimeout(args)
	return keys, fault
}

func bzpopminCmd(t *Tx, args [][]byte) resp.Value { return t.blockingZPop(args, left) }
func bzpopmaxCmd(t *Tx, args [][]byte) resp.Value { return t.blockingZPop(args, right) }

func (t *Tx) blockingZPop(args [][]byte, at end) resp.Value {
	if _, fault := BlockTimeout(args); fault.IsError() {
		return fault
	}
	key, z, fault := firstFilled[zset](&t.View, args[1:len(args)-1])
	if key == nil {
		return fault
	}
	m := t.popMembers(key, z, at, 1)[0]
	return resp.List(resp.Str(string(key)), resp.Str(m.name), score(m.score))
}

func bzpopRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, fault := BlockTimeout(args); fault.IsError() {
		return fault, true
	}
	return refusePop[zset](v, args[1:len(args)-1])
}

func bzmpopCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := bzmpopRefuse(&t.View, args); ok {
		return reply
	}
	return zmpopCmd(t, args[1:])
}

func bzmpopRefuse(v *View, args [][]byte) (resp.Value, bool) {
	keys, fault := parseBlockingPop(args, "MIN", "MAX")
	if fault.IsError() {
		return fault, true
	}
	return refusePop[zset](v, keys)
}
