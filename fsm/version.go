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
	for _, read := range r.Reads {
		if m.Version(read.DB, read.Key) != read.Version {
			return false
		}
	}
	return true
}

// absent marks the version of a watched key that was not there, with the number of the
// last change of any key: a key that came and went meanwhile is not there again.
const absent = 1 << 62

// graveCount is how many numbers a machine keeps to know when keys went. Keys share
// them: a transaction may be given up for another key's sake.
const graveCount = 1024

// graves are the changes with which keys went, by their hashes. They are no part of the
// state: a machine that was restored takes it that all keys went just then.
type graves struct {
	last [graveCount]uint64
	all  [Databases]uint64 // changes with which any key of a database may have gone
}

// grave returns the number that a key has with others.
func (m *Machine) grave(db int, key []byte) *uint64 {
	return &m.graves.last[(m.hasher().sum(key)+uint64(db))%graveCount]
}

// bury notes that a key goes with the present change. Forks do not.
func (m *Machine) bury(db int, key string) {
	if m.graves != nil {
		*m.grave(db, []byte(key)) = m.version
	}
}

// buryAll notes that any key of a database may go with the present change.
func (m *Machine) buryAll(db int) {
	if m.graves != nil {
		m.graves.all[db] = m.version
	}
}

// watchedVersion returns what [Machine.Watched] understands.
func (m *Machine) watchedVersion(db int, key []byte) uint64 {
	if version := m.Version(db, key); version != 0 {
		return version
	}
	return absent | m.version
}

// Watched returns the versions that a transaction's request is to have for what its
// client has watched: keys that have not been there since have version 0, and those that
// were have one that they never will. The caller holds off Apply. Only the leader needs to
// know: what a client has read in between was applied before.
func (m *Machine) Watched(watched []command.KeyVersion) []command.KeyVersion {
	reads := make([]command.KeyVersion, len(watched))
	for i, w := range watched {
		if since := w.Version &^ absent; w.Version != since && max(*m.grave(w.DB, w.Key), m.graves.all[w.DB]) <= since {
			w.Version = 0
		}
		reads[i] = w
	}
	return reads
}
