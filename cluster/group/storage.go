package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Storage is where a replica keeps its log, its votes and its snapshots. It
// belongs to one group of one node; nothing of it is ever shared.
type Storage struct {
	Path      string // for messages: where an operator has to look
	Logs      raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Closer    io.Closer // may be nil
}

// keptSnapshots is how many snapshots are kept on disk: one more than needed,
// for the day the newest cannot be read.
const keptSnapshots = 2

// OpenBolt opens or creates the storage in dir: a bbolt file for log and votes,
// and a directory of snapshots. An error names the file and what to do.
func OpenBolt(dir string, log *slog.Logger) (_ *Storage, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := sweep(filepath.Join(dir, "snapshots")); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, logFile)
	if err := checkLength(file); err != nil {
		return nil, damaged(file, err)
	}
	defer func() {
		if p := recover(); p != nil { // bbolt does so on some damaged pages
			err = damaged(file, fmt.Errorf("%v", p))
		}
	}()
	store, err := raftboltdb.New(raftboltdb.Options{
		Path: file,
		BoltOptions: &bbolt.Options{
			// The map keeps its speed when much of the file is free, and is rebuilt
			// at the start instead of being written with every entry.
			FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
			Timeout: time.Second,
		},
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use by another process: is this node already running?", file)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, damaged(file, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, newRaftLogger(context.Background(), log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), store.Close())
	}
	return &Storage{Path: dir, Logs: store, Stable: store, Snapshots: snapshots, Closer: store}, nil
}

// logFile holds log and votes.
const logFile = "raft.db"

// Made reports whether dir holds a log, however short or damaged. A node that had
// one, and has it no more, has forgotten what it voted for.
func Made(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, logFile))
	return err == nil && info.Size() > 0
}

// Advice is what to do about damage. To remove less than all of a node's data, or
// to bring back an old copy, would let it forget what it voted for.
const Advice = "leave the node off and its data as it is: the groups go on with their other replicas; see \"When a node ends itself\" in docs/operations.md"

func damaged(file string, err error) error {
	return fmt.Errorf("%s is damaged (%w): %s", file, err, Advice)
}

// sweep removes what a crash left of half-written snapshots.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Memory returns a storage that keeps nothing beyond the process: for a cluster
// to try things on.
func Memory() *Storage {
	store := raft.NewInmemStore()
	return &Storage{Path: "memory", Logs: store, Stable: store, Snapshots: raft.NewInmemSnapshotStore()}
}
