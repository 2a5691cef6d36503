package group

import (
	"errors"
	"io"
	"slices"

	"github.com/hashicorp/raft"
)

// inbox gives raft the messages of other replicas, one after the other. It cuts off
// what this replica has applied: that is committed, so every leader of this term or a
// later one has the same. Raft would look it up in the log, where it may be no more,
// as a snapshot covers it; ask for older entries each time; and install in the end a
// snapshot that is older than its state, and than what reads were told of it.
//
// And it sees to it that the log does not contradict a snapshot that was installed
// (hashicorp/raft#697).
type inbox struct {
	in      <-chan raft.RPC
	out     chan raft.RPC
	store   *watchedStore
	logs    raft.LogStore // store as raft sees it
	applied func() uint64 // the index of the last entry that raft has applied
	answer  chan raft.RPCResponse
	stop    chan struct{}
	stopped chan struct{}
}

// newInbox returns an inbox that passes nothing on yet.
func newInbox(in <-chan raft.RPC, store *watchedStore, logs raft.LogStore) *inbox {
	return &inbox{
		in: in, out: make(chan raft.RPC), store: store, logs: logs,
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
			b.handle(rpc)
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

func (b *inbox) handle(rpc raft.RPC) {
	snapshot, _ := rpc.Command.(*raft.InstallSnapshotRequest)
	if snapshot != nil && snapshot.LastLogIndex <= b.applied() {
		b.skipSnapshot(snapshot, rpc)
		return
	}
	if req, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
		cutApplied(req, b.applied())
	}
	answer := b.pass(rpc.Command, rpc.Reader)
	if snapshot != nil {
		b.installed(snapshot)
	}
	rpc.Respond(answer.Response, answer.Error)
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

// cutApplied takes from a message the entries up to one that is committed and held
// here. It also keeps raft from taking entries for committed that the leader did not
// compare: those that are here and behind the message's last.
func cutApplied(req *raft.AppendEntriesRequest, applied uint64) {
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

// skipSnapshot answers the sender of a snapshot that holds nothing new that it is
// installed. Raft is told of the leader and its term, as by a heartbeat.
func (b *inbox) skipSnapshot(req *raft.InstallSnapshotRequest, rpc raft.RPC) {
	answer := b.pass(&raft.AppendEntriesRequest{RPCHeader: req.RPCHeader, Term: req.Term}, nil)
	if beat, ok := answer.Response.(*raft.AppendEntriesResponse); ok {
		answer.Response = &raft.InstallSnapshotResponse{RPCHeader: beat.RPCHeader, Term: beat.Term, Success: beat.Success}
	}
	go func() { // others do not wait for the data, which ends with the connection
		_, _ = io.Copy(io.Discard, rpc.Reader)
		rpc.Respond(answer.Response, answer.Error)
	}()
}

// installed is called when raft has installed a snapshot, or could not.
func (b *inbox) installed(req *raft.InstallSnapshotRequest) {
	if b.applied() < req.LastLogIndex {
		return
	}
	if err := dropContradicting(b.logs, req.LastLogIndex, req.LastLogTerm); err != nil {
		b.store.failed("trimming the log", err)
	}
}

// dropContradicting removes the entries of a log up to the index of a snapshot, unless
// the one at the index has the snapshot's term: then they led to it. Raft leaves them,
// and would send them to others when it leads; and the next entry would leave a gap
// behind them, which not every log takes.
//
// Entries behind the index stay although they differ: raft goes on believing in the end
// that the log had, and has to find what it compares. It takes them back when it is sent
// others. Until then it understates how far it is, and another is elected.
func dropContradicting(logs raft.LogStore, index, term uint64) error {
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
