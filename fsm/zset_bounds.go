package fsm

import "phonond/redisproto/resp"

var errLexRange = resp.Err("ERR min or max not valid string range item")

// scoreRange is a range of scores; an end that is open is not in it.
type scoreRange struct {
	low, high         float64
	lowOpen, highOpen bool
}

func parseScoreRange(low, high []byte) (r scoreRange, ok bool) {
	var ok1, ok2 bool
	r.low, r.lowOpen, ok1 = parseScoreBound(low)
	r.high, r.highOpen, ok2 = parseScoreBound(high)
	return r, ok1 && ok2
}

// parseScoreBound reads a number with an optional "(" in front: not itself.
func parseScoreBound(arg []byte) (f float64, open, ok bool) {
	if len(arg) > 0 && arg[0] == '(' {
		open, arg = true, arg[1:]
	}
	f, ok = parseBound(arg)
	return f, open, ok
}

// ranks returns the interval of the members whose scores are in the range.
func (r scoreRange) ranks(z zset) ranks {
	from := z.first(func(m zmember) bool { return m.score > r.low || m.score == r.low && !r.lowOpen })
	after := z.first(func(m zmember) bool { return m.score > r.high || m.score == r.high && r.highOpen })
	return ranks{from, after - 1}
}

// lexRange is a range of names of members that have equal scores.
type lexRange struct{ low, high lexBound }

// lexBound is one end of it.
type lexBound struct {
	infinite int // -1 is before every name, 1 after every name
	name     string
	open     bool
}

func parseLexRange(low, high []byte) (r lexRange, ok bool) {
	var ok1, ok2 bool
	r.low, ok1 = parseLexBound(low)
	r.high, ok2 = parseLexBound(high)
	return r, ok1 && ok2
}

// parseLexBound reads "-", "+", "[name" or "(name".
func parseLexBound(arg []byte) (b lexBound, ok bool) {
	switch s := string(arg); {
	case s == "-":
		return lexBound{infinite: -1}, true
	case s == "+":
		return lexBound{infinite: 1}, true
	case s != "" && (s[0] == '[' || s[0] == '('):
		return lexBound{name: s[1:], open: s[0] == '('}, true
	}
	return b, false
}

// below reports whether the bound is before a name, or is that name when orEqual
// is set.
func (b lexBound) below(name string, orEqual bool) bool {
	if b.infinite != 0 {
		return b.infinite < 0
	}
	return b.name < name || orEqual && b.name == name
}

// ranks returns the interval of the members whose names are in the range.
func (r lexRange) ranks(z zset) ranks {
	from := z.first(func(m zmember) bool { return r.low.below(m.name, !r.low.open) })
	after := z.first(func(m zmember) bool { return r.high.below(m.name, r.high.open) })
	return ranks{from, after - 1}
}
