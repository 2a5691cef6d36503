package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// The shape of a command is written as on the pages of Redis, but for what may be
// drawn. In it stand
//
//	word       itself, or if it is one of words, something drawn from there
//	a|b        one of them
//	x...       x one to three times
//	#key       a count and as many keys, mostly
//	( x y )    x y, or nothing
//	< a , b >  any of a, b, in any order
//
// node is a part of a shape.
type node struct {
	kind  byte // 'w', '(' or '<', or 's' for a sequence
	word  string
	parts []node
}

// parse reads a shape.
func parse(shape string) node {
	n, rest := parseSeq(strings.Fields(shape))
	if len(rest) > 0 {
		panic("compat: unbalanced " + shape)
	}
	return n
}

func parseSeq(tokens []string) (n node, rest []string) {
	n.kind = 's'
	for len(tokens) > 0 {
		switch t := tokens[0]; t {
		case ")", ">", ",":
			return n, tokens
		case "(":
			inner, rest := parseSeq(tokens[1:])
			n.parts = append(n.parts, node{kind: '(', parts: []node{inner}})
			tokens = rest[1:]
		case "<":
			options := node{kind: '<'}
			for tokens[0] != ">" {
				var option node
				option, tokens = parseSeq(tokens[1:])
				options.parts = append(options.parts, option)
			}
			n.parts = append(n.parts, options)
			tokens = tokens[1:]
		default:
			n.parts = append(n.parts, node{kind: 'w', word: t})
			tokens = tokens[1:]
		}
	}
	return n, nil
}

// drawer makes commands from shapes.
type drawer struct {
	*rand.Rand
	tag    string // in front of all keys
	plain  bool   // draw no wrong arity and no junk
	unique int64
}

func newDrawer(seed uint64) *drawer {
	return &drawer{Rand: rand.New(rand.NewPCG(seed, 0)), tag: "{t}"}
}

// one returns one of a list.
func (d *drawer) one(list ...string) string { return list[d.IntN(len(list))] }

// chance is true once in n times.
func (d *drawer) chance(n int) bool { return d.IntN(n) == 0 }

// command draws a command from a shape, and spoils it now and then.
func (d *drawer) command(shape node) []string {
	args := d.expand(nil, shape)
	if d.plain {
		return args
	}
	switch d.IntN(60) {
	case 0: // one too few
		if len(args) > 1 {
			at := 1 + d.IntN(len(args)-1)
			args = slices.Delete(args, at, at+1)
		}
	case 1: // one too many
		args = append(args, d.word("junk"))
	case 2: // something else
		if len(args) > 2 {
			args[2+d.IntN(len(args)-2)] = d.word("junk")
		}
	}
	return args
}

func (d *drawer) expand(args []string, n node) []string {
	switch n.kind {
	case 's':
		for _, p := range n.parts {
			args = d.expand(args, p)
		}
	case '(':
		if d.chance(2) {
			args = d.expand(args, n.parts[0])
		}
	case '<':
		for _, i := range d.Perm(len(n.parts)) {
			if d.IntN(len(n.parts)+1) < 2 {
				args = d.expand(args, n.parts[i])
			}
		}
	case 'w':
		word, times := n.word, 1
		if w, ok := strings.CutSuffix(word, "..."); ok {
			word, times = w, 1+d.IntN(3)
		}
		if keys, ok := strings.CutPrefix(word, "#"); ok {
			times = 1 + d.IntN(3)
			count := strconv.Itoa(times)
			if !d.plain && d.chance(12) {
				count = d.word("numkeys")
			}
			word, args = keys, append(args, count)
		}
		for range times {
			args = append(args, d.word(word))
		}
	}
	return args
}

// word draws what a word of a shape stands for.
func (d *drawer) word(word string) string {
	if choices := strings.Split(word, "|"); len(choices) > 1 {
		word = d.one(choices...)
	}
	if pool, ok := strings.CutSuffix(word, "key"); ok {
		return d.key(pool)
	}
	if word == "ttl" || word == "ttlms" || word == "later" || word == "laterms" {
		return d.deadline(word)
	}
	if list, ok := words[word]; ok {
		return d.one(list...)
	}
	if d.chance(6) && !d.plain { // in any case
		b := []byte(word)
		for i := range b {
			if d.chance(2) {
				b[i] = strings.ToLower(word)[i]
			}
		}
		return string(b)
	}
	return word
}

// pools are the types that keys have by their names, mostly.
const pools = "shlezbi"

// key draws a key: mostly one of the pool's, and of a pool in upper case always.
func (d *drawer) key(pool string) string {
	if pool == "" || pool != strings.ToUpper(pool) && d.chance(8) {
		pool = string(pools[d.IntN(len(pools))])
	}
	return d.tag + pool + strconv.Itoa(1+d.IntN(3))
}

// deadline draws a time to live or an absolute time, no two of which are equal:
// otherwise it would depend on the millisecond which of two is later.
func (d *drawer) deadline(word string) string {
	if !d.plain && d.chance(4) {
		return d.one(words["bad"+word]...)
	}
	d.unique++
	n := 100_000 + 7*d.unique + int64(d.IntN(3))*1_000_003
	switch word {
	case "ttlms":
		n *= 1000
	case "later":
		n += 4_000_000_000
	case "laterms":
		n = (n + 4_000_000_000) * 1000
	}
	return strconv.FormatInt(n, 10)
}
