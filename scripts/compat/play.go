package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// op is what a step does.
type op int

const (
	opDo   op = iota // send a command and wait for its reply
	opSend           // send a command that may block, and wait until it blocks or is answered
	opSay            // send a command over a connection that messages come over
	opHear           // collect what has come over such a connection
	opScan           // iterate to the end with a SCAN command; its cursor is "0" in args
	opCopy           // DUMP args[1], RESTORE args[2] with the other args behind the payload
	opPop            // SPOP: then all servers go on with what Redis has left
	opGone           // wait until a key has expired
)

// step is one thing that a client does.
type step struct {
	conn int
	op   op
	args []string
	rule *rule // how replies are compared; nil for what the command's name says
}

func (s step) String() string {
	words := make([]string, len(s.args))
	for i, a := range s.args {
		if words[i] = a; a == "" || strconv.Quote(a) != `"`+a+`"` || strings.ContainsAny(a, " '") {
			words[i] = strconv.Quote(a)
		}
	}
	text := strings.Join(words, " ")
	if s.op != opDo {
		text = fmt.Sprintf("%s [%s]", text, [...]string{"", "send", "say", "hear", "scan", "copy", "pop", "gone"}[s.op])
	}
	return fmt.Sprintf("%d> %s", s.conn, text)
}

// outcome is what came of a step.
type outcome struct {
	v resp.Value // kind None for a command that was left waiting
	// served are the waiting connections that were answered because of the step.
	served []served
}

type served struct {
	conn int
	v    resp.Value
}

// player plays steps to a server.
type player struct {
	srv     *server
	proto   int
	guide   []outcome // of Redis; nil for Redis itself
	conns   map[int]*conn
	waiting []int                // connections whose command is unanswered
	heard   map[int][]resp.Value // what has come over connections for messages
	nonce   int
}

// play has the steps played to the server and returns what came of them: of all,
// unless err is not nil.
func play(srv *server, proto int, steps []step, guide []outcome) (outs []outcome, err error) {
	if err := srv.clean(); err != nil {
		return nil, fmt.Errorf("before the first step: %w", err)
	}
	p := &player{srv: srv, proto: proto, guide: guide, conns: map[int]*conn{}, heard: map[int][]resp.Value{}}
	defer func() {
		for _, c := range p.conns {
			c.Close()
		}
	}()
	for len(outs) < len(steps) {
		at := len(outs)
		end := at + 1
		for len(p.waiting) == 0 && end < len(steps) && end-at < maxPipeline && steps[end].follows(steps[at]) {
			end++
		}
		got, err := p.steps(at, steps[at:end])
		outs = append(outs, got...)
		if err != nil {
			return outs, err
		}
	}
	return outs, nil
}

// follows reports whether a step may be sent together with one before it.
func (s step) follows(first step) bool {
	return first.op == opDo && s.op == opDo && s.conn == first.conn && nameOf(s.args) != "script|debug" // refused behind others
}

// maxPipeline bounds how many commands are sent at once.
const maxPipeline = 256

// conn returns a connection by number, a new one when it is first used.
func (p *player) conn(n int) (*conn, error) {
	if c := p.conns[n]; c != nil {
		return c, nil
	}
	c, err := dial(p.srv.addr, p.proto)
	if err == nil {
		p.conns[n] = c
	}
	return c, err
}

// steps plays one step, or several for one connection; the first has number at.
func (p *player) steps(at int, steps []step) ([]outcome, error) {
	s := steps[0]
	c, err := p.conn(s.conn)
	if err != nil {
		return nil, err
	}
	if slices.Contains(p.waiting, s.conn) {
		return []outcome{{}}, nil // on Redis as well
	}
	if s.op == opDo {
		commands := make([][]string, len(steps))
		for i, s := range steps {
			commands[i] = p.named(s.args)
		}
		replies, err := c.pipe(commands)
		outs := make([]outcome, len(replies))
		for i, v := range replies {
			outs[i].v = v
		}
		if err == nil && len(p.waiting) > 0 {
			outs[len(outs)-1].served, err = p.settle(at)
		}
		return outs, err
	}
	out, err := p.special(at, s, c)
	if err == nil && len(p.waiting) > 0 {
		out.served, err = p.settle(at)
	}
	return []outcome{out}, err
}

// named puts the ids of connections for "@n".
func (p *player) named(args []string) []string {
	for i, a := range args {
		if n, err := strconv.Atoi(strings.TrimPrefix(a, "@")); err == nil && strings.HasPrefix(a, "@") {
			args = slices.Clone(args)
			args[i] = "0"
			if c := p.conns[n]; c != nil {
				args[i] = c.id
			}
		}
	}
	return args
}

func (p *player) special(at int, s step, c *conn) (out outcome, err error) {
	switch s.op {
	case opSend:
		p.waiting = append(p.waiting, s.conn)
		return outcome{}, c.send(s.args)
	case opSay:
		if err := c.send(s.args); err != nil {
			return outcome{}, err
		}
		return outcome{}, p.hear(c, s.conn, 0)
	case opHear:
		n := 0
		if p.guide != nil {
			n = len(p.guide[at].v.Elems)
		}
		err := p.hear(c, s.conn, n)
		out.v = resp.List(p.heard[s.conn]...)
		delete(p.heard, s.conn)
		return out, err
	case opScan:
		out.v, err = scan(c, s.args)
	case opCopy:
		out.v, err = restore(c, s.args)
	case opPop:
		if out.v, err = c.do(s.args...); err == nil && p.guide != nil {
			err = follow(c, s.args[1], out.v, p.guide[at].v)
		}
	case opGone:
		err = waitUntil("a key expires", func() (bool, error) {
			v, err := c.do("EXISTS", s.args[0])
			return v.Int == 0, err
		})
	}
	return out, err
}

// hear collects what has come over a connection since the last opHear, and waits
// until that is n values.
func (p *player) hear(c *conn, number, n int) error {
	p.nonce++
	list, err := c.stream(n-len(p.heard[number]), p.nonce)
	p.heard[number] = append(p.heard[number], list...)
	return err
}

// settle waits until all those are answered who are to be, and returns their
// replies. Redis says so itself; the others are to do as Redis does. The count of
// those who are blocked may be from before the command that was sent last, so it
// counts only if no reply has come since the one before it.
func (p *player) settle(at int) (list []served, err error) {
	if p.guide != nil {
		for _, s := range p.guide[at].served {
			v, err := p.conns[s.conn].receive()
			if err != nil {
				return list, fmt.Errorf("connection %d waits, and Redis answered: %w", s.conn, err)
			}
			list = append(list, served{s.conn, v})
			p.answered(s.conn)
		}
	}
	err = waitUntil("those who are unanswered are blocked", func() (bool, error) {
		waiting := len(p.waiting)
		settled, err := p.srv.blocked(waiting)
		if err != nil {
			return false, err
		}
		for _, w := range slices.Clone(p.waiting) {
			select {
			case v, ok := <-p.conns[w].in:
				if !ok {
					return false, p.conns[w].err
				}
				list = append(list, served{w, v})
				p.answered(w)
			default:
			}
		}
		return settled && waiting == len(p.waiting), nil
	})
	slices.SortFunc(list, func(a, b served) int { return a.conn - b.conn })
	return list, err
}

func (p *player) answered(conn int) {
	p.waiting = slices.DeleteFunc(p.waiting, func(w int) bool { return w == conn })
}

// maxRounds bounds an iteration that does not end.
const maxRounds = 10_000

// scan returns all that an iteration returns, or the first error.
func scan(c *conn, args []string) (resp.Value, error) {
	args = slices.Clone(args)
	cursor := slices.Index(args, "0")
	seen := map[string]resp.Value{}
	size := 1
	if cmd := strings.ToUpper(args[0]); cmd == "HSCAN" || cmd == "ZSCAN" {
		size = 2
	}
	for range maxRounds {
		v, err := c.do(args...)
		if err != nil || len(v.Elems) != 2 {
			return v, err
		}
		for group := range slices.Chunk(v.Elems[1].Elems, size) {
			seen[fmt.Sprint(group)] = resp.List(group...)
		}
		if args[cursor] = v.Elems[0].Str; args[cursor] == "0" {
			return sorted(resp.List(slices.Collect(maps.Values(seen))...), 1, false), nil
		}
	}
	return resp.Value{}, errors.New("an iteration does not end")
}

// restore copies a value by its dump, and returns what RESTORE says, or the nil of
// DUMP.
func restore(c *conn, args []string) (resp.Value, error) {
	v, err := c.do("DUMP", args[1])
	if err != nil || v.Kind != resp.Bulk {
		return v, err
	}
	payload := v.Str
	if args[0] == "DAMAGE" {
		b := []byte(payload)
		b[len(b)/2] ^= 1
		payload = string(b)
	}
	return c.do(slices.Concat([]string{"RESTORE", args[2], args[3], payload}, args[4:])...)
}

// follow makes the set under key what it is in Redis, after each has popped
// members of its own choice.
func follow(c *conn, key string, mine, theirs resp.Value) error {
	add, remove := []string{"SADD", key}, []string{"SREM", key}
	a, b := texts(mine), texts(theirs)
	if len(a) != len(b) {
		return nil // which is a difference
	}
	for _, m := range a {
		if !slices.Contains(b, m) {
			add = append(add, m)
		}
	}
	for _, m := range b {
		if !slices.Contains(a, m) {
			remove = append(remove, m)
		}
	}
	for _, args := range [][]string{add, remove} {
		if len(args) == 2 {
			continue
		}
		if _, err := c.must(args...); err != nil {
			return err
		}
	}
	return nil
}

// texts returns the bulk strings in a value.
func texts(v resp.Value) (list []string) {
	if v.Kind == resp.Bulk {
		return []string{v.Str}
	}
	for _, e := range v.Elems {
		list = append(list, texts(e)...)
	}
	return list
}
