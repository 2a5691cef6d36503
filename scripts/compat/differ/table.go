package differ

import (
	"regexp"
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// Table is all the differences there are.
var Table = []Difference{
	{
		Commands: []string{"geopos", "xlen", "pfcount", "function", "fcall"},
		What:     "Geo, stream, HyperLogLog and function commands are unknown, as all that is [not there](#not-there).",
		Why:      "Each kind for a reason of its own.",
		Is:       func(c Case) bool { return strings.HasPrefix(c.Got.Str, "ERR unknown command") },
	},
	{
		Commands: []string{"object|encoding"},
		What:     "The encoding is the one that Redis chooses for a value that is made at once.",
		Why:      "What a value was before is not part of the replicated state.",
		Is:       func(c Case) bool { return c.Want.Kind == resp.Bulk && c.Got.Kind == resp.Bulk },
	},
	{
		Commands: []string{"object|refcount"},
		What:     "The number of references is 1.",
		Why:      "Values are not shared between keys, small integers neither.",
		Is:       func(c Case) bool { return c.Want.Kind == resp.Integer && c.Got.Int == 1 },
	},
	{
		Commands: []string{"object|idletime"},
		What:     "The idle time is 0.",
		Why:      "Reads leave no trace in the state.",
		Is: func(c Case) bool {
			return c.Want.Kind == resp.Integer && c.Got.Kind == resp.Integer && c.Got.Int < c.Want.Int
		},
	},
	{
		Commands: []string{"sscan", "hscan", "zscan"},
		What:     "A cursor that no reply has given may find nothing in a small set, hash or sorted set.",
		Why:      "Redis shows the whole of a packed one whatever the cursor is.",
		Is: func(c Case) bool {
			return len(c.Args) > 2 && strings.Trim(c.Args[2], "+0") != "" && len(c.Want.Elems) == 2 && len(c.Got.Elems) == 2 &&
				c.Want.Elems[0].Str == "0" && c.Got.Elems[0].Str == "0" && len(c.Got.Elems[1].Elems) == 0
		},
	},
	{
		Commands: []string{"command|getkeys", "command|getkeysandflags"},
		What:     "A number of keys that is none counts as 0.",
		Why:      "Redis takes as many digits for the number as there are in front; the command itself is refused by both.",
		Is: func(c Case) bool {
			return len(c.Args) > 4 && numbered.MatchString(c.Args[2]) && !wholeNumber.MatchString(c.Args[4])
		},
	},
	{
		Commands: []string{"command", "command|info"},
		What: "There are no tips and no notes, CLIENT has two subcommands of Redis 7.2, CLUSTER has only its views, and TIME, EVAL and its like and SCRIPT LOAD " +
			"are not among the commands for nodes that are loading or without a leader.",
		Why: "Nothing asks for the texts; the rest is as it is here.",
		Is:  sameInfo,
	},
	{
		Commands: []string{"exec"},
		What:     "A transaction is now and then given up for a watched key that was not there and has not come.",
		Why: "Of keys that went only a trace is kept, in one of 1024 places: two may share it. FLUSHDB, FLUSHALL and SWAPDB " +
			"leave one for all keys of a database from which any may have gone. The client tries again.",
		Is: func(c Case) bool {
			return c.Absent && c.Want.Kind == resp.Array && (c.Got.Kind == resp.Nil || c.Got.Kind == resp.NilArray)
		},
	},
	{
		Commands: []string{"exec"},
		What:     "A transaction goes on when SWAPDB has taken a watched key away and another has brought it back.",
		Why:      "The version that is compared goes with the key, which is as it was.",
		Is:       func(Case) bool { return false }, // the program does not draw it
	},
	{
		Commands: []string{"publish", "spublish", "exec"},
		What:     "What a client of RESP3 publishes to itself in a transaction comes behind the reply to EXEC.",
		Why:      "Redis 7.0 sends it in the middle of that reply, which no client can read; since 7.2 it does as phonond.",
		Is:       func(Case) bool { return false }, // the program does not draw it
	},
	{
		Commands: []string{"eval", "evalsha", "eval_ro", "evalsha_ro"},
		What:     "The settings of cjson, such as cjson.encode_sparse_array, are as new in every script.",
		Why:      "In Redis they stay until the server ends; here another leader runs the next script, and would not know them.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"monitor"},
		What:     "What scripts call is not shown.",
		Why:      "MONITOR shows what this node's clients say; a script is run by the leader of its keys' group.",
		Is:       func(Case) bool { return false }, // the program does not draw it
	},
	{
		Commands: []string{"eval", "eval_ro"},
		What:     "In a cluster of several groups KEYS, SCAN, DBSIZE and RANDOMKEY see in a script the keys of its group only.",
		Why:      "A script is run by the leader of one group, as Redis Cluster runs it on one node.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"delex", "set"},
		What:     "Of the conditions of Redis 8.4 there are IFEQ, and for DELEX IFNE: none that compare digests, and no DIGEST.",
		Why:      "A lock's value is short: its owner compares it as it is.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"script|debug"},
		What:     "YES and SYNC are refused.",
		Why:      "A script is run on the leader of its keys' group, in a go: there is no session in which it could stop.",
		Is: func(c Case) bool {
			return c.Want.Kind == resp.Simple && strings.HasPrefix(c.Got.Str, "ERR scripts cannot be debugged")
		},
	},
	{
		Commands: []string{"del", "unlink", "exists", "touch", "mget", "mset", "dbsize", "keys", "scan", "randomkey", "flushdb", "flushall", "swapdb"},
		What:     "A transaction of a cluster with several groups that has such a command and needs more than one group is refused with CROSSSLOT at EXEC.",
		Why:      "A transaction is one entry of one group's log.",
		Is:       func(Case) bool { return false }, // the program plays it apart
	},
	{
		Commands: []string{"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop"},
		What:     "When one transaction, script, SWAPDB or push, whose elements others move on, fills several keys, clients are served in the order in which they came, each from the first of its keys.",
		Why:      "Redis goes by the order in which the keys were filled, or, at SWAPDB, by that of a hash table.",
		Is:       func(Case) bool { return false }, // the program does not draw it
	},
	{
		Commands: []string{"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop"},
		What:     "Who waits for a key is served also when SORT with STORE, ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE or ZRANGESTORE puts a list or a sorted set in the place of another value.",
		Why:      "Redis tells clients only of keys that were not there before, and leaves these waiting beside a list that is full, whatever else is put there.",
		Is:       func(Case) bool { return false }, // the program does not draw it
	},
	{
		Commands: []string{"eval", "eval_ro"},
		What:     "There are no coroutines in scripts, no string.dump, and INFO, COMMAND, PUBSUB, CLUSTER, SLOWLOG, MEMORY DOCTOR and STATS, LOLWUT, READONLY, READWRITE and ASKING are unknown there.",
		Why:      "A script is run by the leader of its keys' group, which knows no connection, and every script has to end.",
		Is: func(c Case) bool {
			return strings.Contains(c.Args[1], "type(coroutine)") && c.Want.Str == "table" && strings.Contains(c.Got.Str, "nonexistent global variable 'coroutine'") ||
				strings.HasPrefix(c.Got.Str, "ERR Unknown Redis command called from script") && nodeCommand.MatchString(c.Args[1])
		},
	},
	{
		Commands: []string{"config|set"},
		What:     "The class m of notify-keyspace-events, for keys that were not found, is taken and brings no events.",
		Why:      "A read leaves no trace in the state, by which the events are found.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"wait"},
		What:     "All writes that were answered are on that many replicas besides the leader's as a majority needs.",
		Why:      "Raft answers a write when a majority has it.",
		Is:       func(c Case) bool { return c.Want.Kind == resp.Integer && c.Got.Kind == resp.Integer },
	},
	{
		Commands: []string{"latency|doctor"},
		What:     "The advice is our own.",
		Why:      "It is a text for people.",
		Is:       func(c Case) bool { return c.Want.Kind == c.Got.Kind && !c.Got.IsError() },
	},
	{
		Commands: []string{"sort", "sort_ro", "eval", "eval_ro"},
		What:     "A number is never refused for what another command has read.",
		Why:      "Redis sorts numbers by strtod, and takes the error that an earlier command has left in errno for its own.",
		Is: func(c Case) bool {
			return strings.HasPrefix(c.Want.Str, "ERR One or more scores can't be converted into double") && !c.Got.IsError()
		},
	},
	{
		Commands: []string{"object|help", "memory|help", "slowlog|help", "latency|help", "script|help", "client|help", "command|help", "config|help", "pubsub|help",
			"cluster|help"},
		What: "HELP lists what phonond has, in its own words.",
		Why:  "It is a text for people.",
		Is:   func(c Case) bool { return c.Want.Kind == c.Got.Kind && c.Got.Kind == resp.Array },
	},
	{
		Commands: []string{"zscan"},
		What:     "Whole scores from 1e17 on are written out in every small sorted set.",
		Why:      "Redis does so while a set is packed; what it was before is not part of the replicated state.",
		Is:       func(c Case) bool { return equal(numbers(c.Want), numbers(c.Got)) },
	},
	{
		Commands: []string{"zadd", "zincrby", "zscore", "zmscore", "zrange", "zrevrange", "zrangebyscore", "zrevrangebyscore", "zscan", "zpopmin", "zpopmax",
			"zmpop", "bzpopmin", "bzpopmax", "bzmpop", "zunion", "zinter", "zdiff", "zrandmember"},
		What: "The score -0 becomes 0 in every sorted set.",
		Why:  "It does so in Redis when the set is small, and equals 0 in the others; here scores do not depend on the encoding.",
		Is:   func(c Case) bool { return equal(zeros(c.Want), zeros(c.Got)) },
	},
	{
		Commands: []string{"dump", "restore"},
		What:     "DUMP returns a [format](formats.md#dump) of phonond's own, which Redis does not read. RESTORE reads it, and what Redis 7.0 dumps.",
		Why:      "A dump outlives the program, and Redis's format goes with its versions.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"client|tracking"},
		What:     "ON is refused.",
		Why:      "A node does not see the changes in groups that it is not in.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"debug"},
		What:     "There are SLEEP and HELP only.",
		Why:      "The other subcommands look into a Redis server, or break it.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"config|get", "config|set"},
		What:     "There are the settings that mean something here, and some of them are read only.",
		Why:      "The others are about files, replicas and data structures of Redis. A node is [configured](configuration.md) by its file.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"info", "role", "lolwut", "memory|usage", "memory|stats", "memory|doctor", "memory|malloc-stats", "command|docs", "command|info"},
		What:     "They tell of phonond: its memory and its commands, and a node has no replicas.",
		Why:      "It is another program. The forms are those that tools read.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"cluster|info", "cluster|myid", "cluster|nodes", "cluster|slots", "cluster|shards", "cluster|keyslot"},
		What:     "They show the groups of the regions as shards, though INFO says cluster_enabled:0.",
		Why:      "They are views for people and tools. A client that took them for a Redis Cluster would look for nodes by slot, which it need not.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"append", "setrange", "setbit", "getbit", "bitfield", "bitfield_ro", "restore"},
		What:     "A string is made no longer than 16 MiB, and has no bits beyond: the refusals are those of Redis for 512 MiB.",
		Why:      "Every replica holds all strings in memory, and an entry of the log holds what a command brings. The other [limits](operations.md#limits) are settings, with narrower defaults than Redis's.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"lcs"},
		What:     "Strings whose lengths make a product of more than 2^24 are refused, in the words that Redis has for too little memory.",
		Why:      "It takes time and memory in proportion to that, and the group waits meanwhile. Redis takes eight times as much.",
		Is: func(c Case) bool {
			return strings.HasPrefix(c.Got.Str, "ERR Insufficient memory, transient memory for LCS")
		},
	},
	{
		Commands: []string{"srandmember", "hrandfield", "zrandmember"},
		What:     "More than 1048576 draws, or than 64 MiB of them, are refused.",
		Why:      "A negative count makes a reply of any length of a small set.",
		Is:       func(Case) bool { return false },
	},
	{
		Commands: []string{"exec"},
		What:     "Reads of a transaction whose replies are longer than 16 MiB in all are answered with an error.",
		Why:      "The replies are kept until the client's node has them, on every replica.",
		Is:       func(Case) bool { return false },
	},
}

// numbered are commands whose second argument is the number of their keys.
var numbered = regexp.MustCompile(`(?i)^eval`)

var wholeNumber = regexp.MustCompile(`^[0-9]+$`)

// nodeCommand is a call of a command that only a node can answer.
var nodeCommand = regexp.MustCompile(`(?i)call\(\s*'(info|command|pubsub|cluster|slowlog|memory|lolwut|readonly|readwrite|asking)'`)

// zeros returns v with 0 for -0.
func zeros(v resp.Value) resp.Value {
	if v.Str == "-0" {
		v.Str = "0"
	}
	elems := v.Elems
	v.Elems = nil
	for _, e := range elems {
		v.Elems = append(v.Elems, zeros(e))
	}
	return v
}

// numbers returns v with the numbers in it in one form.
func numbers(v resp.Value) resp.Value {
	if f, err := strconv.ParseFloat(v.Str, 64); err == nil {
		v.Str = strconv.FormatFloat(f, 'g', -1, 64)
	}
	elems := v.Elems
	v.Elems = nil
	for _, e := range elems {
		v.Elems = append(v.Elems, numbers(e))
	}
	return v
}

func equal(a, b resp.Value) bool {
	if a.Kind != b.Kind || a.Int != b.Int || a.Str != b.Str || len(a.Elems) != len(b.Elems) {
		return false
	}
	for i := range a.Elems {
		if !equal(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}
