package group

import (
	"errors"
	"io"
	"slices"

	"github.com/hashicorp/raft"
)

// inbox gives raft the messages of other replicas, one after the other. It takes from
// them what this replica has applied: that is committed, so every leader of this term
// or a later one has the same. Raft looks it up in the log instead, where it may be no
// more, as the snapshot is there; asks for older entries each time; and takes in the
// end a snapshot that goes back behind what it has applied and has told.
//
// And it sees to it that a log leads to the snapshot that was installed over it, which
// raft does not (hashicorp/raft#697).
type inbox struct {
	in      <-chan raft.RPC
	out     chan raft.RPC
	logs    raft.LogStore
	applied func() uint64 // the index of the last entry that raft has applied
	answer  chan raft.RPCResponse
	stop    chan struct{}
	stopped chan struct{}
}

// newInbox returns an inbox that passes nothing on yet.
func newInbox(in <-chan raft.RPC, logs raft.LogStore) *inbox {
	return &inbox{
		in: in, out: make(chan raft.RPC), logs: logs,
		answer: make(chan raft.RPCResponse, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// run passes messages on until close.
func (b *inbox) run(applied func() uint64) {
	defer close(b.stopped)
	b.applied = applied
	for {
		select {
		case rpc := <-b.in:
			answer := b.handle(rpc)
			rpc.Respond(answer.Response, answer.Error)
		case <-b.stop:
			return
		}
	}
}

// close ends run. Raft has ended.
func (b *inbox) close() {
	close(b.stop)
	<-b.stopped
}

func (b *inbox) handle(rpc raft.RPC) raft.RPCResponse {
	switch req := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		skipApplied(req, b.applied())
	case *raft.InstallSnapshotRequest:
		if req.LastLogIndex <= b.applied() {
			return b.skipSnapshot(req, rpc.Reader)
		}
		return b.install(req, rpc.Reader)
	}
	return b.pass(rpc.Command, rpc.Reader)
}

// pass has raft handle a message.
func (b *inbox) pass(message any, data io.Reader) raft.RPCResponse {
	select {
	case b.out <- raft.RPC{Command: message, Reader: data, RespChan: b.answer}:
		return <-b.answer
	case <-b.stop:
		return raft.RPCResponse{Error: raft.ErrRaftShutdown}
	}
}

// skipApplied takes from a message the entries up to one that is committed and held
// here. It also keeps raft from taking entries for committed that the leader did not
// compare: those that are here and behind the message's last.
func skipApplied(req *raft.AppendEntriesRequest, applied uint64) {
	last := req.PrevLogEntry
	if n := len(req.Entries); n > 0 {
		last = req.Entries[n-1].Index
	}
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, last)
	if req.PrevLogEntry > applied {
		return
	}
	req.PrevLogEntry, req.PrevLogTerm = 0, 0 // nothing to compare
	first := slices.IndexFunc(req.Entries, func(l *raft.Log) bool { return l.Index > applied })
	if first < 0 {
		first = len(req.Entries)
	}
	req.Entries = req.Entries[first:]
}

// install has raft install a snapshot.
func (b *inbox) install(req *raft.InstallSnapshotRequest, data io.Reader) raft.RPCResponse {
	answer := b.pass(req, data)
	if r, ok := answer.Response.(*raft.InstallSnapshotResponse); ok && r.Success {
		if err := leadTo(b.logs, req.LastLogIndex, req.LastLogTerm); err != nil {
			answer.Error = err // and the node is ending
		}
	}
	return answer
}

// leadTo removes from a log the entries up to a snapshot's, unless they are those that
// led to it. Raft leaves them: it would compare with them what it is sent, send them to
// others when it leads, and leave a gap behind them, which not every log takes.
func leadTo(logs raft.LogStore, index, term uint64) error {
	first, err1 := logs.FirstIndex()
	last, err2 := logs.LastIndex()
	if err := errors.Join(err1, err2); err != nil || last == 0 || first > index {
		return err
	}
	var l raft.Log
	if err := logs.GetLog(index, &l); err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		return err
	} else if err == nil && l.Term == term {
		return nil
	}
	return logs.DeleteRange(first, min(index, last))
}

// settle ends the installing of a snapshot that a crash cut off.
func settle(snapshots raft.SnapshotStore, logs raft.LogStore) error {
	list, err := snapshots.List()
	if err != nil || len(list) == 0 {
		return err
	}
	_, r, err := snapshots.Open(list[0].ID)
	if err != nil {
		return nil // raft takes an older one, or says that there is none
	}
	return errors.Join(r.Close(), leadTo(logs, list[0].Index, list[0].Term))
}

// skipSnapshot answers the sender of a snapshot that holds nothing new that it is
// installed. Raft is told of the leader and its term, as by a heartbeat.
func (b *inbox) skipSnapshot(req *raft.InstallSnapshotRequest, data io.Reader) raft.RPCResponse {
	_, _ = io.Copy(io.Discard, data) // what is wrong with the connection is seen with the next message
	answer := b.pass(&raft.AppendEntriesRequest{RPCHeader: req.RPCHeader, Term: req.Term, Leader: req.Leader}, nil)
	if beat, ok := answer.Response.(*raft.AppendEntriesResponse); ok {
		answer.Response = &raft.InstallSnapshotResponse{RPCHeader: beat.RPCHeader, Term: beat.Term, Success: beat.Success}
	}
	return answer
}
