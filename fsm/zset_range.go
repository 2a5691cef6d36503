package fsm

import "phonond/redisproto/resp"

// rangeBy is what the ends of a range mean.
type rangeBy byte

const (
	byRank rangeBy = iota
	byScore
	byLex
)

// zrange is a range of a sorted set: the arguments of ZRANGE and its like.
type zrange struct {
	by            rangeBy
	reverse       bool
	start, stop   []byte // in the order in which they are given
	offset, count int64
	limited       bool // offset and count were given
	withScores    bool
}

// The forms of ranges that a command has.
func zrangeCmd(v *View, args [][]byte) resp.Value { return v.zrange(zrange{}, args, "zrange") }
func zrevrangeCmd(v *View, args [][]byte) resp.Value {
	return v.zrange(zrange{reverse: true}, args, "")
}
func zrangebyscoreCmd(v *View, args [][]byte) resp.Value {
	return v.zrange(zrange{by: byScore}, args, "")
}
func zrevrangebyscoreCmd(v *View, args [][]byte) resp.Value {
	return v.zrange(zrange{by: byScore, reverse: true}, args, "")
}
func zrangebylexCmd(v *View, args [][]byte) resp.Value {
	return v.zrange(zrange{by: byLex}, args, "")
}
func zrevrangebylexCmd(v *View, args [][]byte) resp.Value {
	return v.zrange(zrange{by: byLex, reverse: true}, args, "")
}

func (v *View) zrange(r zrange, args [][]byte, name string) resp.Value {
	list, fault := v.zrangeMembers(&r, args[1:], name)
	if fault.IsError() {
		return fault
	}
	return zmembersReply(list, r.withScores)
}

func zrangestoreCmd(t *Tx, args [][]byte) resp.Value {
	list, fault := t.zrangeMembers(&zrange{}, args[2:], "zrangestore")
	if fault.IsError() {
		return fault
	}
	z := newZSet(t.m.hasher())
	for _, m := range list {
		z.set(m.name, m.score)
	}
	t.replaceObject(args[1], z, "zrangestore")
	return resp.Int(z.len())
}

// zrangeMembers returns the members that args, from the key on, ask for. name is
// "zrange" or "zrangestore" for the commands whose options say what the ends of
// the range mean.
func (v *View) zrangeMembers(r *zrange, args [][]byte, name string) ([]zmember, resp.Value) {
	if fault := r.parse(args, name); fault.IsError() {
		return nil, fault
	}
	find, fault := r.bounds()
	if fault.IsError() {
		return nil, fault
	}
	z, ok := get[zset](v, args[0])
	if !ok {
		return nil, resp.ErrWrongType
	}
	within := find(z)
	if r.limited {
		within = within.page(r.offset, r.count, r.reverse)
	}
	return z.members(within, r.reverse), resp.Value{}
}

func (r *zrange) parse(args [][]byte, name string) resp.Value {
	r.start, r.stop = args[1], args[2]
	fixed := name == ""
	for i := 3; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "WITHSCORES") && name != "zrangestore":
			r.withScores = true
		case is(a, "LIMIT") && i+2 < len(args):
			var ok bool
			if r.offset, r.count, ok = parseRange(args[i+1], args[i+2]); !ok {
				return resp.ErrNotInteger
			}
			r.limited = true
			i += 2
		case is(a, "REV") && !fixed && !r.reverse:
			r.reverse = true
		case is(a, "BYSCORE") && !fixed && r.by == byRank:
			r.by = byScore
		case is(a, "BYLEX") && !fixed && r.by == byRank:
			r.by = byLex
		default:
			return resp.ErrSyntax
		}
	}
	switch {
	case r.limited && r.count != -1 && r.by == byRank:
		return resp.Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	case r.withScores && r.by == byLex:
		return resp.Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	}
	r.limited = r.limited && r.by != byRank
	return resp.Value{}
}

// bounds reads the ends of the range and returns what finds it in a set.
func (r *zrange) bounds() (find func(z zset) ranks, fault resp.Value) {
	low, high := r.start, r.stop
	if r.reverse {
		low, high = high, low
	}
	switch r.by {
	case byScore:
		b, ok := parseScoreRange(low, high)
		if !ok {
			return nil, resp.ErrMinMaxFloat
		}
		return b.ranks, fault
	case byLex:
		b, ok := parseLexRange(low, high)
		if !ok {
			return nil, errLexRange
		}
		return b.ranks, fault
	}
	start, stop, ok := parseRange(r.start, r.stop)
	if !ok {
		return nil, resp.ErrNotInteger
	}
	return func(z zset) ranks {
		from, to := clampRange(start, stop, z.len())
		if from <= to && r.reverse {
			from, to = z.len()-1-to, z.len()-1-from
		}
		return ranks{from, to}
	}, fault
}

func zcountCmd(v *View, args [][]byte) resp.Value {
	b, ok := parseScoreRange(args[2], args[3])
	if !ok {
		return resp.ErrMinMaxFloat
	}
	return v.countRange(args[1], b.ranks)
}

func zlexcountCmd(v *View, args [][]byte) resp.Value {
	b, ok := parseLexRange(args[2], args[3])
	if !ok {
		return errLexRange
	}
	return v.countRange(args[1], b.ranks)
}

func (v *View) countRange(key []byte, find func(z zset) ranks) resp.Value {
	z, ok := get[zset](v, key)
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(find(z).len())
}

func zremrangebyrankCmd(t *Tx, args [][]byte) resp.Value {
	return t.removeRange(byRank, args, "zremrangebyrank")
}
func zremrangebyscoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.removeRange(byScore, args, "zremrangebyscore")
}
func zremrangebylexCmd(t *Tx, args [][]byte) resp.Value {
	return t.removeRange(byLex, args, "zremrangebylex")
}

func (t *Tx) removeRange(by rangeBy, args [][]byte, event string) resp.Value {
	r := zrange{by: by, start: args[2], stop: args[3]}
	find, fault := r.bounds()
	if fault.IsError() {
		return fault
	}
	z, ok := get[zset](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	list := z.members(find(z), false)
	t.removeMembers(args[1], z, list, event)
	return resp.Int(len(list))
}

// removeMembers removes members that are in z from the sorted set under key, and
// tells of the event.
func (t *Tx) removeMembers(key []byte, z zset, list []zmember, event string) {
	if len(list) == 0 {
		return
	}
	z = z.edit(t)
	for _, m := range list {
		z.remove([]byte(m.name))
	}
	t.setObject(key, z, event)
}
