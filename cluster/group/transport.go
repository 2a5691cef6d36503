package group

import (
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// transport is the library's, but without the short cut for heartbeats: that
// handles them beside raft's main loop and changes term and state under its
// feet, after which an old leader may stamp an entry with the new term
// (hashicorp/raft#695). Heartbeats then take the way of all other messages. The
// concrete type is embedded because raft finds pre-vote support by a type
// assertion.
//
// It also keeps snapshots back from a voter whose disk is full: raft would send one
// every few seconds, whole, to be thrown away.
type transport struct {
	*raft.NetworkTransport
	space func(node string) Space
}

// InstallSnapshot sends a snapshot to a follower that needs one.
func (t transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.space(string(id)).Level == SpaceFull {
		return fmt.Errorf("no snapshot for node %s now: %w there", id, ErrNoSpace)
	}
	return t.NetworkTransport.InstallSnapshot(id, to, args, resp, data)
}

func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

var (
	_ raft.WithPreVote = transport{}
	_ raft.WithClose   = transport{}
)
