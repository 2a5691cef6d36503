package redisproto

import (
	"slices"
	"strings"

	"phonond/redisproto/command"
	"phonond/redisproto/glob"
	"phonond/redisproto/resp"
)

// flagNames are the flags that COMMAND INFO shows, in Redis's order.
var flagNames = []struct {
	flag command.Flags
	name string
}{
	{command.Write, "write"},
	{command.ReadOnly, "readonly"},
	{command.DenyOOM, "denyoom"},
	{command.Admin, "admin"},
	{command.NoScript, "noscript"},
	{command.Blocking, "blocking"},
	{command.Loading, "loading"},
	{command.Stale, "stale"},
	{command.Fast, "fast"},
	{command.NoAuth, "no_auth"},
}

// groupCategory is the access category of a group, where it has another name.
// Commands about the server have none.
var groupCategory = map[string]string{"generic": "keyspace", "server": "", "sorted-set": "sortedset", "transactions": "transaction"}

// lastCategories are those of the groups' categories that Redis puts last.
var lastCategories = []string{"connection", "transaction", "scripting"}

// moreCategories are those that do not follow from a command's group and flags.
var moreCategories = map[string][]string{
	"dbsize": {"keyspace"}, "flushall": {"keyspace", "dangerous"}, "flushdb": {"keyspace", "dangerous"}, "swapdb": {"keyspace", "dangerous"},
	"info": {"dangerous"}, "keys": {"dangerous"}, "restore": {"dangerous"}, "role": {"admin", "dangerous"},
	"sort": {"set", "sortedset", "list", "dangerous"}, "sort_ro": {"set", "sortedset", "list", "dangerous"},
}

// busy are the commands that Redis allows while a script runs.
var busy = []string{"auth", "discard", "hello", "multi", "quit", "reset", "unwatch", "watch"}

// categories returns the access categories of e, in Redis's order.
func (e *entry) categories() []string {
	if e.subs != nil && !e.spec.ArityOK(1) {
		return []string{"slow"} // a container does nothing itself
	}
	group, ok := groupCategory[e.spec.Group]
	if !ok {
		group = e.spec.Group
	}
	var cats []string
	add := func(when bool, names ...string) {
		if when {
			cats = append(cats, names...)
		}
	}
	last := slices.Contains(lastCategories, group)
	add(group == "keyspace" && !strings.HasPrefix(e.spec.Name, "sort"), group)
	add(e.spec.Has(command.ReadOnly), "read")
	add(e.spec.Has(command.Write) && !scripting(e.spec), "write")
	add(group != "" && group != "keyspace" && !last, group)
	add(e.spec.Has(command.Admin), "admin")
	add(e.spec.Has(command.Fast), "fast")
	add(!e.spec.Has(command.Fast), "slow")
	add(e.spec.Has(command.Admin), "dangerous")
	add(e.spec.Has(command.Blocking), "blocking")
	add(last, group)
	return append(cats, moreCategories[e.spec.Name]...)
}

// scripting reports whether a command is one about scripts: what those write is not
// what it does itself.
func scripting(s *command.Spec) bool { return s.Group == "scripting" }

// info describes e as COMMAND INFO does.
func (e *entry) info() resp.Value {
	s := e.spec
	var flags, cats, subs []resp.Value
	if e.subs == nil || s.ArityOK(1) {
		for _, f := range flagNames {
			if s.Has(f.flag) && !(scripting(s) && f.flag == command.Write) {
				flags = append(flags, resp.Status(f.name))
			}
		}
	}
	if slices.Contains(busy, s.Name) {
		flags = append(flags, resp.Status("allow_busy"))
	}
	if s.NumKeys > 0 || s.MoreKeys != nil {
		flags = append(flags, resp.Status("movablekeys"))
	}
	for _, cat := range e.categories() {
		cats = append(cats, resp.Status("@"+cat))
	}
	for _, sub := range e.sorted() {
		subs = append(subs, sub.info())
	}
	keys := keySpecs(s)
	last := s.LastKey
	return resp.List(
		resp.Str(s.Name), resp.Int(s.Arity), resp.Value{Kind: resp.Set, Elems: flags},
		resp.Int(s.FirstKey), resp.Int(last), resp.Int(s.KeyStep),
		resp.Value{Kind: resp.Set, Elems: cats}, resp.Value{Kind: resp.Set},
		resp.Value{Kind: resp.Set, Elems: keys}, resp.Value{Kind: resp.Set, Elems: subs},
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
