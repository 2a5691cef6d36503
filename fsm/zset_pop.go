package fsm

import "phonond/redisproto/resp"

func zpopminCmd(t *Tx, args [][]byte) resp.Value { return t.zpop(args, left) }
func zpopmaxCmd(t *Tx, args [][]byte) resp.Value { return t.zpop(args, right) }

func (t *Tx) zpop(args [][]byte, at end) resp.Value {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	count, ok := int64(1), true
	if len(args) == 3 {
		if count, ok = parseCount(args[2]); !ok {
			return resp.ErrNotPositive
		}
	}
	z, ok := get[zset](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	list := t.popMembers(args[1], z, at, count)
	if len(args) == 2 {
		return resp.List(zflat(list)...)
	}
	return zmembersReply(list, true)
}

// popMembers removes up to count members from an end of a sorted set.
func (t *Tx) popMembers(key []byte, z zset, at end, count int64) []zmember {
	n := int(min(count, int64(z.len())))
	within, event := ranks{0, n - 1}, "zpopmin"
	if at == right {
		within, event = ranks{z.len() - n, z.len() - 1}, "zpopmax"
	}
	list := z.members(within, at == right)
	t.removeMembers(key, z, list, event)
	return list
}

func zmpopCmd(t *Tx, args [][]byte) resp.Value {
	keys, rest, fault := parsePopKeys(args[1:])
	if fault.IsError() {
		return fault
	}
	at := left
	switch {
	case is(rest[0], "MAX"):
		at = right
	case !is(rest[0], "MIN"):
		return resp.ErrSyntax
	}
	count, fault := parsePopCount(rest[1:])
	if fault.IsError() {
		return fault
	}
	for _, key := range keys {
		z, ok := get[zset](&t.View, key)
		if !ok {
			return resp.ErrWrongType
		}
		if z.len() == 0 {
			continue
		}
		var elems []resp.Value
		for _, m := range t.popMembers(key, z, at, count) {
			elems = append(elems, resp.List(resp.Str(m.name), score(m.score)))
		}
		return resp.List(resp.Str(string(key)), resp.List(elems...))
	}
	return resp.NullArray
}
