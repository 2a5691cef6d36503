package redisproto

import (
	"cmp"
	"slices"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Command is a command that this node answers by itself. Of a container only
// the subcommands are run, unless it has a Run of its own for the bare name.
type Command struct {
	command.Spec
	// Run answers the command. args[0] is its name, and the number of args fits
	// the spec; they are valid after Run, and nothing writes to them. It is
	// called in the connection's goroutine. No reply is sent for a value of kind
	// None.
	Run func(c *Client, args [][]byte) resp.Value
	// Early says that Run needs nothing from the commands before it in a
	// pipeline, and may run before they do. The replies keep their order.
	Early bool
	// Unqueued says that the command runs at once inside MULTI.
	Unqueued bool
	// Subs are the subcommands, named "container|sub". HELP is made from their
	// specs and need not be among them.
	Subs []Command
}

// entry is what the server knows about a name.
type entry struct {
	spec  *command.Spec
	run   func(c *Client, args [][]byte) resp.Value // nil: the backend's
	early bool
	// unqueued, see Command
	unqueued bool
	subs     map[string]*entry // by name in lower case
}

// table finds entries by name. It is immutable once made.
type table struct {
	entries []*entry // sorted by name, without internal ones
	byName  map[string]*entry
}

// maxName is longer than every command's name.
const maxName = 64

// newTable joins the backend's specs and rows of local commands. A name that
// occurs twice is a defect of the program and panics.
func newTable(specs []*command.Spec, rows ...[]Command) *table {
	t := &table{byName: map[string]*entry{}}
	for _, spec := range specs {
		if spec.Has(command.Internal) {
			continue
		}
		e := &entry{spec: spec}
		for _, sub := range spec.Subcommands {
			e.add(&entry{spec: sub})
		}
		t.add(e)
	}
	for _, row := range slices.Concat(rows...) {
		if e := t.byName[row.Name]; e != nil && e.subs != nil && len(row.Subs) > 0 {
			e.join(row)
		} else {
			t.add(newEntry(row))
		}
	}
	for _, e := range t.entries {
		if e.subs != nil && e.subs["help"] == nil {
			e.add(newEntry(helpRow(e)))
		}
	}
	slices.SortFunc(t.entries, func(a, b *entry) int { return cmp.Compare(a.spec.Name, b.spec.Name) })
	return t
}

// join adds the subcommands of a local row to a container of which the backend has
// some.
func (e *entry) join(row Command) {
	for _, sub := range row.Subs {
		sub.Group = e.spec.Group
		e.add(newEntry(sub))
	}
}

// newEntry makes the entry of a local row.
func newEntry(row Command) *entry {
	spec := row.Spec
	e := &entry{spec: &spec, run: row.Run, early: row.Early, unqueued: row.Unqueued}
	if row.Run == nil && (len(row.Subs) == 0 || spec.ArityOK(1)) {
		panic("redisproto: command " + spec.Name + " has nothing to run")
	}
	for _, sub := range row.Subs {
		sub.Group = spec.Group
		e.add(newEntry(sub))
	}
	return e
}

func (t *table) add(e *entry) {
	if t.byName[e.spec.Name] != nil {
		panic("redisproto: command " + e.spec.Name + " is declared twice")
	}
	t.byName[e.spec.Name] = e
	t.entries = append(t.entries, e)
}

func (e *entry) add(sub *entry) {
	_, name, ok := strings.Cut(sub.spec.Name, "|")
	if !ok || e.subs[name] != nil {
		panic("redisproto: subcommand " + sub.spec.Name + " of " + e.spec.Name + " is declared twice or misnamed")
	}
	if e.subs == nil {
		e.subs = map[string]*entry{}
	}
	e.subs[name] = sub
}

// find returns the entry for a command. When ok is false there is none: e is
// nil, or the container that lacks such a subcommand. It does not allocate.
func (t *table) find(args [][]byte) (e *entry, ok bool) {
	var buf [maxName]byte
	if e = t.byName[string(lower(&buf, args[0]))]; e == nil {
		return nil, false
	}
	if e.subs == nil || len(args) == 1 {
		return e, true
	}
	if sub := e.subs[string(lower(&buf, args[1]))]; sub != nil {
		return sub, true
	}
	return e, false
}

// named returns the entry with a name as COMMAND INFO takes it: "get" or
// "client|id".
func (t *table) named(name []byte) *entry {
	first, second, sub := strings.Cut(string(name), "|")
	args := [][]byte{[]byte(first), []byte(second)}
	if !sub {
		args = args[:1]
	}
	e, ok := t.find(args)
	if !ok || sub != strings.Contains(e.spec.Name, "|") {
		return nil
	}
	return e
}

// sorted returns the subcommands in the order of their names.
func (e *entry) sorted() []*entry {
	subs := make([]*entry, 0, len(e.subs))
	for _, sub := range e.subs {
		subs = append(subs, sub)
	}
	slices.SortFunc(subs, func(a, b *entry) int { return cmp.Compare(a.spec.Name, b.spec.Name) })
	return subs
}

// lower returns name in lower case, in buf; nothing for a name that is too long
// to be one.
func lower(buf *[maxName]byte, name []byte) []byte {
	if len(name) > len(buf) {
		return nil
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(name)]
}

// helpRow is the HELP of a container, made from what the specs say.
func helpRow(e *entry) Command {
	container := e.spec
	return Command{
		Spec: command.Spec{
			Name: container.Name + "|help", Arity: 2, Flags: command.Loading | command.Stale | command.Local,
			Group: container.Group, Since: "5.0.0", Summary: "Shows the subcommands.",
		},
		Early: true,
		Run: func(*Client, [][]byte) resp.Value {
			lines := []resp.Value{resp.Status(strings.ToUpper(container.Name) +
				" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")}
			for _, sub := range e.sorted() {
				_, name, _ := strings.Cut(sub.spec.Name, "|")
				lines = append(lines, resp.Status(strings.TrimSpace(strings.ToUpper(name)+" "+sub.spec.Syntax)),
					resp.Status("    "+sub.spec.Summary))
			}
			return resp.List(lines...)
		},
	}
}
