package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var hashCommands = group("hash",
	write("hset", -4, 1, hsetCmd, "key field value [field value ...]", "Sets fields of a hash; the number of new fields.").
		flags(command.DenyOOM|command.Fast).since("2.0.0"),
	write("hmset", -4, 1, hmsetCmd, "key field value [field value ...]", "Sets fields of a hash.").
		flags(command.DenyOOM|command.Fast).since("2.0.0"),
	write("hsetnx", 4, 1, hsetnxCmd, "key field value", "Sets a field of a hash if it is not there.").
		flags(command.DenyOOM|command.Fast).since("2.0.0"),
	read("hget", 3, 1, hgetCmd, "key field", "The value of a field of a hash, or nil.").
		flags(command.Fast).since("2.0.0"),
	read("hmget", -3, 1, hmgetCmd, "key field [field ...]", "The values of several fields of a hash.").
		flags(command.Fast).since("2.0.0"),
	read("hgetall", 2, 1, hgetallCmd, "key", "All fields of a hash with their values.").since("2.0.0"),
	write("hdel", -3, 1, hdelCmd, "key field [field ...]", "Deletes fields of a hash; how many were there.").
		flags(command.Fast).since("2.0.0"),
	read("hexists", 3, 1, hexistsCmd, "key field", "Whether a hash has a field.").
		flags(command.Fast).since("2.0.0"),
	read("hlen", 2, 1, hlenCmd, "key", "How many fields a hash has.").
		flags(command.Fast).since("2.0.0"),
	read("hkeys", 2, 1, hkeysCmd, "key", "The names of all fields of a hash.").since("2.0.0"),
	read("hvals", 2, 1, hvalsCmd, "key", "The values of all fields of a hash.").since("2.0.0"),
	write("hincrby", 4, 1, hincrbyCmd, "key field increment", "Adds to an integer in a hash.").
		flags(command.DenyOOM|command.Fast).since("2.0.0"),
	write("hincrbyfloat", 4, 1, hincrbyfloatCmd, "key field increment", "Adds to a floating point number in a hash.").
		flags(command.DenyOOM|command.Fast).since("2.6.0"),
	read("hstrlen", 3, 1, hstrlenCmd, "key field", "The length of the value of a field of a hash.").
		flags(command.Fast).since("3.2.0"),
	read("hscan", -3, 1, hscanCmd, "key cursor [MATCH pattern] [COUNT count]", "Some fields of a hash, and the cursor to go on with.").since("2.8.0"),
	read("hrandfield", -2, 1, hrandfieldCmd, "key [count [WITHVALUES]]", "Fields of a hash chosen at random.").since("6.2.0"),
)

// hash is the fields of a hash.
type hash struct{ *dict[string] }

func (hash) kind() kind { return kindHash }

func (h hash) len() int {
	if h.dict == nil {
		return 0
	}
	return h.dict.len()
}

func newHash(h hasher) hash { return hash{newElements(h, fieldWeight)} }

// edit returns a copy that may be changed.
func (h hash) edit(t *Tx) hash {
	if h.dict == nil {
		return newHash(t.m.hasher())
	}
	return hash{h.dict.edit()}
}

func (h hash) field(name []byte) (string, bool) {
	if h.dict == nil {
		return "", false
	}
	if n := h.dict.get(name); n != nil {
		return n.val, true
	}
	return "", false
}

// each calls f for every field in order until it returns false.
func (h hash) each(f func(name, value string) bool) {
	if h.dict != nil {
		h.dict.each(f)
	}
}

func hsetCmd(t *Tx, args [][]byte) resp.Value {
	added, fault := t.setFields("hset", args)
	if fault.IsError() {
		return fault
	}
	return resp.Int(added)
}

func hmsetCmd(t *Tx, args [][]byte) resp.Value {
	if _, fault := t.setFields("hmset", args); fault.IsError() {
		return fault
	}
	return resp.OK
}

func (t *Tx) setFields(name string, args [][]byte) (added int, fault resp.Value) {
	if len(args)%2 != 0 {
		return 0, resp.ErrArity(name)
	}
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return 0, resp.ErrWrongType
	}
	h = h.edit(t)
	for i := 2; i < len(args); i += 2 {
		if h.set(string(args[i]), string(args[i+1])) {
			added++
		}
	}
	t.setObject(args[1], h, "hset")
	return added, resp.Value{}
}

func hsetnxCmd(t *Tx, args [][]byte) resp.Value {
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if _, ok := h.field(args[2]); ok {
		return resp.Int(0)
	}
	t.setField(args[1], h, args[2], string(args[3]), "hset")
	return resp.Int(1)
}

// setField stores one field of the hash under key, and tells of the event.
func (t *Tx) setField(key []byte, h hash, name []byte, value, event string) {
	h = h.edit(t)
	h.set(string(name), value)
	t.setObject(key, h, event)
}

func hgetCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return h.reply(args[2])
}

func (h hash) reply(name []byte) resp.Value {
	if s, ok := h.field(name); ok {
		return resp.Str(s)
	}
	return resp.Null
}

func hmgetCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	elems := make([]resp.Value, len(args)-2)
	for i, name := range args[2:] {
		elems[i] = h.reply(name)
	}
	return resp.List(elems...)
}

func hgetallCmd(v *View, args [][]byte) resp.Value {
	return v.fields(args[1], resp.Map, func(elems []resp.Value, name, value string) []resp.Value {
		return append(elems, resp.Str(name), resp.Str(value))
	})
}

func hkeysCmd(v *View, args [][]byte) resp.Value {
	return v.fields(args[1], resp.Array, func(elems []resp.Value, name, _ string) []resp.Value {
		return append(elems, resp.Str(name))
	})
}

func hvalsCmd(v *View, args [][]byte) resp.Value {
	return v.fields(args[1], resp.Array, func(elems []resp.Value, _, value string) []resp.Value {
		return append(elems, resp.Str(value))
	})
}

// fields answers with what emit makes of each field of a hash.
func (v *View) fields(key []byte, k resp.Kind, emit func(elems []resp.Value, name, value string) []resp.Value) resp.Value {
	h, ok := get[hash](v, key)
	if !ok {
		return resp.ErrWrongType
	}
	reply := resp.Value{Kind: k, Elems: make([]resp.Value, 0, 2*h.len())}
	switch {
	case h.len() > wholeScan:
		h.each(func(name, value string) bool {
			reply.Elems = emit(reply.Elems, name, value)
			return true
		})
	case h.len() > 0:
		for _, n := range h.listed(byName) {
			reply.Elems = emit(reply.Elems, n.key, n.val)
		}
	}
	return reply
}

func hdelCmd(t *Tx, args [][]byte) resp.Value {
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	h = h.edit(t)
	n := 0
	for _, name := range args[2:] {
		if h.delete(name) {
			n++
		}
	}
	if n > 0 {
		t.setObject(args[1], h, "hdel")
	}
	return resp.Int(n)
}

func hexistsCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	_, found := h.field(args[2])
	return resp.Flag(found)
}

func hlenCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(h.len())
}

func hstrlenCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	s, _ := h.field(args[2])
	return resp.Int(len(s))
}

func hscanCmd(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return scanWrongType(args)
	}
	return scanElements(h.dict, args, byName, func(elems []resp.Value, name, value string) []resp.Value {
		return append(elems, resp.Str(name), resp.Str(value))
	})
}

func (h hash) encoding() string {
	packed := h.len() <= packedEntries
	if packed {
		h.each(func(name, value string) bool {
			packed = len(name) <= packedBytes && len(value) <= packedBytes
			return packed
		})
	}
	if packed {
		return "listpack"
	}
	return "hashtable"
}

func (h hash) encode(e *encoder) {
	h.each(func(name, value string) bool {
		e.string(name)
		e.string(value)
		return e.err == nil
	})
}

func decodeHash(d *snapshotReader, n uint64, hs hasher) object {
	h := newHash(hs)
	for range n {
		field, value := d.string(), d.string()
		d.ordered(h.load(field, value), "field")
		if d.err != nil {
			return nil
		}
	}
	return h
}
