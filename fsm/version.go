package fsm

import (
	"slices"

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
		versions[i] = resp.Int64(int64(v.m.watchedVersion(v.db, key)))
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
	return !slices.ContainsFunc(r.Reads, func(read command.KeyVersion) bool { return !m.Unchanged(read) })
}

// absent marks the version of a watched key that was not there, with the number of the
// last change of any key: a key that came and went meanwhile is not there again.
const absent = 1 << 62

// graveCount is how many numbers a machine keeps to know when keys went. Keys share
// them: a transaction may be given up for another key's sake.
const graveCount = 1024

// graves are the changes with which keys went, by their hashes. They are a part of the
// state: all replicas have to agree on whether a transaction is given up.
type graves struct {
	last [graveCount]uint64
	all  [Databases]uint64 // changes with which any key of a database may have gone
}

// grave returns the number that a key has with others.
func (m *Machine) grave(db int, key []byte) *uint64 {
	return &m.graves.last[(m.hasher().sum(key)+uint64(db))%graveCount]
}

// bury notes that a key goes with the present change.
func (m *Machine) bury(db int, key string) { *m.grave(db, []byte(key)) = m.version }

// buryAll notes that any key of a database may go with the present change.
func (m *Machine) buryAll(db int) { m.graves.all[db] = m.version }

// watchedVersion returns what [Machine.Unchanged] understands.
func (m *Machine) watchedVersion(db int, key []byte) uint64 {
	if version := m.Version(db, key); version != 0 {
		return version
	}
	return absent | m.version
}

// Unchanged reports whether a key is as it was when it had that version. The caller holds
// off Apply.
func (m *Machine) Unchanged(read command.KeyVersion) bool {
	version := m.Version(read.DB, read.Key)
	if since := read.Version &^ absent; since != read.Version {
		return version == 0 && max(*m.grave(read.DB, read.Key), m.graves.all[read.DB]) <= since
	}
	return version == read.Version
}
