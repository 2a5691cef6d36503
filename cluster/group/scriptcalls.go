package group

import (
	"slices"
	"strconv"
	"strings"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// local answers the commands that are none of the machine's, as far as scripts may
// use them.
func (s *scriptCalls) local(args [][]byte) resp.Value {
	name := strings.ToLower(string(args[0]))
	switch {
	case name == "ping" && len(args) == 1:
		return resp.Status("PONG")
	case name == "ping" && len(args) == 2, name == "echo" && len(args) == 2:
		return resp.Str(string(args[1]))
	case name == "publish" && len(args) == 3, name == "spublish" && len(args) == 3:
		if s.readOnly {
			return errScriptReadOnly
		}
		s.messages = append(s.messages, Message{name == "spublish", string(args[1]), string(args[2])})
		return resp.Int(0)
	case name == "select" && len(args) == 2:
		return s.selectDB(args[1])
	case slices.Contains([]string{"ping", "echo", "publish", "spublish", "select"}, name):
		return errScriptArity
	}
	return forbidden(args)
}

// forbiddenCommands are the commands of connections and nodes that Redis knows and
// keeps from scripts, with their arities.
var forbiddenCommands = arities(`
	auth -2 debug -2 discard 1 exec 1 hello -1 monitor 1 multi 1 psubscribe -2 punsubscribe -1 quit -1 reset 1 role 1
	ssubscribe -2 subscribe -2 sunsubscribe -1 unsubscribe -1 unwatch 1 wait 3 watch -2
	client|caching 3 client|getname 2 client|getredir 2 client|id 2 client|info 2 client|kill -3 client|list -2
	client|no-evict 3 client|pause -3 client|reply 3 client|setname 3 client|tracking -3 client|trackinginfo 2 client|unblock -3 client|unpause 2
	config|get -3 config|resetstat 2 config|rewrite 2 config|set -4
	latency|doctor 2 latency|graph 3 latency|histogram -2 latency|history 3 latency|latest 2 latency|reset -2`)

func arities(text string) map[string]int {
	all := map[string]int{}
	words := strings.Fields(text)
	for i := 0; i < len(words); i += 2 {
		all[words[i]], _ = strconv.Atoi(words[i+1])
	}
	return all
}

// forbidden refuses a command that scripts may not use, in Redis's words. It returns
// no reply at all for any other.
func forbidden(args [][]byte) resp.Value {
	name := strings.ToLower(string(args[0]))
	arity, ok := forbiddenCommands[name]
	switch {
	case ok:
	case name == "script" && len(args) > 1 && strings.EqualFold(string(args[1]), "debug"):
		arity = 3
	case name != "client" && name != "config" && name != "latency":
		return resp.Value{}
	case len(args) == 1:
		return errScriptArity
	default:
		if arity, ok = forbiddenCommands[name+"|"+strings.ToLower(string(args[1]))]; !ok {
			return errScriptUnknown
		}
	}
	if spec := (command.Spec{Arity: arity}); !spec.ArityOK(len(args)) {
		return errScriptArity
	}
	return errScriptForbidden
}

func (s *scriptCalls) selectDB(arg []byte) resp.Value {
	db, fault := fsm.ParseDB(arg)
	if fault.IsError() {
		return fault
	}
	s.db = db
	return resp.OK
}
