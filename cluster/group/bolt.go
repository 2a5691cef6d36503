package group

import (
	"log/slog"
	"path/filepath"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// boltFile holds log and votes.
const boltFile = "raft.db"

// fileLock is how long it is waited for another process to let go of a file.
const fileLock = time.Second

// OpenBolt opens or creates the storage in dir: a bbolt file for log and votes,
// and a directory of snapshots. An error names the file and what to do; it is
// [ErrOtherStore] for a directory of [OpenWAL].
func OpenBolt(dir string, log *slog.Logger) (*Storage, error) {
	return openStorage(kindBolt, dir, log, func() (logStore, error) {
		file := filepath.Join(dir, boltFile)
		if err := checkLength(file); err != nil {
			return nil, damaged(file, err)
		}
		store, err := raftboltdb.New(raftboltdb.Options{
			Path: file,
			BoltOptions: &bbolt.Options{
				// The map keeps its speed when much of the file is free, and is rebuilt
				// at the start instead of being written with every entry.
				FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
				Timeout: fileLock,
			},
		})
		if err != nil {
			return nil, boltError(file, err)
		}
		return store, nil
	})
}
