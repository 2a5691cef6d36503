package redisproto

import (
	"maps"
	"slices"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// maxSubscriptions bounds what one connection has subscribed to.
const maxSubscriptions = 100_000

func pubsubCommands() []Command {
	rows := []Command{
		row("subscribe", -2, own, subscribe(channels, "subscribe"), "2.0.0", "channel [channel ...]", "Listens to channels."),
		row("unsubscribe", -1, own, unsubscribe(channels, "unsubscribe"), "2.0.0", "[channel [channel ...]]",
			"Stops listening to channels, or to all."),
		row("psubscribe", -2, own, subscribe(patterns, "psubscribe"), "2.0.0", "pattern [pattern ...]",
			"Listens to the channels that match patterns."),
		row("punsubscribe", -1, own, unsubscribe(patterns, "punsubscribe"), "2.0.0", "[pattern [pattern ...]]",
			"Stops listening to patterns, or to all."),
		row("ssubscribe", -2, own, subscribe(shards, "ssubscribe"), "7.0.0", "shardchannel [shardchannel ...]",
			"Listens to shard channels."),
		row("sunsubscribe", -1, own, unsubscribe(shards, "sunsubscribe"), "7.0.0", "[shardchannel [shardchannel ...]]",
			"Stops listening to shard channels, or to all."),
		early("publish", 3, anyTime|command.Fast, publish(false), "2.0.0", "channel message",
			"Sends a message to those who listen to a channel, on all nodes."),
		early("spublish", 3, anyTime|command.Fast, publish(true), "7.0.0", "shardchannel message",
			"Sends a message to those who listen to a shard channel, on all nodes."),
		{
			Spec: container("pubsub", -2, "pubsub", "2.8.0", "Commands about channels."),
			Subs: []Command{
				row("pubsub|channels", -2, anyTime, pubsubChannels, "2.8.0", "[pattern]", "Lists the channels that somebody listens to."),
				row("pubsub|numsub", -2, anyTime, pubsubNumSub, "2.8.0", "[channel [channel ...]]", "Counts those who listen to channels."),
				row("pubsub|numpat", 2, anyTime, pubsubNumPat, "2.8.0", "", "Counts the patterns that somebody listens to."),
				row("pubsub|shardchannels", -2, anyTime, pubsubChannels, "7.0.0", "[pattern]",
					"Lists the shard channels that somebody listens to."),
				row("pubsub|shardnumsub", -2, anyTime, pubsubNumSub, "7.0.0", "[shardchannel [shardchannel ...]]",
					"Counts those who listen to shard channels."),
			},
		},
	}
	for i := range rows {
		rows[i].Group = "pubsub"
	}
	return rows
}

// subscriptions returns how many the client has. Any goroutine may call it.
func (c *Client) subscriptions() int {
	n := 0
	for kind := range c.counts {
		n += int(c.counts[kind].Load())
	}
	return n
}

// subscribed is the number that the confirmations tell: shard channels count for
// themselves.
func (c *Client) subscribed(kind topic) int {
	if kind == shards {
		return int(c.counts[shards].Load())
	}
	return int(c.counts[channels].Load() + c.counts[patterns].Load())
}

// confined reports whether the client may not send a command now: with the older
// protocol, replies could be taken for messages.
func (c *Client) confined(e *entry) bool {
	if c.proto > 2 || c.subscriptions() == 0 {
		return false
	}
	switch e.spec.Name {
	case "ping", "quit", "reset", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe":
		return false
	}
	return true
}

func errConfined(e *entry) resp.Value {
	return resp.Err("ERR Can't execute '" + e.spec.Name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET " +
		"are allowed in this context")
}

// SUBSCRIBE channel [channel ...], PSUBSCRIBE, SSUBSCRIBE
func subscribe(kind topic, verb string) runFunc {
	return func(c *Client, args [][]byte) resp.Value {
		if kind == shards && c.executing {
			return resp.Err("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")
		}
		if c.subscriptions()+len(args)-1 > maxSubscriptions {
			return resp.Err("ERR too many subscriptions")
		}
		for _, arg := range args[1:] {
			name := string(arg)
			c.holdMessages() // until the confirmation is written
			if _, ok := c.names[kind][name]; !ok {
				if c.names[kind] == nil {
					c.names[kind] = map[string]struct{}{}
				}
				c.names[kind][name] = struct{}{}
				c.counts[kind].Add(1)
				c.listen()
				c.srv.hub.join(kind, name, c)
			}
			c.push(resp.Str(verb), resp.Str(name), resp.Int(c.subscribed(kind)))
		}
		return resp.Value{}
	}
}

// UNSUBSCRIBE [channel [channel ...]], PUNSUBSCRIBE, SUNSUBSCRIBE
func unsubscribe(kind topic, verb string) runFunc {
	return func(c *Client, args [][]byte) resp.Value {
		names := slices.Sorted(maps.Keys(c.names[kind]))
		if len(args) > 1 {
			names = names[:0]
			for _, arg := range args[1:] {
				names = append(names, string(arg))
			}
		} else if len(names) == 0 {
			c.push(resp.Str(verb), resp.Null, resp.Int(c.subscribed(kind)))
		}
		for _, name := range names {
			c.leave(kind, name)
			c.push(resp.Str(verb), resp.Str(name), resp.Int(c.subscribed(kind)))
		}
		return resp.Value{}
	}
}

// leave ends a subscription. All of its messages are written then.
func (c *Client) leave(kind topic, name string) {
	if _, ok := c.names[kind][name]; !ok {
		return
	}
	c.srv.hub.leave(kind, name, c)
	if c.box.held {
		c.flush()
		c.holdMessages()
	}
	delete(c.names[kind], name)
	c.counts[kind].Add(-1)
	c.listen()
}

// leaveAll ends all subscriptions.
func (c *Client) leaveAll() {
	for kind, names := range c.names {
		for name := range names {
			c.leave(topic(kind), name)
		}
	}
}

// push gives the client something that is no reply, and comes whether it wants
// replies or not.
func (c *Client) push(elems ...resp.Value) { c.write(resp.Value{Kind: resp.Push, Elems: elems}) }

// PUBLISH channel message, SPUBLISH shardchannel message
//
// Those that follow each other in a pipeline go to the backend in one call, unless the
// client itself may get them.
func publish(shard bool) runFunc {
	return func(c *Client, args [][]byte) resp.Value {
		if len(c.calls) > 0 {
			c.settle()
		}
		c.messages = append(c.messages, Message{Shard: shard, Channel: string(args[1]), Payload: string(args[2])})
		c.bytes += len(args[1]) + len(args[2])
		if c.listening() || len(c.messages) >= maxCalls || c.bytes >= maxCallBytes {
			c.settle()
		}
		return resp.Value{}
	}
}

// ask puts a question to all nodes.
func (c *Client) ask(words ...[]byte) []resp.Value { return c.srv.backend.PubSub(c.ctx, words) }

// PUBSUB CHANNELS [pattern], PUBSUB SHARDCHANNELS [pattern]
func pubsubChannels(c *Client, args [][]byte) resp.Value {
	if len(args) > 3 {
		return resp.Err("ERR unknown subcommand or wrong number of arguments for " + quoted(args[1]) + ". Try PUBSUB HELP.")
	}
	return resp.Strs(union(c.ask(args[1:]...))...)
}

// union joins lists of names.
func union(lists []resp.Value) []string {
	names := map[string]struct{}{}
	for _, list := range lists {
		for _, name := range list.Elems {
			names[name.Str] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// PUBSUB NUMSUB [channel ...], PUBSUB SHARDNUMSUB [channel ...]
func pubsubNumSub(c *Client, args [][]byte) resp.Value {
	if len(args) == 2 {
		return resp.EmptyArray
	}
	sums := make([]int64, len(args)-2)
	for _, answer := range c.ask(args[1:]...) {
		if len(answer.Elems) != 2*len(sums) {
			continue
		}
		for i := range sums {
			sums[i] += answer.Elems[2*i+1].Int
		}
	}
	pairs := make([]resp.Value, 0, 2*len(sums))
	for i, n := range sums {
		pairs = append(pairs, resp.Str(string(args[2+i])), resp.Int64(n))
	}
	return resp.List(pairs...)
}

// PUBSUB NUMPAT
func pubsubNumPat(c *Client, _ [][]byte) resp.Value {
	return resp.Int(len(union(c.ask([]byte("PATTERNS")))))
}

// pingReply is what PING answers to a client that listens with the older protocol.
func pingReply(args [][]byte) resp.Value {
	if len(args) == 1 {
		return resp.Strs("pong", "")
	}
	return resp.Strs("pong", string(args[1]))
}
