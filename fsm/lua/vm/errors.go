package vm

import (
	"fmt"
	"strconv"
	"strings"
)

// Error is what a script raised: any value.
type Error struct {
	Value Value
	At    Position
}

// Position is a place in a script's source, whose name is as [Compile] got it.
// The line is 0 if the place is not known.
type Position struct {
	Source string
	Line   int
}

func (e *Error) Error() string {
	s, ok := e.Value.ToText()
	if !ok {
		return "error object is a " + e.Value.Type() + " value"
	}
	return s
}

// Abort ends a run whatever the script does: it cannot be caught.
type Abort struct {
	Reason string
	At     Position
}

// abort ends the run.
func (st *State) abort(reason string) { panic(&Abort{reason, st.raised()}) }

func (a *Abort) Error() string { return a.Reason }

// site is a place in the source that calls or may fail.
type site struct {
	line int
	kind string // of the called or failing expression: global, local, field, ...; "" if it has no name
	name string
}

// where is the position of the function at a level: 1 is the one that called the
// running function of a library.
func (st *State) where(level int) Position {
	for i := st.depth - 1; i >= 0; i-- {
		fr := st.frames[i]
		if level == 0 {
			if fr.fn == nil || fr.site == nil {
				return Position{}
			}
			return Position{fr.fn.proto.source, fr.site.line}
		}
		if level--; fr.tails > 0 {
			if level -= fr.tails; level < 0 {
				return Position{}
			}
		}
	}
	return Position{}
}

// raised is where an error comes from: the running function, or the caller of a
// library's.
func (st *State) raised() Position {
	if at := st.where(0); at.Line != 0 {
		return at
	}
	return st.where(1)
}

// prefix is how errors begin that tell a position.
func (st *State) prefix(level int) string {
	at := st.where(level)
	if at.Line == 0 {
		return ""
	}
	return chunkName(at.Source) + ":" + strconv.Itoa(at.Line) + ": "
}

// Throw raises a value as it is.
func (st *State) Throw(v Value) { panic(&Error{v, st.raised()}) }

// ThrowAt raises a value; a string gets the position of the function at the level
// before it, as by the function error.
func (st *State) ThrowAt(v Value, level int) {
	if s, ok := v.ToText(); ok && level > 0 {
		v = st.NewString(st.prefix(level) + s)
	}
	st.Throw(v)
}

// Errorf raises a text with the position of the caller of a library's function.
func (st *State) Errorf(format string, args ...any) { st.errorf(1, format, args...) }

// fail raises a text with the position of the running function, if it is a script's.
func (st *State) fail(format string, args ...any) { st.errorf(0, format, args...) }

func (st *State) errorf(level int, format string, args ...any) {
	st.Throw(st.NewString(st.prefix(level) + fmt.Sprintf(format, args...)))
}

// ArgError raises that argument n, counted from 1, of the running function is bad.
func (st *State) ArgError(n int, msg string) {
	name := "?"
	if st.depth > 1 {
		if caller := st.frames[st.depth-2]; caller.fn != nil && caller.site != nil && caller.site.kind != "" {
			name = caller.site.name
			if caller.site.kind == "method" {
				if n--; n == 0 {
					st.Errorf("calling '%s' on bad self (%s)", name, msg)
				}
			}
		}
	}
	st.Errorf("bad argument #%d to '%s' (%s)", n, name, msg)
}

// ArgTypeError raises that argument n is not of the type that it should be.
func (st *State) ArgTypeError(args []Value, n int, want string) {
	got := "no value"
	if n <= len(args) {
		got = args[n-1].Type()
	}
	st.ArgError(n, want+" expected, got "+got)
}

// typeError raises that a value cannot be used so.
func (st *State) typeError(op string, v Value, at *site) {
	if at != nil && at.kind != "" {
		st.fail("attempt to %s %s '%s' (a %s value)", op, at.kind, at.name, v.Type())
	}
	st.fail("attempt to %s a %s value", op, v.Type())
}

func (st *State) compareError(a, b Value) {
	if ta, tb := a.Type(), b.Type(); ta == tb {
		st.fail("attempt to compare two %s values", ta)
	} else {
		st.fail("attempt to compare %s with %s", ta, tb)
	}
}

// chunkName is how errors call a chunk (luaO_chunkid).
func chunkName(source string) string {
	const room = 80
	if name, ok := strings.CutPrefix(source, "="); ok {
		return name[:min(len(name), room-1)]
	}
	if name, ok := strings.CutPrefix(source, "@"); ok {
		if most := room - 8; len(name) > most {
			return "..." + name[len(name)-most:]
		}
		return name
	}
	line, _, cut := strings.Cut(source, "\n")
	if i := strings.IndexByte(line, '\r'); i >= 0 {
		line, cut = line[:i], true
	}
	const most = room - len(` [string "..."] `) - 1
	if len(line) > most {
		line, cut = line[:most], true
	}
	if cut {
		line += "..."
	}
	return `[string "` + line + `"]`
}
