package vm

func (c *compiler) expr(e expression) eval {
	c.down()
	defer c.up()
	switch e := e.(type) {
	case *constExpr:
		v := e.v
		return func(*frame) Value { return v }
	case *varargExpr:
		return func(fr *frame) Value {
			if len(fr.varargs) > 0 {
				return fr.varargs[0]
			}
			return Nil
		}
	case *localExpr:
		slot := e.v.slot
		if e.v.captured {
			return func(fr *frame) Value { return fr.regs[slot].ref.(*cell).v }
		}
		return func(fr *frame) Value { return fr.regs[slot] }
	case *upvalExpr:
		index := e.index
		return func(fr *frame) Value { return fr.fn.up[index].v }
	case *globalExpr:
		name, at := constant(e.name), &site{line: e.line}
		return func(fr *frame) Value {
			if v := fr.st.Globals.getString(name); !v.IsNil() {
				return v
			}
			fr.site = at
			return fr.st.index(Value{ref: fr.st.Globals}, Value{ref: name}, at)
		}
	case *indexExpr:
		return c.index(e)
	case *callExpr:
		call := c.call(e)
		return func(fr *frame) Value {
			if rets := call(fr); len(rets) > 0 {
				return rets[0]
			}
			return Nil
		}
	case *binaryExpr:
		return c.binary(e)
	case *unaryExpr:
		return c.unary(e)
	case *parenExpr:
		return c.expr(e.inner)
	case *tableExpr:
		return c.table(e)
	case *functionExpr:
		return c.closure(e)
	}
	panic("vm: unknown expression")
}

// multi compiles what may have any number of values, and returns nil for all else.
func (c *compiler) multi(e expression) evalMulti {
	switch e := e.(type) {
	case *callExpr:
		return c.call(e)
	case *varargExpr:
		return func(fr *frame) []Value { return fr.varargs }
	}
	return nil
}

func (c *compiler) index(e *indexExpr) eval {
	object := c.expr(e.object)
	at := describe(e.object, e.line)
	if k, ok := e.key.(*constExpr); ok {
		key := k.v
		if name, ok := key.ref.(*String); ok {
			return func(fr *frame) Value {
				v := object(fr)
				if t, ok := v.ref.(*Table); ok {
					if r := t.getString(name); !r.IsNil() {
						return r
					}
				}
				fr.site = at
				return fr.st.index(v, key, at)
			}
		}
	}
	key := c.expr(e.key)
	if plain(e.key) {
		return func(fr *frame) Value {
			v, k := object(fr), key(fr)
			if t, ok := v.ref.(*Table); ok {
				if r := t.Get(k); !r.IsNil() {
					return r
				}
			}
			fr.site = at
			return fr.st.index(v, k, at)
		}
	}
	return func(fr *frame) Value {
		m := fr.st.stack.mark()
		held := fr.st.alloc(1)
		held[0] = object(fr)
		k := key(fr)
		fr.site = at
		v := fr.st.index(held[0], k, at)
		fr.st.stack.release(m)
		return v
	}
}

// callee returns what puts the function, and the object of a method, into the
// first places of a call's part of the stack.
func (c *compiler) callee(e *callExpr) (callee func(fr *frame, places []Value), places int, at *site) {
	if e.method == "" {
		fn := c.expr(e.fn)
		return func(fr *frame, vs []Value) { vs[0] = fn(fr) }, 1, describe(e.fn, e.line)
	}
	object, name := c.expr(e.fn), Const(e.method)
	self := describe(e.fn, e.line)
	return func(fr *frame, vs []Value) {
		vs[1] = object(fr)
		fr.site = self
		vs[0] = fr.st.index(vs[1], name, self)
	}, 2, &site{e.line, "method", e.method}
}

func (c *compiler) call(e *callExpr) evalMulti {
	args := c.arguments(e)
	at := args.at
	return func(fr *frame) []Value {
		st := fr.st
		m := st.stack.mark()
		vs := args.eval(fr)
		fr.site = at
		var rets []Value
		if n, ok := vs[0].ref.(*Native); ok {
			rets = st.callNative(n, vs[1:])
		} else {
			rets = st.call(vs[0], vs[1:], at)
		}
		st.stack.release(m)
		return rets
	}
}

func (c *compiler) tailCall(e *callExpr) exec {
	args := c.arguments(e)
	at := args.at
	return func(fr *frame) signal {
		st := fr.st
		m := st.stack.mark()
		vs := args.eval(fr)
		fr.site = at
		if fn, ok := vs[0].ref.(*Closure); ok {
			st.tailFn = fn
			st.tailArgs = append(st.tailArgs[:0], vs[1:]...)
			return tailCalled
		}
		st.call(vs[0], vs[1:], at)
		st.stack.release(m)
		return returned
	}
}

// arguments evaluates a call's function and arguments onto the stack.
type arguments struct {
	callee func(fr *frame, places []Value)
	first  int // places before the arguments
	single []eval
	rest   evalMulti
	at     *site
}

func (c *compiler) arguments(e *callExpr) *arguments {
	a := &arguments{}
	a.callee, a.first, a.at = c.callee(e)
	single := e.args
	if n := len(e.args); n > 0 {
		if a.rest = c.multi(e.args[n-1]); a.rest != nil {
			single = e.args[:n-1]
		}
	}
	a.single = c.exprs(single)
	return a
}

func (a *arguments) eval(fr *frame) []Value {
	vs := fr.st.alloc(a.first + len(a.single))
	a.callee(fr, vs)
	for i, e := range a.single {
		vs[a.first+i] = e(fr)
	}
	if a.rest == nil {
		return vs
	}
	rest := a.rest(fr)
	if len(rest) == 0 {
		return vs
	}
	all := fr.st.alloc(len(vs) + len(rest))
	copy(all[copy(all, vs):], rest)
	return all
}

func (c *compiler) closure(e *functionExpr) eval {
	p := compile(c.source, e.f)
	return func(fr *frame) Value {
		st := fr.st
		st.Charge(closureBytes + 8*len(p.upvalues))
		f := &Closure{proto: p, id: st.newID()}
		if len(p.upvalues) > 0 {
			f.up = make([]*cell, len(p.upvalues))
			for i, u := range p.upvalues {
				if u.local {
					f.up[i] = fr.regs[u.index].ref.(*cell)
				} else {
					f.up[i] = fr.fn.up[u.index]
				}
			}
		}
		return Value{ref: f}
	}
}

// itemsPerFlush is how many items of a constructor wait before they are stored, in the
// reference implementation.
const itemsPerFlush = 50

func (c *compiler) table(e *tableExpr) eval {
	items := e.items
	var rest evalMulti
	if n := len(e.order); n > 0 && e.order[n-1] {
		if rest = c.multi(items[len(items)-1]); rest != nil {
			items = items[:len(items)-1]
		}
	}
	itemEvals := c.exprs(items)
	keys, values := c.exprs(e.keys), c.exprs(e.values)
	at := &site{line: e.line}
	order, arrayHint, hashHint := e.order, sizeHint(len(items)), sizeHint(len(keys))
	if rest != nil {
		order = order[:len(order)-1]
	}
	return func(fr *frame) Value {
		st := fr.st
		m := st.stack.mark()
		held := st.alloc(1 + min(len(itemEvals), itemsPerFlush))
		t := st.NewTable(arrayHint, hashHint)
		held[0] = Value{ref: t}
		waiting := held[1:1]
		item, field := 0, 0
		flush := func() {
			for i, v := range waiting {
				t.put(st, Int(item-len(waiting)+i+1), v)
			}
			waiting = waiting[:0]
		}
		for _, isItem := range order {
			if isItem {
				if len(waiting) == itemsPerFlush {
					flush()
				}
				v := itemEvals[item](fr)
				waiting = append(waiting, v)
				item++
				continue
			}
			inner := st.stack.mark()
			pair := st.alloc(2)
			pair[0] = keys[field](fr)
			pair[1] = values[field](fr)
			fr.site = at
			st.setIndex(held[0], pair[0], pair[1], at)
			st.stack.release(inner)
			field++
		}
		if rest != nil {
			more := rest(fr)
			if len(waiting) == itemsPerFlush && len(more) > 0 {
				flush()
			}
			if n := item + len(more); n > len(t.array) {
				t.resize(st, n, len(t.nodes))
			}
			for i, v := range more {
				t.put(st, Int(item+i+1), v)
			}
		}
		flush()
		st.stack.release(m)
		return held[0]
	}
}

// sizeHint is what a constructor's size becomes in an instruction of the reference
// implementation: a mantissa of three bits and an exponent, rounded up (luaO_int2fb).
func sizeHint(n int) int {
	e := 0
	for n >= 16 {
		n = (n + 1) >> 1
		e++
	}
	return n << e
}
