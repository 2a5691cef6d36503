package vm

// memory counts what a run has taken, and now and then what of it can still be
// reached. It is the collector's view without the collecting: Go does that.
type memory struct {
	limit  int
	used   int // reachable at the last look, and all that was taken since
	pinned int // held by libraries beside the stack
	epoch  uint32
}

const (
	stringBytes  = 48
	closureBytes = 80
	cellBytes    = 32
)

func (m *memory) reset(limit int) { m.limit, m.used, m.pinned = limit, 0, 0 }

// Charge accounts for n bytes that are about to be taken. It ends the run if they
// would be too many.
func (st *State) Charge(n int) {
	if st.used += n; st.used > st.limit {
		st.survey(n)
	}
}

// survey ends the run unless a good part of the memory proves to be garbage, so
// that there are few surveys.
func (st *State) survey(n int) {
	if n > st.limit {
		st.abort("script ran out of memory")
	}
	live := st.reachable() + st.pinned + n
	if live > st.limit-st.limit/4 {
		st.abort("script ran out of memory")
	}
	st.used = live
}

// Pin accounts for n bytes that a library holds while it runs, n negative when it lets
// go. They count in full, whatever is garbage.
func (st *State) Pin(n int) {
	st.pinned += n
	if n > 0 {
		st.Charge(n)
	}
}

// reachable walks over all that the run can still use.
func (st *State) reachable() int {
	st.epoch++
	w := walker{epoch: st.epoch}
	w.table(st.Globals)
	w.table(st.Strings)
	for i := 0; i < st.stack.at; i++ {
		w.values(st.stack.segments[i])
		w.bytes += len(st.stack.segments[i]) * valueBytes
	}
	w.values(st.stack.segments[st.stack.at][:st.stack.top])
	w.values(st.ret)
	w.values(st.tailArgs)
	for _, fr := range st.frames[:st.depth] {
		if fr.fn != nil {
			w.value(Value{ref: fr.fn})
		}
	}
	for len(w.todo) > 0 {
		t := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.contents(t)
	}
	return w.bytes
}

type walker struct {
	epoch uint32
	bytes int
	todo  []Value // tables, closures and cells whose contents are to be looked at
}

func (w *walker) values(vs []Value) {
	for i := range vs {
		w.value(vs[i])
	}
}

func (w *walker) table(t *Table) {
	if t != nil {
		w.value(Value{ref: t})
	}
}

func (w *walker) value(v Value) {
	switch x := v.ref.(type) {
	case *String:
		if !x.shared && x.mark != w.epoch {
			x.mark = w.epoch
			w.bytes += stringBytes + len(x.s)
		}
	case *Table:
		if !x.shared && x.mark != w.epoch {
			x.mark = w.epoch
			w.bytes += tableBytes + len(x.array)*valueBytes + len(x.nodes)*nodeBytes
			w.todo = append(w.todo, v)
		}
	case *Closure:
		if x.mark != w.epoch {
			x.mark = w.epoch
			w.bytes += closureBytes + len(x.up)*8
			w.todo = append(w.todo, v)
		}
	case *Native:
		if x.held != nil && x.mark != w.epoch {
			x.mark = w.epoch
			w.bytes += closureBytes + len(x.held)*valueBytes
			w.todo = append(w.todo, v)
		}
	case *cell:
		if x.mark != w.epoch {
			x.mark = w.epoch
			w.bytes += cellBytes
			w.todo = append(w.todo, v)
		}
	}
}

func (w *walker) contents(v Value) {
	switch x := v.ref.(type) {
	case *Table:
		w.values(x.array)
		for i := range x.nodes {
			if n := &x.nodes[i]; !n.val.IsNil() {
				w.value(n.key)
				w.value(n.val)
			}
		}
		w.table(x.meta)
	case *Closure:
		for _, c := range x.up {
			w.value(Value{ref: c})
		}
	case *Native:
		w.values(x.held)
	case *cell:
		w.value(x.v)
	}
}

// Used is about how many bytes the run has taken and not yet found to be garbage.
func (st *State) Used() int { return st.used }
