package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

func TestLeftoversAreFound(t *testing.T) {
	dir := t.TempDir()
	snapshots := filepath.Join(dir, "groups", "east", "snapshots")
	add := func(name string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(snapshots, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	add("2-10-1")
	add("2-20-2")
	if err := leftovers(dir); err != nil {
		t.Errorf("two snapshots: %v", err)
	}
	add("2-30-3")
	if err := leftovers(dir); err == nil {
		t.Error("three snapshots are not too many")
	}
	if err := os.Rename(filepath.Join(snapshots, "2-30-3"), filepath.Join(dir, "2-30-3.tmp")); err != nil {
		t.Fatal(err)
	}
	if err := leftovers(dir); err == nil {
		t.Error("an unfinished file is not seen")
	}
}

func TestDigestsAreComparedOverTime(t *testing.T) {
	r := &rig{began: time.Now()}
	r.faults = &violations{say: func(string, ...any) {}, first: make(chan struct{})}
	d := newDigests(r)
	d.compare([]proctest.Replica{{Group: "g", Node: "a", Index: 7, Digest: "x"}, {Group: "h", Node: "a", Index: 7, Digest: "y"}})
	d.compare([]proctest.Replica{{Group: "g", Node: "b", Index: 7, Digest: "x"}, {Group: "g", Node: "c", Index: 8, Digest: "z"}})
	if r.faults.any() || d.compared() != 1 {
		t.Errorf("%v, %d compared", r.faults.list, d.compared())
	}
	d.compare([]proctest.Replica{{Group: "g", Node: "c", Index: 7, Digest: "other"}})
	if !r.faults.any() {
		t.Error("two digests after one entry are not seen")
	}
}

func TestGrowthIsSeen(t *testing.T) {
	first := footprint{files: 40, disk: 50 << 20}
	if err := (footprint{files: 45, disk: 100 << 20}).grown(first, 5); err != nil {
		t.Errorf("little more: %v", err)
	}
	if (footprint{files: 46, disk: 50 << 20}).grown(first, 5) == nil {
		t.Error("descriptors may grow")
	}
	if (footprint{files: 40, disk: 50<<20 + spareDisk + 1}).grown(first, 5) == nil {
		t.Error("the disk may grow")
	}
}

func TestFootprintOfThisProcess(t *testing.T) {
	p, err := footprintOf(os.Getpid(), t.TempDir())
	if err != nil || p.rss < 1<<20 || p.files < 3 || p.disk != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}
