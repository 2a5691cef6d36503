package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/resp"
)

func hincrbyCmd(t *Tx, args [][]byte) resp.Value {
	by, ok := parseInt(args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	n := int64(0)
	if s, found := h.field(args[2]); found {
		if n, ok = parseInt(s); !ok {
			return resp.ErrHashNotInt
		}
	}
	if overflows(n, by) {
		return resp.ErrOverflow
	}
	n += by
	t.setField(args[1], h, args[2], strconv.FormatInt(n, 10), "hincrby")
	return resp.Int64(n)
}

func hincrbyfloatCmd(t *Tx, args [][]byte) resp.Value {
	by, ok := parseLongDouble(args[3])
	switch {
	case !ok:
		return resp.ErrNotFloat
	case by.IsInf():
		return resp.Err("ERR value is NaN or Infinity")
	}
	h, ok := get[hash](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	s, found := h.field(args[2])
	if !found {
		s = "0"
	}
	value, ok := parseLongDouble(s)
	if !ok {
		return resp.ErrHashNotFloat
	}
	sum, ok := addLongDouble(value, by)
	if !ok {
		return resp.ErrNaN
	}
	s = formatLongDouble(sum)
	t.setField(args[1], h, args[2], s, "hincrbyfloat")
	return resp.Str(s)
}

func hrandfieldCmd(v *View, args [][]byte) resp.Value {
	draw, fault := parseDraw(args, "WITHVALUES")
	if fault.IsError() {
		return fault
	}
	h, ok := get[hash](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return drawElements(v, h.dict, draw, func(value string) resp.Value { return resp.Str(value) })
}

// draw is what HRANDFIELD, SRANDMEMBER and ZRANDMEMBER ask for.
type draw struct {
	one    bool  // one element, not a list
	count  int64 // negative: with repetitions
	values bool  // with what belongs to each
}

// parseDraw reads the arguments after the key: a count, and the name of the
// option for the values, "" if the command has none.
func parseDraw(args [][]byte, option string) (d draw, fault resp.Value) {
	if len(args) == 2 {
		return draw{one: true, count: 1}, resp.Value{}
	}
	n, ok := parseInt(args[2])
	switch {
	case len(args) > 3 && option == "":
		return d, resp.ErrSyntax
	case !ok:
		return d, resp.ErrNotInteger
	case n == math.MinInt64:
		return d, errDrawRange
	case len(args) == 3:
		return draw{count: n}, resp.Value{}
	case len(args) > 4 || !is(args[3], option):
		return d, resp.ErrSyntax
	case n < -math.MaxInt64/2 || n > math.MaxInt64/2:
		return d, resp.Err("ERR value is out of range")
	}
	return draw{count: n, values: true}, resp.Value{}
}

var (
	errDrawRange = resp.Err("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807")
	// errDrawTooMany is the reply to a count with repetitions that would make a
	// reply of any size.
	errDrawTooMany = resp.Err("ERR value is out of range, the reply would be too large")
)

// drawElements answers with elements of a dict, which is nil if there is no such
// key, chosen at random.
func drawElements[V any](v *View, d *dict[V], want draw, value func(V) resp.Value) resp.Value {
	if d == nil {
		if want.one {
			return resp.Null
		}
		return resp.EmptyArray
	}
	r := v.random()
	if want.one {
		return resp.Str(d.at(r.next()).key)
	}
	var elems []resp.Value
	bytes := 0
	add := func(n *node[V]) {
		elems = append(elems, resp.Str(n.key))
		bytes += len(n.key)
		if want.values {
			val := value(n.val)
			elems = append(elems, val)
			bytes += len(val.Str)
		}
	}
	switch {
	case want.count < -maxRandom:
		return errDrawTooMany
	case want.count < 0:
		for range -want.count {
			if add(d.at(r.next())); bytes > maxRandomBytes {
				return errDrawTooMany
			}
		}
	default:
		for _, n := range d.sample(r, int(min(want.count, int64(d.len())))) {
			add(n)
		}
	}
	if want.values {
		return resp.Twos(elems...)
	}
	return resp.List(elems...)
}

// sample returns count different entries chosen at random, or all.
func (d *dict[V]) sample(r *random, count int) []*node[V] {
	nodes := make([]*node[V], 0, count)
	if d.tree.Len() != d.n || count == d.n {
		// All of them; or hashes collide, so that positions in the tree are not
		// enough: draw from a list.
		d.tree.Scan(func(_ uint64, n *node[V]) bool {
			for ; n != nil; n = n.next {
				nodes = append(nodes, n)
			}
			return true
		})
		if count == d.n {
			return nodes
		}
		for i, j := range r.sample(len(nodes), count) {
			nodes[i], nodes[j] = nodes[j], nodes[i]
		}
		return nodes[:count]
	}
	for _, i := range r.sample(d.n, count) {
		_, n, _ := d.tree.GetAt(i)
		nodes = append(nodes, n)
	}
	return nodes
}
