package fsm

import (
	"slices"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Command is one row of the machine's command table: what the command is, and
// the function that is it. Exactly one of Read and Write is set; a row with Subs
// has neither. The functions are called with a number of arguments that the
// row's arity allows.
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
	// Grows, which may be nil, reports whether a writing command without the flag
	// DenyOOM would make the state larger all the same.
	Grows func(v *View, args [][]byte) bool
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
	rows := slices.Concat(lists...)
	for i := range rows {
		t.add(&rows[i])
		t.specs = append(t.specs, &rows[i].Spec)
	}
	return t
}

func (t *Table) add(c *Command) {
	if t.byName[c.Name] != nil {
		panic("fsm: command " + c.Name + " is declared twice")
	}
	if len(c.Name) > maxName {
		panic("fsm: command " + c.Name + " has too long a name")
	}
	t.byName[c.Name] = c
	if len(c.Subs) == 0 && (c.Read == nil) == (c.Write == nil) {
		panic("fsm: command " + c.Name + " needs one function")
	}
	c.Subs = slices.Clone(c.Subs) // the list itself is not ours to change
	for i := range c.Subs {
		c.Subcommands = append(c.Subcommands, &c.Subs[i].Spec)
		t.add(&c.Subs[i])
	}
}

// Specs returns the declarations of all commands, containers included, in the
// order of their rows.
func (t *Table) Specs() []*command.Spec { return t.specs }

// maxName is the length of the longest name, "container|subcommand" included.
const maxName = 48

// Lookup finds the command that args call, by its name in any letter case and
// the subcommand if it has any, or nil. It does not allocate.
func (t *Table) Lookup(args [][]byte) *Command {
	if len(args) == 0 || len(args[0]) > maxName {
		return nil
	}
	var buf [2*maxName + 1]byte
	name := appendLower(buf[:0], args[0])
	c := t.byName[string(name)]
	if c == nil || len(c.Subs) == 0 {
		return c
	}
	if len(args) < 2 || len(args[1]) > maxName {
		return nil
	}
	return t.byName[string(appendLower(append(name, '|'), args[1]))]
}

func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// DataCommands are the commands of a region's group.
func DataCommands() *Table {
	return NewTable(
		stringCommands, keyCommands, expireCommands, scanCommands, objectCommands, memoryCommands, serverCommands,
		hashCommands, listCommands, setCommands, zsetCommands, scriptCommands, versionCommands,
		bitmapCommands, lcsCommands, sortCommands, swapdbCommands, dumpCommands, blockingCommands, compareCommands,
		lockCommands, semCommands, refCommands, sessionCommands, journalCommands,
	)
}

// read and write make rows.

func read(name string, arity, firstKey int, f func(*View, [][]byte) resp.Value, syntax, summary string) Command {
	return Command{Read: f, Spec: spec(name, arity, firstKey, command.ReadOnly, syntax, summary)}
}

func write(name string, arity, firstKey int, f func(*Tx, [][]byte) resp.Value, syntax, summary string) Command {
	return Command{Write: f, Spec: spec(name, arity, firstKey, command.Write, syntax, summary)}
}

// container makes the row of a command that is only a name before subcommands.
func container(name, summary string, subs ...Command) Command {
	return Command{Subs: subs, Spec: spec(name, -2, 0, 0, "", summary)}
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

func (c Command) numKeys(at int) Command { c.NumKeys = at; return c }

func (c Command) moreKeys(f func(args [][]byte) [][]byte) Command { c.MoreKeys = f; return c }

func (c Command) scatter(s command.Scatter) Command { c.Scatter = s; return c }

func (c Command) since(version string) Command { c.Since = version; return c }

func (c Command) refuse(f func(*View, [][]byte) (resp.Value, bool)) Command { c.Refuse = f; return c }

func (c Command) grows(f func(*View, [][]byte) bool) Command { c.Grows = f; return c }

// group marks the rows of one type with the group that COMMAND DOCS shows.
func group(name string, rows ...Command) []Command {
	for i := range rows {
		rows[i].Group = name
		group(name, rows[i].Subs...)
	}
	return rows
}
