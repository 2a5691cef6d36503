package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	has := func(want string) {
		t.Helper()
		if got, err := Read(path); err != nil || string(got) != want {
			t.Errorf("the file has %q, %v, not %q", got, err, want)
		}
	}
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	has("old")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read the cluster's secret", info.Mode(), err)
	}
	// A crash before the new one took the place of the old.
	if err := os.WriteFile(path+unfinished, []byte("longer than the new one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	has("new")
	// One that nothing is written after.
	if err := os.WriteFile(path+unfinished, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	has("new")
	if _, err := os.Stat(path + unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// TestReplaceThatFailsLeavesNothing: a disk that was full once must not stay fuller
// for it.
func TestReplaceThatFailsLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	// A directory with something in it cannot be replaced.
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if _, err := os.Stat(path + unfinished); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

// TestReplaceThatFailsKeepsTheOldFile, as where there is no room for the new one.
func TestReplaceThatFailsKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+unfinished, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err == nil {
		t.Error("what could not be written was not reported")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file has %q, %v", got, err)
	}
}
