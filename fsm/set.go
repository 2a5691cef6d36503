package fsm

import (
	"cmp"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var setCommands = group("set",
	write("sadd", -3, 1, saddCmd, "key member [member ...]", "Adds members to a set; how many were new.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("srem", -3, 1, sremCmd, "key member [member ...]", "Removes members from a set; how many were there.").
		flags(command.Fast).since("1.0.0"),
	read("smembers", 2, 1, smembersCmd, "key", "All members of a set.").since("1.0.0"),
	read("scard", 2, 1, scardCmd, "key", "How many members a set has.").
		flags(command.Fast).since("1.0.0"),
	read("sismember", 3, 1, sismemberCmd, "key member", "Whether a set has a member.").
		flags(command.Fast).since("1.0.0"),
	read("smismember", -3, 1, smismemberCmd, "key member [member ...]", "Which of the members a set has.").
		flags(command.Fast).since("6.2.0"),
	write("spop", -2, 1, spopCmd, "key [count]", "Removes members chosen at random.").
		flags(command.Fast).since("1.0.0"),
	// setpop is in the log for an SPOP of a script: what was drawn is known.
	write("setpop", -3, 1, setpopCmd, "key member [member ...]", "Removes the members that SPOP has drawn.").
		flags(command.Internal),
	read("srandmember", -2, 1, srandmemberCmd, "key [count]", "Members of a set chosen at random.").since("1.0.0"),
	write("smove", 4, 1, smoveCmd, "source destination member", "Moves a member to another set.").
		lastKey(2, 1).flags(command.Fast).since("1.0.0"),
	read("sunion", -2, 1, sunionCmd, "key [key ...]", "The members of any of the sets.").
		lastKey(-1, 1).since("1.0.0"),
	read("sinter", -2, 1, sinterCmd, "key [key ...]", "The members of all of the sets.").
		lastKey(-1, 1).since("1.0.0"),
	read("sdiff", -2, 1, sdiffCmd, "key [key ...]", "The members of the first set that are in none of the others.").
		lastKey(-1, 1).since("1.0.0"),
	write("sunionstore", -3, 1, sunionstoreCmd, "destination key [key ...]", "Stores the union of sets.").
		lastKey(-1, 1).flags(command.DenyOOM).since("1.0.0"),
	write("sinterstore", -3, 1, sinterstoreCmd, "destination key [key ...]", "Stores the intersection of sets.").
		lastKey(-1, 1).flags(command.DenyOOM).since("1.0.0"),
	write("sdiffstore", -3, 1, sdiffstoreCmd, "destination key [key ...]", "Stores the difference of sets.").
		lastKey(-1, 1).flags(command.DenyOOM).since("1.0.0"),
	read("sintercard", -3, 0, sintercardCmd, "numkeys key [key ...] [LIMIT limit]", "How many members are in all of the sets.").
		numKeys(1).since("7.0.0"),
	read("sscan", -3, 1, sscanCmd, "key cursor [MATCH pattern] [COUNT count]", "Some members of a set, and the cursor to go on with.").since("2.8.0"),
)

// set is the members of a set.
type set struct{ *dict[struct{}] }

func (set) kind() kind { return kindSet }

func (s set) len() int {
	if s.dict == nil {
		return 0
	}
	return s.dict.len()
}

func newSet(h hasher) set { return set{newElements(h, memberWeight)} }

// edit returns a copy that may be changed.
func (s set) edit(t *Tx) set {
	if s.dict == nil {
		return newSet(t.m.hasher())
	}
	return set{s.dict.edit()}
}

func (s set) has(member []byte) bool { return s.dict != nil && s.dict.has(member) }

func (s set) add(member string) bool { return s.set(member, struct{}{}) }

// each calls f for every member in order until it returns false.
func (s set) each(f func(member string) bool) {
	if s.dict != nil {
		s.dict.each(func(member string, _ struct{}) bool { return f(member) })
	}
}

func saddCmd(t *Tx, args [][]byte) resp.Value {
	s, ok := get[set](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	s = s.edit(t)
	n := 0
	for _, member := range args[2:] {
		if !s.has(member) {
			s.add(string(member))
			n++
		}
	}
	if n > 0 {
		t.setObject(args[1], s, "sadd")
	}
	return resp.Int(n)
}

func sremCmd(t *Tx, args [][]byte) resp.Value   { return t.dropNamed(args, "srem") }
func setpopCmd(t *Tx, args [][]byte) resp.Value { return t.dropNamed(args, "spop") }

// dropNamed removes the members of a set that are named, and tells of the event.
func (t *Tx) dropNamed(args [][]byte, event string) resp.Value {
	s, ok := get[set](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	s = s.edit(t)
	n := 0
	for _, member := range args[2:] {
		if s.delete(member) {
			n++
		}
	}
	if n > 0 {
		t.setObject(args[1], s, event)
	}
	return resp.Int(n)
}

func smembersCmd(v *View, args [][]byte) resp.Value {
	s, ok := get[set](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return s.reply()
}

func (s set) reply() resp.Value {
	elems := make([]resp.Value, 0, s.len())
	if order := s.order(); order != nil {
		for _, n := range s.listed(order) {
			elems = append(elems, resp.Str(n.key))
		}
	} else {
		s.each(func(member string) bool {
			elems = append(elems, resp.Str(member))
			return true
		})
	}
	return resp.Value{Kind: resp.Set, Elems: elems}
}

// order is the order in which a set of integers is listed, nil for other sets.
func (s set) order() func(a, b *node[struct{}]) int {
	if s.dict == nil || s.encoding() != "intset" {
		return nil
	}
	return func(a, b *node[struct{}]) int {
		m, _ := parseInt(a.key)
		n, _ := parseInt(b.key)
		return cmp.Compare(m, n)
	}
}

func scardCmd(v *View, args [][]byte) resp.Value {
	s, ok := get[set](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(s.len())
}

func sismemberCmd(v *View, args [][]byte) resp.Value {
	s, ok := get[set](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Flag(s.has(args[2]))
}

func smismemberCmd(v *View, args [][]byte) resp.Value {
	s, ok := get[set](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	elems := make([]resp.Value, len(args)-2)
	for i, member := range args[2:] {
		elems[i] = resp.Flag(s.has(member))
	}
	return resp.List(elems...)
}

func spopCmd(t *Tx, args [][]byte) resp.Value {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	count, ok := int64(1), true
	if len(args) == 3 {
		if count, ok = parseCount(args[2]); !ok {
			return resp.ErrNotPositive
		}
	}
	s, ok := get[set](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case s.len() == 0 && len(args) == 2:
		return resp.Null
	case s.len() == 0 || count == 0:
		return resp.Value{Kind: resp.Set}
	}
	nodes := s.sample(t.random(), int(min(count, int64(s.len()))))
	s = s.edit(t)
	elems := make([]resp.Value, len(nodes))
	for i, n := range nodes {
		elems[i] = resp.Str(n.key)
		s.delete([]byte(n.key))
	}
	t.setObject(args[1], s, "spop")
	if len(args) == 2 {
		return elems[0]
	}
	return resp.Value{Kind: resp.Set, Elems: elems}
}

func srandmemberCmd(v *View, args [][]byte) resp.Value {
	draw, fault := parseDraw(args, "")
	if fault.IsError() {
		return fault
	}
	s, ok := get[set](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return drawElements(v, s.dict, draw, func(struct{}) resp.Value { return resp.Null })
}

func smoveCmd(t *Tx, args [][]byte) resp.Value {
	from, ok := get[set](&t.View, args[1])
	if ok && from.dict == nil {
		return resp.Int(0)
	}
	to, ok2 := get[set](&t.View, args[2])
	switch member := args[3]; {
	case !ok || !ok2:
		return resp.ErrWrongType
	case string(args[1]) == string(args[2]):
		return resp.Flag(from.has(member))
	case !from.has(member):
		return resp.Int(0)
	default:
		from = from.edit(t)
		from.delete(member)
		t.setObject(args[1], from, "srem")
		if !to.has(member) {
			to = to.edit(t)
			to.add(string(member))
			t.setObject(args[2], to, "sadd")
		}
		return resp.Int(1)
	}
}

func sscanCmd(v *View, args [][]byte) resp.Value {
	s, ok := get[set](v, args[1])
	if !ok {
		return scanWrongType(args)
	}
	return scanElements(s.dict, args, s.order(), func(elems []resp.Value, member string, _ struct{}) []resp.Value {
		return append(elems, resp.Str(member))
	})
}

func (s set) encoding() string {
	packed := s.len() <= packedEntries
	if packed {
		s.each(func(member string) bool {
			_, packed = parseInt(member)
			return packed
		})
	}
	if packed {
		return "intset"
	}
	return "hashtable"
}

func (s set) encode(e *encoder) {
	s.each(func(member string) bool {
		e.string(member)
		return e.err == nil
	})
}

func decodeSet(d *snapshotReader, n uint64, h hasher) object {
	s := newSet(h)
	for range n {
		member := d.string()
		d.ordered(s.load(member, struct{}{}), "member")
		if d.err != nil {
			return nil
		}
	}
	return s
}
