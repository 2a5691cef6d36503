package fsm

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

const sortSyntax = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]"

var sortCommands = group("generic",
	write("sort", -2, 1, sortCmd, sortSyntax+" [STORE destination]", "Sorts the elements of a list, set or sorted set.").
		flags(command.DenyOOM).moreKeys(sortDestination).since("1.0.0").refuse(sortRefuse),
	read("sort_ro", -2, 1, sortROCmd, sortSyntax, "Sorts the elements of a list, set or sorted set.").since("7.0.0"),
)

// sortOptions are the options of SORT.
type sortOptions struct {
	desc, alpha   bool
	offset, count int64
	by            []byte   // nil if not given
	get           [][]byte // patterns, in their order
	store         []byte   // nil if not given
}

// unsorted reports whether the pattern of BY names no keys: then the elements stay
// as they are.
func (o *sortOptions) unsorted() bool { return o.by != nil && !isSortPattern(o.by) }

func parseSortOptions(args [][]byte, readOnly bool) (o sortOptions, fault resp.Value) {
	o.count = -1
	for i := 0; i < len(args); i++ {
		switch a, left := args[i], len(args)-1-i; {
		case is(a, "ASC"):
			o.desc = false
		case is(a, "DESC"):
			o.desc = true
		case is(a, "ALPHA"):
			o.alpha = true
		case is(a, "LIMIT") && left >= 2:
			var ok bool
			if o.offset, o.count, ok = parseRange(args[i+1], args[i+2]); !ok {
				return o, resp.ErrNotInteger
			}
			i += 2
		case is(a, "STORE") && left >= 1 && !readOnly:
			i++
			o.store = args[i]
		case is(a, "BY") && left >= 1:
			i++
			o.by = args[i]
		case is(a, "GET") && left >= 1:
			i++
			o.get = append(o.get, args[i])
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, fault
}

// sortDestination returns the key of the last STORE among the arguments of SORT, be
// the others right or wrong.
func sortDestination(args [][]byte) (keys [][]byte) {
	for i := 2; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "LIMIT"):
			i += 2
		case is(a, "GET"), is(a, "BY"):
			i++
		case is(a, "STORE") && i+1 < len(args):
			keys = args[i+1 : i+2 : i+2]
		}
	}
	return keys
}

// SortPatterns returns the patterns by which a call of SORT or SORT_RO, with the
// name in front, reads other keys than the one it names: those of BY and GET that
// have a '*', for which each element is put. What stands behind "->" is a field of
// a hash and no part of the key. A router that cannot tell that all these keys are
// in one group with the first one refuses the call.
func SortPatterns(args [][]byte) [][]byte {
	if len(args) < 2 || !is(args[0], "SORT") && !is(args[0], "SORT_RO") {
		return nil
	}
	o, _ := parseSortOptions(args[2:], false)
	var patterns [][]byte
	for _, p := range append([][]byte{o.by}, o.get...) {
		if isSortPattern(p) {
			p, _ := splitSortPattern(p)
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// isSortPattern reports whether keys are made from a pattern. To Redis patterns are
// strings of C.
func isSortPattern(p []byte) bool {
	p, _, _ = bytes.Cut(p, []byte{0})
	return bytes.IndexByte(p, '*') >= 0
}

// splitSortPattern cuts a pattern such as weight_*->field into what makes the key
// and the field, nil if it has none.
func splitSortPattern(p []byte) (key, field []byte) {
	text, _, _ := bytes.Cut(p, []byte{0})
	star := bytes.IndexByte(text, '*')
	if arrow := bytes.Index(text[star+1:], []byte("->")); arrow >= 0 {
		if at := star + 1 + arrow; at+2 < len(text) {
			return p[:at], p[at+2:]
		}
	}
	return p, nil
}

func sortCmd(t *Tx, args [][]byte) resp.Value {
	o, fault := parseSortOptions(args[2:], false)
	if fault.IsError() {
		return fault
	}
	sorted := t.sortAndGet(args[1], &o)
	if sorted.IsError() || o.store == nil {
		return sorted
	}
	l := list{}.edit()
	for _, e := range sorted.Elems {
		l.push(right, e.Str) // what is not there is stored as ""
	}
	t.replaceObject(o.store, l, "sortstore")
	return resp.Int(l.len())
}

func sortROCmd(v *View, args [][]byte) resp.Value {
	o, fault := parseSortOptions(args[2:], true)
	if fault.IsError() {
		return fault
	}
	return v.sortAndGet(args[1], &o)
}

func (v *View) sortAndGet(key []byte, o *sortOptions) resp.Value {
	elems, fault := v.sort(key, o)
	if fault.IsError() {
		return fault
	}
	return resp.List(v.sortReply(elems, o)...)
}

// sortRefuse answers a SORT that stores nothing.
func sortRefuse(v *View, args [][]byte) (reply resp.Value, ok bool) {
	o, fault := parseSortOptions(args[2:], false)
	switch {
	case fault.IsError():
		return fault, true
	case o.store != nil:
		return reply, false
	}
	return v.sortAndGet(args[1], &o), true
}

// sort returns the elements under key in the order and within the limits that the
// options ask for.
func (v *View) sort(key []byte, o *sortOptions) (elems []string, fault resp.Value) {
	sorted := !o.unsorted()
	switch e := v.find(key); {
	case e == nil:
		return nil, fault
	case e.kind() == kindSet:
		elems = e.obj.(set).members()
		if o.store != nil && !sorted {
			// The order of a set is nobody's concern, but what is stored has to be
			// the same for all.
			sorted, o.alpha, o.by = true, true, nil
		}
	case e.kind() == kindList:
		elems = e.obj.(list).elements()
	case e.kind() == kindZSet:
		elems = e.obj.(zset).names()
	default:
		return nil, resp.ErrWrongType
	}
	switch {
	case sorted:
		if elems, fault = v.sortElements(elems, o); fault.IsError() {
			return nil, fault
		}
	case o.desc && v.find(key).kind() != kindSet:
		slices.Reverse(elems)
	}
	n := int64(len(elems))
	from := min(max(o.offset, 0), n)
	to := n
	if o.count >= 0 {
		to = min(from+min(o.count, n), n)
	}
	return elems[from:to], fault
}

// sortItem is an element with what it is sorted by.
type sortItem struct {
	element string
	weight  string
	found   bool // the weight is there
	score   float64
}

// sortElements sorts elements by themselves or by what BY finds for them.
func (v *View) sortElements(elems []string, o *sortOptions) ([]string, resp.Value) {
	items := make([]sortItem, len(elems))
	for i, element := range elems {
		item := sortItem{element: element, weight: element, found: true}
		if o.by != nil {
			item.weight, item.found = v.lookupPattern(o.by, element)
		}
		if item.found && !o.alpha {
			var ok bool
			if item.score, ok = parseSortScore(item.weight); !ok {
				return nil, resp.Err("ERR One or more scores can't be converted into double")
			}
		}
		items[i] = item
	}
	slices.SortStableFunc(items, func(a, b sortItem) int {
		order := a.compare(b, o.alpha)
		if o.desc {
			return -order
		}
		return order
	})
	for i, item := range items {
		elems[i] = item.element
	}
	return elems, resp.Value{}
}

// compare orders by score or by bytes; what has no weight comes first. Elements with
// equal scores are in the order of their bytes.
func (a sortItem) compare(b sortItem, alpha bool) int {
	switch {
	case !alpha:
		return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.element, b.element))
	case a.found && b.found:
		return cmp.Compare(a.weight, b.weight)
	case a.found:
		return 1
	case b.found:
		return -1
	}
	return 0
}

// parseSortScore reads a number as strtod does, with spaces in front of it. Nothing
// at all is 0.
func parseSortScore(s string) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	if s == "" {
		return 0, true
	}
	f, inRange, ok := strtod(strings.TrimLeft(s, " \t\n\v\f\r"))
	return f, ok && inRange && !math.IsNaN(f)
}

// sortReply returns what GET asks for each element, or the elements.
func (v *View) sortReply(elems []string, o *sortOptions) []resp.Value {
	replies := make([]resp.Value, 0, len(elems)*max(len(o.get), 1))
	for _, element := range elems {
		if len(o.get) == 0 {
			replies = append(replies, resp.Str(element))
		}
		for _, pattern := range o.get {
			if s, ok := v.lookupPattern(pattern, element); ok {
				replies = append(replies, resp.Str(s))
			} else {
				replies = append(replies, resp.Null)
			}
		}
	}
	return replies
}

// lookupPattern returns what a pattern of BY or GET stands for with an element in
// the place of its '*': the element itself for "#", a string, or a field of a hash.
func (v *View) lookupPattern(pattern []byte, element string) (s string, ok bool) {
	if string(pattern) == "#" {
		return element, true
	}
	if !isSortPattern(pattern) {
		return "", false
	}
	pattern, field := splitSortPattern(pattern)
	key := bytes.Replace(pattern, []byte("*"), []byte(element), 1)
	e := v.find(key)
	switch {
	case e == nil:
		return "", false
	case field == nil:
		return e.str, e.obj == nil
	}
	h, ok := e.obj.(hash)
	if !ok {
		return "", false
	}
	return h.field(field)
}

func (l list) elements() []string {
	elems := make([]string, 0, l.len())
	l.each(0, func(_ int, element string) bool {
		elems = append(elems, element)
		return true
	})
	return elems
}

func (s set) members() []string {
	elems := make([]string, 0, s.len())
	s.each(func(member string) bool {
		elems = append(elems, member)
		return true
	})
	return elems
}

func (z zset) names() []string {
	elems := make([]string, 0, z.len())
	z.each(func(m zmember) bool {
		elems = append(elems, m.name)
		return true
	})
	return elems
}
