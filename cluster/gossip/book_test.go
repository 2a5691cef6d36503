package gossip

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := OpenBook(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(id, addr string, incarnation uint64) Member {
	return Member{ID: id, Region: "us", ClusterAddr: addr, Incarnation: incarnation}
}

func TestHigherIncarnationWins(t *testing.T) {
	b := open(t, "")
	for _, step := range []struct {
		learn   Member
		changed bool
		addr    string
	}{
		{at("a", "config:1", 0), true, "config:1"},
		{at("a", "first:1", 5), true, "first:1"},
		{at("a", "config:1", 0), false, "first:1"},
		{at("a", "older:1", 4), false, "first:1"},
		{at("a", "first:1", 5), false, "first:1"},
		{at("a", "moved:1", 5), true, "moved:1"},
		{at("a", "second:1", 6), true, "second:1"},
		{at("a", "not an address", 7), false, "second:1"},
		{Member{ID: "a", Region: "us", ClusterAddr: "second:1", Incarnation: 6, Alive: true}, false, "second:1"},
	} {
		if changed := b.Learn(step.learn); changed != step.changed {
			t.Errorf("learning %+v changed the book: %v", step.learn, changed)
		}
		if addr, ok := b.Addr("a"); addr != step.addr || !ok {
			t.Errorf("after %+v: %q, %v", step.learn, addr, ok)
		}
	}
	if addr, ok := b.Addr("b"); ok {
		t.Errorf("somebody unknown lives at %q", addr)
	}
	if b.Learn(Member{ID: "c", Region: "us"}); len(b.All()) != 2 {
		t.Errorf("%v", b.All())
	}
	if _, ok := b.Addr("c"); ok {
		t.Error("an unknown address is known")
	}
}

func TestBookOutlivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.json")
	b := open(t, path)
	b.Learn(at("b", "host-b:7379", 2))
	b.Learn(at("a", "host-a:7379", 1))
	b.Learn(at("gone", "host-c:7379", 1))
	b.Forget("gone")
	b.Forget("never there")
	want := []Member{at("a", "host-a:7379", 1), at("b", "host-b:7379", 2)}
	if got := open(t, path).All(); !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}

func TestCorruptBookIsNamed(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"cut short":       `{"version": 1, "members": [`,
		"another version": `{"version": 2, "members": []}`,
		"bad member":      `{"version": 1, "members": [{"id": "a", "region": "us", "cluster_addr": "nowhere"}]}`,
	} {
		path := filepath.Join(t.TempDir(), "book.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenBook(path, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrBook) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenBook(t.TempDir(), slog.New(slog.DiscardHandler)); err == nil || errors.Is(err, ErrBook) {
		t.Errorf("a directory: %v", err)
	}
}

func TestUnwritableBookStillServes(t *testing.T) {
	var log strings.Builder
	b, err := OpenBook(filepath.Join(t.TempDir(), "no such directory", "book.json"), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !b.Learn(at("a", "host:1", 1)) || !strings.Contains(log.String(), "not written") {
		t.Errorf("logged %q", log.String())
	}
	if addr, _ := b.Addr("a"); addr != "host:1" {
		t.Error(addr)
	}
}
