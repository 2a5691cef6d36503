package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"phonond/cluster/group"
	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// defaultTop is how many keys LOCK.TOP shows.
const defaultTop = 10

// LOCK.TOP [COUNT n]
func (n *Node) topLocks(c *redisproto.Client, args [][]byte) resp.Value {
	if n.router.Load() == nil {
		return n.loading()
	}
	count := defaultTop
	if len(args) > 1 {
		v, err := strconv.Atoi(string(args[len(args)-1]))
		if len(args) != 3 || !strings.EqualFold(string(args[1]), "COUNT") || err != nil || v < 0 {
			return resp.ErrSyntax
		}
		count = v
	}
	var all []resp.Value
	for _, g := range n.regionNames() {
		reply := n.ask(c.Context(), c.DB(), g, "hottest", strconv.Itoa(count))
		if reply.IsError() {
			return reply
		}
		all = append(all, reply.Elems...)
	}
	slices.SortStableFunc(all, func(a, b resp.Value) int { return cmp.Compare(waitedFor(b), waitedFor(a)) })
	return resp.List(all[:min(count, len(all))]...)
}

func waitedFor(v resp.Value) int64 {
	i := slices.IndexFunc(v.Elems, func(e resp.Value) bool { return e.Str == "waited-ms" })
	return v.Elems[i+1].Int
}

// fencing counts the clients of this node that were told that what they hold is lost.
type fencing struct{ rejects atomic.Int64 }

// note looks at what calls were answered with.
func (f *fencing) note(calls []command.Call, replies []resp.Value) {
	for i, c := range calls {
		if c.Spec.Group != "lock" && c.Spec.Group != "reference" {
			continue
		}
		v := replies[i]
		switch c.Spec.Name {
		case "lock.renew", "lock.check", "sem.renew", "sem.check", "ref.done":
			if v.Kind == resp.Integer && v.Int == 0 {
				f.rejects.Add(1)
			}
		case "lock.release", "sem.release":
			if v.Kind == resp.Null.Kind {
				f.rejects.Add(1)
			}
		}
	}
}

// infoLocks counts what happened to locks, permits and references where this node led.
func (n *Node) infoLocks() []redisproto.Field {
	var t group.Tally
	waiting := 0
	for _, g := range n.groups {
		if n.router.Load() == nil {
			break
		}
		t.Add(g.Tally())
		waiting += g.Waiters()
	}
	list := []redisproto.Field{
		field("lock_granted", t.Granted), field("lock_contended", t.Contended), field("lock_released", t.Released), field("lock_expired", t.Expired),
		field("lock_forced", t.Forced), field("sessions_ended", t.Ended), field("fencing_rejects", n.fencing.rejects.Load()), field("lock_waiters", waiting),
	}
	list = append(list, histogram("lock_wait", t.Wait)...)
	return append(list, histogram("lock_hold", t.Hold)...)
}

// histogram shows how many times were no longer than each bound, as Prometheus has it.
func histogram(name string, h group.Histogram) []redisproto.Field {
	var b strings.Builder
	total := int64(0)
	for i, bound := range group.Bounds() {
		total += h.Counts[i]
		fmt.Fprintf(&b, "le_%dms=%d,", bound.Milliseconds(), total)
	}
	total += h.Counts[len(h.Counts)-1]
	return []redisproto.Field{field(name, fmt.Sprintf("%scount=%d,sum_ms=%d", b.String(), total, h.Sum.Milliseconds()))}
}
