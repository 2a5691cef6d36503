package fsm

import (
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Command is one row of the machine's command table: what the command is, and
// the function that is it. Exactly one of Read and Write is set; a row with Subs
// has neither.
type Command struct {
	command.Spec
	// Read answers from the state and changes nothing.
	Read func(v *View, args [][]byte) resp.Value
	// Write stages its changes in t; when it returns an error nothing changes.
	Write func(t *Tx, args [][]byte) resp.Value
	// Refuse, which may be nil, answers a writing command that would change
	// nothing, such as SET NX on a key that is held: ok is false when it would
	// change something. The leader answers with it without writing to the log.
	Refuse func(v *View, args [][]byte) (reply resp.Value, ok bool)
	// Subs are the subcommands of a container such as SCRIPT. Their names are
	// "script|load".
	Subs []Command
}

// Table is the set of commands of a machine. It is immutable.
type Table struct {
	byName map[string]*Command
	specs  []*command.Spec
}

// NewTable joins lists of commands. A name that occurs twice, or a row without
// exactly one function, is a defect of the program and panics.
func NewTable(lists ...[]Command) *Table {
	t := &Table{byName: map[string]*Command{}}
	for _, list := range lists {
		for i := range list {
			t.add(&list[i])
			t.specs = append(t.specs, &list[i].Spec)
		}
	}
	return t
}

func (t *Table) add(c *Command) {
	if t.byName[c.Name] != nil {
		panic("fsm: command " + c.Name + " is declared twice")
	}
	t.byName[c.Name] = c
	if len(c.Subs) == 0 && (c.Read == nil) == (c.Write == nil) {
		panic("fsm: command " + c.Name + " needs one function")
	}
	for i := range c.Subs {
		c.Subcommands = append(c.Subcommands, &c.Subs[i].Spec)
		t.add(&c.Subs[i])
	}
}

// Specs returns the declarations of all commands, containers included, in the
// order of their rows.
func (t *Table) Specs() []*command.Spec { return t.specs }

// Lookup finds the command that args call, by its name in any letter case and
// the subcommand if it has any, or nil.
func (t *Table) Lookup(args [][]byte) *Command {
	if len(args) == 0 {
		return nil
	}
	c := t.byName[lower(args[0])]
	if c == nil || len(c.Subs) == 0 {
		return c
	}
	if len(args) < 2 {
		return nil
	}
	return t.byName[c.Name+"|"+lower(args[1])]
}

// lower returns b in lower case, without allocating when it already is.
func lower(b []byte) string { return strings.ToLower(string(b)) }

// read and write make rows.

func read(name string, arity, firstKey int, f func(*View, [][]byte) resp.Value, syntax, summary string) Command {
	return Command{Read: f, Spec: spec(name, arity, firstKey, command.ReadOnly, syntax, summary)}
}

func write(name string, arity, firstKey int, f func(*Tx, [][]byte) resp.Value, syntax, summary string) Command {
	return Command{Write: f, Spec: spec(name, arity, firstKey, command.Write, syntax, summary)}
}

func spec(name string, arity, firstKey int, flags command.Flags, syntax, summary string) command.Spec {
	return command.Spec{
		Name: name, Arity: arity, Flags: flags, FirstKey: firstKey, LastKey: firstKey, KeyStep: min(firstKey, 1),
		Syntax: syntax, Summary: summary,
	}
}

// The options of a row, chained behind read or write.

func (c Command) flags(f command.Flags) Command { c.Flags |= f; return c }

func (c Command) lastKey(last, step int) Command { c.LastKey, c.KeyStep = last, step; return c }

func (c Command) scatter(s command.Scatter) Command { c.Scatter = s; return c }

func (c Command) refuse(f func(*View, [][]byte) (resp.Value, bool)) Command { c.Refuse = f; return c }

// group marks the rows of one type: the group and version that COMMAND DOCS
// shows.
func group(name string, rows ...Command) []Command {
	for i := range rows {
		rows[i].Group = name
	}
	return rows
}
