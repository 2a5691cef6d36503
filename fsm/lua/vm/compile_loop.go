package vm

func (c *compiler) while(s *whileStmt) exec {
	cond, cost := c.condition(s.cond)
	body := c.block(s.body)
	body.cost += cost
	return func(fr *frame) signal {
		for cond(fr).Truth() {
			switch sig := body.run(fr); sig {
			case breakLoop:
				return proceed
			case returned, tailCalled:
				return sig
			}
		}
		return proceed
	}
}

func (c *compiler) repeat(s *repeatStmt) exec {
	body := c.block(s.body)
	cond, cost := c.condition(s.cond)
	body.cost += cost
	return func(fr *frame) signal {
		for {
			switch sig := body.run(fr); sig {
			case breakLoop:
				return proceed
			case returned, tailCalled:
				return sig
			}
			if cond(fr).Truth() {
				return proceed
			}
		}
	}
}

func (c *compiler) ifElse(s *ifStmt) exec {
	conds := make([]eval, len(s.conds))
	thens := make([]*block, len(s.conds))
	for i := range s.conds {
		conds[i] = c.expr(s.conds[i])
		thens[i] = c.block(s.thens[i])
	}
	other := c.block(s.other)
	if len(conds) == 1 {
		cond, then, hasOther := conds[0], thens[0], len(s.other) > 0
		return func(fr *frame) signal {
			if cond(fr).Truth() {
				return then.run(fr)
			}
			if hasOther {
				return other.run(fr)
			}
			return proceed
		}
	}
	return func(fr *frame) signal {
		for i, cond := range conds {
			if cond(fr).Truth() {
				return thens[i].run(fr)
			}
		}
		return other.run(fr)
	}
}

func (c *compiler) numericFor(s *numericFor) exec {
	start, limit := c.expr(s.start), c.expr(s.limit)
	step := eval(func(*frame) Value { return Num(1) })
	if s.step != nil {
		step = c.expr(s.step)
	}
	set := declare(s.v)
	body := c.block(s.body)
	at := &site{line: s.line}
	return func(fr *frame) signal {
		from := loopNumber(fr, at, start, "initial")
		to := loopNumber(fr, at, limit, "limit")
		by := loopNumber(fr, at, step, "step")
		if by > 0 && !(from <= to) || by <= 0 && !(to <= from) {
			return proceed
		}
		for i := from; ; {
			set(fr, Num(i))
			switch sig := body.run(fr); sig {
			case breakLoop:
				return proceed
			case returned, tailCalled:
				return sig
			}
			i += by
			if by > 0 && !(i <= to) || by <= 0 && !(to <= i) {
				return proceed
			}
		}
	}
}

func loopNumber(fr *frame, at *site, e eval, what string) float64 {
	f, ok := e(fr).ToNumber()
	if !ok {
		fr.site = at
		if what == "initial" {
			fr.st.fail("'for' initial value must be a number")
		}
		fr.st.fail("'for' %s must be a number", what)
	}
	return f
}

func (c *compiler) genericFor(s *genericFor) exec {
	values := c.adjusted(s.values, 3)
	sets := make([]func(*frame, Value), len(s.vars))
	for i, v := range s.vars {
		sets[i] = declare(v)
	}
	body := c.block(s.body)
	base := s.base
	at := &site{line: s.line}
	return func(fr *frame) signal {
		st := fr.st
		m := st.stack.mark()
		hidden := fr.regs[base : base+3]
		copy(hidden, values(fr))
		st.stack.release(m)
		for {
			args := st.alloc(2)
			args[0], args[1] = hidden[1], hidden[2]
			fr.site = at
			rets := st.call(hidden[0], args, at)
			st.stack.release(m)
			if len(rets) == 0 || rets[0].IsNil() {
				return proceed
			}
			hidden[2] = rets[0]
			for i, set := range sets {
				if i < len(rets) {
					set(fr, rets[i])
				} else {
					set(fr, Nil)
				}
			}
			switch sig := body.run(fr); sig {
			case breakLoop:
				return proceed
			case returned, tailCalled:
				return sig
			}
		}
	}
}

// condition compiles a loop's condition, and says what it costs each time.
func (c *compiler) condition(e expression) (eval, int64) {
	before := c.cost
	cond := c.expr(e)
	return cond, c.cost - before
}
