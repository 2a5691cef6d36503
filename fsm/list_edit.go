package fsm

import (
	"math"

	"phonond/redisproto/resp"
)

func lindexCmd(v *View, args [][]byte) resp.Value {
	l, ok := get[list](v, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case l.len() == 0:
		return resp.Null
	}
	i, ok := parseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if element, ok := l.at(i); ok {
		return resp.Str(element)
	}
	return resp.Null
}

func lsetCmd(t *Tx, args [][]byte) resp.Value {
	l, ok := get[list](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case l.len() == 0:
		return resp.ErrNoSuchKey
	}
	i, ok := parseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if _, ok := l.at(i); !ok {
		return resp.ErrOutOfRange
	}
	if i < 0 {
		i += int64(l.len())
	}
	l = l.edit()
	l.set(i, string(args[3]))
	t.setObject(args[1], l, "lset")
	return resp.OK
}

func lremCmd(t *Tx, args [][]byte) resp.Value {
	count, ok := parseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	l, ok := get[list](&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	element, limit := string(args[3]), count
	var found []int // in the order in which they were found
	visit := func(i int, e string) bool {
		if e == element {
			found = append(found, i)
		}
		return limit == 0 || int64(len(found)) < limit
	}
	if count < 0 {
		if limit = -count; limit < 0 {
			limit = math.MaxInt64
		}
		l.eachBack(l.len()-1, visit)
	} else {
		l.each(0, visit)
	}
	if len(found) == 0 {
		return resp.Int(0)
	}
	gone := make(map[int]bool, len(found))
	for _, i := range found {
		gone[i] = true
	}
	t.setObject(args[1], l.rebuild(func(i int, e string, put func(string)) {
		if !gone[i] {
			put(e)
		}
	}), "lrem")
	return resp.Int(len(found))
}

// rebuild returns a list of what f puts for each element of l, in order.
func (l list) rebuild(f func(i int, element string, put func(string))) list {
	r := list{}.edit()
	l.each(0, func(i int, element string) bool {
		f(i, element, r.append)
		return true
	})
	return r
}

func linsertCmd(t *Tx, args [][]byte) resp.Value {
	after := is(args[2], "AFTER")
	if !after && !is(args[2], "BEFORE") {
		return resp.ErrSyntax
	}
	l, ok := get[list](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case l.len() == 0:
		return resp.Int(0)
	}
	pivot, done := string(args[3]), false
	r := l.rebuild(func(_ int, e string, put func(string)) {
		if done || e != pivot {
			put(e)
			return
		}
		done = true
		if after {
			put(e)
			put(string(args[4]))
		} else {
			put(string(args[4]))
			put(e)
		}
	})
	if !done {
		return resp.Int(-1)
	}
	t.setObject(args[1], r, "linsert")
	return resp.Int(r.len())
}

func ltrimCmd(t *Tx, args [][]byte) resp.Value {
	start, stop, ok := parseRange(args[2], args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	l, ok := get[list](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case l.len() == 0:
		return resp.OK
	}
	from, to := clampRange(start, stop, l.len())
	if kept := to - from + 1; kept < l.len()/2 {
		r := list{}.edit()
		l.each(from, func(i int, element string) bool {
			if i <= to {
				r.push(right, element)
			}
			return i < to
		})
		t.setObject(args[1], r, "ltrim")
	} else {
		l = l.edit()
		for range l.len() - 1 - to {
			l.pop(right)
		}
		for range from {
			l.pop(left)
		}
		t.setObject(args[1], l, "ltrim")
	}
	return resp.OK
}

func lposCmd(v *View, args [][]byte) resp.Value {
	rank, count, maxLen := int64(1), int64(-1), int64(0)
	for i := 3; i < len(args); i += 2 {
		if i+1 == len(args) {
			return resp.ErrSyntax
		}
		var ok bool
		switch arg := args[i+1]; {
		case is(args[i], "RANK"):
			if rank, ok = parseInt(arg); !ok {
				return resp.ErrNotInteger
			}
			if rank == 0 {
				return resp.Err("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
			}
		case is(args[i], "COUNT"):
			if count, ok = parseCount(arg); !ok {
				return resp.Err("ERR COUNT can't be negative")
			}
		case is(args[i], "MAXLEN"):
			if maxLen, ok = parseCount(arg); !ok {
				return resp.Err("ERR MAXLEN can't be negative")
			}
		default:
			return resp.ErrSyntax
		}
	}
	l, ok := get[list](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	found := l.positions(string(args[2]), rank, count, maxLen)
	switch {
	case count >= 0:
		return resp.List(found...)
	case len(found) == 0:
		return resp.Null
	}
	return found[0]
}

// positions returns where element is: from its rank-th occurrence on (from the
// end if that is negative), count of them (0 is all, -1 is one), looking at no
// more than maxLen elements (0 is all).
func (l list) positions(element string, rank, count, maxLen int64) (found []resp.Value) {
	each, from, skip := l.each, 0, rank-1
	if rank < 0 {
		each, from, skip = l.eachBack, l.len()-1, -rank-1
	}
	if rank == math.MinInt64 { // which has no negative: Redis passes over none
		skip = 0
	}
	if count == -1 {
		count = 1
	}
	looked := int64(0)
	each(from, func(i int, e string) bool {
		if e == element {
			if skip > 0 {
				skip--
			} else {
				found = append(found, resp.Int(i))
			}
		}
		looked++
		return (count == 0 || int64(len(found)) < count) && (maxLen == 0 || looked < maxLen)
	})
	return found
}
