package group

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// snapshotPoll is how often it is looked whether a snapshot is due, at least.
const snapshotPoll = 5 * time.Second

// maxTrailing is how many entries are kept after a snapshot, however small they
// are.
const maxTrailing = 100_000

// snapshots takes one whenever it is due, and sizes the log that raft keeps
// behind it. Raft's own rule counts entries, which here differ in size by a
// factor of a thousand, and never looks at the time.
func (g *Group) snapshots() {
	t := time.NewTicker(min(snapshotPoll, g.cfg.Limits.SnapshotInterval))
	defer t.Stop()
	taken := time.Now()
	var entries, bytes int64 // applied when it was taken
	for {
		select {
		case <-t.C:
		case <-g.stopped.Done():
			return
		}
		g.sizeLog()
		e, b := g.stats.entries.Load(), g.stats.bytes.Load()
		limits := g.cfg.Limits
		due := e-entries >= limits.SnapshotEntries || b-bytes >= limits.SnapshotBytes ||
			e > entries && time.Since(taken) >= limits.SnapshotInterval
		if !due {
			continue
		}
		if err := g.Snapshot(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			g.log.Warn("snapshot failed, it will be tried again", "error", err)
			continue
		}
		taken, entries, bytes = time.Now(), e, b
	}
}

// Snapshot takes a snapshot now and returns when it is on the disk.
func (g *Group) Snapshot() error {
	done := make(chan error, 1)
	g.proposals.Go(func() { done <- g.raft.Snapshot().Error() })
	select {
	case err := <-done:
		return err
	case <-g.stopped.Done():
		return ErrStopped
	}
}

// sizeLog tells raft how many entries TrailingBytes are.
func (g *Group) sizeLog() {
	entries := g.stats.entries.Load()
	if entries == 0 {
		return
	}
	perEntry := max(g.stats.bytes.Load()/entries, 1)
	trailing := min(max(uint64(g.cfg.Limits.TrailingBytes/perEntry), g.cfg.Limits.TrailingEntries), maxTrailing)
	if now := g.raft.ReloadableConfig().TrailingLogs; trailing < now/2 || trailing > now*2 {
		g.reload(func(c *raft.ReloadableConfig) { c.TrailingLogs = trailing })
	}
}
