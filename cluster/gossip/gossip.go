// Package gossip finds out who is alive, where, in which region and at which
// addresses, over memberlist. The node owns one Gossip. What it says are hints,
// to find nodes by: it never removes a voter, never starts an election and never
// decides that a lock, session or reference is dead. The truth about membership
// is in the system group.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrStopped is returned when Stop has been called.
var ErrStopped = errors.New("gossip: stopped")

// updateTimeout is how long Update waits for the news to be on its way.
const updateTimeout = 5 * time.Second

// Gossip is this node's part in the cluster's gossip.
type Gossip struct {
	cfg      Config
	patience time.Duration // how long a conflict must last
	table    *table
	list     *memberlist.Memberlist

	ctx    context.Context // done after Stop
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex // one Update, Leave or Stop at a time
	self    Member
	left    bool
	stopped bool
}

// Start begins to gossip and to look for the others, which it does not wait for.
// The transport that it was given is shut down by Stop, and when Start fails.
func Start(cfg Config) (*Gossip, error) {
	g, err := start(cfg.withDefaults())
	if err != nil && cfg.Transport != nil {
		_ = cfg.Transport.Shutdown()
	}
	return g, err
}

func start(cfg Config) (*Gossip, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	meta, err := encodeMeta(cfg.Self, false)
	if err != nil {
		return nil, fmt.Errorf("gossip: this node is %w", err)
	}
	g := &Gossip{cfg: cfg, patience: conflictLAN, table: newTable(), self: cfg.Self}
	if cfg.WAN {
		g.patience = conflictWAN
	}
	g.table.setMeta(meta)
	conf, err := cfg.memberlist(g.table, newLogger(cfg.Log))
	if err != nil {
		return nil, err
	}
	if g.list, err = memberlist.Create(conf); err != nil {
		_ = conf.Transport.Shutdown()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.work.Go(g.tell)
	g.work.Go(g.seek)
	return g, nil
}

// Members returns everybody who is known, this node included, dead or alive, in
// the order of their ids. It is a copy.
func (g *Gossip) Members() []Member { return g.table.members() }

// Addr is this node's own gossip address, as the others see it. It is empty after
// Leave.
func (g *Gossip) Addr() string { return g.table.addrOf(g.cfg.Self) }

// Update tells the others what has changed about this node: its addresses, other
// than for gossip, or its version. Id, region and incarnation stay. It may take
// some seconds.
func (g *Gossip) Update(self Member) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.left {
		return ErrStopped
	}
	if self.ID != g.self.ID || self.Region != g.self.Region || self.Incarnation != g.self.Incarnation {
		return errors.New("gossip: a node cannot become another")
	}
	if err := g.say(self, false, updateTimeout); err != nil {
		return err
	}
	g.self = self
	return nil
}

// say publishes what is known of this node.
func (g *Gossip) say(self Member, leaving bool, timeout time.Duration) error {
	meta, err := encodeMeta(self, leaving)
	if err != nil {
		return fmt.Errorf("gossip: this node is %w", err)
	}
	g.table.setMeta(meta)
	if err := g.list.UpdateNode(timeout); err != nil {
		// It is queued all the same, and the next exchange of states carries it.
		g.cfg.Log.Debug("gossip: the news about this node has not left yet", "err", err)
	}
	return nil
}

// Leave tells the others that this node goes for good, so that they neither look
// for it nor show it any more, and waits up to timeout until that has left. It is
// not for a restart. Stop comes after it.
func (g *Gossip) Leave(timeout time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return ErrStopped // memberlist would panic
	}
	g.left = true
	if err := g.say(g.self, true, timeout/2); err != nil {
		return err
	}
	if err := g.list.Leave(timeout / 2); err != nil {
		return fmt.Errorf("gossip: leave: %w", err)
	}
	return nil
}

// Stop ends gossip and waits for what it has started. The others notice by
// themselves that the node is gone, and go on looking for it.
func (g *Gossip) Stop() error {
	g.cancel()
	g.mu.Lock()
	g.stopped = true
	err := g.list.Shutdown()
	g.mu.Unlock()
	g.work.Wait()
	return err
}

// tell passes changes on, outside of memberlist's locks.
func (g *Gossip) tell() {
	for {
		select {
		case <-g.table.signal:
			if g.cfg.OnChange != nil {
				g.cfg.OnChange(g.table.members())
			}
		case <-g.ctx.Done():
			return
		}
	}
}
