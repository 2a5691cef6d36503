package group

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// itsArguments is a language in which a script's arguments are the command that it calls.
type itsArguments struct{ lines }

func (itsArguments) Run(_ context.Context, call func([][]byte) resp.Value, _, _ string, _, argv [][]byte) resp.Value {
	return call(argv)
}

// writes is a dialogue with every command that scripts may change something with.
const writes = `
SET s 1
SET s 2 EX 100 GET
SETNX new 1
SETEX s 100 v
PSETEX s 100 v
GETSET s 10
MSET a 1 b 2
MSETNX c 1 d 2
INCR s
INCRBY s 5
DECR s
DECRBY s 5
INCRBYFLOAT s 1.5
APPEND s x
SETRANGE s 1 y
SETBIT bits 7 1
SETBIT bits 7 1
BITFIELD bits SET u8 0 3
BITOP NOT not bits
GETEX s EX 100
GETEX s PERSIST
GETEX a PXAT 1
GETDEL b
DELEX c IFEQ 1
DELIFEQ d 2
EXPIRE s 100 NX
PEXPIRE s 200000 GT
EXPIREAT s 9000000000
PEXPIREAT s 9000000000000
PERSIST s
EXPIRE new -1
EXPIREAT s 1
SET s v
PEXPIREAT s 1
HSET h f 1 g 2
HMSET h f 1
HSETNX h n 1
HINCRBY h f 0
HINCRBYFLOAT h f 1.5
HDEL h f n
HDEL h g
RPUSH l 1 2 3
LPUSH l 0
LPUSHX l x
RPUSHX l y
LINSERT l BEFORE x w
LSET l 0 w
LREM l 1 x
LMOVE l m LEFT RIGHT
RPOPLPUSH l l
LPOP m
RPOP m
RPUSH m 1 2 3 4 5 6 7
LTRIM m 1 5
LMPOP 1 m LEFT
BLMPOP 0 1 m LEFT COUNT 9
SORT l ALPHA STORE sorted
SADD set 1 2 3 4
SREM set 1
SMOVE set other 2
SPOP other
SPOP set 1
SUNIONSTORE union set other
SINTERSTORE inter set union
SDIFFSTORE diff set nosuch
SDIFFSTORE diff set set
SPOP union 9
ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i
ZADD z INCR 1 a
ZINCRBY z 1 a
ZREM z a
ZPOPMIN z
ZPOPMAX z
ZMPOP 1 z MIN
BZMPOP 0 1 z MAX
ZRANGESTORE range z 0 -1
ZUNIONSTORE sum 2 z range
ZINTERSTORE both 2 z range
ZDIFFSTORE less 2 z nosuch
ZREMRANGEBYRANK sum 0 0
ZREMRANGEBYSCORE both -inf +inf
ZREMRANGEBYLEX less - +
RENAME z y
RENAMENX y z
COPY z y
DEL z
UNLINK y
RESTORE dumped 0 DUMP
RESTORE dumped 1 DUMP REPLACE ABSTTL
MOVE l 9
SWAPDB 8 9
FLUSHDB
FLUSHALL
`

// TestScriptsTellTheEventsOfTheirCalls: what is in the log for a call of a script tells
// of the events that the call itself does, and so that every command is among them.
func TestScriptsTellTheEventsOfTheirCalls(t *testing.T) {
	bubble(t, func(r *rig) {
		var mu sync.Mutex
		var told []string
		r.config = func(c *Config) {
			c.Scripts = itsArguments{}
			c.Machine.Events = func() fsm.EventClass { return fsm.EventAll | fsm.EventNew }
			c.Events = func(events []fsm.Event) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range events {
					told = append(told, e.Name+" "+e.Key)
				}
			}
		}
		r.openAll()
		n := r.leader()
		n.must("SET", "given", "v")
		dumped := n.Read(oneCall("DUMP", "given"))[0].Str
		n.must("DEL", "given")
		take := func() []string {
			mu.Lock()
			defer mu.Unlock()
			defer func() { told = nil }()
			return told
		}
		take()
		played := map[string]bool{}
		table := fsm.DataCommands()
		run := func(each func(words []string)) (all []string) {
			for line := range strings.Lines(strings.TrimSpace(writes)) {
				words := strings.Fields(line)
				played[table.Lookup(call(words...).Args).Name] = true
				if i := slices.Index(words, "DUMP"); i > 0 {
					words[i] = dumped
				}
				each(words)
				all = append(all, fmt.Sprint(words, ": ", take()))
			}
			return all
		}
		want := run(func(words []string) { n.must(words...) })
		got := run(func(words []string) {
			out := <-n.evaluate(n.request(call(append([]string{"EVAL", "call", "0"}, words...)...)))
			if out.err != nil || out.replies[0].IsError() {
				t.Fatalf("%q: %+v", words, out)
			}
		})
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got %s\nwant %s", got[i], want[i])
			}
		}
		for _, spec := range table.Specs() {
			if spec.Has(command.Write) && !spec.Has(command.NoScript) && !spec.Has(command.Internal) && !played[spec.Name] {
				t.Errorf("%s is not played", spec.Name)
			}
		}
	}, "n1")
}
