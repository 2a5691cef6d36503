package differ

import (
	"strconv"
	"strings"

	"phonond/redisproto/resp"
)

// Table is all the differences there are.
var Table = []Difference{
	{
		Commands: []string{"geopos", "xlen", "pfcount", "function", "fcall"},
		What:     "Geo, stream, HyperLogLog and function commands are unknown.",
		Why:      "No use of a coordination service needs them.",
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
		Commands: []string{"exec"},
		What:     "A watched key that is not there, as when it was watched, has not changed, whatever has become of it between.",
		Why:      "What is not there has no version.",
		Is: func(c Case) bool {
			return (c.Want.Kind == resp.Nil || c.Want.Kind == resp.NilArray) && c.Got.Kind == resp.Array
		},
	},
	{
		Commands: []string{"eval", "eval_ro"},
		What:     "There are no coroutines in scripts, and commands of connections and nodes are unknown there.",
		Why:      "A script is run by the leader of its keys' group, which knows no connection, and every script has to end.",
		Is: func(c Case) bool {
			return strings.Contains(c.Args[1], "coroutine") || strings.HasPrefix(c.Got.Str, "ERR Unknown Redis command called from script") &&
				strings.HasPrefix(c.Want.Str, "ERR This Redis command is not allowed from script")
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
		Commands: []string{"object|help", "memory|help", "slowlog|help", "latency|help", "script|help", "client|help", "command|help", "config|help", "pubsub|help"},
		What:     "HELP lists what phonond has, in its own words.",
		Why:      "It is a text for people.",
		Is:       func(c Case) bool { return c.Want.Kind == c.Got.Kind && c.Got.Kind == resp.Array },
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
}

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
