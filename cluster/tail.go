package cluster

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// tailing is the arguments of EVENTS.
type tailing struct {
	db      int
	pattern string
	cursor  map[string]string // by group: an index, or "$"
	count   int
	block   time.Duration // -1: not at all, 0: for ever
	events  []resp.Value  // found so far
}

const (
	defaultTailCount = 100
	maxTailCount     = 10_000
	// tailStep is how long a group is asked to wait at once: an old leader has no more to
	// tell, and knows it only when it is asked again.
	tailStep = time.Second
)

// parseTailing reads key|prefix* FROM cursor [COUNT n] [BLOCK ms]. A cursor is 0 for the
// oldest that is kept, $ for now, or what the last reply says.
func (n *Node) parseTailing(db int, args [][]byte) (t tailing, fault resp.Value) {
	t = tailing{db: db, pattern: string(args[1]), cursor: map[string]string{}, count: defaultTailCount, block: -1}
	if !strings.EqualFold(string(args[2]), "FROM") || len(args)%2 != 0 {
		return t, resp.ErrSyntax
	}
	for i := 4; i < len(args); i += 2 {
		v, err := strconv.ParseInt(string(args[i+1]), 10, 64)
		switch name := strings.ToUpper(string(args[i])); {
		case name != "COUNT" && name != "BLOCK":
			return t, resp.ErrSyntax
		case err != nil || v < 0 || name == "COUNT" && (v < 1 || v > maxTailCount):
			return t, resp.Err("ERR COUNT is a number from 1 to " + strconv.Itoa(maxTailCount) + ", BLOCK one of milliseconds, 0 for ever")
		case name == "COUNT":
			t.count = int(v)
		default:
			t.block = time.Duration(min(v, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		}
	}
	groups := n.regionNames()
	if !strings.HasSuffix(t.pattern, "*") {
		groups = []string{n.table.Load().Region(args[1])}
	}
	from := string(args[3])
	for _, g := range groups {
		t.cursor[g] = "0"
		if from == "$" {
			t.cursor[g] = "$"
		}
	}
	if from == "0" || from == "$" {
		return t, fault
	}
	for _, part := range strings.Split(from, ",") {
		g, index, ok := strings.Cut(part, ":")
		if _, err := strconv.ParseUint(index, 10, 63); !ok || err != nil {
			return t, resp.Err("ERR FROM is 0, $, or the cursor of a reply")
		}
		if _, known := t.cursor[g]; known {
			t.cursor[g] = index
		}
	}
	return t, fault
}

// String is the cursor as clients get it.
func (t *tailing) String() string {
	var parts []string
	for g, index := range t.cursor {
		parts = append(parts, g+":"+index)
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

// EVENTS key|prefix* FROM cursor [COUNT n] [BLOCK ms]
func (n *Node) tailEvents(c *redisproto.Client, args [][]byte) resp.Value {
	if n.router.Load() == nil {
		return n.loading()
	}
	t, fault := n.parseTailing(c.DB(), args)
	if fault.IsError() {
		return fault
	}
	reply := n.tailOnce(c.Context(), &t, 0) // what is there, and where now is
	if t.block < 0 || len(t.events) > 0 || reply.IsError() {
		return reply
	}
	if instead, ok := c.Block(t.block, func(ctx context.Context) {
		for ctx.Err() == nil && len(t.events) == 0 && !reply.IsError() {
			reply = n.tailOnce(ctx, &t, tailStep)
		}
	}); !ok {
		return instead
	}
	return t.reply()
}

func (t *tailing) reply() resp.Value {
	return resp.List(resp.Str(t.String()), resp.List(t.events...))
}

// tailOnce asks the groups, side by side, and moves the cursor. Those that have nothing to
// tell are not waited for when one has.
func (n *Node) tailOnce(ctx context.Context, t *tailing, wait time.Duration) resp.Value {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		group string
		reply resp.Value
	}
	answers := make(chan answer, len(t.cursor))
	for group, since := range t.cursor {
		go func() { answers <- answer{group, n.told(ctx, t, group, since, wait)} }()
	}
	for range len(t.cursor) {
		a := <-answers
		switch {
		case a.reply.IsError():
			return a.reply
		case len(a.reply.Elems) == 0 || len(t.events)+len(a.reply.Elems)-1 > t.count:
			continue // there is no room for it: it is asked for again
		}
		t.cursor[a.group] = strconv.FormatInt(a.reply.Elems[0].Int, 10)
		t.events = append(t.events, a.reply.Elems[1:]...)
		if wait > 0 && len(t.events) > 0 {
			break
		}
	}
	return t.reply()
}

// told asks one group.
func (n *Node) told(ctx context.Context, t *tailing, group, since string, wait time.Duration) resp.Value {
	return n.ask(ctx, t.db, group, "told", t.pattern, since, strconv.Itoa(t.count), strconv.FormatInt(wait.Milliseconds(), 10))
}

// ask has one reading call of a group executed.
func (n *Node) ask(ctx context.Context, db int, group string, args ...string) resp.Value {
	c := command.Call{DB: db}
	for _, a := range args {
		c.Args = append(c.Args, []byte(a))
	}
	c.Spec = &dataCommands.Lookup(c.Args).Spec
	replies, err := n.router.Load().Run(ctx, group, []command.Call{c})
	if err != nil {
		return refusal(err)
	}
	return replies[0]
}
