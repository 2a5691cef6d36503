package lua

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"phonond/fsm/lua/vm"
	"phonond/redisproto/resp"
)

// maxReplyDepth is how deep the tables of a reply nest, as in Redis: no deeper than
// nodes read them from one another (see [resp.MaxDepth]).
const maxReplyDepth = 7995

// Names of fields that Redis knows.
var (
	errName      = vm.Const("err")
	okName       = vm.Const("ok")
	doubleName   = vm.Const("double")
	bigName      = vm.Const("big_number")
	verbatimName = vm.Const("verbatim_string")
	formatName   = vm.Const("format")
	stringName   = vm.Const("string")
	mapName      = vm.Const("map")
	setName      = vm.Const("set")
	ignoreName   = vm.Const("ignore_error_stats_update")
)

// replyBytes is what an element of a reply takes, with room for its list to grow.
const replyBytes = 160

// reply makes a script's result the reply of EVAL.
func (r *run) reply(v vm.Value, depth int) resp.Value {
	r.state.Spend(1)
	r.state.Pin(replyBytes)
	switch v.Type() {
	case "string":
		s, _ := v.Text()
		return resp.Str(s)
	case "number":
		f, _ := v.Number()
		return resp.Int64(vm.ToInt64(f))
	case "boolean":
		switch {
		case r.proto == 3:
			return resp.Value{Kind: resp.Bool, Int: resp.Flag(v.Truth()).Int}
		case v.Truth():
			return resp.Int(1)
		}
		return resp.Null
	case "table":
		if depth >= maxReplyDepth {
			return resp.Err("ERR reached lua stack limit")
		}
		return r.tableReply(v.Table(), depth)
	}
	return resp.Null
}

func (r *run) tableReply(t *vm.Table, depth int) resp.Value {
	if s, ok := t.Get(errName).Text(); ok {
		return resp.Err(oneLine(cString(s)))
	}
	if s, ok := t.Get(okName).Text(); ok {
		return resp.Status(lineBreaks.Replace(cString(s)))
	}
	if f, ok := t.Get(doubleName).Number(); ok {
		return resp.Value{Kind: resp.Double, Str: vm.FormatG(f, 17)}
	}
	if s, ok := t.Get(bigName).Text(); ok {
		return resp.Value{Kind: resp.BigNumber, Str: lineBreaks.Replace(s)}
	}
	if v := t.Get(verbatimName).Table(); v != nil {
		if _, ok := v.Get(formatName).Text(); ok {
			if s, ok := v.Get(stringName).Text(); ok {
				return resp.Value{Kind: resp.Verbatim, Str: s}
			}
		}
	}
	if m := t.Get(mapName).Table(); m != nil {
		reply := resp.Value{Kind: resp.Map}
		for k, v, _ := m.Next(vm.Nil); !k.IsNil(); k, v, _ = m.Next(k) {
			reply.Elems = append(reply.Elems, r.reply(k, depth+1), r.reply(v, depth+1))
		}
		return reply
	}
	if m := t.Get(setName).Table(); m != nil {
		reply := resp.Value{Kind: resp.Set}
		for k, _, _ := m.Next(vm.Nil); !k.IsNil(); k, _, _ = m.Next(k) {
			reply.Elems = append(reply.Elems, r.reply(k, depth+1))
		}
		return reply
	}
	reply := resp.Value{Kind: resp.Array}
	for i := 1; ; i++ {
		v := t.GetInt(i)
		if v.IsNil() {
			return reply
		}
		reply.Elems = append(reply.Elems, r.reply(v, depth+1))
	}
}

// value makes a command's reply a value of the script, in the version of RESP that the
// script has chosen.
func (r *run) value(v resp.Value) vm.Value {
	st := r.state
	switch v.Kind {
	case resp.Integer:
		return vm.Num(float64(v.Int))
	case resp.Bulk:
		return st.NewString(v.Str)
	case resp.Simple:
		return r.field(okName, st.NewString(v.Str))
	case resp.Error:
		t := r.errorTable("-" + v.Str)
		st.SetField(t, ignoreName, vm.Bool(true))
		return vm.TableValue(t)
	case resp.Array, resp.Push:
		return r.array(v.Elems)
	}
	if r.proto == 2 {
		switch v.Kind {
		case resp.Map, resp.Set, resp.Tuples:
			return r.array(v.Elems)
		case resp.Double, resp.BigNumber, resp.Verbatim:
			return st.NewString(v.Str)
		case resp.Bool:
			return vm.Num(float64(v.Int))
		}
		return vm.Bool(false)
	}
	switch v.Kind {
	case resp.Tuples:
		pairs := st.NewTable(0, 0)
		st.Hold(vm.TableValue(pairs))
		for i := 0; i+1 < len(v.Elems); i += 2 {
			st.SetInt(pairs, i/2+1, r.array(v.Elems[i:i+2]))
		}
		return vm.TableValue(pairs)
	case resp.Map:
		m := st.NewTable(0, 0)
		st.Hold(vm.TableValue(m))
		for i := 0; i+1 < len(v.Elems); i += 2 {
			st.RawSet(m, r.value(v.Elems[i]), r.value(v.Elems[i+1]))
		}
		return r.field(mapName, vm.TableValue(m))
	case resp.Set:
		s := st.NewTable(0, 0)
		st.Hold(vm.TableValue(s))
		for _, e := range v.Elems {
			st.RawSet(s, r.value(e), vm.Bool(true))
		}
		return r.field(setName, vm.TableValue(s))
	case resp.Double:
		f, err := strconv.ParseFloat(v.Str, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			f = math.NaN()
		}
		return r.field(doubleName, vm.Num(f))
	case resp.Bool:
		return vm.Bool(v.Int != 0)
	case resp.BigNumber:
		return r.field(bigName, st.NewString(v.Str))
	case resp.Verbatim:
		t := st.NewTable(0, 0)
		st.SetField(t, stringName, st.NewString(v.Str))
		st.SetField(t, formatName, vm.Const("txt"))
		return r.field(verbatimName, vm.TableValue(t))
	}
	return vm.Nil
}

func (r *run) array(elems []resp.Value) vm.Value {
	t := r.state.NewTable(0, 0)
	m := r.state.Hold(vm.TableValue(t))
	defer r.state.Release(m)
	for i, e := range elems {
		r.state.Spend(1)
		if v := r.value(e); !v.IsNil() {
			r.state.SetInt(t, i+1, v)
		}
	}
	return vm.TableValue(t)
}

// field returns a table with one field.
func (r *run) field(name, v vm.Value) vm.Value {
	t := r.state.NewTable(0, 1)
	r.state.SetField(t, name, v)
	return vm.TableValue(t)
}

// errorTable makes an error's text the table that stands for it. What begins with a minus
// has an error code up to its first blank; all else gets the code ERR.
func (r *run) errorTable(text string) *vm.Table {
	code, msg := "ERR", cString(text)
	if after, ok := strings.CutPrefix(msg, "-"); ok {
		if msg = after; strings.Contains(after, " ") {
			code, msg, _ = strings.Cut(after, " ")
		}
	}
	return r.field(errName, r.state.NewString(code+" "+strings.Trim(msg, "\r\n"))).Table()
}

// failure makes what ended a script the reply of EVAL.
func (r *run) failure(sha string, err error) resp.Value {
	text, at := "ERR "+err.Error(), vm.Position{}
	switch e := err.(type) {
	case *vm.Abort:
		at = e.At
	case *vm.Error:
		at = e.At
		if t := e.Value.Table(); t != nil {
			text = "ERR unknown error"
			if s, ok := t.Get(errName).ToText(); ok {
				text = s
			}
		} else {
			s, _ := r.state.ToString(e.Value).ToText()
			text = "ERR " + s
		}
	}
	text = cString(text)
	if at.Line != 0 {
		text += " script: " + sha + ", on " + at.Source + ":" + strconv.Itoa(at.Line) + "."
	}
	return resp.Err(oneLine(text))
}

// cString is what C sees of a string.
func cString(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	return s
}

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ")

// oneLine is a text as the reply of an error has it.
func oneLine(s string) string { return lineBreaks.Replace(strings.Trim(s, "\r\n")) }
