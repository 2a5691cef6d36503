package cluster

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"phonond/cluster/config"
	"phonond/cluster/group"
)

// TestStorageIsOfTheConfiguredKind, and stays of it.
func TestStorageIsOfTheConfiguredKind(t *testing.T) {
	votes := map[string]string{"bolt": "raft.db", "wal": "wal/wal-meta.db"}
	for kind, other := range map[string]string{"bolt": "wal", "wal": "bolt"} {
		dir := t.TempDir()
		open := func(kind string) (*group.Storage, error) {
			id, err := loadIdentity(dir, "e1", "east")
			if err != nil {
				t.Fatal(err)
			}
			conf := config.Default()
			conf.DataDir, conf.LogStore = dir, kind
			n := &Node{cfg: Config{Config: conf}, identity: id, log: slog.New(slog.DiscardHandler)}
			return n.storage("east")
		}
		for range 2 {
			s, err := open(kind)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Closer.Close(); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "groups", "east", votes[kind])
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := open(other); !errors.Is(err, group.ErrOtherStore) {
			t.Errorf("%s opened as %s: %v", kind, other, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{kind, other} {
			if _, err := open(k); err == nil || !strings.Contains(err.Error(), "has lost its log") {
				t.Errorf("%s without its log, opened as %s: %v", kind, k, err)
			}
		}
	}
}
