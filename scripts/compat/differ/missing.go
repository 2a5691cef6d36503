package differ

// Absence is commands of Redis 7.0 that phonond does not have, all for one reason. It
// answers them as what it has never heard of.
type Absence struct {
	Kind     string   // what they are: a few words for the docs
	Commands []string // names, as in COMMAND LIST; a container stands for its subcommands
	Why      string   // the reason: a sentence for the docs
}

// Missing is all the commands of Redis 7.0 that there are not.
var Missing = []Absence{
	{
		Kind: "geo",
		Commands: []string{"geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember", "georadiusbymember_ro",
			"geosearch", "geosearchstore"},
		Why: "No use of a coordination service needs them.",
	},
	{
		Kind: "streams",
		Commands: []string{"xack", "xadd", "xautoclaim", "xclaim", "xdel", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread", "xreadgroup",
			"xrevrange", "xsetid", "xtrim"},
		Why: "A history of messages is for another kind of store: here every replica holds all keys in memory. Queues are made of lists.",
	},
	{
		Kind:     "HyperLogLog",
		Commands: []string{"pfadd", "pfcount", "pfdebug", "pfmerge", "pfselftest"},
		Why:      "No use of a coordination service needs them.",
	},
	{
		Kind:     "functions",
		Commands: []string{"fcall", "fcall_ro", "function"},
		Why:      "Scripts do the same, and their cache is replicated already.",
	},
	{
		Kind:     "modules",
		Commands: []string{"module"},
		Why:      "A state machine of which every replica makes the same has no place for foreign code.",
	},
	{
		Kind:     "access rules",
		Commands: []string{"acl"},
		Why:      "There is one password and one user, default, who may do everything.",
	},
	{
		Kind: "replication, and keys that move",
		Commands: []string{"asking", "failover", "migrate", "psync", "readonly", "readwrite", "replconf", "replicaof", "restore-asking", "slaveof",
			"sync"},
		Why: "Raft replicates. Any node takes any command, so that no client is sent elsewhere; the lead is given away with PHONON.TRANSFER-LEADER.",
	},
	{
		Kind:     "persistence",
		Commands: []string{"bgrewriteaof", "bgsave", "lastsave", "save", "shutdown"},
		Why:      "What was answered is in the log of a majority, on disk, and snapshots are made when the log is long. A node ends by a signal.",
	},
	{
		Kind: "changes and inner state of a Redis Cluster",
		Commands: []string{"cluster|addslots", "cluster|addslotsrange", "cluster|bumpepoch", "cluster|count-failure-reports",
			"cluster|countkeysinslot", "cluster|delslots", "cluster|delslotsrange", "cluster|failover", "cluster|flushslots", "cluster|forget",
			"cluster|getkeysinslot", "cluster|links", "cluster|meet", "cluster|replicas", "cluster|replicate", "cluster|reset",
			"cluster|saveconfig", "cluster|set-config-epoch", "cluster|setslot", "cluster|slaves"},
		Why: "The system group assigns slots to regions. The other subcommands are views of it.",
	},
}
