package fsm

import (
	"github.com/tidwall/btree"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var listCommands = group("list",
	write("lpush", -3, 1, lpushCmd, "key element [element ...]", "Puts elements at the head of a list; its new length.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("rpush", -3, 1, rpushCmd, "key element [element ...]", "Puts elements at the tail of a list; its new length.").
		flags(command.DenyOOM|command.Fast).since("1.0.0"),
	write("lpushx", -3, 1, lpushxCmd, "key element [element ...]", "Puts elements at the head of a list that is there.").
		flags(command.DenyOOM|command.Fast).since("2.2.0"),
	write("rpushx", -3, 1, rpushxCmd, "key element [element ...]", "Puts elements at the tail of a list that is there.").
		flags(command.DenyOOM|command.Fast).since("2.2.0"),
	write("lpop", -2, 1, lpopCmd, "key [count]", "Removes elements from the head of a list.").
		flags(command.Fast).since("1.0.0"),
	write("rpop", -2, 1, rpopCmd, "key [count]", "Removes elements from the tail of a list.").
		flags(command.Fast).since("1.0.0"),
	read("lrange", 4, 1, lrangeCmd, "key start stop", "The elements of part of a list.").since("1.0.0"),
	read("llen", 2, 1, llenCmd, "key", "The length of a list, 0 if there is none.").
		flags(command.Fast).since("1.0.0"),
	read("lindex", 3, 1, lindexCmd, "key index", "The element at a position of a list, or nil.").since("1.0.0"),
	write("lset", 4, 1, lsetCmd, "key index element", "Replaces the element at a position of a list.").
		flags(command.DenyOOM).since("1.0.0"),
	write("lrem", 4, 1, lremCmd, "key count element", "Removes elements that are equal to one; how many.").since("1.0.0"),
	write("linsert", 5, 1, linsertCmd, "key BEFORE|AFTER pivot element", "Puts an element next to another; the new length.").
		flags(command.DenyOOM).since("2.2.0"),
	write("ltrim", 4, 1, ltrimCmd, "key start stop", "Removes all elements but those of a part of a list.").since("1.0.0"),
	read("lpos", -3, 1, lposCmd, "key element [RANK rank] [COUNT num-matches] [MAXLEN len]", "The positions of elements that are equal to one.").since("6.0.6"),
	write("lmove", 5, 1, lmoveCmd, "source destination LEFT|RIGHT LEFT|RIGHT", "Moves an element from one list's end to another's.").
		lastKey(2, 1).flags(command.DenyOOM).since("6.2.0"),
	write("rpoplpush", 3, 1, rpoplpushCmd, "source destination", "Moves the last element of a list to the head of another.").
		lastKey(2, 1).flags(command.DenyOOM).since("1.2.0"),
	write("lmpop", -4, 0, lmpopCmd, "numkeys key [key ...] LEFT|RIGHT [COUNT count]", "Removes elements from the first list that has any.").
		numKeys(1).since("7.0.0"),
)

// list is the elements of a list, under consecutive numbers that start anywhere:
// the head moves down and the tail up as elements are put there, so that both
// ends and every position cost the height of the tree.
type list struct{ *listElems }

type listElems struct {
	head  int64 // the number of the first element
	bytes int64 // what the elements take in memory
	tree  btree.Map[int64, string]
}

func (list) kind() kind { return kindList }

func (l list) len() int {
	if l.listElems == nil {
		return 0
	}
	return l.tree.Len()
}

// edit returns a copy that may be changed.
func (l list) edit() list {
	if l.listElems == nil {
		return list{&listElems{tree: *btree.NewMap[int64, string](elementsDegree)}}
	}
	c := *l.listElems
	c.tree = *c.tree.Copy() // not l's, which it would mark and which is not ours alone
	return list{&c}
}

// end is one end of a list.
type end bool

const (
	left  end = false
	right end = true
)

// pushed and popped are the events of putting an element there and removing one.

func (e end) pushed() string {
	if e == left {
		return "lpush"
	}
	return "rpush"
}

func (e end) popped() string {
	if e == left {
		return "lpop"
	}
	return "rpop"
}

func (l list) push(at end, element string) {
	if at == right {
		l.append(element)
		return
	}
	l.head--
	l.tree.Set(l.head, element)
	l.listElems.bytes += elementWeight(element)
}

func (l list) append(element string) {
	l.tree.Load(l.head+int64(l.tree.Len()), element)
	l.listElems.bytes += elementWeight(element)
}

// set replaces the element at a position that is there.
func (l list) set(i int64, element string) {
	old, _ := l.tree.Set(l.head+i, element)
	l.listElems.bytes += elementWeight(element) - elementWeight(old)
}

// pop removes an element from an end of a list that has any.
func (l list) pop(at end) (element string) {
	if at == left {
		_, element, _ = l.tree.PopMin()
		l.head++
	} else {
		_, element, _ = l.tree.PopMax()
	}
	l.listElems.bytes -= elementWeight(element)
	return element
}

// at returns the element at a position, which may be counted from the end as
// -1, -2.
func (l list) at(i int64) (string, bool) {
	if i < 0 {
		i += int64(l.len())
	}
	if i < 0 || i >= int64(l.len()) {
		return "", false
	}
	return l.tree.Get(l.head + i)
}

// each calls f for the elements from a position on until it returns false.
func (l list) each(from int, f func(i int, element string) bool) {
	if l.listElems == nil {
		return
	}
	l.tree.Ascend(l.head+int64(from), func(n int64, element string) bool { return f(int(n-l.head), element) })
}

// eachBack calls f for the elements from a position down until it returns false.
func (l list) eachBack(from int, f func(i int, element string) bool) {
	if l.listElems == nil {
		return
	}
	l.tree.Descend(l.head+int64(from), func(n int64, element string) bool { return f(int(n-l.head), element) })
}

func (list) encoding() string { return "quicklist" }

func (l list) encode(e *encoder) {
	l.each(0, func(_ int, element string) bool {
		e.string(element)
		return e.err == nil
	})
}

func decodeList(d *snapshotReader, n uint64) object {
	l := list{}.edit()
	for range n {
		l.append(d.string())
		if d.err != nil {
			return nil
		}
	}
	return l
}

func lpushCmd(t *Tx, args [][]byte) resp.Value  { return t.push(args, left, false) }
func rpushCmd(t *Tx, args [][]byte) resp.Value  { return t.push(args, right, false) }
func lpushxCmd(t *Tx, args [][]byte) resp.Value { return t.push(args, left, true) }
func rpushxCmd(t *Tx, args [][]byte) resp.Value { return t.push(args, right, true) }

func (t *Tx) push(args [][]byte, at end, onlyIfThere bool) resp.Value {
	l, ok := get[list](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case onlyIfThere && l.len() == 0:
		return resp.Int(0)
	}
	l = l.edit()
	for _, element := range args[2:] {
		l.push(at, string(element))
	}
	t.setObject(args[1], l, at.pushed())
	return resp.Int(l.len())
}

func lpopCmd(t *Tx, args [][]byte) resp.Value { return t.pop("lpop", args, left) }
func rpopCmd(t *Tx, args [][]byte) resp.Value { return t.pop("rpop", args, right) }

func (t *Tx) pop(name string, args [][]byte, at end) resp.Value {
	if len(args) > 3 {
		return resp.ErrArity(name)
	}
	count, ok := int64(1), true
	if len(args) == 3 {
		if count, ok = parseCount(args[2]); !ok {
			return resp.ErrNotPositive
		}
	}
	l, ok := get[list](&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case l.len() == 0 && len(args) == 3:
		return resp.NullArray
	case l.len() == 0:
		return resp.Null
	case count == 0:
		return resp.EmptyArray
	}
	elems := t.popElements(args[1], l, at, count)
	if len(args) == 2 {
		return elems[0]
	}
	return resp.List(elems...)
}

// popElements removes up to count elements from an end of a list that has any.
func (t *Tx) popElements(key []byte, l list, at end, count int64) []resp.Value {
	l = l.edit()
	elems := make([]resp.Value, min(count, int64(l.len())))
	for i := range elems {
		elems[i] = resp.Str(l.pop(at))
	}
	t.setObject(key, l, at.popped())
	return elems
}

func lrangeCmd(v *View, args [][]byte) resp.Value {
	start, stop, ok := parseRange(args[2], args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	l, ok := get[list](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	from, to := clampRange(start, stop, l.len())
	if from > to {
		return resp.EmptyArray
	}
	elems := make([]resp.Value, 0, to-from+1)
	l.each(from, func(i int, element string) bool {
		elems = append(elems, resp.Str(element))
		return i < to
	})
	return resp.List(elems...)
}

func llenCmd(v *View, args [][]byte) resp.Value {
	l, ok := get[list](v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(l.len())
}
