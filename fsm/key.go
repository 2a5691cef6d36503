package fsm

import (
	"strconv"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var keyCommands = group("generic",
	write("del", -2, 1, delCmd, "key [key ...]", "Deletes keys; how many were there.").
		lastKey(-1, 1).scatter(command.SplitKeys).since("1.0.0").refuse(delRefuse),
	write("unlink", -2, 1, delCmd, "key [key ...]", "Deletes keys; how many were there.").
		lastKey(-1, 1).flags(command.Fast).scatter(command.SplitKeys).since("4.0.0").refuse(delRefuse),
	read("exists", -2, 1, existsCmd, "key [key ...]", "How many of the keys are there.").
		lastKey(-1, 1).flags(command.Fast).scatter(command.SplitKeys).since("1.0.0"),
	read("touch", -2, 1, existsCmd, "key [key ...]", "How many of the keys are there.").
		lastKey(-1, 1).flags(command.Fast).scatter(command.SplitKeys).since("3.2.1"),
	read("type", 2, 1, typeCmd, "key", "The type of what a key holds.").
		flags(command.Fast).since("1.0.0"),
	write("rename", 3, 1, renameCmd, "key newkey", "Renames a key and overwrites the one that had the name.").
		lastKey(2, 1).since("1.0.0"),
	write("renamenx", 3, 1, renamenxCmd, "key newkey", "Renames a key if none has the new name.").
		lastKey(2, 1).flags(command.Fast).since("1.0.0"),
	write("copy", -3, 1, copyCmd, "source destination [DB destination-db] [REPLACE]", "Copies what a key holds to another.").
		lastKey(2, 1).flags(command.DenyOOM).since("6.2.0"),
	write("move", 3, 1, moveCmd, "key db", "Moves a key to another database.").
		flags(command.Fast).since("1.0.0"),
	read("randomkey", 1, 0, randomkeyCmd, "", "The name of any key.").
		scatter(command.AllGroups).since("1.0.0"),
)

var serverCommands = group("server",
	read("dbsize", 1, 0, dbsizeCmd, "", "How many keys the database has.").
		flags(command.Fast).scatter(command.AllGroups).since("1.0.0"),
	write("flushdb", -1, 0, flushdbCmd, "[ASYNC|SYNC]", "Deletes all keys of the database.").
		scatter(command.AllGroups).since("1.0.0"),
	write("flushall", -1, 0, flushallCmd, "[ASYNC|SYNC]", "Deletes all keys of all databases.").
		scatter(command.AllGroups).since("1.0.0"),
	read("time", 1, 0, timeCmd, "", "The cluster's wall time: unix seconds, and microseconds of the second.").
		flags(command.Fast|command.Clock).since("2.6.0"),
)

func delCmd(t *Tx, args [][]byte) resp.Value {
	n := 0
	for _, key := range args[1:] {
		if t.delete(key) {
			n++
		}
	}
	return resp.Int(n)
}

// delRefuse answers a DEL of keys that are not there.
func delRefuse(v *View, args [][]byte) (resp.Value, bool) {
	for _, key := range args[1:] {
		if v.find(key) != nil {
			return resp.Value{}, false
		}
	}
	return resp.Int(0), true
}

func existsCmd(v *View, args [][]byte) resp.Value {
	n := 0
	for _, key := range args[1:] {
		if v.find(key) != nil {
			n++
		}
	}
	return resp.Int(n)
}

func typeCmd(v *View, args [][]byte) resp.Value {
	if e := v.find(args[1]); e != nil {
		return resp.Status(e.kind().String())
	}
	return resp.Status("none")
}

func renameCmd(t *Tx, args [][]byte) resp.Value {
	e := t.find(args[1])
	if e == nil {
		return resp.ErrNoSuchKey
	}
	t.rename(args[1], args[2], *e)
	return resp.OK
}

func renamenxCmd(t *Tx, args [][]byte) resp.Value {
	e := t.find(args[1])
	if e == nil {
		return resp.ErrNoSuchKey
	}
	if t.find(args[2]) != nil {
		return resp.Int(0)
	}
	t.rename(args[1], args[2], *e)
	return resp.Int(1)
}

// rename moves what key holds, with its deadline, to another key.
func (t *Tx) rename(key, to []byte, e entry) {
	if string(to) == string(key) {
		return
	}
	t.overwriteIn(t.db, to, e)
	t.deleteIn(t.db, key)
	t.notify(EventGeneric, "rename_from", key)
	t.notify(EventGeneric, "rename_to", to)
}

// overwriteIn is putIn for the commands that in Redis delete a key before they store
// it: it is told to be new even if it was there.
func (t *Tx) overwriteIn(db int, key []byte, e entry) {
	if t.findIn(db, key) != nil {
		t.notifyIn(db, EventNew, "new", key)
	}
	t.putIn(db, key, e)
}

// ParseDB reads the number of a database, or returns the error reply to it.
func ParseDB(arg []byte) (db int, fault resp.Value) { return parseDB(arg) }

// parseDB reads the number of a database.
func parseDB(arg []byte) (db int, fault resp.Value) {
	n, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case n != int64(int32(n)):
		return 0, errNotInt32
	case n < 0 || n >= Databases:
		return 0, resp.ErrDBIndex
	}
	return int(n), resp.Value{}
}

var errNotInt32 = resp.Err("ERR value is out of range, value must between -2147483648 and 2147483647")

var errSameObject = resp.Err("ERR source and destination objects are the same")

func copyCmd(t *Tx, args [][]byte) resp.Value {
	db, replace := t.db, false
	for i := 3; i < len(args); i++ {
		switch {
		case is(args[i], "REPLACE"):
			replace = true
		case is(args[i], "DB") && i+1 < len(args):
			var fault resp.Value
			i++
			if db, fault = parseDB(args[i]); fault.IsError() {
				return fault
			}
		default:
			return resp.ErrSyntax
		}
	}
	if db == t.db && string(args[1]) == string(args[2]) {
		return errSameObject
	}
	e := t.find(args[1])
	if e == nil || !replace && t.findIn(db, args[2]) != nil {
		return resp.Int(0)
	}
	t.overwriteIn(db, args[2], *e)
	t.notifyIn(db, EventGeneric, "copy_to", args[2])
	return resp.Int(1)
}

func moveCmd(t *Tx, args [][]byte) resp.Value {
	db, fault := parseDB(args[2])
	switch {
	case fault.IsError():
		return fault
	case db == t.db:
		return errSameObject
	}
	e := t.find(args[1])
	if e == nil || t.findIn(db, args[1]) != nil {
		return resp.Int(0)
	}
	t.putIn(db, args[1], *e)
	t.deleteIn(t.db, args[1])
	t.notify(EventGeneric, "move_from", args[1])
	t.notifyIn(db, EventGeneric, "move_to", args[1])
	return resp.Int(1)
}

func dbsizeCmd(v *View, _ [][]byte) resp.Value {
	d := &v.m.ks[v.db]
	return resp.Int(d.keys.len() - d.expired(v.now()))
}

func flushdbCmd(t *Tx, args [][]byte) resp.Value {
	if !validFlush(args[1:]) {
		return resp.ErrSyntax
	}
	t.flush(t.db)
	return resp.OK
}

func flushallCmd(t *Tx, args [][]byte) resp.Value {
	if !validFlush(args[1:]) {
		return resp.ErrSyntax
	}
	for db := range Databases {
		t.flush(db)
	}
	return resp.OK
}

// validFlush reads ASYNC or SYNC, which make no difference here: to forget a
// whole database takes no time.
func validFlush(args [][]byte) bool {
	return len(args) == 0 || len(args) == 1 && (is(args[0], "ASYNC") || is(args[0], "SYNC"))
}

func timeCmd(v *View, _ [][]byte) resp.Value {
	ms := v.wallNow()
	return resp.Strs(strconv.FormatInt(ms/1000, 10), strconv.FormatInt(ms%1000*1000, 10))
}

// randomkeyTries bounds how often RANDOMKEY draws a key that has expired before
// it takes the first that has not.
const randomkeyTries = 100

func randomkeyCmd(v *View, _ [][]byte) resp.Value {
	keys := v.m.ks[v.db].keys
	if keys.len() == 0 {
		return resp.Null
	}
	r := v.random()
	for range randomkeyTries {
		if n := keys.at(r.next()); !v.m.expired(&n.val) {
			return resp.Str(n.key)
		}
	}
	reply := resp.Null
	keys.each(func(key string, e entry) bool {
		if v.m.expired(&e) {
			return true
		}
		reply = resp.Str(key)
		return false
	})
	return reply
}
