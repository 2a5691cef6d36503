package vm

func (c *compiler) unary(e *unaryExpr) eval {
	operand := c.expr(e.operand)
	at := describe(e.operand, e.line)
	switch e.op {
	case "not":
		return func(fr *frame) Value { return Bool(!operand(fr).Truth()) }
	case "-":
		return func(fr *frame) Value {
			v := operand(fr)
			if _, ok := v.ref.(number); ok {
				return Num(-v.num)
			}
			fr.site = at
			return fr.st.negate(v, at)
		}
	}
	return func(fr *frame) Value {
		v := operand(fr)
		fr.site = at
		return fr.st.length(v, at)
	}
}

func (c *compiler) binary(e *binaryExpr) eval {
	switch e.op {
	case "and":
		l, r := c.expr(e.left), c.expr(e.right)
		return func(fr *frame) Value {
			if v := l(fr); !v.Truth() {
				return v
			}
			return r(fr)
		}
	case "or":
		l, r := c.expr(e.left), c.expr(e.right)
		return func(fr *frame) Value {
			if v := l(fr); v.Truth() {
				return v
			}
			return r(fr)
		}
	case "..":
		return c.concat(e)
	}
	both := c.operands(e)
	at := &site{line: e.line}
	switch e.op {
	case "==":
		return func(fr *frame) Value {
			a, b := both(fr)
			fr.site = at
			return Bool(fr.st.equal(a, b))
		}
	case "~=":
		return func(fr *frame) Value {
			a, b := both(fr)
			fr.site = at
			return Bool(!fr.st.equal(a, b))
		}
	case "<", ">", "<=", ">=":
		swap, less := e.op[0] == '>', (*State).Less
		if len(e.op) == 2 {
			less = (*State).lessEqual
		}
		return func(fr *frame) Value {
			a, b := both(fr)
			if swap {
				a, b = b, a
			}
			fr.site = at
			return Bool(less(fr.st, a, b))
		}
	}
	return arithmetic(e, both)
}

// operands evaluates two operands; the first is on the stack while the second runs.
func (c *compiler) operands(e *binaryExpr) func(fr *frame) (a, b Value) {
	l, r := c.expr(e.left), c.expr(e.right)
	if plain(e.right) {
		return func(fr *frame) (a, b Value) {
			a = l(fr)
			return a, r(fr)
		}
	}
	return func(fr *frame) (a, b Value) {
		m := fr.st.stack.mark()
		held := fr.st.alloc(1)
		held[0] = l(fr)
		b = r(fr)
		a = held[0]
		fr.st.stack.release(m)
		return a, b
	}
}

func arithmetic(e *binaryExpr, both func(fr *frame) (a, b Value)) eval {
	left, right := describe(e.left, e.line), describe(e.right, e.line)
	op := foldable[e.op]
	slow := func(fr *frame, a, b Value) Value {
		fr.site = left
		return fr.st.arith(op, a, b, left, right)
	}
	switch e.op {
	case "+":
		return func(fr *frame) Value {
			if a, b := both(fr); areNumbers(a, b) {
				return Num(a.num + b.num)
			} else {
				return slow(fr, a, b)
			}
		}
	case "-":
		return func(fr *frame) Value {
			if a, b := both(fr); areNumbers(a, b) {
				return Num(a.num - b.num)
			} else {
				return slow(fr, a, b)
			}
		}
	case "*":
		return func(fr *frame) Value {
			if a, b := both(fr); areNumbers(a, b) {
				return Num(a.num * b.num)
			} else {
				return slow(fr, a, b)
			}
		}
	}
	fn := op.fn
	return func(fr *frame) Value {
		if a, b := both(fr); areNumbers(a, b) {
			return Num(fn(a.num, b.num))
		} else {
			return slow(fr, a, b)
		}
	}
}

func areNumbers(a, b Value) bool {
	_, oka := a.ref.(number)
	_, okb := b.ref.(number)
	return oka && okb
}

// concat compiles a chain of concatenations as one operation, as they bind to the
// right.
func (c *compiler) concat(e *binaryExpr) eval {
	var parts []expression
	for next := expression(e); ; {
		b, ok := next.(*binaryExpr)
		if !ok || b.op != ".." {
			parts = append(parts, next)
			break
		}
		parts = append(parts, b.left)
		next = b.right
	}
	evals := c.exprs(parts)
	sites := make([]*site, len(parts))
	for i, p := range parts {
		sites[i] = describe(p, e.line)
	}
	return func(fr *frame) Value {
		st := fr.st
		m := st.stack.mark()
		vs := st.alloc(len(evals))
		for i, e := range evals {
			vs[i] = e(fr)
		}
		fr.site = sites[0]
		v := st.concat(vs, sites)
		st.stack.release(m)
		return v
	}
}
