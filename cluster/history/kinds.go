package history

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"phonond/redisproto/resp"
)

// value returns a value that nobody has written before: what is read tells who
// wrote it, and a stale or lost one shows.
func (c *Client) value() string {
	c.writes++
	return fmt.Sprintf("c%d-%d", c.number, c.writes)
}

// pick returns one of several commands.
func (c *Client) pick(commands ...[]string) []string {
	return commands[c.rng.IntN(len(commands))]
}

// small returns one of a few names under which clients meet inside a value.
func (c *Client) small(prefix string) string { return prefix + strconv.Itoa(c.rng.IntN(4)) }

// amount returns what to count by.
func (c *Client) amount() string { return strconv.Itoa(1 + c.rng.IntN(9)) }

func cmd(args ...string) []string { return args }

// command returns something to ask of a key. A third to half of what is asked are
// reads: they are what shows mistakes.
func (c *Client) command(k *key) []string {
	name := k.name
	switch k.kind {
	case Register:
		return c.register(name)
	case Counter:
		return c.pick(
			cmd("INCR", name), cmd("INCR", name), cmd("INCR", name), cmd("DECR", name),
			cmd("INCRBY", name, c.amount()), cmd("DECRBY", name, c.amount()),
			cmd("GET", name), cmd("GET", name), cmd("GET", name),
		)
	case Hash:
		return c.pick(
			cmd("HSET", name, c.small("f"), c.value()), cmd("HSET", name, "f0", c.value(), "f1", c.value()),
			cmd("HSETNX", name, c.small("f"), c.value()), cmd("HDEL", name, c.small("f")),
			cmd("HINCRBY", name, "n", c.amount()), cmd("HINCRBY", name, "n", "-1"),
			cmd("HGET", name, c.small("f")), cmd("HGET", name, "n"), cmd("HGETALL", name), cmd("HGETALL", name),
		)
	case List:
		return c.pick(
			cmd("RPUSH", name, c.value()), cmd("RPUSH", name, c.value(), c.value()), cmd("LPUSH", name, c.value()),
			cmd("LPOP", name), cmd("LPOP", name), cmd("RPOP", name),
			cmd("LRANGE", name, "0", "-1"), cmd("LRANGE", name, "0", "-1"), cmd("LLEN", name),
		)
	case Set:
		return c.pick(
			cmd("SADD", name, c.small("m")), cmd("SADD", name, c.small("m"), c.small("m")), cmd("SADD", name, c.value()),
			cmd("SREM", name, c.small("m")), cmd("SREM", name, c.small("m")),
			cmd("SISMEMBER", name, c.small("m")), cmd("SCARD", name), cmd("SMEMBERS", name), cmd("SMEMBERS", name),
		)
	case SortedSet:
		return c.pick(
			cmd("ZADD", name, c.amount(), c.small("m")), cmd("ZADD", name, c.amount(), c.value()),
			cmd("ZINCRBY", name, c.amount(), c.small("m")), cmd("ZREM", name, c.small("m")),
			cmd("ZSCORE", name, c.small("m")), cmd("ZRANGE", name, "0", "-1", "WITHSCORES"), cmd("ZRANGE", name, "0", "-1", "WITHSCORES"),
		)
	case Pair:
		return c.pair(name+"a", name+"b")
	case Shared:
		return c.shared(name)
	case Lock:
		return c.lock(name)
	}
	panic("history: unknown kind " + string(k.kind))
}

func (c *Client) register(name string) []string {
	return c.pick(
		cmd("SET", name, c.value()), cmd("SET", name, c.value()),
		cmd("SET", name, c.value(), "NX"), cmd("SET", name, c.value(), "XX", "GET"), cmd("SETNX", name, c.value()),
		cmd("GETSET", name, c.value()), cmd("GETDEL", name), cmd("DEL", name), cmd("APPEND", name, c.value()),
		cmd("GET", name), cmd("GET", name), cmd("GET", name), cmd("GET", name), cmd("GET", name),
	)
}

func (c *Client) pair(a, b string) []string {
	v := c.value()
	return c.pick(
		cmd("MSET", a, v, b, v), cmd("MSET", b, v, a, v), cmd("MSETNX", a, v, b, v), cmd("DEL", a, b),
		cmd("SET", a, v), cmd("DEL", b), cmd("EXISTS", a, b),
		cmd("MGET", a, b), cmd("MGET", b, a), cmd("MGET", a, b), cmd("GET", a),
	)
}

// shared is what else is done with the keys of transactions, by scripts and without.
func (c *Client) shared(name string) []string {
	a, b, n, s := name+"a", name+"b", name+"n", name+"s"
	if c.rng.IntN(2) == 0 {
		a, b = b, a
	}
	switch c.rng.IntN(14) {
	case 0:
		return c.run(limitScript, cmd(n), strconv.Itoa(2+c.rng.IntN(10)))
	case 1:
		return c.run(moveScript, cmd(a, b))
	case 2, 3:
		return c.run(casScript, cmd(a), c.last[a], c.value())
	case 4:
		return c.run(timeScript, cmd(a), c.value())
	case 5:
		return c.run(peekScript, cmd(a, n))
	case 6:
		return c.run(slowScript, cmd(a), c.value(), strconv.Itoa(c.rng.IntN(c.w.o.Spin)))
	case 7:
		return c.run(drawScript, cmd(s, n))
	}
	return c.pick(
		cmd("SET", a, c.value()), cmd("DEL", n), cmd("SADD", s, c.small("m")), cmd("SREM", s, c.small("m")),
		cmd("GET", a), cmd("GET", a), cmd("MGET", a, b, n), cmd("SMEMBERS", s),
	)
}

// transaction returns what a transaction watches and reads first, and its commands.
func (c *Client) transaction(name string) (watched []string, calls [][]string) {
	a, b, n, s := name+"a", name+"b", name+"n", name+"s"
	switch c.rng.IntN(4) {
	case 0:
		return nil, [][]string{cmd("SET", a, c.value()), cmd("INCR", n), cmd("GET", b)}
	case 1:
		return cmd(a, b), [][]string{cmd("SET", b, c.value()), cmd("SET", a, c.value()), cmd("SADD", s, c.small("m")), cmd("GET", n)}
	case 2:
		return cmd(a), [][]string{cmd("SET", a, c.value()), cmd("GET", b), cmd("SCARD", s)}
	}
	return cmd(n), [][]string{cmd("INCRBY", n, c.amount()), cmd("GETSET", a, c.value())}
}

// ttl returns a time to live, in ms.
func (c *Client) ttl() string {
	o := c.w.o
	span := math.Log(float64(o.MaxTTL) / float64(o.MinTTL))
	ttl := time.Duration(float64(o.MinTTL) * math.Exp(c.rng.Float64()*span))
	return strconv.FormatInt(max(1, ttl.Milliseconds()), 10)
}

// lock asks for a lock, or does with it what who has it does: extends it, gives it
// back, forgets it until it expires.
func (c *Client) lock(name string) []string {
	token, mine := c.tokens[name]
	n := c.rng.IntN(20)
	switch {
	case mine && n < 5:
		return c.evalsha(releaseSHA, releaseText, cmd(name), token)
	case mine && n < 10:
		return c.evalsha(extendSHA, extendText, cmd(name), token, c.ttl(), strconv.Itoa(c.rng.IntN(2)))
	case mine && n < 12:
		delete(c.tokens, name)
	case mine && n == 12: // it does not know that it has it
		return cmd("SET", name, c.value(), "NX", "PX", c.ttl())
	case n < 8:
		return cmd("SET", name, c.value(), "NX", "PX", c.ttl())
	}
	if n%4 == 0 {
		return cmd("PTTL", name)
	}
	return cmd("GET", name)
}

func (c *Client) run(s *script, keys []string, argv ...string) []string {
	return c.evalsha(s.sha, s.text, keys, argv...)
}

// evalsha runs a script by its SHA1, or by its text when that was not known.
func (c *Client) evalsha(sha, text string, keys []string, argv ...string) []string {
	args := cmd("EVALSHA", sha)
	if c.unknown[sha] {
		delete(c.unknown, sha)
		args = cmd("EVAL", text)
	}
	args = append(args, strconv.Itoa(len(keys)))
	return slices.Concat(args, keys, argv)
}

// sawLock remembers who has a lock, as far as the client can know.
func (c *Client) sawLock(name string, args []string, v resp.Value, outcome Outcome) {
	call, ok := parseLock(args)
	switch {
	case !ok || outcome == Refused:
	case call.action == acquire && (outcome == Unknown || v.Str == "OK"):
		c.tokens[name] = call.token
	case outcome == Answered && call.action == release, v.Kind == resp.Integer && v.Int == 0:
		delete(c.tokens, name)
	}
}
