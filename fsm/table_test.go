package fsm

import (
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestLookup(t *testing.T) {
	table := DataCommands()
	for _, c := range []struct {
		args string
		want string
	}{
		{"get k", "get"},
		{"GeT", "get"},
		{"script load x", "script|load"},
		{"SCRIPT Flush", "script|flush"},
		{"script", ""},
		{"script nosuch", ""},
		{"script|load x", "script|load"},
		{"nosuch", ""},
		{strings.Repeat("x", 1000), ""},
		{"script " + strings.Repeat("x", 1000), ""},
		{"", ""},
	} {
		got := ""
		if cmd := table.Lookup(callOf(0, strings.Fields(c.args)...).Args); cmd != nil {
			got = cmd.Name
		}
		if got != c.want {
			t.Errorf("%.40q: got %q, want %q", c.args, got, c.want)
		}
	}
	args := callOf(0, "Script", "Load").Args
	if n := testing.AllocsPerRun(100, func() { table.Lookup(args) }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func TestTablesAreIndependent(t *testing.T) {
	a, b := DataCommands(), DataCommands()
	if x, y := len(a.byName["script"].Subcommands), len(b.byName["script"].Subcommands); x != y || x != len(b.byName["script"].Subs) {
		t.Fatalf("%d and %d subcommands", x, y)
	}
}

func TestTableRefusesRowsThatAreDefects(t *testing.T) {
	row := read("x", 1, 0, timeCmd, "", "")
	neither := row
	neither.Read = nil
	for what, list := range map[string][]Command{
		"declared twice": {row, row},
		"no function":    {neither},
		"a long name":    {read(strings.Repeat("x", maxName+1), 1, 0, timeCmd, "", "")},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			NewTable(list)
		}()
	}
}

// flagNames are the flags that rows share with Redis.
var flagNames = map[command.Flags]string{
	command.Write: "write", command.ReadOnly: "readonly", command.DenyOOM: "denyoom", command.Fast: "fast", command.NoScript: "noscript",
}

// flagsOfOurs are the rows whose write and readonly flags say what a command does
// to the group's state, where Redis has none.
func flagsOfOurs(name string) bool {
	return strings.HasPrefix(name, "script|") || strings.HasPrefix(name, "eval") || name == "time" || name == "object|help"
}

// later are the commands that a Redis 7.0 does not have.
var later = map[string]bool{"delex": true, "delifeq": true}

func TestRowsSayWhatRedisSays(t *testing.T) {
	redis := connect(t, proctest.RunRedis(t), 3)
	for _, cmd := range DataCommands().byName {
		if cmd.Has(command.Internal) || cmd.Group == "lock" || cmd.Group == "reference" || later[cmd.Name] {
			continue
		}
		info := redis.must(t, "COMMAND", "INFO", cmd.Name).Elems[0].Elems
		docs := redis.must(t, "COMMAND", "DOCS", cmd.Name).Elems
		if len(info) == 0 || len(docs) == 0 {
			t.Errorf("%s: Redis does not know it", cmd.Name)
			continue
		}
		if int64(cmd.Arity) != info[1].Int {
			t.Errorf("%s: arity %d, want %d", cmd.Name, cmd.Arity, info[1].Int)
		}
		for flag, name := range flagNames {
			want := false
			for _, f := range info[2].Elems {
				want = want || f.Str == name
			}
			if (flag == command.Write || flag == command.ReadOnly) && flagsOfOurs(cmd.Name) {
				continue
			}
			if cmd.Has(flag) != want {
				t.Errorf("%s: flag %s is %v, want %v", cmd.Name, name, cmd.Has(flag), want)
			}
		}
		for i, n := range []int{cmd.FirstKey, cmd.LastKey, cmd.KeyStep} {
			if int64(n) != info[3+i].Int {
				t.Errorf("%s: first key, last key, step: %d at %d, want %d", cmd.Name, n, i, info[3+i].Int)
			}
		}
		of := map[string]resp.Value{}
		for i := 0; i+1 < len(docs[1].Elems); i += 2 {
			of[docs[1].Elems[i].Str] = docs[1].Elems[i+1]
		}
		if cmd.Since != of["since"].Str || cmd.Group != of["group"].Str {
			t.Errorf("%s: since %q in group %q, want %q in %q", cmd.Name, cmd.Since, cmd.Group, of["since"].Str, of["group"].Str)
		}
		if cmd.Summary == "" || !strings.HasSuffix(cmd.Summary, ".") {
			t.Errorf("%s: summary %q is no sentence", cmd.Name, cmd.Summary)
		}
	}
}
