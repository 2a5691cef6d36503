package cluster

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"phonond/cluster/mux"
)

// stream is a group's share of the port between nodes. To raft, a replica's
// address is its node's id: where that is now is found out at each connection.
type stream struct {
	net.Listener
	mux   *mux.Mux
	node  string
	group string
}

var _ raft.StreamLayer = (*stream)(nil)

// raftDial is how long raft may try to reach a node. A replica that is cut off asks
// all others for their vote every second or so, and each question dials: what raft
// allows, which is the time for an answer, made that more than a hundred sockets.
const raftDial = 3 * time.Second

func (s *stream) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return mux.WithProgress(c, mux.RaftIdle), nil
}

func (s *stream) Dial(node raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, raftDial))
	defer cancel()
	c, err := s.mux.DialNode(ctx, string(node), mux.Raft, s.group, 0)
	if err != nil {
		return nil, err
	}
	return mux.WithProgress(c, mux.RaftIdle), nil
}

func (s *stream) Addr() net.Addr { return nodeAddr(s.node) }

// nodeAddr is a node's id as a network address.
type nodeAddr string

func (nodeAddr) Network() string  { return "node" }
func (a nodeAddr) String() string { return string(a) }
