package redisproto

import (
	"slices"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The flags that most connection commands share.
const (
	anyTime = command.Local | command.Loading | command.Stale
	preAuth = anyTime | command.NoScript | command.Fast | command.NoAuth
	own     = anyTime | command.NoScript
)

// connCommands returns the rows of the commands that concern the connection,
// or what the server is able to do.
func connCommands() []Command {
	return slices.Concat(multiCommands(), pubsubCommands(), []Command{
		early("auth", -2, preAuth, auth, "1.0.0", "[username] password", "Authenticates the connection."),
		row("hello", -1, preAuth, hello, "6.0.0", "[protover [AUTH username password] [SETNAME clientname]]",
			"Chooses the protocol version and tells about the server."),
		unqueued(row("quit", -1, preAuth, quit, "1.0.0", "", "Closes the connection.")),
		unqueued(row("reset", 1, preAuth, reset, "6.2.0", "", "Returns the connection to the state in which it began.")),
		early("ping", -1, command.Local|command.Fast, ping, "1.0.0", "[message]", "Replies PONG, or the message."),
		early("echo", 2, anyTime|command.Fast, echoArg, "1.0.0", "message", "Replies the message."),
		row("monitor", 1, own|command.Admin, monitor, "1.0.0", "", "Shows the commands that this node executes."),
		row("wait", 3, command.Local|command.NoScript, waitReplicas, "3.0.0", "numreplicas timeout",
			"Waits until replicas have what was written."),
		early("select", 2, anyTime|command.Fast, selectDB, "1.0.0", "index", "Chooses the database."),
		{
			Spec: container("client", -2, "connection", "2.4.0", "Commands about connections."),
			Subs: []Command{
				early("client|id", 2, own, clientID, "5.0.0", "", "Returns the number of this connection."),
				early("client|getname", 2, own, clientGetName, "2.6.9", "", "Returns the name of this connection."),
				early("client|setname", 3, own, clientSetName, "2.6.9", "name", "Names this connection."),
				early("client|setinfo", 4, own, clientSetInfo, "7.2.0", "LIB-NAME name | LIB-VER version",
					"Tells which library the client uses."),
				row("client|info", 2, own, clientInfo, "6.2.0", "", "Describes this connection."),
				row("client|list", -2, own|command.Admin, clientList, "2.4.0",
					"[TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID id [id ...]]", "Describes the connections."),
				row("client|kill", -3, own|command.Admin, clientKill, "2.4.0",
					"address | [ID id] [ADDR address] [LADDR address] [USER name] [TYPE type] [SKIPME YES|NO] ...",
					"Ends connections."),
				row("client|pause", -3, own|command.Admin, clientPause, "2.9.50", "timeout [WRITE|ALL]", "Holds up the clients of this node."),
				row("client|unpause", 2, own|command.Admin, clientUnpause, "6.2.0", "", "Lets them go on."),
				early("client|tracking", -3, own, clientTracking, "6.0.0",
					"ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]", "Only OFF can be had."),
				early("client|trackinginfo", 2, own, clientTrackingInfo, "6.2.0", "", "Says that tracking is off."),
				early("client|getredir", 2, own, clientGetRedir, "6.0.0", "", "Says that tracking is off."),
				early("client|caching", 3, own, clientCaching, "6.0.0", "YES|NO", "Always refused, as tracking is off."),
				row("client|reply", 3, own, clientReply, "3.2.0", "ON|OFF|SKIP", "Turns replies on or off."),
				row("client|unblock", -3, own|command.Admin, clientUnblock, "5.0.0", "id [TIMEOUT|ERROR]",
					"Ends the waiting of another connection."),
				early("client|no-evict", 3, own|command.Admin, clientNoEvict, "7.0.0", "ON|OFF",
					"Accepted for compatibility: no connection is evicted."),
				early("client|no-touch", 3, own, clientNoTouch, "7.2.0", "ON|OFF",
					"Accepted for compatibility: reading does not change when keys go."),
			},
		},
		{
			// Redis documents it under "server" but lets whoever may use the
			// connection use it, which matters more.
			Spec:  container("command", -1, "connection", "2.8.13", "Commands about commands."),
			Run:   commandAll,
			Early: true,
			Subs: []Command{
				early("command|count", 2, anyTime, commandCount, "2.8.13", "", "Counts the commands."),
				early("command|info", -2, anyTime, commandInfo, "2.8.13", "[name [name ...]]", "Describes commands for programs."),
				early("command|docs", -2, anyTime, commandDocs, "7.0.0", "[name [name ...]]", "Describes commands for people."),
				early("command|list", -2, anyTime, commandList, "7.0.0",
					"[FILTERBY MODULE name | ACLCAT category | PATTERN pattern]", "Lists the names of commands."),
				early("command|getkeysandflags", -4, anyTime, commandGetKeysAndFlags, "7.0.0", "command [arg ...]", "Finds the keys in a command, and what happens to them."),
				early("command|getkeys", -4, anyTime, commandGetKeys, "2.8.13", "command [arg ...]", "Finds the keys in a command."),
			},
		},
		{
			Spec: container("config", -2, "server", "2.0.0", "Commands about settings."),
			Subs: []Command{
				row("config|get", -3, own|command.Admin, configGet, "2.0.0", "pattern [pattern ...]", "Shows settings."),
				row("config|set", -4, own|command.Admin, configSet, "2.0.0", "name value [name value ...]",
					"Changes settings of this node, until it ends."),
				row("config|rewrite", 2, own|command.Admin, configRewrite, "2.8.0", "", "Always refused: there is no file to write."),
				row("config|resetstat", 2, own|command.Admin, configResetStat, "2.0.0", "", "Resets the counters of INFO."),
			},
		},
	})
}

type runFunc = func(c *Client, args [][]byte) resp.Value

// row declares a command that runs after those before it in a pipeline. A
// subcommand's group is its container's.
func row(name string, arity int, flags command.Flags, run runFunc, since, syntax, summary string) Command {
	return Command{
		Spec: command.Spec{
			Name: name, Arity: arity, Flags: flags, Group: "connection", Since: since, Syntax: syntax, Summary: summary,
		},
		Run: run,
	}
}

// early declares one that need not wait for them.
func early(name string, arity int, flags command.Flags, run runFunc, since, syntax, summary string) Command {
	c := row(name, arity, flags, run, since, syntax, summary)
	c.Early = true
	return c
}

// unqueued makes a command run at once inside MULTI.
func unqueued(c Command) Command {
	c.Unqueued = true
	return c
}

func container(name string, arity int, group, since, summary string) command.Spec {
	return command.Spec{
		Name: name, Arity: arity, Flags: anyTime, Group: group, Since: since, Syntax: "subcommand [arg ...]", Summary: summary,
	}
}

// PING [message]
func ping(c *Client, args [][]byte) resp.Value {
	if len(args) < 3 && c.proto == 2 && c.subscriptions() > 0 {
		return pingReply(args)
	}
	switch len(args) {
	case 1:
		return pong
	case 2:
		return resp.Str(string(args[1]))
	}
	return resp.ErrArity("ping")
}

var pong = resp.Status("PONG")

// ECHO message
func echoArg(_ *Client, args [][]byte) resp.Value { return resp.Str(string(args[1])) }

// QUIT
func quit(c *Client, _ [][]byte) resp.Value {
	c.quit = true
	return resp.OK
}

// RESET
func reset(c *Client, _ [][]byte) resp.Value {
	c.leaveMulti()
	c.leaveAll()
	c.setMonitoring(false)
	c.forgetUser()
	c.change(func() {
		c.db, c.proto, c.name = 0, 2, ""
		c.noTouch = false
	})
	c.mute(false)
	return resp.Status("RESET")
}

// SELECT index
func selectDB(c *Client, args [][]byte) resp.Value {
	n, refusal := c.srv.database(args[1])
	if refusal.IsError() {
		return refusal
	}
	if n != c.db {
		c.change(func() { c.db = n })
	}
	return resp.OK
}

// database reads the number of a database.
func (s *Server) database(arg []byte) (db int, refusal resp.Value) {
	n, ok := integer(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case int64(int32(n)) != n:
		return 0, resp.Err("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n < 0 || n >= int64(s.cfg.Databases):
		return 0, resp.ErrDBIndex
	}
	return int(n), resp.Value{}
}
