package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCutHidden(t *testing.T) {
	for _, test := range []struct {
		args, rest []string
		file       string
	}{
		{[]string{"--config", "f"}, []string{"--config", "f"}, ""},
		{[]string{"--config", "f", "--cpuprofile", "p", "--node", "n"}, []string{"--config", "f", "--node", "n"}, "p"},
		{[]string{"--cpuprofile=p", "--config=f"}, []string{"--config=f"}, "p"},
		{[]string{"-cpuprofile", "p"}, nil, "p"},
	} {
		rest, file := cutHidden(test.args, "cpuprofile")
		if !slices.Equal(rest, test.rest) || file != test.file {
			t.Errorf("%q: %q and %q", test.args, rest, file)
		}
	}
}

func TestProfileIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpu.pprof")
	stop, err := profile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := profile(filepath.Join(file, "below a file")); err == nil {
		t.Error("a profile in a directory that cannot be")
	}
}
