package main

import (
	"slices"
	"strconv"
)

// blockSession has clients wait, and others serve them. Either every client waits for
// one key, or no command fills several keys, nor by those who wait to move what they
// get, unless it is of one element: which key counts when clients wait for several that
// come is listed in package differ, and all that comes after it would differ.
func blockSession(d *drawer) (steps []step) {
	const waiters = 4
	d.plain = true
	waits, serves, atOnce := waitsForOne, servesAll, 3
	switch d.IntN(4) {
	case 0:
		waits, atOnce = waitsForAny, 1
	case 1:
		waits, serves, atOnce = waitsToMove, servesOne, 1
	}
	for len(steps) < length/4 {
		switch n := d.IntN(20); {
		case n < 8:
			args := d.command(waits[d.IntN(len(waits))])
			steps = append(steps, step{conn: 1 + d.IntN(waiters), op: opSend, args: args})
		case n < 9:
			args := []string{"CLIENT", "UNBLOCK", "@" + strconv.Itoa(1+d.IntN(waiters))}
			if d.chance(2) {
				args = append(args, d.one("TIMEOUT", "ERROR"))
			}
			steps = append(steps, step{args: args})
		case n < 10 && atOnce > 1:
			steps = append(steps, step{args: []string{"SWAPDB", "0", "1"}})
		case n < 11:
			steps = append(steps, step{args: []string{"MULTI"}})
			for range 1 + d.IntN(atOnce) {
				steps = append(steps, d.serve(serves)...)
			}
			steps = append(steps, step{args: []string{"EXEC"}})
		default:
			steps = append(steps, d.serve(serves)...)
		}
	}
	return steps
}

// serve draws a command that may serve who waits. What one that stores a result would
// put in the place of another value is deleted first: package differ lists why.
func (d *drawer) serve(serves []node) []step {
	args := d.command(serves[d.IntN(len(serves))])
	var to string
	var from []string
	switch last := len(args) - 1; args[0] {
	case "SORT":
		to, from = args[last], args[1:2]
	case "ZUNIONSTORE":
		to, from = args[1], args[3:]
	default:
		return []step{{args: args}}
	}
	if slices.Contains(from, to) {
		if args[0] == "SORT" { // a sorted set would become a list
			return nil
		}
		return []step{{args: args}}
	}
	return []step{{args: []string{"DEL", to}}, {args: args}}
}

var waitsForOne = shapes(`
BLPOP|BRPOP lkey 0
BLMPOP 0 1 lkey LEFT|RIGHT ( COUNT 1|2|10 )
BZPOPMIN|BZPOPMAX zkey 0
BZMPOP 0 1 zkey MIN|MAX ( COUNT 1|2|10 )
`)

var waitsForAny = shapes(`
BLPOP|BRPOP lkey... 0
BLMPOP 0 #lkey LEFT|RIGHT ( COUNT 1|2|10 )
BZPOPMIN|BZPOPMAX zkey... 0
BZMPOP 0 #zkey MIN|MAX ( COUNT 1|2|10 )
`)

var waitsToMove = slices.Concat(waitsForAny, shapes(`
BLMOVE lkey lkey LEFT|RIGHT LEFT|RIGHT 0
BRPOPLPUSH lkey lkey 0
`))

// servesOne brings no more than one element.
var servesOne = shapes(`
LPUSH|RPUSH lkey value
LPUSH|RPUSH lkey value
LPUSHX lkey value
ZADD zkey score member
ZINCRBY zkey score member
LMOVE lkey lkey LEFT|RIGHT LEFT|RIGHT
RPOPLPUSH lkey lkey
DEL key key
SET key value
LPOP lkey
ZPOPMIN zkey
LRANGE lkey 0 -1
ZRANGE zkey 0 -1 WITHSCORES
`)

var servesAll = shapes(`
LPUSH|RPUSH lkey value...
LPUSH|RPUSH lkey value...
LPUSHX lkey value
ZADD zkey score member
ZADD zkey score member score member
ZINCRBY zkey score member
LMOVE lkey lkey LEFT|RIGHT LEFT|RIGHT
RPOPLPUSH lkey lkey
RENAME key key
COPY key key REPLACE
SORT lkey ALPHA STORE lkey
ZUNIONSTORE zkey 2 zkey zkey
DEL key key
SET key value
LPOP lkey
ZPOPMIN zkey
LRANGE lkey 0 -1
ZRANGE zkey 0 -1 WITHSCORES
EVAL return(redis.call('rpush',KEYS[1],'a','b')) 1 lkey
`)
