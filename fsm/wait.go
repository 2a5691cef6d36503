package fsm

import (
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// waiting is a Wait request for which nothing was there yet.
type waiting struct {
	at      int // its place in the entry
	origin  *origin
	request *Request
}

// serve gives those who wait what has come, in the order in which they wait, until
// there is nothing more for any of them: what one takes may be what it gives to
// another.
func (a *applying) serve() {
	for again := true; again; {
		again = false
		for i := 0; i < len(a.waiting); i++ {
			w := a.waiting[i]
			c, ok := a.ready(w.request.Calls[0])
			if !ok {
				continue
			}
			reply, _ := a.call(&c)
			out := &a.outcomes[w.at]
			*out = Outcome{Applied, []resp.Value{reply}}
			a.sum.request(w.request, Applied)
			w.origin.finish(w.request.Seq, out.Replies)
			a.waiting = append(a.waiting[:i], a.waiting[i+1:]...)
			i--
			again = true
		}
	}
}

// Ready reports whether there is something for a call of a blocking command that
// waits. The caller holds off Apply.
func (m *Machine) Ready(c command.Call) bool {
	_, ok := m.ready(c)
	return ok
}

// ready returns the call that takes what a waiting call waits for, with only the key
// that has it: one that holds something else is no fault of those who wait.
func (m *Machine) ready(c command.Call) (taking command.Call, ok bool) {
	v := View{m: m, db: c.DB}
	want := kindList
	if strings.HasPrefix(nameOf(c.Args), "bz") {
		want = kindZSet
	}
	first, n := waitKeys(c.Args)
	for i := first; i < first+n; i++ {
		if e := v.find(c.Args[i]); e != nil && e.kind() == want {
			return command.Call{Spec: c.Spec, DB: c.DB, Args: narrow(c.Args, first, n, i)}, true
		}
	}
	return taking, false
}

// WaitKeys returns the keys that a call of a blocking command waits for.
func WaitKeys(args [][]byte) [][]byte {
	first, n := waitKeys(args)
	return args[first : first+n]
}

// waitKeys returns where in args the keys begin that a call waits for, and how many
// there are. A malformed call has none.
func waitKeys(args [][]byte) (first, n int) {
	switch nameOf(args) {
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
		return 1, 1
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
