package redisproto

import (
	"slices"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

// flagNames are the flags that COMMAND INFO shows, in Redis's order: by a flag of ours,
// or, where we have no use for one, by the commands that have it.
var flagNames = []struct {
	name  string
	flag  command.Flags
	these []string
}{
	{"write", command.Write, nil},
	{"readonly", command.ReadOnly, []string{"eval_ro", "evalsha_ro"}},
	{"denyoom", command.DenyOOM, nil},
	{"admin", command.Admin, nil},
	{"pubsub", 0, []string{
		"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "publish", "spublish",
		"pubsub|channels", "pubsub|numpat", "pubsub|numsub", "pubsub|shardchannels", "pubsub|shardnumsub",
	}},
	{"noscript", command.NoScript, nil},
	{"blocking", command.Blocking, nil},
	{"loading", command.Loading, nil},
	{"stale", command.Stale, nil},
	{"skip_monitor", 0, scripts},
	{"skip_slowlog", 0, []string{"exec"}},
	{"fast", command.Fast, nil},
	{"no_auth", command.NoAuth, nil},
	{"no_mandatory_keys", 0, scripts},
	{"allow_busy", 0, []string{"auth", "discard", "hello", "multi", "quit", "reset", "script|kill", "unwatch", "watch"}},
}

// scripts are the commands that run a script.
var scripts = []string{"eval", "eval_ro", "evalsha", "evalsha_ro"}

// categoryNames are the access categories, in Redis's order.
var categoryNames = []string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "pubsub", "admin", "fast", "slow", "blocking", "dangerous",
	"connection", "transaction", "scripting",
}

// groupCategory is the access category of a group, where it has another name.
// Commands about the server and the cluster have none.
var groupCategory = map[string]string{
	"generic": "keyspace", "server": "", "cluster": "", "sorted-set": "sortedset", "transactions": "transaction",
}

// moreCategories are those that do not follow from a command's group and flags.
var moreCategories = map[string][]string{
	"dbsize": {"keyspace"}, "flushall": {"keyspace", "dangerous"}, "flushdb": {"keyspace", "dangerous"}, "swapdb": {"keyspace", "dangerous"},
	"info": {"dangerous"}, "keys": {"dangerous"}, "restore": {"dangerous"}, "role": {"admin", "dangerous"},
	"sort": {"set", "sortedset", "list", "dangerous"}, "sort_ro": {"set", "sortedset", "list", "dangerous"},
}

// noCategory are the commands that have not even their group's.
var noCategory = []string{"sort", "sort_ro", "pubsub|help", "monitor"}

// categories returns the access categories of e, in Redis's order.
func (e *entry) categories() []string {
	if e.subs != nil && !e.spec.ArityOK(1) {
		return []string{"slow"} // a container does nothing itself
	}
	s := e.spec
	group, ok := groupCategory[s.Group]
	if !ok {
		group = s.Group
	}
	has := map[string]bool{
		"read": s.Has(command.ReadOnly) && !readsNothing(s), "write": s.Has(command.Write) && !scripting(s),
		"admin": s.Has(command.Admin), "dangerous": s.Has(command.Admin), "blocking": s.Has(command.Blocking),
		"fast": s.Has(command.Fast), "slow": !s.Has(command.Fast),
	}
	if !slices.Contains(noCategory, s.Name) {
		has[group] = true
	}
	for _, more := range moreCategories[s.Name] {
		has[more] = true
	}
	return slices.DeleteFunc(slices.Clone(categoryNames), func(name string) bool { return !has[name] })
}

// scripting reports whether a command is one about scripts: what those write is not
// what it does itself.
func scripting(s *command.Spec) bool { return s.Group == "scripting" }

// readsNothing reports whether a command that a group answers reads no keys.
func readsNothing(s *command.Spec) bool {
	return scripting(s) || s.Name == "time" || s.Name == "object|help"
}

// flags returns the names of e's flags, in Redis's order.
func (e *entry) flags() (names []string) {
	s := e.spec
	for _, f := range flagNames {
		has := f.flag != 0 && s.Has(f.flag)
		switch {
		case e.subs != nil && !s.ArityOK(1), // a container does nothing itself
			f.flag == command.Write && scripting(s), f.flag == command.ReadOnly && readsNothing(s):
			has = false
		}
		if has || slices.Contains(f.these, s.Name) {
			names = append(names, f.name)
		}
	}
	if s.NumKeys > 0 || s.MoreKeys != nil || s.Name == "sort_ro" {
		names = append(names, "movablekeys")
	}
	return names
}

// info describes e as COMMAND INFO does.
func (e *entry) info() resp.Value {
	s := e.spec
	var flags, cats, subs []resp.Value
	for _, name := range e.flags() {
		flags = append(flags, resp.Status(name))
	}
	for _, cat := range e.categories() {
		cats = append(cats, resp.Status("@"+cat))
	}
	for _, sub := range e.sorted() {
		subs = append(subs, sub.info())
	}
	first, last, step := s.FirstKey, s.LastKey, s.KeyStep
	if at, ok := shardChannels[s.Name]; ok {
		first, last, step = 1, at, 1
	}
	return resp.List(
		resp.Str(s.Name), resp.Int(s.Arity), resp.Value{Kind: resp.Set, Elems: flags},
		resp.Int(first), resp.Int(last), resp.Int(step),
		resp.Value{Kind: resp.Set, Elems: cats}, resp.Value{Kind: resp.Set},
		resp.Value{Kind: resp.Set, Elems: keySpecs(s)}, resp.Value{Kind: resp.Set, Elems: subs},
	)
}

// docs describes e as COMMAND DOCS does: a name and what there is to say. Of
// the arguments only the notation is kept, which programs do not ask for.
func (e *entry) docs() []resp.Value {
	s := e.spec
	about := []resp.Value{resp.Str("summary"), resp.Str(s.Summary)}
	if s.Since != "" {
		about = append(about, resp.Str("since"), resp.Str(s.Since))
	}
	about = append(about, resp.Str("group"), resp.Str(s.Group))
	if c := command.Complexity(s.Name); c != "" {
		about = append(about, resp.Str("complexity"), resp.Str(c))
	}
	if subs := e.sorted(); len(subs) > 0 {
		var of []resp.Value
		for _, sub := range subs {
			of = append(of, sub.docs()...)
		}
		about = append(about, resp.Str("subcommands"), resp.Pairs(of...))
	}
	return []resp.Value{resp.Str(s.Name), resp.Pairs(about...)}
}

// COMMAND
func commandAll(c *Client, _ [][]byte) resp.Value {
	var all []resp.Value
	for _, e := range c.srv.table.entries {
		all = append(all, e.info())
	}
	return resp.List(all...)
}

// COMMAND COUNT
func commandCount(c *Client, _ [][]byte) resp.Value { return resp.Int(len(c.srv.table.entries)) }

// COMMAND INFO [name [name ...]]
func commandInfo(c *Client, args [][]byte) resp.Value {
	if len(args) == 2 {
		return commandAll(c, args)
	}
	var some []resp.Value
	for _, name := range args[2:] {
		if e := c.srv.table.named(name); e != nil {
			some = append(some, e.info())
		} else {
			some = append(some, resp.Null)
		}
	}
	return resp.List(some...)
}

// COMMAND DOCS [name [name ...]]
func commandDocs(c *Client, args [][]byte) resp.Value {
	var pairs []resp.Value
	if len(args) == 2 {
		for _, e := range c.srv.table.entries {
			pairs = append(pairs, e.docs()...)
		}
	}
	for _, name := range args[2:] {
		if e := c.srv.table.named(name); e != nil {
			pairs = append(pairs, e.docs()...)
		}
	}
	return resp.Pairs(pairs...)
}

// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]
func commandList(c *Client, args [][]byte) resp.Value {
	keep := func(*entry) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) == 5 && strings.EqualFold(string(args[2]), "FILTERBY"):
		text := string(args[4])
		switch strings.ToLower(string(args[3])) {
		case "module":
			keep = func(*entry) bool { return false }
		case "aclcat":
			keep = func(e *entry) bool { return slices.Contains(e.categories(), strings.ToLower(text)) }
		case "pattern":
			keep = func(e *entry) bool { return glob.Match(strings.ToLower(text), e.spec.Name) }
		default:
			return resp.ErrSyntax
		}
	default:
		return resp.ErrSyntax
	}
	var names []string
	for _, e := range c.srv.table.entries {
		for _, e := range append([]*entry{e}, e.sorted()...) {
			if keep(e) {
				names = append(names, e.spec.Name)
			}
		}
	}
	return resp.Strs(names...)
}
