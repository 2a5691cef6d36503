package history

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// queueJudge judges keys into which each element is pushed once, and which clients wait
// for.
//
// What was pushed is delivered to one client, or is there at the end. It is missing only
// if somebody may have got it who cannot tell: a client whose connection broke, or who
// went away; not one who had gone before the element was pushed. What is there is not
// kept from a client that waits for it.
//
// No order is looked for: each element is judged for itself.
type queueJudge struct {
	c        *check
	elements map[string]*element
	takers   []*Op // waiting operations that may have taken what nobody has
	lines    []string
}

// element is what is known of one.
type element struct {
	name  string
	key   string // where it was pushed
	push  *Op    // nil if nobody is known to have pushed it
	taken []*Op  // whose clients were told that they have it
	left  []string
	moved bool // it is where the moving commands put it
	// kept is when it had been pushed, if that is known.
	kept bool
}

// item is an element that goes to a key or comes from one.
type item struct{ key, element string }

// isQueue reports whether somebody waits for the keys.
func (c *check) isQueue(p *partition) bool {
	return slices.ContainsFunc(p.ops, func(op *Op) bool { return c.has(op.Args, command.Blocking) })
}

func (c *check) judgeQueue(p *partition) judgement {
	j := &queueJudge{c: c, elements: map[string]*element{}}
	for _, op := range p.ops {
		j.pushed(op)
	}
	for _, op := range p.ops {
		j.delivered(op)
	}
	if ended := j.left(p); ended {
		j.missing()
	}
	for _, name := range slices.Sorted(maps.Keys(j.elements)) {
		j.once(j.elements[name])
	}
	for _, op := range p.ops {
		j.kept(op)
	}
	c.mu.Lock()
	c.report.Elements += len(j.elements)
	c.mu.Unlock()
	if len(j.lines) == 0 {
		return judgement{}
	}
	return judgement{violation: &Violation{
		Key: strings.Join(p.keys, " "), Why: fmt.Sprintf("%d times elements were lost, delivered twice, made up or kept back", len(j.lines)),
		Text: strings.Join(j.lines[:min(len(j.lines), maxLines)], "\n") + "\n",
	}}
}

func (j *queueJudge) wrong(e *element, format string, args ...any) {
	line := fmt.Sprintf("%s: %s", e.name, fmt.Sprintf(format, args...))
	if e.push != nil {
		line += "\n    pushed by " + e.push.String()
	}
	for _, op := range e.taken {
		line += "\n    taken by  " + op.String()
	}
	if e.left != nil {
		line += fmt.Sprintf("\n    at the end in %q", e.left)
	}
	j.lines = append(j.lines, line)
}

// pushed notes what an operation pushes.
func (j *queueJudge) pushed(op *Op) {
	if op.Outcome == Refused || op.Outcome == Answered && (op.Reply.IsError() || isNil(op.Reply)) {
		return
	}
	for _, i := range pushes(op) {
		j.elements[i.element] = &element{name: i.element, key: i.key, push: op, kept: op.Outcome == Answered}
	}
}

// pushes returns what an operation pushes.
func pushes(op *Op) (items []item) {
	for _, args := range op.commands() {
		switch name := strings.ToLower(args[0]); {
		case name == "rpush", name == "lpush":
			for _, e := range args[2:] {
				items = append(items, item{args[1], e})
			}
		case name == "zadd":
			for i := 3; i < len(args); i += 2 {
				items = append(items, item{args[1], args[i]})
			}
		case shaIn(args) == fillScript.sha:
			keys, argv := scriptArgs(args)
			for i, key := range keys {
				items = append(items, item{key, argv[i]})
			}
		}
	}
	return items
}

// delivered notes what an operation was given.
func (j *queueJudge) delivered(op *Op) {
	if !j.c.has(op.Args, command.Blocking) {
		return
	}
	if op.Outcome == Unknown {
		j.takers = append(j.takers, slices.Repeat([]*Op{op}, most(op.Args))...)
	}
	if op.Outcome != Answered {
		return
	}
	for _, i := range deliveries(op) {
		e := j.find(i.element)
		e.taken = append(e.taken, op)
		if !slices.Contains(sources(op.Args), i.key) {
			j.wrong(e, "it came from %q, which was not asked for", i.key)
		}
	}
}

func (j *queueJudge) find(name string) *element {
	if j.elements[name] == nil {
		j.elements[name] = &element{name: name}
	}
	return j.elements[name]
}

// sources returns the keys that a waiting command may take from.
func sources(args []string) (keys []string) {
	for _, k := range fsm.AwaitedKeys(callOf(args).Args) {
		keys = append(keys, string(k))
	}
	return keys
}

// most is how many elements a waiting command may take.
func most(args []string) int {
	if i := slices.Index(args, "COUNT"); i >= 0 && i+1 < len(args) {
		n, _ := strconv.Atoi(args[i+1])
		return n
	}
	return 1
}

// moves reports whether a waiting command puts what it takes into another list.
func moves(args []string) bool {
	name := strings.ToLower(args[0])
	return name == "blmove" || name == "brpoplpush"
}

// deliveries returns what the reply to a waiting command delivers.
func deliveries(op *Op) (items []item) {
	v := op.Reply
	switch {
	case isNil(v):
		return nil
	case moves(op.Args):
		return []item{{op.Args[1], v.Str}}
	case len(v.Elems) < 2:
		return []item{{"", textOf("", v)}} // an error, or nothing that Redis answers
	}
	key, found := v.Elems[0].Str, v.Elems[1:]
	switch strings.ToLower(op.Args[0]) {
	case "bzpopmin", "bzpopmax":
		found = found[:1]
	case "blmpop":
		found = found[0].Elems
	case "bzmpop":
		var members []resp.Value
		for _, pair := range found[0].Elems {
			members = append(members, pair.Elems[0])
		}
		found = members
	}
	for _, e := range found {
		items = append(items, item{key, e.Str})
	}
	return items
}

// left notes what is there at the end: what the last complete reading of each key has
// found. It reports whether there was one of every key.
func (j *queueJudge) left(p *partition) bool {
	last := map[string]*Op{}
	for _, op := range p.ops {
		name := strings.ToLower(op.Args[0])
		if (name == "lrange" || name == "zrange" || name == "get") && op.Outcome == Answered {
			last[op.Args[1]] = op
		}
	}
	sinks := map[string]bool{}
	for _, op := range p.ops {
		if moves(op.Args) {
			sinks[op.Args[2]] = true
		}
	}
	for _, key := range p.keys {
		op := last[key]
		if op == nil {
			return false
		}
		found := elements(op.Reply)
		if strings.EqualFold(op.Args[0], "zrange") {
			var members []string
			for pair := range slices.Chunk(found, 2) {
				members = append(members, pair[0])
			}
			found = members
		}
		for _, name := range found {
			e := j.find(name)
			e.left = append(e.left, key)
			e.moved = e.moved || sinks[key]
		}
	}
	return true
}

// once checks that an element was pushed, and is in one place.
func (j *queueJudge) once(e *element) {
	places := len(e.left)
	for _, op := range e.taken {
		if e.push != nil && op.Return < e.push.Call {
			j.wrong(e, "it was delivered before it was pushed")
		}
		if !moves(op.Args) {
			places++
		}
	}
	switch {
	case e.push == nil:
		j.wrong(e, "nobody has pushed it")
	case len(e.taken) > 1:
		j.wrong(e, "it was delivered %d times", len(e.taken))
	case places > 1:
		j.wrong(e, "it is in %d places", places)
	}
}

// missing looks for those who may have what nobody has, and who may have moved what was
// moved.
func (j *queueJudge) missing() {
	done := map[*Op]bool{} // pushes of which something was seen: all of them was done
	for _, e := range j.elements {
		if e.push != nil && (len(e.taken) > 0 || e.left != nil) {
			done[e.push] = true
		}
	}
	m := matching{by: make([]int, len(j.takers))}
	var wanted []*element
	for _, name := range slices.Sorted(maps.Keys(j.elements)) {
		e := j.elements[name]
		nowhere := len(e.taken) == 0 && e.left == nil && (e.kept || done[e.push])
		moved := slices.ContainsFunc(e.taken, func(op *Op) bool { return moves(op.Args) })
		switch {
		case e.push == nil:
		case moved && !e.moved:
			j.wrong(e, "it was moved, and is not where it was moved to")
		case nowhere, e.moved && len(e.taken) == 0:
			wanted = append(wanted, e)
		}
	}
	for i, e := range wanted {
		m.may = append(m.may, nil)
		for t, op := range j.takers {
			if j.may(op, e) {
				m.may[i] = append(m.may[i], t)
			}
		}
		if m.place(i) {
			continue
		}
		if e.moved {
			j.wrong(e, "it was moved, and by nobody")
		} else {
			j.wrong(e, "it is lost: nobody can have it")
		}
	}
	for t, n := range m.by {
		if n > 0 && j.takers[t].Gone {
			j.c.mu.Lock()
			j.c.report.Swallowed++
			j.c.mu.Unlock()
		}
	}
}

// may reports whether an operation of unknown outcome may have taken an element: a
// client that went away, until its node had time to notice.
func (j *queueJudge) may(op *Op, e *element) bool {
	if !slices.Contains(sources(op.Args), e.key) || moves(op.Args) != e.moved {
		return false
	}
	return !op.Gone || e.push.Call < max(op.Return, j.c.o.Well)+j.c.o.Notice
}

// matching gives each of those who want something one of those that have it.
type matching struct {
	may [][]int // by who wants
	by  []int   // who has it, from 1, by what there is
}

// place finds something for i, and other things for others where that is needed.
func (m *matching) place(i int) bool {
	seen := map[int]bool{}
	var try func(i int) bool
	try = func(i int) bool {
		for _, t := range m.may[i] {
			if seen[t] {
				continue
			}
			seen[t] = true
			if m.by[t] == 0 || try(m.by[t]-1) {
				m.by[t] = i + 1
				return true
			}
		}
		return false
	}
	return try(i)
}

// kept looks for elements that were there while op waited for them in vain, once all
// faults were over.
func (j *queueJudge) kept(op *Op) {
	vain := op.Outcome == Answered && isNil(op.Reply) || op.Gone
	if j.c.o.Well == 0 || !vain || op.Return < j.c.o.Well || !j.c.has(op.Args, command.Blocking) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(j.elements)) {
		e := j.elements[name]
		if !e.kept || !slices.Contains(sources(op.Args), e.key) {
			continue
		}
		from, to := max(e.push.Return, op.Call, j.c.o.Well), op.Return
		switch {
		case len(e.taken) > 0:
			to = min(to, e.taken[0].Call)
		case !slices.Contains(e.left, e.key):
			continue
		}
		if to-from > j.c.o.Notice {
			j.wrong(e, "it was there for %v while this waited in vain: %s", (to - from).Round(time.Millisecond), op)
			return
		}
	}
}
