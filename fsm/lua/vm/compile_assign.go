package vm

func (c *compiler) assign(s *assignStmt) exec {
	if len(s.targets) == 1 && len(s.values) == 1 {
		return c.assignOne(s)
	}
	// Tables and keys come before values, and assignments go from the last to the first.
	type target struct {
		table, key eval
		set        func(fr *frame, table, key, val Value)
	}
	targets := make([]target, len(s.targets))
	for i, e := range s.targets {
		if x, ok := e.(*indexExpr); ok {
			at := describe(x.object, s.line)
			targets[i] = target{c.expr(x.object), c.expr(x.key), func(fr *frame, table, key, val Value) {
				fr.site = at
				fr.st.setIndex(table, key, val, at)
			}}
			continue
		}
		set := c.setVariable(e, s.line)
		targets[i].set = func(fr *frame, _, _, val Value) { set(fr, val) }
	}
	values := c.adjusted(s.values, len(s.targets))
	return func(fr *frame) signal {
		st := fr.st
		m := st.stack.mark()
		places := st.alloc(2 * len(targets))
		for i, t := range targets {
			if t.table != nil {
				places[2*i] = t.table(fr)
				places[2*i+1] = t.key(fr)
			}
		}
		vs := values(fr)
		for i := len(targets) - 1; i >= 0; i-- {
			targets[i].set(fr, places[2*i], places[2*i+1], vs[i])
		}
		st.stack.release(m)
		return proceed
	}
}

func (c *compiler) assignOne(s *assignStmt) exec {
	value := c.expr(s.values[0])
	x, ok := s.targets[0].(*indexExpr)
	if !ok {
		set := c.setVariable(s.targets[0], s.line)
		return func(fr *frame) signal {
			set(fr, value(fr))
			return proceed
		}
	}
	table, key := c.expr(x.object), c.expr(x.key)
	at := describe(x.object, lineOf(s.values[0], x.line))
	if plain(x.object) && plain(x.key) && plain(s.values[0]) {
		return func(fr *frame) signal {
			t, k, v := table(fr), key(fr), value(fr)
			fr.site = at
			fr.st.setIndex(t, k, v, at)
			return proceed
		}
	}
	return func(fr *frame) signal {
		st := fr.st
		m := st.stack.mark()
		held := st.alloc(3)
		held[0] = table(fr)
		held[1] = key(fr)
		held[2] = value(fr)
		fr.site = at
		st.setIndex(held[0], held[1], held[2], at)
		st.stack.release(m)
		return proceed
	}
}

// lineOf is the line where the evaluation of an expression ends.
func lineOf(e expression, otherwise int) int {
	switch e := e.(type) {
	case *indexExpr:
		return e.line
	case *binaryExpr:
		return e.line
	case *unaryExpr:
		return e.line
	case *functionExpr:
		return e.line
	}
	return otherwise
}

// setVariable returns what assigns to a variable that is there.
func (c *compiler) setVariable(e expression, line int) func(fr *frame, v Value) {
	switch e := e.(type) {
	case *localExpr:
		slot := e.v.slot
		if e.v.captured {
			return func(fr *frame, v Value) { fr.regs[slot].ref.(*cell).v = v }
		}
		return func(fr *frame, v Value) { fr.regs[slot] = v }
	case *upvalExpr:
		index := e.index
		return func(fr *frame, v Value) { fr.fn.up[index].v = v }
	case *globalExpr:
		name, at := Const(e.name), &site{line: line}
		return func(fr *frame, v Value) {
			fr.site = at
			fr.st.setIndex(Value{ref: fr.st.Globals}, name, v, at)
		}
	}
	panic("vm: cannot assign")
}

// plain reports whether an expression evaluates without running anything else, so that
// what is held meanwhile needs no place on the stack.
func plain(e expression) bool {
	switch e.(type) {
	case *constExpr, *localExpr, *upvalExpr:
		return true
	}
	return false
}

// describe tells how errors call the value of an expression.
func describe(e expression, line int) *site {
	at := &site{line: line}
	for {
		p, ok := e.(*parenExpr)
		if !ok {
			break
		}
		e = p.inner
	}
	switch e := e.(type) {
	case *localExpr:
		at.kind, at.name = "local", e.v.name
	case *upvalExpr:
		at.kind, at.name = "upvalue", e.name
	case *globalExpr:
		at.kind, at.name = "global", e.name
	case *indexExpr:
		at.kind, at.name = "field", "?"
		if key, ok := e.key.(*constExpr); ok {
			if s, ok := key.v.Text(); ok {
				at.name = s
			}
		}
	}
	return at
}
