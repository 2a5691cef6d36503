package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
	"phonond/scripts/compat/differ"
)

// rule says how far replies have to be equal. The zero rule is: byte for byte.
type rule struct {
	unordered int   // the elements come in any order, so many at a time
	within    int64 // integers may be apart by so much
	counted   bool  // kind and number of elements count
	drawn     bool  // the elements are among those of the next step's reply
	kind      bool  // the kind alone counts
	deep      bool  // all lists in the reply come in any order
	scan      int   // a cursor, and elements in any order, so many at a time
	messages  bool  // a message comes by several patterns in any order
}

// How replies of commands are compared when the step says nothing else.
var rules = map[string]*rule{
	"keys": {unordered: 1}, "smembers": {unordered: 1}, "sunion": {unordered: 1}, "sinter": {unordered: 1}, "sdiff": {unordered: 1},
	"hkeys": {unordered: 1}, "hvals": {unordered: 1}, "hgetall": {unordered: 2}, "spop": {counted: true},
	"srandmember": {counted: true}, "hrandfield": {counted: true}, "zrandmember": {counted: true}, "randomkey": {kind: true},
	"ttl": {within: 3}, "expiretime": {within: 3}, "pttl": {within: 3000}, "pexpiretime": {within: 3000},
	"config|get": {unordered: 2}, "command|list": {unordered: 1}, "pubsub|channels": {unordered: 1}, "pubsub|shardchannels": {unordered: 1},
	"memory|usage": {kind: true}, "object|idletime": {within: 3}, "object|freq": {}, "time": {kind: true}, "client|id": {kind: true},
	"lastsave": {kind: true}, "command|docs": {kind: true}, "latency|histogram": {kind: true}, "slowlog|len": {kind: true}, "slowlog|get": {kind: true}, "hello": {kind: true}, "scan": {scan: 1}, "sscan": {scan: 1}, "hscan": {scan: 2}, "zscan": {scan: 2},
}

// containers are the commands whose first argument is part of the name.
var containers = map[string]bool{
	"client": true, "config": true, "object": true, "script": true, "pubsub": true, "memory": true, "command": true, "slowlog": true,
	"latency": true, "cluster": true, "debug": true, "acl": true,
}

// nameOf is a command's name as in the tables of commands.
func nameOf(args []string) string {
	name := strings.ToLower(args[0])
	if containers[name] && len(args) > 1 {
		name += "|" + strings.ToLower(args[1])
	}
	return name
}

// difference is where two conversations part.
type difference struct {
	at        int // the step
	name      string
	want, got resp.Value
	note      string
	allowed   *differ.Difference
}

// signature is equal for differences that are likely to be one.
func (d *difference) signature() string {
	return d.name + " " + gist(d.want) + " " + gist(d.got) + " " + d.note
}

func gist(v resp.Value) string {
	if v.IsError() {
		words := strings.Fields(v.Str)
		return strings.Join(words[:min(4, len(words))], " ")
	}
	return strconv.Itoa(int(v.Kind))
}

// judge compares what came of the steps. It calls report for each difference,
// and goes on while that returns true.
func judge(steps []step, want, got []outcome, report func(difference) bool) {
	queued := map[int][]step{} // by connection, since MULTI
	absent := map[int]bool{}   // by connection, since WATCH
	for i := range got {
		s := steps[i]
		w, g := want[i], got[i]
		told := func(d difference) bool {
			if d.allowed == nil && d.name == "exec" && absent[s.conn] {
				d.allowed = differ.Find(d.name, differ.Case{Args: s.args, Want: d.want, Got: d.got, Absent: true})
				return report(d) && d.allowed == nil // what was given up was not done: from here on the keys differ
			}
			return report(d)
		}
		if !judgeStep(steps, i, w.v, g.v, queued[s.conn], nextOf(want, got, i), told) {
			return
		}
		for k := range max(len(w.served), len(g.served)) {
			var a, b served
			if k < len(w.served) {
				a = w.served[k]
			}
			if k < len(g.served) {
				b = g.served[k]
			}
			if a.conn != b.conn || !equal(nil, a.v, b.v) {
				note := "waiting connection " + strconv.Itoa(max(a.conn, b.conn))
				if !report(difference{at: i, name: nameOf(s.args), want: a.v, got: b.v, note: note}) {
					return
				}
				break
			}
		}
		switch {
		case w.v.Kind == resp.Simple && w.v.Str == "QUEUED":
			queued[s.conn] = append(queued[s.conn], s)
		case s.op == opDo:
			switch strings.ToLower(s.args[0]) {
			case "multi", "exec", "discard", "reset":
				queued[s.conn] = nil
				absent[s.conn] = absent[s.conn] && (strings.EqualFold(s.args[0], "multi") || w.v.IsError())
			case "unwatch":
				absent[s.conn] = absent[s.conn] && w.v.Str == "QUEUED"
			case "watch": // behind an EXISTS of the same keys
				absent[s.conn] = absent[s.conn] || i > 0 && strings.EqualFold(steps[i-1].args[0], "exists") && int(want[i-1].v.Int) < len(s.args)-1
			}
		}
	}
}

// pair is the replies of Redis and of phonond to one command.
type pair struct{ want, got resp.Value }

func nextOf(want, got []outcome, i int) (p pair) {
	if i+1 < len(got) {
		p = pair{want[i+1].v, got[i+1].v}
	}
	return p
}

func judgeStep(steps []step, i int, want, got resp.Value, queued []step, next pair, report func(difference) bool) bool {
	s := steps[i]
	name := nameOf(s.args)
	if name == "exec" && len(queued) > 0 && len(want.Elems) == len(queued) && len(got.Elems) == len(queued) && got.Kind == want.Kind {
		for k, q := range queued {
			if !judgeOne(i, q, want.Elems[k], got.Elems[k], report) {
				return false
			}
		}
		return true
	}
	if s.rule != nil && s.rule.drawn && !want.IsError() && equal(&rule{counted: true}, want, got) {
		for _, p := range []pair{{want, next.want}, {got, next.got}} {
			if next.want.Kind != resp.None && !among(p.want, p.got) {
				return report(difference{at: i, name: name, want: want, got: got, note: "not all of them are there"})
			}
		}
	}
	return judgeOne(i, s, want, got, report)
}

func judgeOne(i int, s step, want, got resp.Value, report func(difference) bool) bool {
	name := nameOf(s.args)
	r := s.rule
	if r == nil {
		r = rules[name]
	}
	if equal(r, want, got) {
		return true
	}
	return report(difference{at: i, name: name, want: want, got: got, allowed: differ.Find(name, differ.Case{Args: s.args, Want: r.normal(want), Got: r.normal(got)})})
}

// among reports whether all that was drawn is in the whole.
func among(drawn, whole resp.Value) bool {
	all := texts(whole)
	for _, t := range texts(drawn) {
		if !slices.Contains(all, t) {
			return false
		}
	}
	return true
}

// equal reports whether replies are equal by a rule; nil stands for the zero rule.
func equal(r *rule, want, got resp.Value) bool {
	if want.Kind != got.Kind {
		return false
	}
	if r != nil && !want.IsError() {
		switch {
		case r.kind:
			return true
		case r.counted:
			return len(want.Elems) == len(got.Elems)
		case r.within > 0 && want.Int >= 0 && got.Int >= 0:
			return max(want.Int-got.Int, got.Int-want.Int) <= r.within
		case r.deep:
			return same(sorted(want, 1, true), sorted(got, 1, true))
		case r.scan > 0 && len(want.Elems) == 2 && len(got.Elems) == 2:
			return same(want.Elems[0], got.Elems[0]) && equal(&rule{unordered: r.scan}, want.Elems[1], got.Elems[1])
		case r.messages:
			return same(byPattern(want), byPattern(got))
		case r.unordered > 0:
			return same(sorted(want, r.unordered, false), sorted(got, r.unordered, false))
		}
	}
	return same(want, got)
}

// normal returns a reply with its elements in one of the orders that a rule allows.
func (r *rule) normal(v resp.Value) resp.Value {
	switch {
	case r == nil:
		return v
	case r.scan > 0 && len(v.Elems) == 2:
		return resp.List(v.Elems[0], sorted(v.Elems[1], r.scan, false))
	case r.unordered > 0:
		return sorted(v, r.unordered, false)
	case r.deep:
		return sorted(v, 1, true)
	}
	return v
}

// same reports whether values are equal in kind and content.
func same(a, b resp.Value) bool {
	return a.Kind == b.Kind && a.Int == b.Int && a.Str == b.Str && slices.EqualFunc(a.Elems, b.Elems, same)
}

// sorted returns v with its elements in order, size at a time; deep: with those of
// its elements, too.
func sorted(v resp.Value, size int, deep bool) resp.Value {
	if len(v.Elems) == 0 {
		return v
	}
	elems := slices.Clone(v.Elems)
	if deep {
		for i := range elems {
			elems[i] = sorted(elems[i], 1, true)
		}
	}
	groups := slices.Collect(slices.Chunk(elems, size))
	slices.SortFunc(groups, func(a, b []resp.Value) int { return slices.CompareFunc(a, b, order) })
	v.Elems = slices.Concat(groups...)
	return v
}

// byPattern returns messages with those that came by several patterns in the order
// of these.
func byPattern(v resp.Value) resp.Value {
	v.Elems = slices.Clone(v.Elems)
	one := func(a, b resp.Value) bool {
		return len(a.Elems) == 4 && len(b.Elems) == 4 && same(a.Elems[2], b.Elems[2]) && same(a.Elems[3], b.Elems[3])
	}
	for i := 0; i < len(v.Elems); {
		end := i + 1
		for end < len(v.Elems) && one(v.Elems[i], v.Elems[end]) {
			end++
		}
		slices.SortStableFunc(v.Elems[i:end], order)
		i = end
	}
	return v
}

func order(a, b resp.Value) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Int, b.Int), strings.Compare(a.Str, b.Str), slices.CompareFunc(a.Elems, b.Elems, order))
}
