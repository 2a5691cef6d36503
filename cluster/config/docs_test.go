package config

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const docs = "../../docs"

// manual is docs/configuration.md.
func manual() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from the table of settings: go test ./cluster/config -update -->

A node reads its settings from four places. A flag goes before an environment
variable, a variable before the file named by ` + "`--config`" + ` or ` + "`PHONOND_CONFIG`" + `, the
file before the default. Unknown and repeated names in the file are errors.
` + "`phonond config check --config FILE`" + ` says what is wrong with a configuration;
[phonond.example.yaml](phonond.example.yaml) is a file to begin with.

Durations are written ` + "`500ms`, `10s`, `2m`" + `; sizes ` + "`64kb`, `32mb`, `1gb`" + `, powers of
1024. In a flag or variable a list is written ` + "`a,b`" + `; in the file, ` + "`[a, b]`" + `, and what
is written ` + "`NAME=VALUE;NAME=VALUE`" + ` is a mapping. Other users can see flags in the
process list: passwords and keys belong in files.

Certificates and secrets are read when the node starts.
`)
	section := "?"
	for _, s := range Settings() {
		in := ""
		if i := strings.IndexByte(s.Key, '.'); i >= 0 {
			in = s.Key[:i]
		}
		if in != section {
			section = in
			if in == "" {
				in = "node and cluster"
			}
			fmt.Fprintf(&b, "\n## %s\n\n| setting | value | default | |\n|---|---|---|---|\n", in)
		}
		def := "none"
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s`<br>`--%s`<br>`%s` | %s | %s | %s |\n", s.Key, s.Flag(), s.Env(), s.Kind(), def, s.Help)
	}
	return b.String()
}

func TestManualIsWhatTheTableSays(t *testing.T) {
	path := filepath.Join(docs, "configuration.md")
	if *update {
		if err := os.WriteFile(path, []byte(manual()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != manual() {
		t.Errorf("%s is out of date: go test ./cluster/config -update", path)
	}
}

// TestExampleFile: the example is valid as it stands, names every setting, and
// what it shows commented out is valid too and tells the true default.
func TestExampleFile(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(docs, "phonond.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// Its secrets are in files that this machine does not have.
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "password"), "secret\n", 0o600)
	writeFile(t, filepath.Join(dir, "gossip.keys"), testKey+"\n", 0o640)
	example := strings.ReplaceAll(string(raw), "/etc/phonond", dir)

	c, err := loadText(t, example)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("warnings: %q", w)
	}

	// Uncommented, all settings are there. Those that exclude others may complain,
	// but not of a name, a line or a form.
	commented := regexp.MustCompile(`(?m)^( *)#([^ #\n].*|  "eu:".*)$`)
	all := commented.ReplaceAllString(example, "$1$2")
	var problems Problems
	if _, err := loadText(t, all); err != nil && !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Where != "" {
			t.Errorf("uncommented: %s", p)
		}
	}
	l := loader{c: new(Config), settings: map[string]Setting{}}
	for _, s := range l.c.settings() {
		l.settings[s.Key] = s
	}
	l.file("example", []byte(all))
	plain := loader{c: new(Config), settings: map[string]Setting{}}
	for _, s := range plain.c.settings() {
		plain.settings[s.Key] = s
	}
	plain.file("example", []byte(example))
	zero := new(Config).settings()
	for i, s := range l.c.settings() {
		shown, unset := s.value.String(), zero[i].value.String()
		lines := regexp.MustCompile(`(?m)^ *#?` + s.Key[strings.LastIndexByte(s.Key, '.')+1:] + `:`)
		if !lines.MatchString(example) {
			t.Errorf("%s is not in the example", s.Key)
		}
		onlyCommented := plain.settings[s.Key].value.String() == unset
		if onlyCommented && s.Default != "" && shown != s.Default {
			t.Errorf("the example says the default of %s is %q, but it is %q", s.Key, shown, s.Default)
		}
		if shown == unset && s.Default != "0s" && s.Default != "0" {
			t.Errorf("%s is not set in the example, commented out or not", s.Key)
		}
	}
}

// TestEveryFieldIsASetting walks Config: a field without a row in the table could
// not be set, and a row for the wrong field would set another. The default in a
// field's comment is the table's.
func TestEveryFieldIsASetting(t *testing.T) {
	c := new(Config)
	byAddress := map[uintptr]Setting{}
	for _, s := range c.settings() {
		v := reflect.ValueOf(s.value)
		p := v.FieldByName("p").Pointer()
		if other, twice := byAddress[p]; twice {
			t.Errorf("%s and %s set the same field", s.Key, other.Key)
		}
		byAddress[p] = s
	}
	comments := fieldComments(t)
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			key := prefix + strings.Join(words(f.Name), "_")
			s, ok := byAddress[v.Field(i).Addr().Pointer()]
			isStruct := f.Type.Kind() == reflect.Struct
			if isStruct {
				walk(v.Field(i), key+".")
				continue
			}
			if !ok || s.Key != key {
				t.Errorf("the field for %s has the setting %q", key, s.Key)
				continue
			}
			comment := comments[v.Type().Name()+"."+f.Name]
			if s.Default != "" && !regexp.MustCompile(`Default `+regexp.QuoteMeta(s.Default)+`[.,]`).MatchString(comment) {
				t.Errorf("%s.%s: the comment %q does not say \"Default %s\"", v.Type().Name(), f.Name, comment, s.Default)
			}
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	if len(byAddress) != len(Settings()) {
		t.Errorf("%d settings for %d fields", len(Settings()), len(byAddress))
	}
}

// words splits a field's name: DataDir is data, dir; ClientCA is client, ca.
func words(name string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`[A-Z]+(?:[a-z]+|$)|[A-Z]+`).FindAllString(name, -1) {
		all = append(all, strings.ToLower(m))
	}
	return all
}

// fieldComments returns the doc comments in config.go, by Struct.Field.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if st, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range st.Fields.List {
				for _, name := range field.Names {
					comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
		}
		return true
	})
	return comments
}

func TestNamesAreUniqueAndNoneOfKubernetes(t *testing.T) {
	seen := map[string]bool{"config": true, "PHONOND_CONFIG": true}
	for _, s := range Settings() {
		for _, n := range []string{s.Flag(), s.Env()} {
			if seen[n] {
				t.Errorf("%s is used twice", n)
			}
			seen[n] = true
		}
		if fromKubernetes(s.Env()) {
			t.Errorf("%s could be set by Kubernetes for a service", s.Env())
		}
		if !strings.ContainsAny(s.Help[len(s.Help)-1:], ".,") {
			t.Errorf("the help of %s does not end a sentence", s.Key)
		}
	}
}
