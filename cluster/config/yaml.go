package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// The file is walked as a tree rather than decoded into the struct: the names then
// come from the one table, every mistake has its line, and none hides the next.

// lineError is an error at a line of the file.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

// at adds the node's line to an error, unless it has a more exact one.
func at(n *yaml.Node, err error) error {
	if inner := (*lineError)(nil); err == nil || errors.As(err, &inner) {
		return err
	}
	return &lineError{n.Line, err}
}

// file applies a configuration file.
func (l *loader) file(path string, data []byte) {
	fail := func(line int, key, format string, args ...any) {
		where := path
		if line > 0 {
			where = fmt.Sprintf("%s:%d", path, line)
		}
		l.problems = append(l.problems, Problem{Key: key, Where: where, Text: fmt.Sprintf(format, args...)})
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	switch err := dec.Decode(&root); {
	case errors.Is(err, io.EOF): // nothing but comments
		return
	case err != nil:
		fail(0, "", "%v", err)
		return
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		fail(more.Line, "", "more than one document: keep what is above the line ---")
	}

	var walk func(n *yaml.Node, prefix string)
	walk = func(n *yaml.Node, prefix string) {
		if n.Tag == "!!null" && prefix != "" {
			return // a section whose settings are all commented out
		}
		if n.Kind != yaml.MappingNode {
			fail(n.Line, strings.TrimSuffix(prefix, "."), "settings were expected here, NAME: VALUE")
			return
		}
		lines := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			key := prefix + k.Value
			if first, twice := lines[key]; twice {
				fail(k.Line, key, "is set twice, first in line %d", first)
				continue
			}
			lines[key] = k.Line
			s, known := l.settings[key]
			switch {
			case known:
				if inner := (*lineError)(nil); errors.As(setYAML(s.value, v), &inner) {
					fail(inner.line, key, "%v", inner)
				}
			case l.isSection(key):
				walk(v, key+".")
			default:
				fail(k.Line, key, "there is no such setting%s", l.suggest(key))
			}
		}
	}
	walk(root.Content[0], "")
}

func (l *loader) isSection(key string) bool {
	for s := range l.settings {
		if strings.HasPrefix(s, key+".") {
			return true
		}
	}
	return false
}

// suggest names the settings that may have been meant.
func (l *loader) suggest(key string) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	var near []string
	for s := range l.settings {
		if edits(s, key) <= 2 || strings.HasSuffix(s, "."+last) {
			near = append(near, s)
		}
	}
	if len(near) == 0 {
		return "; docs/configuration.md lists them"
	}
	slices.Sort(near)
	return "; perhaps " + strings.Join(near, " or ")
}

// edits counts the letters to insert, delete or replace to make a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// setYAML applies a node to a value: a scalar as its text, another in the value's
// own way. Its errors are lineErrors.
func setYAML(v value, n *yaml.Node) error {
	var err error
	if own, ok := v.(interface{ setYAML(*yaml.Node) error }); ok && n.Kind != yaml.ScalarNode {
		err = own.setYAML(n)
	} else if s, wrong := stringOf(n); wrong != nil {
		err = wrong
	} else {
		err = v.Set(s)
	}
	return at(n, err)
}

// stringOf returns a scalar as it was written: 012 stays 012, and no stays no.
func stringOf(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", at(n, errors.New("anchors are not supported: write the value out"))
	case n.Kind != yaml.ScalarNode:
		return "", at(n, errors.New("one value was expected, not a list or a mapping"))
	case n.Tag == "!!null":
		return "", at(n, errors.New("has no value: give one, or remove the line"))
	}
	return n.Value, nil
}

func stringsOf(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, at(n, errors.New("a list was expected, [A, B]"))
	}
	var all []string
	for _, item := range n.Content {
		s, err := stringOf(item)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, at(item, errors.New("has an empty item"))
		}
		all = append(all, s)
	}
	return all, nil
}

// eachPair calls f for the entries of a mapping.
func eachPair(n *yaml.Node, f func(k, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, errors.New("a mapping was expected, NAME: VALUE"))
	}
	for i := 0; i < len(n.Content); i += 2 {
		if err := f(n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}
