package vm

// Closure is a function of a script.
type Closure struct {
	proto *Proto
	up    []*cell
	id    uint32
	mark  uint32
}

// Native is a function of the host. Its arguments are valid while it runs; it returns
// what [State.Return] makes.
type Native struct {
	fn   func(st *State, args []Value) []Value
	held []Value // nil for those that states share
	mark uint32
}

// cell is a variable that a closure shares with the function that declares it.
type cell struct {
	v    Value
	mark uint32
}

// Proto is a compiled function.
type Proto struct {
	source   string // as Compile got it
	params   int
	slots    int
	captured []int // parameters that live in cells
	vararg   bool
	argTable int // the register of the old-fashioned table `arg`, -1 if there is none
	upvalues []upvalue
	body     block
	weight   int
}

// upvalue says where a new closure finds a variable: in the registers of the function
// that makes it, or among that one's own.
type upvalue struct {
	name  string
	local bool
	index int
}

// signal says how a statement ended.
type signal int

const (
	proceed signal = iota
	breakLoop
	returned
	tailCalled
)

const nativeWeight = 6

// Call calls a function on behalf of a library. The results are valid until the next call.
func (st *State) Call(f Value, args ...Value) []Value {
	m := st.stack.mark()
	a := st.alloc(len(args) + 1)
	a[0] = f
	copy(a[1:], args)
	rets := st.call(f, a[1:], nil)
	st.stack.release(m)
	return rets
}

// call calls any value. Native code runs at its own depth of Go's stack, so that
// calls through it count more.
func (st *State) call(f Value, args []Value, at *site) []Value {
	switch fn := f.ref.(type) {
	case *Native:
		return st.callNative(fn, args)
	case *Closure:
		if at == nil {
			st.nest()
			rets := st.callLua(fn, args)
			st.nested--
			return rets
		}
		return st.callLua(fn, args)
	}
	meta := st.metafield(f, metaCall)
	if meta.IsNil() || !meta.IsFunction() {
		st.typeError("call", f, at)
	}
	all := st.alloc(len(args) + 1)
	all[0] = f
	copy(all[1:], args)
	return st.call(meta, all, at)
}

// nest counts a call of a script by a library.
func (st *State) nest() {
	if st.nested >= maxNested {
		st.fail("C stack overflow")
	}
	st.nested++
}

func (st *State) callNative(fn *Native, args []Value) []Value {
	fr := st.push(nil, nativeWeight)
	fr.regs, fr.varargs = nil, nil
	st.Spend(2)
	rets := fn.fn(st, args)
	st.pop(nativeWeight)
	return rets
}

func (st *State) callLua(fn *Closure, args []Value) []Value {
	weight := fn.proto.weight
	fr := st.push(fn, weight)
	m := st.stack.mark()
	for {
		st.enter(fr, fn.proto, args)
		sig := fn.proto.body.run(fr)
		if sig != tailCalled {
			if sig == proceed {
				st.ret = st.ret[:0]
			}
			st.stack.release(m)
			st.pop(weight)
			return st.ret
		}
		fn = st.tailFn
		st.stack.release(m)
		args = st.alloc(len(st.tailArgs))
		copy(args, st.tailArgs)
		if more := fn.proto.weight - weight; more > 0 {
			if st.weight+more > maxWeight {
				st.fail("stack overflow")
			}
			st.weight += more
			weight += more
		}
		fr.fn, fr.site = fn, nil
		fr.tails++
	}
}

// enter gives a call its registers and puts the arguments there.
func (st *State) enter(fr *frame, p *Proto, args []Value) {
	st.Spend(2)
	regs := st.alloc(p.slots)
	fr.regs, fr.varargs = regs, nil
	copy(regs[:p.params], args)
	if p.vararg && len(args) > p.params {
		fr.varargs = args[p.params:]
	}
	for _, i := range p.captured {
		regs[i] = st.newCell(regs[i])
	}
	if p.argTable >= 0 {
		t := st.NewTable(len(fr.varargs), 1)
		copy(t.array, fr.varargs)
		t.put(st, constN, Int(len(fr.varargs)))
		if v := (Value{ref: t}); isCell(regs[p.argTable]) {
			regs[p.argTable].ref.(*cell).v = v
		} else {
			regs[p.argTable] = v
		}
	}
}

var constN = Const("n")

func isCell(v Value) bool { _, ok := v.ref.(*cell); return ok }

func (st *State) newCell(v Value) Value {
	st.Charge(cellBytes)
	return Value{ref: &cell{v: v}}
}

// PCall calls a function and catches the error that it raises; the results are valid
// until the next call. An [*Abort] is not caught.
func (st *State) PCall(f Value, args []Value) (rets []Value, caught *Error) {
	depth, weight, nested, pinned, m := st.depth, st.weight, st.nested, st.pinned, st.stack.mark()
	st.nest()
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			st.depth, st.weight, st.nested, st.pinned = depth, weight, nested, pinned
			st.stack.release(m)
			caught = e
		}
	}()
	rets = st.call(f, args, &site{})
	st.nested--
	st.stack.release(m)
	return rets, nil
}
