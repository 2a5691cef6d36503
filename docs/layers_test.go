// Package docs_test keeps the pages in docs true: it makes those that tables in
// the code can tell, and compares what others say with the code.
package docs_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLayers compares the imports of all packages with the block in
// architecture.md. There, a package imports only what is listed below it.
func TestLayers(t *testing.T) {
	page, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```layers\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("architecture.md has no block of layers")
	}
	list := exec.Command("go", "list", "-f", "{{if .GoFiles}}{{.ImportPath}}:{{range .Imports}} {{.}}{{end}}{{end}}", "phonond/...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	code, _ := layers(out, "phonond/")
	allowed, order := layers(block[1], "")
	for pkg, imports := range code {
		if !slices.Contains(order, pkg) {
			t.Errorf("package %s is not in architecture.md", pkg)
		}
		for _, i := range imports {
			if !slices.Contains(allowed[pkg], i) {
				t.Errorf("%s must not import %s", pkg, i)
			}
		}
	}
	for at, pkg := range order {
		if _, ok := code[pkg]; !ok {
			t.Errorf("architecture.md lists package %s, which there is not", pkg)
		}
		for _, i := range allowed[pkg] {
			switch {
			case !slices.Contains(code[pkg], i):
				t.Errorf("%s does not import %s any more: take it out of architecture.md", pkg, i)
			case slices.Index(order, i) <= at:
				t.Errorf("%s is above %s in architecture.md: arrows go down only", i, pkg)
			}
		}
	}
}

// layers reads lines of "package: import import". Ours begin with prefix, which is
// taken off.
func layers(text []byte, prefix string) (imports map[string][]string, order []string) {
	imports = map[string][]string{}
	for line := range strings.Lines(string(text)) {
		pkg, list, ok := strings.Cut(strings.TrimPrefix(line, prefix), ":")
		if !ok {
			continue
		}
		imports[pkg], order = nil, append(order, pkg)
		for _, i := range strings.Fields(list) {
			if name, ours := strings.CutPrefix(i, prefix); ours {
				imports[pkg] = append(imports[pkg], name)
			}
		}
	}
	return imports, order
}
