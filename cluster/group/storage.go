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

	"phonond/cluster/durable"

	"github.com/hashicorp/raft"
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

// The kinds of log store, by the names they have in the configuration, and the
// file in a group's directory by which each is known. It holds the votes.
const (
	kindBolt = "bolt"
	kindWAL  = "wal"
)

func votesOf(kind, dir string) string {
	if kind == kindWAL {
		return filepath.Join(dir, walDir, walMetaFile)
	}
	return filepath.Join(dir, boltFile)
}

// ErrOtherStore is returned when a directory is opened as one kind of log store
// and holds the other. To begin a second log beside the first would forget what
// the node voted for and acknowledged.
var ErrOtherStore = errors.New("a log of another kind")

// Made reports whether dir holds a log of either kind, however short or damaged.
// A node that had one, and has it no more, has forgotten what it voted for.
func Made(dir string) bool { return made(kindBolt, dir) || made(kindWAL, dir) }

func made(kind, dir string) bool {
	info, err := os.Stat(votesOf(kind, dir))
	return err == nil && info.Size() > 0
}

// logStore is what both libraries offer.
type logStore interface {
	raft.LogStore
	raft.StableStore
	io.Closer
}

// openStorage opens what both kinds have in common around a log store of one.
func openStorage(kind, dir string, log *slog.Logger, open func() (logStore, error)) (_ *Storage, err error) {
	for _, other := range []string{kindBolt, kindWAL} {
		if other != kind && made(other, dir) {
			return nil, fmt.Errorf("%s holds %w: log_store is %s, and this one was made with %s. A node keeps the kind it was made with; set log_store: %s",
				dir, ErrOtherStore, kind, other, other)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	snapshots, err := OpenSnapshots(dir, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil { // bbolt does so on some damaged pages
			err = damaged(votesOf(kind, dir), fmt.Errorf("%v", p))
		}
	}()
	store, err := open()
	if err != nil {
		return nil, err
	}
	// The names of new files are part of what must not be lost.
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := durable.SyncDir(d); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return &Storage{Path: dir, Logs: store, Stable: store, Snapshots: snapshots, Closer: store}, nil
}

// Advice is what to do about damage. To remove less than all of a node's data, or
// to bring back an old copy, would let it forget what it voted for.
const Advice = "leave the node off and its data as it is: the groups go on with their other replicas; see \"When a node ends itself\" in docs/operations.md"

func damaged(file string, err error) error {
	return fmt.Errorf("%s is damaged (%w): %s", file, err, Advice)
}

// boltError says what an error of bbolt about a file means.
func boltError(file string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s is in use by another process: is this node already running?", file)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return damaged(file, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

// OpenSnapshots opens what a group's directory has of snapshots, without those that
// a crash left unfinished.
func OpenSnapshots(dir string, log *slog.Logger) (*raft.FileSnapshotStore, error) {
	if err := sweep(filepath.Join(dir, snapshotDir)); err != nil {
		return nil, err
	}
	s, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, newRaftLogger(context.Background(), log))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return s, nil
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
		if strings.HasSuffix(e.Name(), unfinished) {
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
