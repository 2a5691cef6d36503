package fsm

import (
	"cmp"
	"math"
	"sort"
	"strings"

	"github.com/tidwall/btree"

	"phonond/redisproto/resp"
)

// zset is the members of a sorted set: by name, and in order.
type zset struct{ *zsetElems }

type zsetElems struct {
	scores *dict[float64]
	order  *btree.BTreeG[zmember]
}

// zmember is a member with its score, which is never NaN and never -0.
type zmember struct {
	score float64
	name  string
}

func (a zmember) before(b zmember) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	return a.name < b.name
}

// scoreOrder is before for entries of scores.
func scoreOrder(a, b *node[float64]) int {
	return cmp.Or(cmp.Compare(a.val, b.val), strings.Compare(a.key, b.key))
}

func (zset) kind() kind { return kindZSet }

func (z zset) len() int {
	if z.zsetElems == nil {
		return 0
	}
	return z.scores.len()
}

func newZSet(h hasher) zset {
	return zset{&zsetElems{
		scores: newElements(h, scoredWeight),
		order:  btree.NewBTreeGOptions(zmember.before, btree.Options{NoLocks: true, Degree: elementsDegree}),
	}}
}

// edit returns a copy that may be changed.
func (z zset) edit(t *Tx) zset {
	if z.zsetElems == nil {
		return newZSet(t.m.hasher())
	}
	order := *z.order // which Copy marks, and z is not ours alone
	return zset{&zsetElems{z.scores.edit(), order.Copy()}}
}

// score returns a member's score.
func (z zset) score(name []byte) (float64, bool) {
	if z.zsetElems == nil {
		return 0, false
	}
	if n := z.scores.get(name); n != nil {
		return n.val, true
	}
	return 0, false
}

// set stores a member with its score.
func (z zset) set(name string, score float64) {
	if score == 0 {
		score = 0 // not -0, which would be equal to it but print otherwise
	}
	if old, ok := z.score([]byte(name)); ok {
		z.order.Delete(zmember{old, name})
	}
	z.scores.set(name, score)
	z.order.Set(zmember{score, name})
}

// remove removes a member and reports whether it was there.
func (z zset) remove(name []byte) bool {
	old, ok := z.score(name)
	if ok {
		z.scores.delete(name)
		z.order.Delete(zmember{old, string(name)})
	}
	return ok
}

// each calls f for every member, in order, until it returns false.
func (z zset) each(f func(m zmember) bool) {
	if z.zsetElems != nil {
		z.order.Scan(f)
	}
}

// at returns the member of a rank that is there.
func (z zset) at(rank int) zmember {
	m, _ := z.order.GetAt(rank)
	return m
}

// first returns the lowest rank whose member satisfies f, which all members
// after one that does must satisfy too, or the number of members. It takes the
// square of the logarithm of their number.
func (z zset) first(f func(m zmember) bool) int {
	return sort.Search(z.len(), func(i int) bool { return f(z.at(i)) })
}

// rank returns the rank of a member that is there.
func (z zset) rank(m zmember) int {
	return z.first(func(o zmember) bool { return !o.before(m) })
}

// ranks is an interval of ranks, both ends included; empty if from > to.
type ranks struct{ from, to int }

func (r ranks) len() int { return max(r.to-r.from+1, 0) }

// page skips offset members of the interval, from its end if reverse is set, and
// leaves at most count, all if that is negative.
func (r ranks) page(offset, count int64, reverse bool) ranks {
	n := int64(r.len())
	if offset < 0 || offset >= n {
		return ranks{1, 0}
	}
	n -= offset
	if count >= 0 {
		n = min(n, count)
	}
	if reverse {
		return ranks{r.to - int(offset) - int(n) + 1, r.to - int(offset)}
	}
	return ranks{r.from + int(offset), r.from + int(offset) + int(n) - 1}
}

// members returns the members of an interval, in reverse order if asked for.
func (z zset) members(r ranks, reverse bool) []zmember {
	n := r.len()
	if n == 0 {
		return nil
	}
	list := make([]zmember, 0, n)
	add := func(m zmember) bool {
		list = append(list, m)
		return len(list) < n
	}
	if reverse {
		z.order.Descend(z.at(r.to), add)
	} else {
		z.order.Ascend(z.at(r.from), add)
	}
	return list
}

func (z zset) encoding() string {
	packed := z.len() <= packedZSet
	if packed {
		z.each(func(m zmember) bool {
			packed = len(m.name) <= packedBytes
			return packed
		})
	}
	if packed {
		return "listpack"
	}
	return "skiplist"
}

func (z zset) encode(e *encoder) {
	z.scores.each(func(name string, score float64) bool {
		e.string(name)
		e.uint64(math.Float64bits(score))
		return e.err == nil
	})
}

func decodeZSet(d *snapshotReader, n uint64, h hasher) object {
	z := newZSet(h)
	for range n {
		name, score := d.string(), math.Float64frombits(d.uint64())
		if math.IsNaN(score) {
			d.failf("member %q has no score", name)
		}
		if d.err != nil {
			return nil
		}
		if d.ordered(z.scores.load(name, score), "member"); d.err != nil {
			return nil
		}
		z.order.Set(zmember{score, name})
	}
	return z
}

// zmembersReply answers with members, with their scores if asked for.
func zmembersReply(list []zmember, withScores bool) resp.Value {
	if !withScores {
		elems := make([]resp.Value, len(list))
		for i, m := range list {
			elems[i] = resp.Str(m.name)
		}
		return resp.List(elems...)
	}
	return resp.Twos(zflat(list)...)
}

// zflat lists members, each followed by its score.
func zflat(list []zmember) []resp.Value {
	elems := make([]resp.Value, 0, 2*len(list))
	for _, m := range list {
		elems = append(elems, resp.Str(m.name), score(m.score))
	}
	return elems
}
