package redisproto

import (
	"bytes"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// What commands do to their keys, in Redis's words: to the first one and, behind a
// semicolon, to the others where that differs. Read-only commands do "RO access" and
// writing ones "RW access update" where nothing is said.
var keyAccess = accessOf(map[string]string{
	"RO":                              "exists hexists hlen hstrlen llen memory|usage object|encoding object|freq object|idletime object|refcount scard sismember strlen touch type watch zcard",
	"OW insert":                       "msetnx setnx",
	"OW update":                       "mset psetex restore setex",
	"OW update;RO access":             "bitop sdiffstore sunionstore zdiffstore zinterstore zrangestore zunionstore",
	"RW update;RO access":             "sinterstore",
	"RO access;OW update":             "copy sort",
	"RM delete":                       "del unlink",
	"RW delete":                       "hdel lrem ltrim srem zrem zremrangebylex zremrangebyrank zremrangebyscore",
	"RW insert":                       "append hsetnx linsert lpush lpushx rpush rpushx sadd",
	"RW update":                       "expire expireat hmset hset lset persist pexpire pexpireat setrange zadd",
	"RW access delete":                "blmpop blpop brpop bzmpop bzpopmax bzpopmin getdel lmpop lpop rpop spop zmpop zpopmax zpopmin",
	"RW access delete;OW insert":      "renamenx",
	"RW access delete;OW update":      "rename",
	"RW access delete;RW insert":      "blmove brpoplpush lmove rpoplpush smove",
	"RO access":                       "eval_ro evalsha_ro",
	"RW access update variable_flags": "bitfield set",
	"RW access update":                "decr decrby eval evalsha getex getset hincrby hincrbyfloat incr incrby incrbyfloat move setbit zincrby",
})

func accessOf(names map[string]string) map[string][]string {
	access := map[string][]string{}
	for flags, list := range names {
		for name := range strings.FieldsSeq(list) {
			access[name] = strings.Split(flags, ";")
		}
	}
	return access
}

// access returns what a command does to its first key and to the others. ok is false
// when it does the same to all.
func access(s *command.Spec) (first, others string, differ bool) {
	switch flags := keyAccess[s.Name]; {
	case len(flags) == 2:
		return flags[0], flags[1], true
	case len(flags) == 1:
		return flags[0], flags[0], false
	case s.Has(command.Write):
		return "RW access update", "RW access update", false
	}
	return "RO access", "RO access", false
}

func flagSet(flags string) resp.Value {
	set := resp.Value{Kind: resp.Set}
	for word := range strings.FieldsSeq(flags) {
		set.Elems = append(set.Elems, resp.Status(word))
	}
	return set
}

// keySpecs says where a command's keys are and what happens to them, as COMMAND INFO
// does: in two parts if it is not the same to all.
func keySpecs(s *command.Spec) []resp.Value {
	if last, ok := shardChannels[s.Name]; ok {
		return []resp.Value{keyRange("not_key", 1, min(last, 0), 1)}
	}
	if s.FirstKey == 0 && s.NumKeys == 0 {
		return nil
	}
	first, others, differ := access(s)
	last := s.LastKey
	if last > 0 {
		last -= s.FirstKey
	}
	var specs []resp.Value
	switch {
	case s.NumKeys > 0:
		if s.FirstKey > 0 {
			specs = append(specs, keyRange(first, s.FirstKey, 0, 1))
		}
		specs = append(specs, keySpec(others, s.NumKeys, "keynum", resp.Pairs(
			resp.Str("keynumidx"), resp.Int(0), resp.Str("firstkey"), resp.Int(1), resp.Str("keystep"), resp.Int(1))))
	case differ && s.MoreKeys == nil:
		specs = append(specs, keyRange(first, s.FirstKey, 0, 1), keyRange(others, s.FirstKey+1, last-max(min(last, 1), 0), s.KeyStep))
	default:
		specs = append(specs, keyRange(first, s.FirstKey, last, s.KeyStep))
	}
	switch s.Name {
	case "sort":
		specs = append(specs, keysUnknown("RO access"), keysUnknown("OW update"))
	case "sort_ro":
		specs = append(specs, keysUnknown("RO access"))
	}
	return specs
}

// shardChannels are the commands that take shard channels, with the position of the
// last one. To Redis Cluster these are in slots, as keys are.
var shardChannels = map[string]int{"spublish": 1, "ssubscribe": -1, "sunsubscribe": -1}

// keysUnknown are keys that may be anywhere, as those that patterns stand for.
func keysUnknown(flags string) resp.Value {
	unknown := resp.Pairs(resp.Str("type"), resp.Str("unknown"), resp.Str("spec"), resp.Pairs())
	return resp.Pairs(resp.Str("flags"), flagSet(flags), resp.Str("begin_search"), unknown, resp.Str("find_keys"), unknown)
}

func keyRange(flags string, begin, last, step int) resp.Value {
	return keySpec(flags, begin, "range", resp.Pairs(
		resp.Str("lastkey"), resp.Int(last), resp.Str("keystep"), resp.Int(step), resp.Str("limit"), resp.Int(0)))
}

func keySpec(flags string, begin int, kind string, find resp.Value) resp.Value {
	return resp.Pairs(
		resp.Str("flags"), flagSet(flags),
		resp.Str("begin_search"), resp.Pairs(resp.Str("type"), resp.Str("index"),
			resp.Str("spec"), resp.Pairs(resp.Str("index"), resp.Int(begin))),
		resp.Str("find_keys"), resp.Pairs(resp.Str("type"), resp.Str(kind), resp.Str("spec"), find),
	)
}

// keysOf finds the keys in a command that COMMAND was asked about.
func (s *Server) keysOf(args [][]byte) (spec *command.Spec, keys [][]byte, refusal resp.Value) {
	e, ok := s.table.find(args)
	switch {
	case !ok:
		return nil, nil, resp.Err("ERR Invalid command specified")
	case e.spec.FirstKey == 0 && e.spec.NumKeys == 0:
		return nil, nil, resp.Err("ERR The command has no key arguments")
	case !e.spec.ArityOK(len(args)):
		return nil, nil, resp.Err("ERR Invalid number of arguments specified for command")
	}
	keys, _ = e.spec.Keys(nil, args)
	if len(keys) == 0 && e.spec.Group != "scripting" { // a script need not have any
		return nil, nil, resp.Err("ERR Invalid arguments specified for command")
	}
	return e.spec, keys, resp.Value{}
}

// COMMAND GETKEYS command [arg ...]
func commandGetKeys(c *Client, args [][]byte) resp.Value {
	_, keys, refusal := c.srv.keysOf(args[2:])
	if refusal.IsError() {
		return refusal
	}
	list := make([]resp.Value, 0, len(keys))
	for _, key := range keys {
		list = append(list, resp.Str(string(key)))
	}
	return resp.List(list...)
}

// COMMAND GETKEYSANDFLAGS command [arg ...]
func commandGetKeysAndFlags(c *Client, args [][]byte) resp.Value {
	spec, keys, refusal := c.srv.keysOf(args[2:])
	if refusal.IsError() {
		return refusal
	}
	first, others, _ := access(spec)
	if spec.NumKeys > 0 && spec.FirstKey == 0 {
		first = others
	}
	if flags, ok := variableAccess(spec, args[2:]); ok {
		first = flags
	}
	list := make([]resp.Value, 0, len(keys))
	for i, key := range keys {
		flags := others
		if i == 0 {
			flags = first
		}
		list = append(list, resp.List(resp.Str(string(key)), flagSet(flags)))
	}
	return resp.List(list...)
}

// variableAccess returns what a command does to its key where that depends on its
// options.
func variableAccess(spec *command.Spec, args [][]byte) (flags string, ok bool) {
	has := func(word string) bool {
		for _, a := range args[2:] {
			if bytes.EqualFold(a, []byte(word)) {
				return true
			}
		}
		return false
	}
	switch {
	case spec.Name == "set" && has("GET"):
		return "RW access update", true
	case spec.Name == "set":
		return "OW update", true
	case spec.Name == "bitfield" && (has("SET") || has("INCRBY")):
		return "RW access update", true
	case spec.Name == "bitfield":
		return "RO access", true
	}
	return "", false
}
