package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var hashCommands = group("hash",
	write("hset", -4, 1, hset, "key field value [field value ...]", "Sets fields of a hash; the number of new fields.").flags(command.DenyOOM|command.Fast),
	read("hget", 3, 1, hget, "key field", "The value of a field of a hash, or nil.").flags(command.Fast),
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

// edit returns a copy that may be changed.
func (h hash) edit(t *Tx) hash {
	if h.dict == nil {
		return hash{newDict[string](t.m.hasher())}
	}
	return hash{h.dict.clone()}
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

func hset(t *Tx, args [][]byte) resp.Value {
	if len(args)%2 != 0 {
		return resp.ErrArity("hset")
	}
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	h = h.edit(t)
	added := 0
	for i := 2; i < len(args); i += 2 {
		if h.set(string(args[i]), string(args[i+1])) {
			added++
		}
	}
	t.setObject(args[1], h)
	return resp.Int(added)
}

func hget(v *View, args [][]byte) resp.Value {
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if s, ok := h.field(args[2]); ok {
		return resp.Str(s)
	}
	return resp.Null
}

func (h hash) encode(e *encoder) {
	h.each(func(field, value string) bool {
		e.string(field)
		e.string(value)
		return e.err == nil
	})
}

func decodeHash(d *snapshotReader, n uint64, hs hasher) object {
	h := hash{newDict[string](hs)}
	for range n {
		h.load(d.string(), d.string())
		if d.err != nil {
			return nil
		}
	}
	return h
}
