package lib

import "phonond/fsm/lua/vm"

// Table returns the library table.
func Table() *vm.Table {
	t := vm.NewShared()
	define(t, map[string]native{
		"concat":   tableConcat,
		"foreach":  forEach,
		"foreachi": forEachIndex,
		"getn":     func(st *vm.State, args []vm.Value) []vm.Value { return st.Return(vm.Int(table(st, args, 1).Len())) },
		"insert":   insert,
		"maxn":     maxn,
		"remove":   remove,
		"setn": func(st *vm.State, args []vm.Value) []vm.Value {
			table(st, args, 1)
			st.Errorf("'setn' is obsolete")
			return nil
		},
		"sort": tableSort,
	})
	return t
}

func tableConcat(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	sep := optText(st, args, 2, "")
	from := optCint(st, args, 3, 1)
	to := 0
	if arg(args, 4).IsNil() {
		to = t.Len()
	} else {
		to = cint(st, args, 4)
	}
	b := buffer{st: st}
	for i := from; i <= to; i++ {
		st.Spend(1)
		v := t.GetInt(i)
		s, ok := v.ToText()
		if !ok {
			st.Errorf("invalid value (%s) at index %d in table for 'concat'", v.Type(), i)
		}
		b.add(s)
		if i < to {
			b.add(sep)
		}
	}
	return st.Return(b.value())
}

func forEach(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	f := function(st, args, 2)
	for k, v, ok := t.Next(vm.Nil); !k.IsNil(); k, v, ok = t.Next(k) {
		if !ok {
			st.Throw(st.NewString("invalid key to 'next'"))
		}
		if rets := st.Call(f, k, v); len(rets) > 0 && !rets[0].IsNil() {
			return st.Return(rets[0])
		}
	}
	return st.Return()
}

func forEachIndex(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	f := function(st, args, 2)
	for i, n := 1, t.Len(); i <= n; i++ {
		if rets := st.Call(f, vm.Int(i), t.GetInt(i)); len(rets) > 0 && !rets[0].IsNil() {
			return st.Return(rets[0])
		}
	}
	return st.Return()
}

func insert(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	e := t.Len() + 1
	at := e
	switch len(args) {
	case 2:
	case 3:
		at = cint(st, args, 2)
		e = max(e, at)
		for i := e; i > at; i-- {
			st.Spend(1)
			st.RawSet(t, vm.Int(i), t.GetInt(i-1))
		}
	default:
		st.Errorf("wrong number of arguments to 'insert'")
	}
	st.RawSet(t, vm.Int(at), args[len(args)-1])
	return st.Return()
}

func remove(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	e := t.Len()
	at := optCint(st, args, 2, e)
	if at < 1 || at > e {
		return st.Return()
	}
	v := t.GetInt(at)
	for ; at < e; at++ {
		st.Spend(1)
		st.RawSet(t, vm.Int(at), t.GetInt(at+1))
	}
	st.RawSet(t, vm.Int(e), vm.Nil)
	return st.Return(v)
}

func maxn(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	most := 0.0
	for k, _, _ := t.Next(vm.Nil); !k.IsNil(); k, _, _ = t.Next(k) {
		st.Spend(1)
		if f, ok := k.Number(); ok {
			most = max(most, f)
		}
	}
	return st.Return(vm.Num(most))
}

func tableSort(st *vm.State, args []vm.Value) []vm.Value {
	t := table(st, args, 1)
	n := t.Len()
	s := sorter{st: st, t: t}
	if !arg(args, 2).IsNil() {
		s.less = function(st, args, 2)
	}
	s.sort(1, n)
	return st.Return()
}

// sorter is the quicksort of the reference implementation (auxsort): which of two
// equal elements comes first, and what a comparison that contradicts itself does,
// follow from it.
type sorter struct {
	st   *vm.State
	t    *vm.Table
	less vm.Value
}

func (s *sorter) before(a, b vm.Value) bool {
	s.st.Spend(1)
	if s.less.IsNil() {
		return s.st.Less(a, b)
	}
	rets := s.st.Call(s.less, a, b)
	return len(rets) > 0 && rets[0].Truth()
}

func (s *sorter) set(i int, v vm.Value) { s.st.RawSet(s.t, vm.Int(i), v) }

// order puts t[i] and t[j] in order.
func (s *sorter) order(i, j int) {
	if a, b := s.t.GetInt(i), s.t.GetInt(j); s.before(b, a) {
		s.swap(i, j, a, b)
	}
}

func (s *sorter) swap(i, j int, a, b vm.Value) {
	s.set(i, b)
	s.set(j, a)
}

func (s *sorter) sort(l, u int) {
	for l < u {
		s.order(l, u)
		if u-l == 1 {
			return
		}
		i := (l + u) / 2
		if a, b := s.t.GetInt(i), s.t.GetInt(l); s.before(a, b) {
			s.swap(i, l, a, b)
		} else if b = s.t.GetInt(u); s.before(b, a) {
			s.swap(i, u, a, b)
		}
		if u-l == 2 {
			return
		}
		pivot := s.t.GetInt(i)
		s.swap(i, u-1, pivot, s.t.GetInt(u-1))
		i, j := l, u-1
		for {
			var a, b vm.Value
			for i++; ; i++ {
				if a = s.t.GetInt(i); !s.before(a, pivot) {
					break
				}
				if i > u {
					s.st.Errorf("invalid order function for sorting")
				}
			}
			for j--; ; j-- {
				if b = s.t.GetInt(j); !s.before(pivot, b) {
					break
				}
				if j < l {
					s.st.Errorf("invalid order function for sorting")
				}
			}
			if j < i {
				break
			}
			s.swap(i, j, a, b)
		}
		s.swap(u-1, i, s.t.GetInt(u-1), s.t.GetInt(i))
		// The smaller half first: the recursion is no deeper than the logarithm.
		if i-l < u-i {
			j, i, l = l, i-1, i+1
		} else {
			j, i, u = i+1, u, i-1
		}
		s.sort(j, i)
	}
}
