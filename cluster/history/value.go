package history

import (
	"slices"
	"strings"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// values is the model of keys without a time to live: the state machine itself. A
// state is the text of the commands that make the keys' values, as
// [fsm.AppendCalls] writes them, so that equal values are equal states whatever led
// to them.
type values struct {
	table *fsm.Table
	m     *fsm.Machine
	seq   uint64
	keys  [][]byte // of the partition, sorted
	at    string   // the state that the machine is in
	done  map[doing]result
}

// doing is an operation in a state, result what comes of it. What a search does
// once it does many times.
type doing struct {
	state string
	op    *Op
}

type result struct {
	reply string
	next  string
}

// The machine's origin and the cluster clock, which stands still: nothing here
// expires.
const (
	valuesOrigin = 1
	valuesClock  = 1000
)

// judged are the commands that values can be asked about: what they answer depends
// on nothing but the values, and is not drawn. SET is one without a time to live.
var judged = wordSet(`get set getset getdel getrange strlen append setnx setrange mget mset msetnx
	incr decr incrby decrby incrbyfloat del unlink exists touch type rename renamenx
	hget hset hmset hsetnx hmget hgetall hdel hexists hlen hkeys hvals hstrlen hincrby hincrbyfloat
	sadd srem sismember smismember scard smembers smove sinter sunion sdiff
	lpush rpush lpushx rpushx lpop rpop llen lindex lrange lset lrem ltrim linsert lpos lmove rpoplpush
	zadd zincrby zrem zscore zmscore zrank zrevrank zcard zcount zrange zrevrange zrangebyscore zpopmin zpopmax`)

// unordered are the commands whose replies come in an order that is the machine's
// affair: 1 for lists, 2 for lists of pairs.
var unordered = map[string]int{
	"smembers": 1, "sinter": 1, "sunion": 1, "sdiff": 1, "hkeys": 1, "hvals": 1, "hgetall": 2,
}

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

func newValues(table *fsm.Table, keys []string) *values {
	v := &values{table: table, done: map[doing]result{}}
	v.m = fsm.New(fsm.Config{Group: "model", Table: table})
	v.apply(fsm.Request{Kind: fsm.OpenOrigin, Origin: valuesOrigin, Node: "model"})
	for _, k := range slices.Sorted(slices.Values(keys)) {
		v.keys = append(v.keys, []byte(k))
	}
	v.at = v.state()
	return v
}

func (v *values) start() any { return string(fsm.AppendCalls(nil, nil)) }

func (v *values) step(state any, op *Op) (fits bool, next any) {
	if len(op.Watched) > 0 && op.Outcome == Answered && isNil(op.Reply) {
		return true, state // it may be given up for any reason, if it did nothing
	}
	r := v.do(state.(string), op)
	if op.Outcome == Unknown {
		return r.next != state, r.next
	}
	return r.reply == textOf(op.Args[0], op.Reply), r.next
}

func (v *values) expected(state any, op *Op) string { return v.do(state.(string), op).reply }

func (v *values) describe(state any) string {
	calls, _, err := fsm.DecodeCalls([]byte(state.(string)))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, c := range calls {
		args := make([]string, len(c.Args))
		for i, a := range c.Args {
			args[i] = string(a)
		}
		lines = append(lines, words(args))
	}
	if lines == nil {
		return "no key"
	}
	return strings.Join(lines, "; ")
}

// do runs an operation in a state.
func (v *values) do(state string, op *Op) result {
	if r, ok := v.done[doing{state, op}]; ok {
		return r
	}
	v.put(state)
	r := result{reply: v.execute(op), next: state}
	if !(reader{v.table}).readOnly(op) {
		r.next = v.state()
		v.at = r.next
	}
	v.done[doing{state, op}] = r
	return r
}

// execute runs an operation in the state that the machine is in.
func (v *values) execute(op *Op) (reply string) {
	if op.Calls == nil {
		return textOf(op.Args[0], v.command(op.Args, op.Reply))
	}
	for _, w := range op.Watched {
		if textOf(w.Args[0], v.command(w.Args, w.Reply)) != textOf(w.Args[0], w.Reply) {
			return textOf("", resp.NullArray)
		}
	}
	replies := make([]resp.Value, len(op.Calls))
	for i, args := range op.Calls {
		replies[i] = v.command(args, resp.Value{})
	}
	return textOf("", resp.List(replies...))
}

// command runs one command. told is what the client was told: of what is drawn, the
// model does not know better.
func (v *values) command(args []string, told resp.Value) resp.Value {
	if s := findScript(args); s != nil {
		keys, argv := scriptArgs(args)
		return s.do(func(args ...string) resp.Value { return v.command(args, resp.Value{}) }, keys, argv, told)
	}
	call := callOf(args)
	if v.table.Lookup(call.Args).Read != nil {
		return v.m.Read(call)
	}
	return v.run(call)[0]
}

// put brings the machine into a state.
func (v *values) put(state string) {
	if v.at == state {
		return
	}
	calls, _, err := fsm.DecodeCalls([]byte(state))
	if err != nil {
		panic(err) // it is our own text
	}
	v.run(append([]command.Call{{Args: slices.Concat([][]byte{[]byte("DEL")}, v.keys)}}, calls...)...)
	v.at = state
}

// contents are the commands that read and make the values of each type. What has
// no order of its own is sorted, by the width of its elements.
var contents = map[string]struct {
	read  []string // the key is the second argument
	write string
	width int
}{
	"string": {[]string{"GET", ""}, "SET", 0},
	"list":   {[]string{"LRANGE", "", "0", "-1"}, "RPUSH", 0},
	"set":    {[]string{"SMEMBERS", ""}, "SADD", 1},
	"hash":   {[]string{"HGETALL", ""}, "HSET", 2},
	"zset":   {[]string{"ZRANGE", "", "0", "-1", "WITHSCORES"}, "ZADD", 2},
}

// state reads the state that the machine is in.
func (v *values) state() string {
	var calls []command.Call
	for _, key := range v.keys {
		kind := v.m.Read(command.Call{Args: [][]byte{[]byte("TYPE"), key}}).Str
		c, ok := contents[kind]
		if !ok {
			continue // no such key
		}
		read := callOf(c.read)
		read.Args[1] = key
		elems := elements(v.m.Read(read))
		if kind == "zset" { // ZADD wants the score first
			for i := 0; i < len(elems); i += 2 {
				elems[i], elems[i+1] = elems[i+1], elems[i]
			}
		}
		elems = sorted(elems, c.width)
		write := callOf(append([]string{c.write, ""}, elems...))
		write.Args[1] = key
		calls = append(calls, write)
	}
	return string(fsm.AppendCalls(nil, calls))
}

// run applies calls as one entry.
func (v *values) run(calls ...command.Call) []resp.Value {
	v.seq++
	out := v.apply(fsm.Request{Kind: fsm.Run, Origin: valuesOrigin, Seq: v.seq, Acked: v.seq, Calls: calls})
	return out[0].Replies
}

func (v *values) apply(r fsm.Request) []fsm.Outcome {
	out, err := v.m.Apply(v.m.Index()+1, 1, &fsm.Entry{
		Epoch: v.m.Epoch(), Term: 1, Stamp: valuesClock, Wall: valuesClock, Requests: []fsm.Request{r},
	})
	if err != nil || out[0].Status != fsm.Applied {
		panic("history: the model does not apply what it is given")
	}
	return out
}

func callOf(args []string) command.Call {
	c := command.Call{Args: make([][]byte, len(args))}
	for i, a := range args {
		c.Args[i] = []byte(a)
	}
	return c
}

// elements returns the strings of a reading reply.
func elements(v resp.Value) []string {
	if v.Kind == resp.Bulk {
		return []string{v.Str}
	}
	elems := make([]string, len(v.Elems))
	for i, e := range v.Elems {
		elems[i] = e.Str
	}
	return elems
}

// sorted sorts elements, taken together by width; 0 leaves them as they are.
func sorted(elems []string, width int) []string {
	if width == 0 {
		return elems
	}
	rows := slices.Collect(slices.Chunk(elems, width))
	slices.SortFunc(rows, slices.Compare[[]string])
	return slices.Concat(rows...)
}
