package group

import "github.com/hashicorp/raft"

// transport is the library's, but without the short cut for heartbeats: that
// handles them beside raft's main loop and changes term and state under its
// feet, after which an old leader may stamp an entry with the new term
// (hashicorp/raft#695). Heartbeats then take the way of all other messages. The
// concrete type is embedded because raft finds pre-vote support by a type
// assertion.
type transport struct{ *raft.NetworkTransport }

func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

var (
	_ raft.WithPreVote = transport{}
	_ raft.WithClose   = transport{}
)
