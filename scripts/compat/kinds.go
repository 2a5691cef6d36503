package main

import (
	"slices"
	"strconv"
	"strings"
)

// kind is a kind of session.
type kind struct {
	name   string
	weight int // how often it is played, to the others
	draw   func(d *drawer) []step
}

var kinds = []kind{
	{"data", 50, dataSession},
	{"untagged", 8, untaggedSession},
	{"multi", 14, multiSession},
	{"script", 10, scriptSession},
	{"notify", 5, notifySession},
	{"server", 5, serverSession},
	{"pubsub", 4, pubsubSession},
	{"block", 4, blockSession},
	{"large", 4, largeSession},
}

// length is how many commands a session has, more or less.
const length = 400

// draw draws a command from one of the lists.
func draw(d *drawer, lists ...[]node) step {
	for {
		list := lists[d.IntN(len(lists))]
		s := step{args: soon(d.command(list[d.IntN(len(list))]))}
		if !pops(s) || len(s.args) == 3 && slices.Contains([]string{"0", "100", "-1", "x", ""}, s.args[2]) {
			return s
		}
	}
}

// pops reports whether a step is an SPOP. What it leaves of a set differs, unless that is
// all or nothing.
func pops(s step) bool { return strings.EqualFold(s.args[0], "SPOP") }

// soon makes a command wait a little where it, or others, would wait for long: nobody may
// come.
func soon(args []string) []string {
	if at := timeoutAt(args); at > 0 && at < len(args) {
		if n, err := strconv.ParseFloat(args[at], 64); err == nil && (n == 0 || n > 1) {
			args[at] = "0.02"
		}
	}
	return args
}

// timeoutAt returns where a command says how long it waits, or 0.
func timeoutAt(args []string) int {
	switch nameOf(args) {
	case "client|pause":
		return 2
	case "blpop", "brpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax":
		return len(args) - 1
	case "blmpop", "bzmpop":
		return 1
	}
	return 0
}

// dataSession is commands on keys that live together.
func dataSession(d *drawer) (steps []step) {
	for len(steps) < length {
		switch n := d.IntN(100); {
		case n < 55:
			s := draw(d, single)
			if d.chance(150) && len(s.args) > 1 && strings.HasPrefix(s.args[1], d.tag) {
				s.args[1] = d.one("", "\x00\xff", "{}", "{t", long) // wherever they may live
			}
			steps = append(steps, s)
		case n < 86:
			steps = append(steps, draw(d, multiple))
		case n < 94:
			steps = append(steps, draw(d, whole))
		case n < 95:
			steps = append(steps, draw(d, waiting))
		default:
			steps = append(steps, d.composite()...)
		}
	}
	return steps
}

// composite draws what takes several steps.
func (d *drawer) composite() []step {
	switch d.IntN(9) {
	case 0:
		return []step{{op: opPop, args: []string{"SPOP", d.key("e")}}}
	case 1:
		return []step{{op: opPop, args: []string{"SPOP", d.key("e"), d.one("1", "2", "3")}}}
	case 2:
		return d.drawn("SRANDMEMBER", d.key("e"), "SMEMBERS", "")
	case 3:
		return d.drawn("HRANDFIELD", d.key("h"), "HGETALL", "WITHVALUES")
	case 4:
		return d.drawn("ZRANDMEMBER", d.key("z"), "ZRANGE", "WITHSCORES", "0", "-1", "WITHSCORES")
	case 5:
		return []step{{op: opScan, args: d.expand(nil, iterations[d.IntN(len(iterations))])}}
	case 6, 7:
		copying := []string{d.one("COPY", "COPY", "COPY", "DAMAGE"), d.key(""), d.key(""), d.one("0", "0", "1000000", "-1", "x", "")}
		for _, option := range []string{"REPLACE", "ABSTTL", "IDLETIME 5", "FREQ 3", "IDLETIME -1", "x"} {
			if d.chance(4) {
				copying = append(copying, strings.Fields(option)...)
			}
		}
		return []step{{op: opCopy, args: copying}}
	}
	return d.expiry()
}

var iterations = shapes(`
SCAN 0 < COUNT 1|3|100 , MATCH pattern , TYPE type >
SSCAN ekey 0 < COUNT 1|3|100 , MATCH pattern >
HSCAN hkey 0 < COUNT 1|3|100 , MATCH pattern >
ZSCAN zkey 0 < COUNT 1|3|100 , MATCH pattern >
`)

// drawn is a command that draws by lot, and one that shows what from.
func (d *drawer) drawn(name, key, whole, with string, more ...string) []step {
	args := []string{name, key}
	if !d.chance(4) {
		args = append(args, d.one("1", "2", "-1", "-3", "5"))
		if with != "" && d.chance(2) {
			args = append(args, with)
		}
	}
	return []step{{args: args, rule: &rule{counted: true, drawn: true}}, {args: append([]string{whole, key}, more...)}}
}

// expiry lets a key expire, and then looks at it.
func (d *drawer) expiry() (steps []step) {
	key := d.key("")
	add := func(args ...string) { steps = append(steps, step{args: args}) }
	switch d.IntN(6) {
	case 5:
		add("SET", key, "v", d.one("EXAT", "PXAT"), "1000000000")
	case 0:
		add("SET", key, "v", "PX", "1")
	case 1:
		add("PEXPIRE", key, "1")
	case 2:
		add("PSETEX", key, "2", "v")
	case 3:
		add("SET", key, "v")
		add("EXPIREAT", key, d.one("1", "1000000000"))
	case 4:
		add("PEXPIRE", key, "-5")
	}
	if args := steps[len(steps)-1].args; args[0] == "PEXPIRE" { // it has to be one that ends
		steps = slices.Insert(steps, 0, step{args: []string{"DEL", key}}, step{args: []string{"RPUSH", key, "a", "b"}})
	}
	steps = append(steps, step{op: opGone, args: []string{key}, rule: &rule{kind: true}})
	for range 2 {
		shape := single[d.IntN(len(single))]
		args := d.command(shape)
		if len(args) > 1 && strings.HasPrefix(args[1], d.tag) {
			args[1] = key
		}
		steps = append(steps, step{args: args})
	}
	return steps
}

// scattered are the commands that may have keys anywhere.
var scattered = shapes(`
DEL|UNLINK key...
DEL|UNLINK|EXISTS|TOUCH|MGET key key key key key key
EXISTS|TOUCH key...
MGET key... key...
MSET key value key value ( key value )
MSET key value key
DBSIZE ( x )
KEYS pattern
RANDOMKEY ( x )
FLUSHDB ( SYNC|ASYNC|x )
SCAN cursor COUNT 1000 ( MATCH pattern )
`)

// untaggedSession is commands on keys of all groups.
func untaggedSession(d *drawer) (steps []step) {
	d.tag = ""
	for len(steps) < length {
		switch d.IntN(20) {
		case 0:
			steps = append(steps, step{op: opScan, args: d.expand(nil, iterations[0])})
		case 1:
			steps = append(steps, step{args: []string{"DBSIZE"}})
		case 2, 3, 4, 5, 6, 7:
			if s := draw(d, scattered); !strings.HasPrefix(s.args[0], "FLUSH") || d.chance(10) {
				steps = append(steps, s)
			}
		default:
			if s := draw(d, single); strings.ToUpper(s.args[0]) != "SORT" { // its patterns are for one group
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// multiSession is transactions of several connections.
func multiSession(d *drawer) (steps []step) {
	control := func(conn int, args ...string) { steps = append(steps, step{conn: conn, args: args}) }
	in := [3]bool{} // after MULTI, if that was right
	control(0, "MSET", "{t}W1", "v", "{t}W2", "v", "{t}W3", "v")
	for len(steps) < length {
		conn := d.IntN(3)
		switch n := d.IntN(100); {
		case n < 12 && !in[conn]:
			control(conn, "MULTI")
			in[conn] = true
		case n < 25 && in[conn]:
			control(conn, d.one("EXEC", "EXEC", "EXEC", "DISCARD"))
			in[conn] = false
		case n < 33: // judge is to know of keys that are not there, see package differ
			keys := d.expand(nil, watched)
			control(conn, append([]string{"EXISTS"}, keys...)...)
			control(conn, append([]string{"WATCH"}, keys...)...)
		case n < 45:
			control(conn, d.one("SET", "APPEND", "SET", "DEL"), d.key("W"), d.one("v", "{t}W1"))
		case n < 47:
			control(conn, "UNWATCH")
		case n < 49:
			control(conn, d.one("MULTI", "EXEC", "DISCARD", "nosuch", "PING", "SELECT"), d.one("x", "0"))
		case n < 50:
			steps = append(steps, step{conn: conn, args: draw(d, waiting).args})
		case n < 51 && !in[conn]: // in a transaction they would need all groups
			steps = append(steps, step{conn: conn, args: draw(d, reading).args})
		default:
			for range 1 + d.IntN(4) {
				s := draw(d, single, multiple)
				s.conn = conn
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// watched are keys, some of which are not there.
var watched = parse("Wkey...")

// serverSession is commands about the connection and the server.
func serverSession(d *drawer) (steps []step) {
	for len(steps) < length {
		d.plain = false
		s := draw(d, serverForms)
		if strings.HasSuffix(strings.ToLower(s.args[0]), "unsubscribe") {
			s.args = s.args[:min(len(s.args), 2)] // one reply to each argument
		}
		switch d.IntN(10) {
		case 0:
			d.plain = true // a count of keys that is wrong is read by atoi there
			s.args = append([]string{"COMMAND", "GETKEYS"}, draw(d, single, multiple, keyed).args...)
		case 1:
			d.plain = true
			s.args = append([]string{"COMMAND", "GETKEYSANDFLAGS"}, draw(d, single, multiple, keyed).args...)
		case 2:
			s = draw(d, single, multiple)
		}
		if name := nameOf(s.args); name == "command|info" && len(s.args) == 2 || name == "command" {
			s.rule = &rule{kind: true} // of all commands
		}
		s.conn = d.IntN(2)
		steps = append(steps, s)
		if nameOf(s.args) == "script|debug" { // or Redis would debug the next script
			steps = append(steps, step{conn: s.conn, args: []string{"SCRIPT", "DEBUG", "NO"}})
		}
	}
	return steps
}

// keyed are commands the keys of which are not so easy to find.
var keyed = shapes(`
EVAL|EVALSHA|EVAL_RO value #key value...
OBJECT ENCODING|x key
MEMORY USAGE key
ZUNIONSTORE key #key
SORT key < BY sortby , STORE key >
BLMPOP 0 #key LEFT
LMPOP #key LEFT
WATCH key...
PING
MULTI
GET
`)

// notifySession compares events.
func notifySession(d *drawer) []step {
	const watcher = 1
	classes := d.one("KEA", "KEA", "KA", "EA", "KEAn", "Kg$l", "Eshz", "KEg", "")
	steps := []step{
		{args: []string{"CONFIG", "SET", "notify-keyspace-events", classes}},
		{args: []string{"CONFIG", "GET", "notify-keyspace-events"}},
		{conn: watcher, op: opSay, args: []string{"PSUBSCRIBE", "__key*__:*"}},
	}
	hear := step{conn: watcher, op: opHear, args: []string{"events"}}
	for len(steps) < length {
		s := draw(d, single, single, multiple)
		if pops(s) {
			continue
		}
		if steps = append(steps, s); len(steps)%50 == 0 {
			steps = append(steps, hear)
		}
	}
	return append(steps, hear, step{args: []string{"CONFIG", "SET", "notify-keyspace-events", ""}})
}

// pubsubSession compares what subscribers get.
func pubsubSession(d *drawer) (steps []step) {
	const subscribers = 3
	messages := &rule{messages: true}
	for len(steps) < length/2 {
		conn := 1 + d.IntN(subscribers)
		switch n := d.IntN(20); {
		case n < 4:
			args := d.command(subscriptions[d.IntN(len(subscriptions))])
			if len(args) == 1 && strings.HasSuffix(strings.ToUpper(args[0]), "UNSUBSCRIBE") {
				continue // from all, in any order
			}
			steps = append(steps, step{conn: conn, op: opSay, args: args})
		case n < 6:
			args := d.command(questions[d.IntN(len(questions))])
			steps = append(steps, step{args: args})
		case n < 8:
			steps = append(steps, step{conn: conn, op: opHear, args: []string{"messages"}, rule: messages})
		default:
			steps = append(steps, step{args: d.command(publications[d.IntN(len(publications))])})
		}
	}
	for conn := range subscribers {
		steps = append(steps, step{conn: conn + 1, op: opHear, args: []string{"messages"}, rule: messages})
	}
	return steps
}

var subscriptions = shapes(`
SUBSCRIBE channel...
SSUBSCRIBE channel
PSUBSCRIBE chpattern...
UNSUBSCRIBE channel...
SUNSUBSCRIBE channel
PUNSUBSCRIBE chpattern...
PING
PING message
GET skey
PUBLISH channel message
`)

var publications = shapes(`
PUBLISH channel message
SPUBLISH channel message
`)

var questions = shapes(`
PUBSUB CHANNELS ( chpattern )
PUBSUB SHARDCHANNELS ( chpattern )
PUBSUB NUMPAT
PUBSUB NUMSUB ( channel... )
PUBSUB SHARDNUMSUB ( channel... )
`)
