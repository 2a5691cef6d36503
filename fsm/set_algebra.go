package fsm

import (
	"slices"

	"phonond/redisproto/resp"
)

// setOp makes one set of several, of which those with a nil dict are of keys
// that are not there.
type setOp func(h hasher, sets []set) set

func sunionCmd(v *View, args [][]byte) resp.Value { return v.combine(union, args[1:]) }
func sinterCmd(v *View, args [][]byte) resp.Value { return v.combine(intersect, args[1:]) }
func sdiffCmd(v *View, args [][]byte) resp.Value  { return v.combine(subtract, args[1:]) }

func (v *View) combine(op setOp, keys [][]byte) resp.Value {
	sets, ok := v.sets(keys)
	if !ok {
		return resp.ErrWrongType
	}
	return op(v.m.hasher(), sets).reply()
}

func sunionstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.combineStore(union, args, "sunionstore")
}
func sinterstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.combineStore(intersect, args, "sinterstore")
}
func sdiffstoreCmd(t *Tx, args [][]byte) resp.Value {
	return t.combineStore(subtract, args, "sdiffstore")
}

func (t *Tx) combineStore(op setOp, args [][]byte, event string) resp.Value {
	sets, ok := t.sets(args[2:])
	if !ok {
		return resp.ErrWrongType
	}
	result := op(t.m.hasher(), sets)
	t.replaceObject(args[1], result, event)
	return resp.Int(result.len())
}

// sets returns the sets under keys, ok false if one of them holds another type.
func (v *View) sets(keys [][]byte) (sets []set, ok bool) {
	sets = make([]set, len(keys))
	for i, key := range keys {
		if sets[i], ok = get[set](v, key); !ok {
			return nil, false
		}
	}
	return sets, true
}

func union(h hasher, sets []set) set {
	result := newSet(h)
	for _, s := range sets {
		if result.len() == 0 && s.dict != nil {
			result = set{s.dict.edit()}
			continue
		}
		s.each(func(member string) bool {
			result.add(member)
			return true
		})
	}
	return result
}

func intersect(h hasher, sets []set) set {
	result := newSet(h)
	eachCommon(sets, func(member string) bool {
		result.add(member)
		return true
	})
	return result
}

// eachCommon calls f for each member that all the sets have until it returns
// false. It takes the time of going through the smallest.
func eachCommon(sets []set, f func(member string) bool) {
	sets = slices.Clone(sets)
	slices.SortFunc(sets, func(a, b set) int { return a.len() - b.len() })
	sets[0].each(func(member string) bool {
		for _, s := range sets[1:] {
			if !s.has([]byte(member)) {
				return true
			}
		}
		return f(member)
	})
}

func subtract(h hasher, sets []set) set {
	result := newSet(h)
	sets[0].each(func(member string) bool {
		if !slices.ContainsFunc(sets[1:], func(s set) bool { return s.has([]byte(member)) }) {
			result.add(member)
		}
		return true
	})
	return result
}

func sintercardCmd(v *View, args [][]byte) resp.Value {
	keys, rest, fault := parseNumKeys(args[1:])
	if fault.IsError() {
		return fault
	}
	limit, fault := parseLimitOption(rest)
	if fault.IsError() {
		return fault
	}
	sets, ok := v.sets(keys)
	if !ok {
		return resp.ErrWrongType
	}
	n := int64(0)
	eachCommon(sets, func(string) bool {
		n++
		return n != limit
	})
	return resp.Int64(n)
}

// parseNumKeys reads a count of keys, and the keys, of SINTERCARD and the like.
func parseNumKeys(args [][]byte) (keys, rest [][]byte, fault resp.Value) {
	n, ok := parseInt(args[0])
	switch {
	case !ok || n <= 0:
		return nil, nil, errAtLeast("numkeys")
	case n > int64(len(args)-1):
		return nil, nil, resp.Err("ERR Number of keys can't be greater than number of args")
	}
	return args[1 : 1+n], args[1+n:], resp.Value{}
}

// parseLimitOption reads the option LIMIT of SINTERCARD and ZINTERCARD, 0 for no
// limit.
func parseLimitOption(args [][]byte) (limit int64, fault resp.Value) {
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) || !is(args[i], "LIMIT") {
			return 0, resp.ErrSyntax
		}
		var ok bool
		if limit, ok = parseCount(args[i+1]); !ok {
			return 0, resp.Err("ERR LIMIT can't be negative")
		}
	}
	return limit, resp.Value{}
}
