package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// probeEvery is how long a leader waits before it asks its heir again whether it has
// all entries.
const probeEvery = 10 * time.Millisecond

var errTransferring = errors.New("the lead is being handed over already")

// Transfer gives the lead to a voter, which should be up to date: requests wait while
// it is brought there, for two election timeouts at most. That it returns nil means only
// that this replica does not lead any more.
//
// Raft's own transfer is not used: it may wait for ever for a follower that is behind,
// and takes no entry from then on whenever this replica leads (hashicorp/raft#696).
func (g *Group) Transfer(ctx context.Context, node string) error {
	heir, err := g.voter(node)
	if err != nil {
		return err
	}
	lead := g.lead.Load()
	if lead == nil {
		return ErrNotLeader
	}
	if g.transferring.Swap(true) {
		return errTransferring
	}
	defer g.transferring.Store(false)
	ctx, cancel := context.WithTimeoutCause(ctx, 2*g.cfg.Timing.Election, fmt.Errorf("node %s did not take the lead in time", node))
	defer cancel()
	defer context.AfterFunc(g.stopped, cancel)()

	held, err := g.hold(ctx)
	defer func() {
		for range held {
			<-g.slots
		}
	}()
	if err == nil {
		err = g.catchUp(ctx, lead, heir)
	}
	if err == nil {
		err = g.tell(ctx, lead, func() error {
			return g.trans.TimeoutNow(heir.ID, heir.Address, &raft.TimeoutNowRequest{RPCHeader: g.header()}, new(raft.TimeoutNowResponse))
		})
	}
	if err == nil {
		err = g.whileLeading(ctx, lead, nil)
	}
	if g.lead.Load() != lead {
		return nil
	}
	return fmt.Errorf("giving the lead to node %s: %w", node, err)
}

// voter returns the voter on a node.
func (g *Group) voter(node string) (raft.Server, error) {
	for _, s := range g.Servers() {
		switch {
		case string(s.ID) != node:
		case s.Suffrage != raft.Voter:
			return s, fmt.Errorf("node %s is no voter of group %s", node, g.cfg.Name)
		default:
			return s, nil
		}
	}
	return raft.Server{}, fmt.Errorf("node %s has no replica of group %s", node, g.cfg.Name)
}

// hold takes the slots of the proposer: when it has all of them, no entry is on its
// way, and none is proposed.
func (g *Group) hold(ctx context.Context) (held int, err error) {
	for ; held < cap(g.slots); held++ {
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return held, context.Cause(ctx)
		}
	}
	return held, nil
}

// catchUp waits until a follower has the last entry of the log, which is of the term in
// which this replica leads. It is asked with a message of raft's that brings nothing:
// whether it has an entry of that index and term.
func (g *Group) catchUp(ctx context.Context, lead *leadership, heir raft.Server) error {
	for {
		probe := &raft.AppendEntriesRequest{RPCHeader: g.header(), Term: lead.term, PrevLogEntry: g.raft.LastIndex(), PrevLogTerm: lead.term}
		answer := new(raft.AppendEntriesResponse)
		err := g.tell(ctx, lead, func() error { return g.trans.AppendEntries(heir.ID, heir.Address, probe, answer) })
		if err != nil || answer.Success {
			return err
		}
		if answer.Term > lead.term {
			return ErrNotLeader
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// tell does what ends when a node answers, or at the latest when the connections are
// closed, and waits for that while this replica leads.
func (g *Group) tell(ctx context.Context, lead *leadership, f func() error) error {
	answered := make(chan error, 1)
	go func() { answered <- f() }()
	return g.whileLeading(ctx, lead, answered)
}

// whileLeading waits for an answer, or returns ErrNotLeader when this replica does not
// lead any more.
func (g *Group) whileLeading(ctx context.Context, lead *leadership, answered <-chan error) error {
	for {
		changed := g.LeaderChanged()
		if g.lead.Load() != lead {
			return ErrNotLeader
		}
		select {
		case err := <-answered:
			return err
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// header is what each message of raft's begins with.
func (g *Group) header() raft.RPCHeader {
	return raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(g.cfg.Node),
		Addr: g.trans.EncodePeer(raft.ServerID(g.cfg.Node), g.trans.LocalAddr()),
	}
}
