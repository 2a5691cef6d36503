package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var stringCommands = group("string",
	read("get", 2, 1, getCmd, "key", "The string under a key, or nil.").
		flags(command.Fast).since("1.0.0"),
	write("set", -3, 1, setCmd, "key value [NX|XX|IFEQ comparison-value] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
		"Sets the string under a key, whatever it held.").
		flags(command.DenyOOM).since("1.0.0").refuse(setRefuse),
	write("setnx", 3, 1, setnxCmd, "key value", "Sets a string if there is no such key.").
		flags(command.DenyOOM|command.Fast).since("1.0.0").refuse(setnxRefuse),
	write("setex", 4, 1, setexCmd, "key seconds value", "Sets a string with a time to live in seconds.").
		flags(command.DenyOOM).since("2.0.0"),
	write("psetex", 4, 1, psetexCmd, "key milliseconds value", "Sets a string with a time to live in milliseconds.").
		flags(command.DenyOOM).since("2.6.0"),
	write("getset", 3, 1, getsetCmd, "key value", "Sets a string and returns the one before.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("getdel", 2, 1, getdelCmd, "key", "Returns a string and deletes its key.").
		flags(command.Fast).since("6.2.0"),
	write("getex", -2, 1, getexCmd, "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
		"Returns a string and changes its time to live.").
		flags(command.Fast).since("6.2.0"),
	read("mget", -2, 1, mgetCmd, "key [key ...]", "The strings under several keys, nil for those that have none.").
		lastKey(-1, 1).flags(command.Fast).scatter(command.SplitKeys).since("1.0.0"),
	write("mset", -3, 1, msetCmd, "key value [key value ...]", "Sets several strings.").
		lastKey(-1, 2).flags(command.DenyOOM).scatter(command.SplitKeys).since("1.0.1"),
	write("msetnx", -3, 1, msetnxCmd, "key value [key value ...]", "Sets several strings if none of the keys is there.").
		lastKey(-1, 2).flags(command.DenyOOM).since("1.0.1"),
	write("incr", 2, 1, incrCmd, "key", "Adds one to an integer.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("decr", 2, 1, decrCmd, "key", "Takes one from an integer.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("incrby", 3, 1, incrbyCmd, "key increment", "Adds to an integer.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("decrby", 3, 1, decrbyCmd, "key decrement", "Takes from an integer.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("incrbyfloat", 3, 1, incrbyfloatCmd, "key increment", "Adds to a floating point number.").
		flags(command.DenyOOM|command.Fast).since("2.6.0"),
	write("append", 3, 1, appendCmd, "key value", "Appends to a string; its new length.").
		flags(command.DenyOOM|command.Fast).since("2.0.0"),
	read("strlen", 2, 1, strlenCmd, "key", "The length of a string in bytes, 0 if there is none.").
		flags(command.Fast).since("2.2.0"),
	write("setrange", 4, 1, setrangeCmd, "key offset value", "Overwrites part of a string; its new length.").
		flags(command.DenyOOM).since("2.2.0"),
	read("getrange", 4, 1, getrangeCmd, "key start end", "Part of a string.").since("2.4.0"),
	read("substr", 4, 1, getrangeCmd, "key start end", "Part of a string: the old name of GETRANGE.").since("1.0.0"),
)

// getString returns the string under key, found false when there is no such key,
// ok false when it holds another type.
func getString(v *View, key []byte) (s string, found, ok bool) {
	switch e := v.find(key); {
	case e == nil:
		return "", false, true
	case e.obj != nil:
		return "", true, false
	default:
		return e.str, true, true
	}
}

// replaceString changes the string under key, which keeps its deadline, and tells of
// the event.
func (t *Tx) replaceString(key []byte, s, event string) {
	t.growString(key, s)
	t.notify(EventString, event, key)
}

// growString does what replaceString does, and tells nobody.
func (t *Tx) growString(key []byte, s string) {
	at := int64(0)
	if e := t.find(key); e != nil {
		at = e.deadline
	}
	t.putIn(t.db, key, entry{str: s, deadline: at})
}

func getCmd(v *View, args [][]byte) resp.Value {
	switch s, found, ok := getString(v, args[1]); {
	case !ok:
		return resp.ErrWrongType
	case !found:
		return resp.Null
	default:
		return resp.Str(s)
	}
}

func setCmd(t *Tx, args [][]byte) resp.Value {
	if len(args) == 3 {
		t.setString(args[1], string(args[2]), 0)
		return resp.OK
	}
	o, ok := parseSetOptions(true, args[3:])
	if !ok {
		return resp.ErrSyntax
	}
	at, passed, fault := o.deadline(&t.View, "set")
	if fault.IsError() {
		return fault
	}
	reply := resp.OK
	if o.get {
		if reply = getCmd(&t.View, args); reply.IsError() {
			return reply
		}
	}
	old := t.find(args[1])
	if o.ifeq && old != nil && old.obj != nil {
		return resp.ErrWrongType
	}
	if !o.allows(old) {
		if o.get {
			return reply
		}
		return resp.Null
	}
	if o.keepTTL && old != nil {
		at = old.deadline
	}
	t.setString(args[1], string(args[2]), at)
	if o.expiry != nil {
		t.notify(EventGeneric, "expire", args[1])
	}
	if passed && t.deleteIn(t.db, args[1]) {
		t.notify(EventExpired, "expired", args[1])
	}
	return reply
}

// setRefuse answers a SET NX of a key that is held, and a SET IFEQ of one that holds
// something else.
func setRefuse(v *View, args [][]byte) (reply resp.Value, ok bool) {
	if len(args) == 3 {
		return reply, false
	}
	o, ok := parseSetOptions(true, args[3:])
	if e := v.find(args[1]); !ok || o.allows(e) || e != nil && e.obj != nil && (o.get || o.ifeq) {
		return reply, false
	}
	if _, _, fault := o.deadline(v, "set"); fault.IsError() {
		return fault, true
	}
	if o.get {
		return getCmd(v, args), true
	}
	return resp.Null, true
}

func setnxCmd(t *Tx, args [][]byte) resp.Value {
	if reply, ok := setnxRefuse(&t.View, args); ok {
		return reply
	}
	t.setString(args[1], string(args[2]), 0)
	return resp.Int(1)
}

func setnxRefuse(v *View, args [][]byte) (resp.Value, bool) {
	return resp.Int(0), v.find(args[1]) != nil
}

func setexCmd(t *Tx, args [][]byte) resp.Value  { return t.setWithTTL("setex", 1000, args) }
func psetexCmd(t *Tx, args [][]byte) resp.Value { return t.setWithTTL("psetex", 1, args) }

func (t *Tx) setWithTTL(name string, unit int64, args [][]byte) resp.Value {
	at, fault := t.parseTTL(name, args[2], unit)
	if fault.IsError() {
		return fault
	}
	t.setString(args[1], string(args[3]), at)
	t.notify(EventGeneric, "expire", args[1])
	return resp.OK
}

func getsetCmd(t *Tx, args [][]byte) resp.Value {
	old := getCmd(&t.View, args)
	if !old.IsError() {
		t.setString(args[1], string(args[2]), 0)
	}
	return old
}

func getdelCmd(t *Tx, args [][]byte) resp.Value {
	old := getCmd(&t.View, args)
	if !old.IsError() {
		t.delete(args[1])
	}
	return old
}

func getexCmd(t *Tx, args [][]byte) resp.Value {
	o, ok := parseSetOptions(false, args[2:])
	if !ok {
		return resp.ErrSyntax
	}
	old := getCmd(&t.View, args)
	if old.IsError() || old.Kind == resp.Nil {
		return old
	}
	at, passed, fault := o.deadline(&t.View, "getex")
	switch {
	case fault.IsError():
		return fault
	case passed:
		t.delete(args[1])
	case o.expiry != nil || o.persist:
		t.setDeadline(args[1], at)
	}
	return old
}

func mgetCmd(v *View, args [][]byte) resp.Value {
	elems := make([]resp.Value, len(args)-1)
	for i, key := range args[1:] {
		elems[i] = resp.Null
		if s, found, ok := getString(v, key); found && ok {
			elems[i] = resp.Str(s)
		}
	}
	return resp.List(elems...)
}

func msetCmd(t *Tx, args [][]byte) resp.Value {
	if len(args)%2 == 0 {
		return resp.ErrArity("mset")
	}
	for i := 1; i < len(args); i += 2 {
		t.setString(args[i], string(args[i+1]), 0)
	}
	return resp.OK
}

func msetnxCmd(t *Tx, args [][]byte) resp.Value {
	if len(args)%2 == 0 {
		return resp.ErrArity("msetnx")
	}
	for i := 1; i < len(args); i += 2 {
		if t.find(args[i]) != nil {
			return resp.Int(0)
		}
	}
	for i := 1; i < len(args); i += 2 {
		t.setString(args[i], string(args[i+1]), 0)
	}
	return resp.Int(1)
}
