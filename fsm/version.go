package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// versionCommands are asked by nodes for the transactions of their clients.
var versionCommands = group("transactions",
	read("keyversion", -2, 1, keyversionCmd, "key [key ...]", "The versions of keys.").
		lastKey(-1, 1).flags(command.Internal),
)

func keyversionCmd(v *View, args [][]byte) resp.Value {
	versions := make([]resp.Value, len(args)-1)
	for i, key := range args[1:] {
		versions[i] = resp.Int64(int64(v.m.Version(v.db, key)))
	}
	return resp.List(versions...)
}

// Version returns the version of a key, which changes with every change of the key, and
// is 0 while there is none. The caller holds off Apply.
func (m *Machine) Version(db int, key []byte) uint64 {
	if e := (&View{m: m}).findIn(db, key); e != nil {
		return e.version
	}
	return 0
}

// Changes returns a number that grows with every change of any key. The caller holds
// off Apply.
func (m *Machine) Changes() uint64 { return m.version }

// unchanged reports whether what a request has read is still so.
func (m *Machine) unchanged(r *Request) bool {
	if r.Changes != 0 && r.Changes != m.version {
		return false
	}
	for _, read := range r.Reads {
		if m.Version(read.DB, read.Key) != read.Version {
			return false
		}
	}
	return true
}
