package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// What things take in memory beside their texts, in bytes, as the heap grows by on
// 64-bit machines: nodes, their places in trees that are not full, and the trees.
const (
	stringBytes   = 112 // a key, which may be all there is
	deadlineBytes = 40
	lockBytes     = 48
	holderBytes   = 80
	hashBytes     = 128
	fieldBytes    = 80
	setBytes      = 128
	memberBytes   = 56
	listBytes     = 88
	elementBytes  = 64
	zsetBytes     = 272
	scoredBytes   = 104 // a member of a sorted set
	scriptBytes   = 160
)

// textBytes is what the bytes of a text take, which are allocated in eights.
func textBytes(s string) int64 { return int64(len(s)+7) &^ 7 }

// The weights of the nodes of dicts.

func keyWeight(n *node[entry]) int64       { return n.val.bytes(n.key) }
func fieldWeight(n *node[string]) int64    { return fieldBytes + textBytes(n.key) + textBytes(n.val) }
func memberWeight(n *node[struct{}]) int64 { return memberBytes + textBytes(n.key) }
func scoredWeight(n *node[float64]) int64  { return scoredBytes + textBytes(n.key) }
func scriptWeight(n *node[savedScript]) int64 {
	return scriptBytes + textBytes(n.key) + textBytes(n.val.text)
}
func elementWeight(element string) int64 { return elementBytes + textBytes(element) }

// bytes returns about how much memory the entry takes under key.
func (e *entry) bytes(key string) int64 {
	n := stringBytes + textBytes(key)
	if e.deadline != 0 {
		n += deadlineBytes
	}
	if e.lock != nil {
		n += e.lock.bytes()
	}
	if e.obj == nil {
		return n + textBytes(e.str)
	}
	return n + e.obj.bytes()
}

func (h hash) bytes() int64 { return hashBytes + h.dict.bytes }
func (s set) bytes() int64  { return setBytes + s.dict.bytes }
func (z zset) bytes() int64 { return zsetBytes + z.scores.bytes }
func (l list) bytes() int64 { return listBytes + l.listElems.bytes }

// Bytes returns about how much memory the keys, scripts and sessions take. It is the same on
// all replicas, and costs nothing. The caller holds off Apply.
func (m *Machine) Bytes() int64 {
	n := m.scripts.bySHA.bytes + m.sessions.bytes
	for i := range m.ks {
		n += m.ks[i].keys.bytes
	}
	return n
}

// DBSize returns how many keys a database has, and how many of them will expire. The
// caller holds off Apply.
func (m *Machine) DBSize(db int) (keys, expires int) {
	d := &m.ks[db]
	expired := d.expired(m.clock)
	return d.keys.len() - expired, d.due.Len() - expired
}

// ttlSamples is of how many keys INFO takes the mean time to live.
const ttlSamples = 16

// meanTTL returns about the mean time to live, in ms, of the keys that will expire: of
// some that are evenly spread in the order of their deadlines. It is 0 if there are
// none.
func (d *database) meanTTL(now int64) int64 {
	expired := d.expired(now)
	n := d.due.Len() - expired
	if n == 0 {
		return 0
	}
	samples := min(n, ttlSamples)
	mean := int64(0)
	for i := range samples {
		next, _ := d.due.GetAt(expired + (2*i+1)*n/(2*samples))
		mean += (next.at - now) / int64(samples)
	}
	return mean
}

var memoryCommands = group("server",
	container("memory", "What is known of the memory that keys take.",
		read("memory|usage", -3, 2, memoryUsageCmd, "key [SAMPLES count]", "About how many bytes a key takes with its value, or nil.").since("4.0.0"),
	).since("4.0.0"),
	// keyspace is asked by nodes for INFO.
	read("keyspace", 1, 0, keyspaceCmd, "", "Of each database that is not empty: its number, keys, keys that expire, and their mean time to live in ms.").
		flags(command.Internal).scatter(command.AllGroups),
)

func memoryUsageCmd(v *View, args [][]byte) resp.Value {
	// Nothing is estimated from samples, but they are understood.
	for i := 3; i < len(args); i += 2 {
		if !is(args[i], "SAMPLES") || i+1 == len(args) {
			return resp.ErrSyntax
		}
		n, ok := parseInt(args[i+1])
		switch {
		case !ok:
			return resp.ErrNotInteger
		case n < 0:
			return resp.ErrSyntax
		}
	}
	e := v.find(args[2])
	if e == nil {
		return resp.Null
	}
	return resp.Int64(e.bytes(string(args[2])))
}

func keyspaceCmd(v *View, _ [][]byte) resp.Value {
	dbs := resp.EmptyArray
	for i := range v.m.ks {
		if keys, expires := v.m.DBSize(i); keys > 0 {
			dbs.Elems = append(dbs.Elems, resp.List(
				resp.Int(i), resp.Int(keys), resp.Int(expires), resp.Int64(v.m.ks[i].meanTTL(v.now()))))
		}
	}
	return dbs
}
