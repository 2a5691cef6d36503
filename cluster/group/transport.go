package group

import (
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// transport is the library's, but
//   - without the short cut for heartbeats: that handles them beside raft's main loop
//     and changes term and state under its feet, after which an old leader may stamp an
//     entry with the new term (hashicorp/raft#695). Heartbeats then take the way of all
//     other messages.
//   - with an [inbox] before raft.
//   - keeping snapshots back from a voter whose disk is full: raft would send one
//     every few seconds, whole, to be thrown away.
//   - telling a follower that did not store entries from one whose log differs.
//
// The concrete type is embedded because raft finds pre-vote support by a type
// assertion.
type transport struct {
	*raft.NetworkTransport
	inbox *inbox
	store *watchedStore
	space func(node string) Space
	// stopped is closed when the group stops.
	stopped <-chan struct{}
}

// refusalPause is after what time a follower that has not stored entries is sent them
// again.
const refusalPause = time.Second

// AppendEntries sends entries to a follower. One that has no room for them says no
// more to raft than one whose log differs, and would be sent older entries each time, up
// to a snapshot that it has had for long. And were it an error, raft would wait longer
// each time, up to 10 s: too long once there is room again. So raft is told, after a pause,
// that a message without entries has come: it sends them once more.
func (t transport) AppendEntries(id raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if err := t.store.ending(); err != nil {
		return fmt.Errorf("nothing is sent any more: %w", err) // what was read is not known to be the log
	}
	if err := t.NetworkTransport.AppendEntries(id, to, args, resp); err != nil {
		return err
	}
	if differs, newer := resp.NoRetryBackoff, resp.Term > args.Term; resp.Success || differs || newer {
		return nil
	}
	pause := time.NewTimer(refusalPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		args.Entries, resp.Success = nil, true
		return nil
	case <-t.stopped: // and raft not yet: without its own waits it would send them without end
		return fmt.Errorf("node %s has not stored %d entries after %d, and the group stops", id, len(args.Entries), args.PrevLogEntry)
	}
}

// InstallSnapshot sends a snapshot to a follower that needs one.
func (t transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.space(string(id)).Level == SpaceFull {
		return fmt.Errorf("no snapshot for node %s now: %w there", id, ErrNoSpace)
	}
	return t.NetworkTransport.InstallSnapshot(id, to, args, resp, data)
}

// Consumer returns the messages for raft.
func (t transport) Consumer() <-chan raft.RPC { return t.inbox.out }

func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

var (
	_ raft.WithPreVote = transport{}
	_ raft.WithClose   = transport{}
)
