package fsm

import (
	"math"
	"slices"

	"phonond/redisproto/resp"
)

// zsource is one input of ZUNION and its like: a sorted set, or a set, whose
// members all have score 1.
type zsource struct {
	z      zset
	s      set
	weight float64
}

func (src *zsource) len() int { return src.z.len() + src.s.len() }

func (src *zsource) each(f func(m zmember) bool) {
	src.z.each(f)
	src.s.each(func(name string) bool { return f(zmember{1, name}) })
}

func (src *zsource) score(name string) (float64, bool) {
	if src.s.dict != nil {
		return 1, src.s.has([]byte(name))
	}
	return src.z.score([]byte(name))
}

// weigh returns a score times the weight of its source; what is not a number
// counts as 0.
func (src *zsource) weigh(score float64) float64 { return numberOr0(src.weight * score) }

// smaller returns the smaller number, a if they cannot be compared.
func smaller(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func numberOr0(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// zcombination is the arguments of ZUNION and its like.
type zcombination struct {
	sources    []zsource
	aggregate  func(a, b float64) float64
	withScores bool
	limit      int64 // ZINTERCARD only, 0 for none
}

// zoptions says which options a command has.
type zoptions struct{ weights, scores, limit bool }

// zcombination reads the arguments of the named command from the number of keys
// on.
func (v *View) zcombination(name string, args [][]byte, has zoptions) (c zcombination, fault resp.Value) {
	n, ok := parseInt(args[0])
	switch {
	case !ok:
		return c, resp.ErrNotInteger
	case n < 1:
		return c, resp.Err("ERR at least 1 input key is needed for '" + name + "' command")
	case n > int64(len(args)-1):
		return c, resp.ErrSyntax
	}
	c.aggregate = func(a, b float64) float64 { return numberOr0(a + b) }
	c.sources = make([]zsource, n)
	for i := range c.sources {
		src := &c.sources[i]
		src.weight = 1
		var isSet, isZSet bool
		src.s, isSet = get[set](v, args[1+i])
		src.z, isZSet = get[zset](v, args[1+i])
		if !isSet && !isZSet {
			return c, resp.ErrWrongType
		}
	}
	return c, c.parse(args[1+n:], has)
}

func (c *zcombination) parse(args [][]byte, has zoptions) resp.Value {
	for len(args) > 0 {
		used := 2
		switch a := args[0]; {
		case has.weights && is(a, "WEIGHTS") && len(args) > len(c.sources):
			for i := range c.sources {
				var ok bool
				if c.sources[i].weight, ok = parseFloat(args[1+i]); !ok {
					return resp.Err("ERR weight value is not a float")
				}
			}
			used = 1 + len(c.sources)
		case has.weights && is(a, "AGGREGATE") && len(args) > 1:
			switch how := args[1]; {
			case is(how, "SUM"):
			case is(how, "MIN"):
				c.aggregate = smaller
			case is(how, "MAX"):
				c.aggregate = func(a, b float64) float64 { return -smaller(-a, -b) }
			default:
				return resp.ErrSyntax
			}
		case has.scores && is(a, "WITHSCORES"):
			c.withScores, used = true, 1
		case has.limit && is(a, "LIMIT") && len(args) > 1:
			var ok bool
			if c.limit, ok = parseCount(args[1]); !ok {
				return resp.Err("ERR LIMIT can't be negative")
			}
		default:
			return resp.ErrSyntax
		}
		args = args[used:]
	}
	return resp.Value{}
}

// bySize sorts the sources, smallest first: the order in which Redis adds up
// their scores.
func (c *zcombination) bySize() []zsource {
	slices.SortStableFunc(c.sources, func(a, b zsource) int { return a.len() - b.len() })
	return c.sources
}

// zop makes one sorted set of several.
type zop func(c *zcombination, h hasher) zset

func zunite(c *zcombination, h hasher) zset {
	sums := newElements(h, scoredWeight)
	for _, src := range c.bySize() {
		src.each(func(m zmember) bool {
			f := src.weigh(m.score)
			if old := sums.get([]byte(m.name)); old != nil {
				f = c.aggregate(old.val, f)
			}
			sums.set(m.name, f)
			return true
		})
	}
	z := newZSet(h)
	sums.each(func(name string, f float64) bool {
		z.set(name, f)
		return true
	})
	return z
}

func zintersect(c *zcombination, h hasher) zset {
	z := newZSet(h)
	c.eachCommon(func(name string, score float64) bool {
		z.set(name, score)
		return true
	})
	return z
}

// eachCommon calls f for every member that all sources have until it returns
// false.
func (c *zcombination) eachCommon(f func(name string, score float64) bool) {
	sources := c.bySize()
	sources[0].each(func(m zmember) bool {
		sum := sources[0].weigh(m.score)
		for i := range sources[1:] {
			src := &sources[1+i]
			score, ok := src.score(m.name)
			if !ok {
				return true
			}
			sum = c.aggregate(sum, src.weight*score) // not a number takes the sum with it, as in Redis
		}
		return f(m.name, sum)
	})
}

func zsubtract(c *zcombination, h hasher) zset {
	z := newZSet(h)
	c.sources[0].each(func(m zmember) bool {
		for i := range c.sources[1:] {
			if _, ok := c.sources[1+i].score(m.name); ok {
				return true
			}
		}
		z.set(m.name, m.score)
		return true
	})
	return z
}

func zunionCmd(v *View, args [][]byte) resp.Value {
	return v.zcombine("zunion", zunite, args, zoptions{weights: true, scores: true})
}

func zinterCmd(v *View, args [][]byte) resp.Value {
	return v.zcombine("zinter", zintersect, args, zoptions{weights: true, scores: true})
}

func zdiffCmd(v *View, args [][]byte) resp.Value {
	return v.zcombine("zdiff", zsubtract, args, zoptions{scores: true})
}

func (v *View) zcombine(name string, op zop, args [][]byte, has zoptions) resp.Value {
	c, fault := v.zcombination(name, args[1:], has)
	if fault.IsError() {
		return fault
	}
	z := op(&c, v.m.hasher())
	return zmembersReply(z.members(ranks{0, z.len() - 1}, false), c.withScores)
}

func zunionstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.zcombineStore("zunionstore", zunite, args, zoptions{weights: true})
}

func zinterstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.zcombineStore("zinterstore", zintersect, args, zoptions{weights: true})
}

func zdiffstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.zcombineStore("zdiffstore", zsubtract, args, zoptions{})
}

func (t *Tx) zcombineStore(name string, op zop, args [][]byte, has zoptions) resp.Value {
	c, fault := t.zcombination(name, args[2:], has)
	if fault.IsError() {
		return fault
	}
	z := op(&c, t.m.hasher())
	t.replaceObject(args[1], z, name)
	return resp.Int(z.len())
}

func zintercardCmd(v *View, args [][]byte) resp.Value {
	c, fault := v.zcombination("zintercard", args[1:], zoptions{limit: true})
	if fault.IsError() {
		return fault
	}
	n := int64(0)
	c.eachCommon(func(string, float64) bool {
		n++
		return n != c.limit
	})
	return resp.Int64(n)
}
