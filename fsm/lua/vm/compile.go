package vm

// The compiler turns a function's tree into closures of Go, each of which evaluates
// one node: what is known of a node is decided once.

type (
	// eval evaluates to one value.
	eval func(fr *frame) Value
	// evalMulti evaluates to any number of values, valid until the next call.
	evalMulti func(fr *frame) []Value
	exec      func(fr *frame) signal
)

// block is a list of statements with the steps that they cost, less those of blocks
// within.
type block struct {
	stmts []exec
	cost  int64
}

func (b *block) run(fr *frame) signal {
	st := fr.st
	if st.fuel -= b.cost; st.fuel < 0 {
		st.refuel()
	}
	for _, s := range b.stmts {
		if sig := s(fr); sig != proceed {
			return sig
		}
	}
	return proceed
}

// Compile compiles a chunk; source is its name as Lua has it ("@user_script"). The
// error is a [*SyntaxError].
func Compile(source, text string) (p *Proto, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	return compile(source, parse(chunkName(source), text)), nil
}

// Load compiles a chunk for a running script, and charges it for that.
func (st *State) Load(source, text string) (Value, error) {
	st.Spend(len(text))
	st.Charge(len(text) * compiledBytes)
	p, err := Compile(source, text)
	if err != nil {
		return Nil, err
	}
	return Value{ref: &Closure{proto: p, id: st.newID()}}, nil
}

// compiledBytes is about what a byte of source becomes.
const compiledBytes = 24

type compiler struct {
	source string
	cost   int64 // nodes since the block began
	depth  int
	most   int
}

func compile(source string, f *function) *Proto {
	c := &compiler{source: source}
	p := &Proto{source: source, params: len(f.params), vararg: f.vararg, argTable: -1, upvalues: f.upvalues, slots: f.slots}
	for _, v := range f.params {
		if v.captured {
			p.captured = append(p.captured, v.slot)
		}
	}
	if f.argTable != nil {
		p.argTable = f.argTable.slot
		if f.argTable.captured {
			p.captured = append(p.captured, p.argTable)
		}
	}
	b := c.block(f.body)
	p.body, p.weight = *b, c.most+2
	return p
}

// down counts a level of the tree on the way down.
func (c *compiler) down() {
	c.cost++
	if c.depth++; c.depth > c.most {
		c.most = c.depth
	}
}

func (c *compiler) up() { c.depth-- }

func (c *compiler) block(body []statement) *block {
	outer := c.cost
	c.cost = 1
	b := &block{}
	c.down()
	for _, s := range body {
		b.stmts = append(b.stmts, c.statement(s))
	}
	c.up()
	b.cost = c.cost
	c.cost = outer
	return b
}

func (c *compiler) statement(s statement) exec {
	c.down()
	defer c.up()
	switch s := s.(type) {
	case *localStmt:
		return c.local(s)
	case *assignStmt:
		return c.assign(s)
	case *callStmt:
		call := c.call(s.call)
		return func(fr *frame) signal {
			call(fr)
			return proceed
		}
	case *doStmt:
		return c.block(s.body).run
	case *whileStmt:
		return c.while(s)
	case *repeatStmt:
		return c.repeat(s)
	case *ifStmt:
		return c.ifElse(s)
	case *numericFor:
		return c.numericFor(s)
	case *genericFor:
		return c.genericFor(s)
	case *localFunction:
		slot, captured := s.v.slot, s.v.captured
		f := c.closure(s.f)
		return func(fr *frame) signal {
			if captured {
				fr.regs[slot] = fr.st.newCell(Nil)
				fr.regs[slot].ref.(*cell).v = f(fr)
			} else {
				fr.regs[slot] = f(fr)
			}
			return proceed
		}
	case *returnStmt:
		return c.returns(s)
	case *breakStmt:
		return func(*frame) signal { return breakLoop }
	}
	panic("vm: unknown statement")
}

// declare returns what gives a new variable its first value.
func declare(v *variable) func(fr *frame, val Value) {
	slot := v.slot
	if v.captured {
		return func(fr *frame, val Value) { fr.regs[slot] = fr.st.newCell(val) }
	}
	return func(fr *frame, val Value) { fr.regs[slot] = val }
}

func (c *compiler) local(s *localStmt) exec {
	if len(s.vars) == 1 && len(s.values) <= 1 {
		value := eval(func(*frame) Value { return Nil })
		if len(s.values) == 1 {
			value = c.expr(s.values[0])
		}
		slot := s.vars[0].slot
		if s.vars[0].captured {
			return func(fr *frame) signal {
				fr.regs[slot] = fr.st.newCell(value(fr))
				return proceed
			}
		}
		return func(fr *frame) signal {
			fr.regs[slot] = value(fr)
			return proceed
		}
	}
	sets := make([]func(*frame, Value), len(s.vars))
	for i, v := range s.vars {
		sets[i] = declare(v)
	}
	values := c.adjusted(s.values, len(s.vars))
	return func(fr *frame) signal {
		m := fr.st.stack.mark()
		vs := values(fr)
		for i, set := range sets {
			set(fr, vs[i])
		}
		fr.st.stack.release(m)
		return proceed
	}
}

// adjusted evaluates a list to exactly n values, on the stack.
func (c *compiler) adjusted(list []expression, n int) evalMulti {
	single := list
	var last evalMulti
	if len(list) > 0 {
		if multi := c.multi(list[len(list)-1]); multi != nil {
			single, last = list[:len(list)-1], multi
		}
	}
	evals := c.exprs(single)
	return func(fr *frame) []Value {
		vs := fr.st.alloc(max(n, len(evals)))
		for i, e := range evals {
			vs[i] = e(fr)
		}
		if last != nil {
			if rest := last(fr); len(evals) < n {
				copy(vs[len(evals):n], rest)
			}
		}
		return vs
	}
}

// open evaluates a list to as many values as it has, on the stack.
func (c *compiler) open(list []expression) evalMulti {
	single := list
	var last evalMulti
	if len(list) > 0 {
		if multi := c.multi(list[len(list)-1]); multi != nil {
			single, last = list[:len(list)-1], multi
		}
	}
	evals := c.exprs(single)
	return func(fr *frame) []Value {
		vs := fr.st.alloc(len(evals))
		for i, e := range evals {
			vs[i] = e(fr)
		}
		if last == nil {
			return vs
		}
		rest := last(fr)
		if len(vs) == 0 {
			all := fr.st.alloc(len(rest))
			copy(all, rest)
			return all
		}
		all := fr.st.alloc(len(vs) + len(rest))
		copy(all[copy(all, vs):], rest)
		return all
	}
}

func (c *compiler) exprs(list []expression) []eval {
	evals := make([]eval, len(list))
	for i, e := range list {
		evals[i] = c.expr(e)
	}
	return evals
}

func (c *compiler) returns(s *returnStmt) exec {
	switch len(s.values) {
	case 0:
		return func(fr *frame) signal {
			fr.st.ret = fr.st.ret[:0]
			return returned
		}
	case 1:
		if call, ok := s.values[0].(*callExpr); ok {
			return c.tailCall(call)
		}
		if multi := c.multi(s.values[0]); multi != nil {
			return func(fr *frame) signal {
				fr.st.ReturnAll(multi(fr))
				return returned
			}
		}
		value := c.expr(s.values[0])
		return func(fr *frame) signal {
			v := value(fr)
			fr.st.ret = append(fr.st.ret[:0], v)
			return returned
		}
	}
	values := c.open(s.values)
	return func(fr *frame) signal {
		m := fr.st.stack.mark()
		vs := values(fr)
		fr.st.ret = append(fr.st.ret[:0], vs...)
		fr.st.stack.release(m)
		return returned
	}
}
