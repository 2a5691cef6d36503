package fsm

import (
	"math"

	"phonond/redisproto/resp"
)

// zaddOptions are the options of ZADD.
type zaddOptions struct{ nx, xx, gt, lt, ch, incr bool }

// parse reads the options at the front of args and returns what follows.
func (o *zaddOptions) parse(args [][]byte) (rest [][]byte) {
	for i, a := range args {
		switch {
		case is(a, "NX"):
			o.nx = true
		case is(a, "XX"):
			o.xx = true
		case is(a, "GT"):
			o.gt = true
		case is(a, "LT"):
			o.lt = true
		case is(a, "CH"):
			o.ch = true
		case is(a, "INCR"):
			o.incr = true
		default:
			return args[i:]
		}
	}
	return nil
}

func zaddCmd(t *Tx, args [][]byte) resp.Value {
	var o zaddOptions
	elems := o.parse(args[2:])
	switch {
	case len(elems) == 0 || len(elems)%2 != 0:
		return resp.ErrSyntax
	case o.nx && o.xx:
		return resp.Err("ERR XX and NX options at the same time are not compatible")
	case o.gt && o.nx || o.lt && o.nx || o.gt && o.lt:
		return resp.Err("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.incr && len(elems) > 2:
		return resp.Err("ERR INCR option supports a single increment-element pair")
	}
	return t.zadd(args[1], o, elems)
}

func zincrbyCmd(t *Tx, args [][]byte) resp.Value {
	o := zaddOptions{incr: true}
	elems := o.parse(args[2:]) // an option would leave too few, in Redis as well
	if len(elems) != 2 {
		return resp.ErrSyntax
	}
	return t.zadd(args[1], zaddOptions{incr: true}, elems)
}

func (t *Tx) zadd(key []byte, o zaddOptions, elems [][]byte) resp.Value {
	scores := make([]float64, len(elems)/2)
	for i := range scores {
		var ok bool
		if scores[i], ok = parseFloat(elems[2*i]); !ok {
			return resp.ErrNotFloat
		}
	}
	z, ok := get[zset](&t.View, key)
	if !ok {
		return resp.ErrWrongType
	}
	z = z.edit(t)
	added, updated := 0, 0
	for i, by := range scores {
		name := elems[2*i+1]
		old, found := z.score(name)
		to := by
		if found && o.incr {
			to += old
		}
		switch {
		case math.IsNaN(to):
			return resp.Err("ERR resulting score is not a number (NaN)")
		case found && (o.nx || o.gt && to <= old || o.lt && to >= old) || !found && o.xx:
			if o.incr {
				return resp.Null
			}
			continue
		case !found:
			added++
		case to != old:
			updated++
		}
		if !found || to != old {
			z.set(string(name), to)
		}
		if o.incr {
			t.storeScores(key, z, added+updated, "zincr")
			return score(to)
		}
	}
	t.storeScores(key, z, added+updated, "zadd")
	if o.ch {
		added += updated
	}
	return resp.Int(added)
}

// storeScores stores a sorted set of which so many members have changed.
func (t *Tx) storeScores(key []byte, z zset, changed int, event string) {
	if changed > 0 {
		t.setObject(key, z, event)
	}
}

func zremCmd(t *Tx, args [][]byte) resp.Value {
	z, ok := get[zset](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	z = z.edit(t)
	n := 0
	for _, name := range args[2:] {
		if z.remove(name) {
			n++
		}
	}
	if n > 0 {
		t.setObject(args[1], z, "zrem")
	}
	return resp.Int(n)
}

func zscoreCmd(v *View, args [][]byte) resp.Value {
	z, ok := get[zset](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return z.scoreReply(args[2])
}

func (z zset) scoreReply(name []byte) resp.Value {
	if f, ok := z.score(name); ok {
		return score(f)
	}
	return resp.Null
}

func zmscoreCmd(v *View, args [][]byte) resp.Value {
	z, ok := get[zset](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	elems := make([]resp.Value, len(args)-2)
	for i, name := range args[2:] {
		elems[i] = z.scoreReply(name)
	}
	return resp.List(elems...)
}

func zcardCmd(v *View, args [][]byte) resp.Value {
	z, ok := get[zset](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(z.len())
}

func zrankCmd(v *View, args [][]byte) resp.Value {
	return v.rankReply(args, func(rank, _ int) int { return rank })
}

func zrevrankCmd(v *View, args [][]byte) resp.Value {
	return v.rankReply(args, func(rank, n int) int { return n - 1 - rank })
}

func (v *View) rankReply(args [][]byte, f func(rank, n int) int) resp.Value {
	z, ok := get[zset](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	s, ok := z.score(args[2])
	if !ok {
		return resp.Null
	}
	return resp.Int(f(z.rank(zmember{s, string(args[2])}), z.len()))
}

func zscanCmd(v *View, args [][]byte) resp.Value {
	z, ok := get[zset](v, args[1])
	if !ok {
		return scanWrongType(args)
	}
	if z.zsetElems == nil {
		return scanElements[float64](nil, args, nil, nil)
	}
	// Redis prints the whole numbers of a packed set as integers.
	packed := z.encoding() == "listpack"
	return scanElements(z.scores, args, scoreOrder, func(elems []resp.Value, name string, f float64) []resp.Value {
		if packed {
			return append(elems, resp.Str(name), resp.Str(formatNumber(f)))
		}
		return append(elems, resp.Str(name), resp.Str(formatScore(f)))
	})
}

func zrandmemberCmd(v *View, args [][]byte) resp.Value {
	draw, fault := parseDraw(args, "WITHSCORES")
	if fault.IsError() {
		return fault
	}
	z, ok := get[zset](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if z.zsetElems == nil {
		return drawElements[float64](v, nil, draw, score)
	}
	return drawElements(v, z.scores, draw, score)
}
