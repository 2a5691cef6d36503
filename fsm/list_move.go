package fsm

import "phonond/redisproto/resp"

func lmoveCmd(t *Tx, args [][]byte) resp.Value {
	from, ok1 := parseEnd(args[3])
	to, ok2 := parseEnd(args[4])
	if !ok1 || !ok2 {
		return resp.ErrSyntax
	}
	return t.moveElement(args[1], args[2], from, to)
}

func rpoplpushCmd(t *Tx, args [][]byte) resp.Value {
	return t.moveElement(args[1], args[2], right, left)
}

func parseEnd(arg []byte) (e end, ok bool) {
	switch {
	case is(arg, "LEFT"):
		return left, true
	case is(arg, "RIGHT"):
		return right, true
	}
	return left, false
}

func (t *Tx) moveElement(source, destination []byte, from, to end) resp.Value {
	src, ok := get[list](&t.View, source)
	switch {
	case !ok:
		return resp.ErrWrongType
	case src.len() == 0:
		return resp.Null
	}
	dst, ok := get[list](&t.View, destination)
	if !ok {
		return resp.ErrWrongType
	}
	src = src.edit()
	element := src.pop(from)
	if string(source) == string(destination) {
		src.push(to, element)
		t.setObject(source, src, to.pushed())
		t.notify(EventList, from.popped(), source)
		return resp.Str(element)
	}
	dst = dst.edit()
	dst.push(to, element)
	t.setObject(destination, dst, to.pushed())
	t.setObject(source, src, from.popped())
	return resp.Str(element)
}

func lmpopCmd(t *Tx, args [][]byte) resp.Value {
	keys, rest, fault := parsePopKeys(args[1:])
	if fault.IsError() {
		return fault
	}
	at, ok := parseEnd(rest[0])
	if !ok {
		return resp.ErrSyntax
	}
	count, fault := parsePopCount(rest[1:])
	if fault.IsError() {
		return fault
	}
	for _, key := range keys {
		l, ok := get[list](&t.View, key)
		if !ok {
			return resp.ErrWrongType
		}
		if l.len() > 0 {
			elems := t.popElements(key, l, at, count)
			return resp.List(resp.Str(string(key)), resp.List(elems...))
		}
	}
	return resp.NullArray
}

// parsePopKeys reads the count of keys, and the keys, of LMPOP and ZMPOP. There
// is at least one argument after them.
func parsePopKeys(args [][]byte) (keys, rest [][]byte, fault resp.Value) {
	n, ok := parseInt(args[0])
	switch {
	case !ok || n <= 0:
		return nil, nil, errAtLeast("numkeys")
	case n >= int64(len(args)-1):
		return nil, nil, resp.ErrSyntax
	}
	return args[1 : 1+n], args[1+n:], resp.Value{}
}

// parsePopCount reads the option COUNT of LMPOP and ZMPOP.
func parsePopCount(args [][]byte) (count int64, fault resp.Value) {
	count = 1
	for i := 0; i < len(args); i += 2 {
		if i > 0 || i+1 == len(args) || !is(args[i], "COUNT") {
			return 0, resp.ErrSyntax
		}
		var ok bool
		if count, ok = parseInt(args[i+1]); !ok || count <= 0 {
			return 0, errAtLeast("count")
		}
	}
	return count, resp.Value{}
}
