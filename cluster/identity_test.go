package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phonond/cluster/group"
)

func TestIdentityIsForEver(t *testing.T) {
	dir := t.TempDir()
	first, err := startAs(dir, "e1", "east")
	if err != nil {
		t.Fatal(err)
	}
	if first.Node != "e1" || len(first.Seat) != 32 || first.Incarnation != 1 {
		t.Errorf("the first identity is %+v", first)
	}
	first.Groups = []string{"east"}
	if err := first.save(dir); err != nil {
		t.Fatal(err)
	}
	for i, node := range []string{"e1", ""} { // the name need not be configured again
		id, err := startAs(dir, node, "east")
		if err != nil || id.Node != "e1" || id.Seat != first.Seat || id.Incarnation != uint64(i+2) || len(id.Groups) != 1 {
			t.Errorf("start %d: %+v, %v", i+2, id, err)
		}
	}
	for _, tc := range []struct{ node, region, want string }{
		{"e2", "east", "a node's id is for ever"},
		{"e1", "west", "a node cannot move between regions"},
	} {
		if _, err := startAs(dir, tc.node, tc.region); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), identityFile) {
			t.Errorf("%s in %s: %v", tc.node, tc.region, err)
		}
	}
	if id, err := startAs(dir, "e1", "east"); err != nil || id.Incarnation != 4 {
		t.Errorf("a refused start was counted: %+v, %v", id, err)
	}
}

func TestNamelessNodeMakesAnId(t *testing.T) {
	a, err := startAs(t.TempDir(), "", "east")
	if err != nil {
		t.Fatal(err)
	}
	b, err := startAs(t.TempDir(), "", "east")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a.Node, "east-") || a.Node == b.Node || a.Seat == b.Seat {
		t.Errorf("two nodes are %+v and %+v", a, b)
	}
}

func TestDamagedIdentityIsNotReplaced(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "cut short": `{"node": "e1", "seat`, "zeros": "\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, identityFile)
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := startAs(dir, "e1", "east")
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), group.Advice) {
				t.Errorf("it says %v", err)
			}
			if b, _ := os.ReadFile(file); string(b) != content {
				t.Errorf("the file is now %q", b)
			}
		})
	}
}

// TestWriteJSONKeepsWhatItCannotReplace: what cannot be written leaves the old file.
func TestWriteJSONKeepsWhatItCannotReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	if err := readJSON(path, new([]int)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := writeJSON(path, []int{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(path, make(chan int)); err == nil {
		t.Error("a channel was written")
	}
	var got []int
	if err := readJSON(path, &got); err != nil || len(got) != 3 {
		t.Errorf("the file has %v, %v", got, err)
	}
}

// startAs does with the identity what a start does.
func startAs(dir, node, region string) (identity, error) {
	id, err := loadIdentity(dir, node, region)
	if err != nil {
		return id, err
	}
	return id, id.save(dir)
}
