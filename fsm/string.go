package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var stringCommands = group("string",
	read("get", 2, 1, getString, "key", "The string under a key, or nil.").flags(command.Fast),
	write("set", -3, 1, setString, "key value", "Sets the string under a key.").flags(command.DenyOOM),
)

func getString(v *View, args [][]byte) resp.Value {
	switch e := v.find(args[1]); {
	case e == nil:
		return resp.Null
	case e.obj != nil:
		return resp.ErrWrongType
	default:
		return resp.Str(e.str)
	}
}

func setString(t *Tx, args [][]byte) resp.Value {
	t.setString(args[1], string(args[2]), 0)
	return resp.OK
}

// DataCommands are the commands of a region's group.
func DataCommands() *Table { return NewTable(stringCommands, hashCommands) }
