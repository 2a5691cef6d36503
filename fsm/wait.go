package fsm

import (
	"slices"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// waiter is a Wait request for which nothing was there yet.
type waiter struct {
	at      int // its place in the entry
	origin  *origin
	request *Request
	wanted
}

// wanted is what a call of a blocking command waits for: a kind of thing under some of
// its arguments, or its turn.
type wanted struct {
	kind     kind
	turn     bool
	first, n int
}

func wantedBy(args [][]byte) wanted {
	w := wanted{kind: kindList}
	name := nameOf(args)
	switch {
	case takesTurns(name):
		w.turn = true
		return w
	case strings.HasPrefix(name, "bz"):
		w.kind = kindZSet
	}
	w.first, w.n = awaitedRange(name, args)
	return w
}

// serve gives those who wait what has come, in the order in which they wait, until
// there is nothing more for any of them: what one takes may be what it gives to
// another. It is quick if nothing has changed since it was called last.
func (a *applying) serve() {
	for len(a.waiters) > 0 && a.served != a.version {
		a.served = a.version
		a.lined = a.lined[:0]
		for i := 0; i < len(a.waiters); i++ {
			w := &a.waiters[i]
			c, ok := a.ready(w.request.Calls[0], w.wanted, a.lined)
			if !ok {
				if w.turn {
					a.lined = append(a.lined, linesOf(w.request.Calls[0])...)
				}
				continue
			}
			reply, _ := a.call(&c)
			out := &a.outcomes[w.at]
			*out = Outcome{Applied, []resp.Value{reply}}
			a.sum.request(w.request, Applied)
			w.origin.finish(w.request.Seq, out.Replies)
			a.waiters = slices.Delete(a.waiters, i, i+1)
			i--
		}
	}
}

// wait lets a Wait request be served now, or by what comes behind it.
func (a *applying) wait(at int, o *origin, r *Request) {
	a.outcomes[at].Status = Waiting
	a.waiters = append(a.waiters, waiter{at, o, r, wantedBy(r.Calls[0].Args)})
	a.served = noVersion
	a.serve()
}

// noVersion is none that the state has.
const noVersion = ^uint64(0)

// Ready reports whether there is something for a call of a blocking command that
// waits. The caller holds off Apply.
func (m *Machine) Ready(c command.Call) bool {
	_, ok := m.ready(c, wantedBy(c.Args), nil)
	return ok
}

// Poppable reports whether a key holds anything that blocking commands take. The caller
// holds off Apply.
func (m *Machine) Poppable(db int, key string) bool {
	e := (&View{m: m}).findIn(db, []byte(key))
	return e != nil && (e.kind() == kindList || e.kind() == kindZSet)
}

// ready returns the call that takes what a waiting call waits for, with only the key
// that has it: one that holds something else is no fault of those who wait.
func (m *Machine) ready(c command.Call, w wanted, line []dbKey) (taking command.Call, ok bool) {
	if w.turn {
		return c, m.turnReady(c, line)
	}
	v := View{m: m, db: c.DB}
	for i := w.first; i < w.first+w.n; i++ {
		if e := v.find(c.Args[i]); e != nil && e.kind() == w.kind {
			return command.Call{Spec: c.Spec, DB: c.DB, Args: narrow(c.Args, w.first, w.n, i)}, true
		}
	}
	return taking, false
}

// AwaitedKeys returns the keys that a call of a blocking command waits for.
func AwaitedKeys(args [][]byte) [][]byte {
	if t := turnOf(nobody, args); t != nil {
		return t.keys()
	}
	w := wantedBy(args)
	if w.n == 0 {
		return nil
	}
	return args[w.first : w.first+w.n]
}

// awaitedRange returns where in args the keys begin that a call waits for, and how many
// there are. A malformed call has none.
func awaitedRange(name string, args [][]byte) (first, n int) {
	switch name {
	case "blmpop", "bzmpop": // timeout numkeys key [key ...] where
		if len(args) < 4 {
			return 0, 0
		}
		keys, ok := parseCount(args[2])
		if !ok || keys > int64(len(args)-3) {
			return 0, 0
		}
		return 3, int(keys)
	case "blmove", "brpoplpush": // from to ...
		return 1, min(len(args)-1, 1)
	default: // key [key ...] timeout
		return 1, max(len(args)-2, 0)
	}
}

// narrow returns the arguments of a call with the one key at i of its n keys.
func narrow(args [][]byte, first, n, i int) [][]byte {
	if n == 1 {
		return args
	}
	kept := append([][]byte{}, args[:first]...)
	if first == 3 {
		kept[2] = []byte("1")
	}
	kept = append(kept, args[i])
	return append(kept, args[first+n:]...)
}

// nameOf returns the name of the command that is called, in lower case.
func nameOf(args [][]byte) string {
	if len(args) == 0 || len(args[0]) > maxName {
		return ""
	}
	return string(appendLower(nil, args[0]))
}
