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
	{"generic", "Keys"}, {"scripting", "Scripts"}, {"connection", "Connections"}, {"server", "Server"}, {"cluster", "Cluster"},
}

func commands(t *testing.T) string {
	byGroup := map[string][]command.Spec{}
	add := func(s command.Spec) { byGroup[s.Group] = append(byGroup[s.Group], s) }
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
	for _, r := range rows(t, "../redisproto/conn.go", []string{"row", "early"}, 7) {
		s := command.Spec{Name: r[0], Group: "connection", Since: r[4], Syntax: r[5], Summary: r[6]}
		if strings.HasPrefix(s.Name, "config|") {
			s.Group = "server"
		}
		add(s)
	}
	for _, r := range rows(t, "../cluster/admin.go", []string{"row"}, 5) {
		s := command.Spec{Name: r[0], Group: "cluster", Syntax: r[2], Summary: r[3]}
		if s.Name == "info" {
			s.Group, s.Since = "server", "1.0.0"
		}
		add(s)
	}

	var b strings.Builder
	b.WriteString(`# Commands

<!-- Made from the tables of commands: make gen -->

Any node takes any of these. *Since* is the version of Redis that brought the
command; what is phonond's own has none. ` + "`COMMAND DOCS`" + ` and ` + "`COMMAND INFO`" + ` say the
same to programs. Replies and errors are those of Redis 7.0.

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
		fmt.Fprintf(&b, "\n## %s\n\n| command | since | |\n|---|---|---|\n", section.title)
		for _, s := range list {
			syntax := strings.TrimSpace(strings.Trim(name(s), "`") + " " + s.Syntax)
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(syntax, "|", `\|`), s.Since, s.Summary)
		}
		if section.group == "scripting" {
			scripts(t, &b)
		}
	}
	for group := range byGroup {
		t.Errorf("commands of group %q are in no section", group)
	}
	return b.String()
}

// name is a command's name as people write it.
func name(s command.Spec) string {
	return "`" + strings.ToUpper(strings.ReplaceAll(s.Name, "|", " ")) + "`"
}

func scripts(t *testing.T, b *strings.Builder) {
	b.WriteString(`
There is no Lua interpreter. These scripts, by which well-known libraries release
and extend their locks, are built in, and known by the SHA1 of their text; any other
is refused.

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
