package main

import "strconv"

// largeSession is commands on lists, sets, hashes and sorted sets that are too large
// for Redis's compact encodings, by the number of their elements or by their length.
func largeSession(d *drawer) (steps []step) {
	for len(steps) < length {
		if len(steps)%100 == 0 {
			steps = append(steps, d.grown(d.one("l", "e", "h", "z"))...)
		}
		switch n := d.IntN(20); {
		case n == 0:
			steps = append(steps, step{op: opScan, args: d.expand(nil, iterations[d.IntN(len(iterations))])})
		case n == 1:
			steps = append(steps, d.grown(d.one("l", "e", "h", "z"))...)
		default:
			if s := draw(d, single, multiple); !pops(s) {
				steps = append(steps, s)
			}
		}
	}
	return steps
}

// grown has many elements stored under a key: few of them known to the other commands,
// none so long or so many that an iteration needs more than one step.
func (d *drawer) grown(pool string) []step {
	key := d.key(pool)
	args := []string{map[string]string{"l": "RPUSH", "e": "SADD", "h": "HSET", "z": "ZADD"}[pool], key}
	count, text := 100+d.IntN(500), d.one("", "", long)
	for i := range count {
		element := text + strconv.Itoa(i)
		switch pool {
		case "h":
			args = append(args, element, d.word("value"))
		case "z":
			args = append(args, d.one(strconv.Itoa(i%50), d.word("score")), element)
		default:
			args = append(args, element)
		}
	}
	return []step{{args: []string{"DEL", key}}, {args: args}}
}
