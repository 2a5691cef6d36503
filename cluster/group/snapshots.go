package group

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// snapshotPoll is how often it is looked whether a snapshot is due, at least.
const snapshotPoll = 5 * time.Second

// snapshotRetry is how long after a failed snapshot the next one is tried: where there
// is no room for it each attempt keeps the disk busy for nothing.
const snapshotRetry = time.Minute

// shortBytes is by how much sooner a snapshot is due while the disk is low, so that
// the log finds room in what was cut off it.
const shortBytes = 8

// maxTrailing is how many entries are kept after a snapshot, however small they
// are.
const maxTrailing = 100_000

// snapshots takes one whenever it is due, and sizes the log that raft keeps
// behind it. Raft's own rule counts entries, which here differ in size by a
// factor of a thousand, and never looks at the time.
func (g *Group) snapshots() {
	t := time.NewTicker(min(snapshotPoll, g.cfg.Limits.SnapshotInterval))
	defer t.Stop()
	taken, failed := time.Now(), time.Time{}
	var entries, bytes int64 // applied when it was taken
	short, trim := false, false
	for {
		select {
		case <-t.C:
		case <-g.stopped.Done():
			return
		}
		wasShort := short
		short = g.cfg.Space().Level != SpaceOK
		trim = short && (trim || !wasShort) // the log is to be cut as soon as the disk is low
		g.sizeLog(short)
		e, b := g.stats.entries.Load(), g.stats.bytes.Load()
		limits := g.cfg.Limits
		if short {
			limits.SnapshotBytes /= shortBytes
		}
		due := trim || e-entries >= limits.SnapshotEntries || b-bytes >= limits.SnapshotBytes ||
			e > entries && time.Since(taken) >= limits.SnapshotInterval
		if !due || time.Since(failed) < snapshotRetry {
			continue
		}
		if err := g.Snapshot(); err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			g.log.Warn("snapshot failed, it will be tried again", "error", err)
			failed = time.Now()
			continue
		}
		taken, entries, bytes, trim = time.Now(), e, b, false
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

// sizeLog tells raft how many entries TrailingBytes are, or to keep no more than it
// has to while the disk is short of room.
func (g *Group) sizeLog(short bool) {
	entries := g.stats.entries.Load()
	if entries == 0 {
		return
	}
	perEntry := max(g.stats.bytes.Load()/entries, 1)
	trailing := min(max(uint64(g.cfg.Limits.TrailingBytes/perEntry), g.cfg.Limits.TrailingEntries), maxTrailing)
	if short {
		trailing = min(g.cfg.Limits.TrailingEntries, maxTrailing)
	}
	if now := g.raft.ReloadableConfig().TrailingLogs; trailing < now/2 || trailing > now*2 {
		g.reload(func(c *raft.ReloadableConfig) { c.TrailingLogs = trailing })
	}
}
