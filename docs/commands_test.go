package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/scripts/compat/differ"
)

var update = flag.Bool("update", false, "rewrite commands.md")

// TestCommandsAreWhatTheTablesSay makes commands.md, or compares it. The rows of
// data commands are asked for; those of a connection and of an operator, and the
// lock scripts, are for their packages alone, and are read in the source.
func TestCommandsAreWhatTheTablesSay(t *testing.T) {
	want := commands(t)
	if *update {
		if err := os.WriteFile("commands.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("commands.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/commands.md is out of date: make gen")
	}
}

// sections are the groups of commands, in the order of the page.
var sections = []struct{ group, title string }{
	{"string", "Strings"}, {"bitmap", "Bitmaps"}, {"hash", "Hashes"}, {"list", "Lists"}, {"set", "Sets"}, {"sorted-set", "Sorted sets"},
	{"generic", "Keys"}, {"lock", "Locks and semaphores"}, {"session", "Sessions"}, {"reference", "References"}, {"scripting", "Scripts"},
	{"transactions", "Transactions"}, {"pubsub", "Messages"}, {"connection", "Connections"}, {"server", "Server"}, {"cluster", "Cluster"},
}

// connectionRows are the files with the rows of connections, and the group of each.
var connectionRows = []struct{ name, group string }{
	{"conn.go", "connection"}, {"transaction.go", "transactions"}, {"pubsub.go", "pubsub"}, {"servercmd.go", "server"},
}

func commands(t *testing.T) string {
	byGroup := map[string][]command.Spec{}
	containers := map[string]string{} // and their groups
	add := func(s command.Spec) {
		if container, _, ok := strings.Cut(s.Name, "|"); ok {
			if group := containers[container]; group != "" {
				s.Group = group
			}
			containers[container] = s.Group
		}
		byGroup[s.Group] = append(byGroup[s.Group], s)
	}
	for _, s := range fsm.DataCommands().Specs() {
		switch {
		case s.Has(command.Internal):
		case len(s.Subcommands) == 0:
			add(*s)
		default:
			for _, sub := range s.Subcommands {
				add(*sub)
			}
		}
	}
	for _, file := range connectionRows {
		for _, r := range rows(t, "../redisproto/"+file.name, []string{"row", "early"}, 7) {
			s := command.Spec{Name: r[0], Group: file.group, Since: r[4], Syntax: r[5], Summary: r[6]}
			if strings.HasPrefix(s.Name, "config|") {
				s.Group = "server"
			}
			add(s)
		}
	}
	for _, r := range rows(t, "../cluster/clustercmd.go", []string{"row"}, 6) {
		add(command.Spec{Name: "cluster|" + r[0], Group: "cluster", Since: r[2], Syntax: r[3], Summary: r[4]})
	}
	for _, r := range rows(t, "../cluster/admin.go", []string{"row"}, 5) {
		s := command.Spec{Name: r[0], Group: "cluster", Syntax: r[2], Summary: r[3]}
		if s.Name == "info" {
			s.Group, s.Since = "server", "1.0.0"
		}
		add(s)
	}
	for _, r := range rows(t, "../cluster/sessions.go", []string{"row"}, 5) {
		add(command.Spec{Name: "session." + r[0], Group: "session", Syntax: r[2], Summary: r[3]})
	}
	add(command.Spec{Name: "events", Group: "lock", Syntax: "key|prefix* FROM cursor [COUNT count] [BLOCK milliseconds]",
		Summary: "What happened to locks, permits and references, in order: a cursor to go on with, and the events."})
	add(command.Spec{Name: "lock.top", Group: "lock", Syntax: "[COUNT count]", Summary: "The keys that were waited for longest."})
	for container, group := range containers { // those that have none get one from the server
		help := command.Spec{Name: container + "|help", Since: "5.0.0", Summary: "Shows the subcommands."}
		if !slices.ContainsFunc(byGroup[group], func(s command.Spec) bool { return s.Name == help.Name }) {
			help.Group = group
			add(help)
		}
	}

	var b strings.Builder
	b.WriteString(`# Commands

<!-- Made from the tables of commands: make gen -->

Any node takes any of these. ` + "`COMMAND DOCS`" + ` and ` + "`COMMAND INFO`" + ` say the same to programs.
Of the commands of Redis 7.0 some are [not there](#not-there). *Since* is the version of
Redis that brought the command. *Status* is one of:

* as Redis: replies and errors are those of Redis 7.0, with all options (` + "`SET`" + ` has the ` + "`IFEQ`" + `
  of 8.4 as well);
* differs: so they are, but for the [differences](#differences) with these numbers;
* later: Redis 7.0 does not have it, the version under *since* does, and so does phonond;
* own: no version of Redis has it.

*Complexity* is beside finding a key, which takes the logarithm of their number. N is
the number of elements, or bytes, of the values, or of whatever is listed; M is how many
are named, returned or changed.

Commands with several keys are done by one group, all or nothing, when their keys
live together: the same text in ` + "`{braces}`" + `, or the keys that phonon has for one
resource. Otherwise these are done by several groups, side by side and not as one:
`)
	var scattered []string
	for _, list := range byGroup {
		for _, s := range list {
			if s.Scatter != command.OneGroup {
				scattered = append(scattered, name(s))
			}
		}
	}
	slices.Sort(scattered)
	fmt.Fprintf(&b, "%s. The others answer `CROSSSLOT`.\n", strings.Join(scattered, ", "))
	for _, section := range sections {
		list := byGroup[section.group]
		if len(list) == 0 {
			t.Errorf("no command is in group %s", section.group)
		}
		delete(byGroup, section.group)
		slices.SortFunc(list, func(a, b command.Spec) int { return strings.Compare(a.Name, b.Name) })
		fmt.Fprintf(&b, "\n## %s\n\n| command | since | complexity | status | |\n|---|---|---|---|---|\n", section.title)
		for _, s := range list {
			syntax := strings.TrimSpace(strings.Trim(name(s), "`") + " " + s.Syntax)
			complexity := command.Complexity(s.Name)
			if complexity == "" {
				t.Errorf("nothing is said of the complexity of %s", s.Name)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", strings.ReplaceAll(syntax, "|", `\|`), s.Since, complexity, status(s), s.Summary)
		}
		switch section.group {
		case "scripting":
			scripts(t, &b)
		case "lock":
			b.WriteString(locks)
		case "session":
			b.WriteString(sessions)
		case "reference":
			b.WriteString(references)
		}
	}
	for group := range byGroup {
		t.Errorf("commands of group %q are in no section", group)
	}
	missing(&b)
	differences(&b)
	return b.String()
}

// status says how a command compares with that of Redis 7.0.
func status(s command.Spec) string {
	switch {
	case s.Since == "":
		return "own"
	case later(s.Since):
		return "later"
	}
	var numbers []string
	for i, d := range differ.Table {
		if slices.Contains(d.Commands, s.Name) {
			numbers = append(numbers, strconv.Itoa(i+1))
		}
	}
	if numbers == nil {
		return "as Redis"
	}
	return "[differs](#differences): " + strings.Join(numbers, ", ")
}

// later reports whether a version, such as 8.4.0, is later than 7.0.
func later(version string) bool {
	var major, minor int
	fmt.Sscanf(version, "%d.%d", &major, &minor)
	return major > 7 || major == 7 && minor > 0
}

// missing lists the commands of Redis 7.0 that there are not.
func missing(b *strings.Builder) {
	b.WriteString(`
## Not there

The commands of Redis 7.0 that phonond does not have. It answers them as Redis does what
it has never heard of: ` + "`ERR unknown command`" + `, or ` + "`ERR unknown subcommand`" + `. A container is
missing with all its subcommands.

| kind | commands | why |
|---|---|---|
`)
	for _, a := range differ.Missing {
		fmt.Fprintf(b, "| %s | %s | %s |\n", a.Kind, names(a.Commands), a.Why)
	}
}

// differences lists them.
func differences(b *strings.Builder) {
	b.WriteString(`
## Differences

Where a reply is not that of Redis 7.0, byte for byte. ` + "`make compat`" + ` plays the same to
both and lets pass nothing else. Elements that have no order may come in another, and
what is drawn by lot is drawn otherwise. Commands with keys in several groups are above.

| | commands | what differs | why |
|--:|---|---|---|
`)
	for i, d := range differ.Table {
		fmt.Fprintf(b, "| %d | %s | %s | %s |\n", i+1, names(d.Commands), d.What, d.Why)
	}
}

// names are commands' names as people write them.
func names(list []string) string {
	var written []string
	for _, n := range list {
		written = append(written, name(command.Spec{Name: n}))
	}
	return strings.Join(written, ", ")
}

// name is a command's name as people write it.
func name(s command.Spec) string {
	return "`" + strings.ToUpper(strings.ReplaceAll(s.Name, "|", " ")) + "`"
}

func scripts(t *testing.T, b *strings.Builder) {
	b.WriteString(`
These scripts, by which well-known libraries release and extend their locks, are built
in and known by the SHA1 of their text: they run as one command.

| script | SHA1 |
|---|---|
`)
	list := rows(t, "../fsm/lockscript.go", []string{"lockScript"}, 3)
	slices.SortFunc(list, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
	for _, r := range list {
		fmt.Fprintf(b, "| %s | `%s` |\n", r[1], r[0])
	}
}

// rows returns the arguments of all calls of functions, or values of types, with
// the given names and number of arguments in a file. Those that are no strings are
// left empty.
func rows(t *testing.T, path string, names []string, n int) (rows [][]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		var of ast.Expr
		var args []ast.Expr
		switch node := node.(type) {
		case *ast.CallExpr:
			of, args = node.Fun, node.Args
		case *ast.CompositeLit:
			of, args = node.Type, node.Elts
		}
		id, ok := of.(*ast.Ident)
		if !ok || len(args) != n || !slices.Contains(names, id.Name) {
			return true
		}
		row := make([]string, n)
		for i, a := range args {
			if lit, ok := a.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if row[i], err = strconv.Unquote(lit.Value); err != nil {
					t.Fatal(err)
				}
			}
		}
		if row[0] != "" {
			rows = append(rows, row)
		}
		return true
	})
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", path)
	}
	return rows
}
