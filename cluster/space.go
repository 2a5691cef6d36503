package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"phonond/cluster/group"
)

// The pace at which a node looks at its disk: by itself, and before its writes. Another
// program may well take a gigabyte in a second, and what is left below the mark of a
// full disk in a few milliseconds.
const (
	spaceEvery = time.Second
	spaceFresh = time.Millisecond
)

// disk watches the free space below the data directory.
type disk struct {
	dir     string
	low     uint64 // as configured; 0: the disk is not watched
	reserve uint64
	stat    func() (free, total uint64, err error)
	log     *slog.Logger

	now  atomic.Pointer[group.Space]
	seen atomic.Int64  // when, ns since start
	hint chan struct{} // has a token when the disk was found full between two looks

	start time.Time
	mu    sync.Mutex // held to look
	bad   bool       // the last look has failed
}

// newDisk watches nothing if stat is nil.
func newDisk(dir string, low, reserve uint64, stat func() (free, total uint64, err error), log *slog.Logger) *disk {
	d := &disk{dir: dir, low: low, reserve: reserve, stat: stat, log: log, hint: make(chan struct{}, 1), start: time.Now()}
	d.now.Store(&group.Space{Free: 1 << 62, Room: 1 << 62})
	if stat == nil {
		d.low = 0
	}
	d.look()
	d.keepReserve()
	return d
}

// watched reports whether anything is known of the disk.
func (d *disk) watched() bool { return d.low > 0 }

// marks are the amounts of free space at which something changes.
type marks struct {
	full    uint64 // below it nothing is written
	low     uint64 // below it nothing may grow
	well    uint64 // at it all is well again
	reserve uint64 // how long the reserve is
}

// The marks as parts: a disk is low at an eighth of its size, however large
// disk.low is, and full at an eighth of that. The room in between is for what frees
// space and for the log of it; below it is room for votes, and for what is on its
// way when the mark is passed.
const (
	lowPart  = 8
	fullPart = 8
	wellPart = 4 // above low by that part of it, lest the level go to and fro
)

func (d *disk) marks(total uint64) marks {
	low := min(d.low, total/lowPart)
	// Without its reserve a disk must not seem well that was full with it.
	return marks{full: low / fullPart, low: low, well: low + low/wellPart, reserve: min(d.reserve, low/2)}
}

// logPart bounds how much of a disk the logs take: each of so many parts is shared by
// all groups. One part is what they keep behind a snapshot, another what they may write
// until the next; with bbolt's half-filled pages the files are twice as long as that.
const logPart = 32

// fit lowers the limits of one of so many groups to what a small disk can hold. Logs
// that fill it would leave it low for good: the files do not get shorter again.
func (d *disk) fit(l *group.Limits, groups int) {
	if !d.watched() {
		return
	}
	_, total, err := d.stat()
	if err != nil || total == 0 {
		return
	}
	share := int64(total / logPart / uint64(groups))
	l.TrailingBytes, l.SnapshotBytes = min(l.TrailingBytes, share), min(l.SnapshotBytes, share)
}

// level returns the level for a given amount of free space, after the one before.
func (m marks) level(free uint64, was group.Level) group.Level {
	switch {
	case free < m.full, free < 2*m.full && was == group.SpaceFull:
		return group.SpaceFull
	case free < m.low, free < m.well && was != group.SpaceOK:
		return group.SpaceLow
	}
	return group.SpaceOK
}

// space returns what is known of the disk. It looks if that is not fresh, and does not
// wait for others who look.
func (d *disk) space() group.Space {
	if d.watched() && time.Since(d.start).Nanoseconds()-d.seen.Load() > int64(spaceFresh) && d.mu.TryLock() {
		d.lookLocked()
		d.mu.Unlock()
	}
	return *d.now.Load()
}

// look finds out how much room there is.
func (d *disk) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lookLocked()
}

func (d *disk) lookLocked() {
	if !d.watched() {
		return
	}
	free, total, err := d.stat()
	d.seen.Store(time.Since(d.start).Nanoseconds())
	if err != nil {
		if !d.bad {
			d.log.Error("the free space of the disk is not known", "dir", d.dir, "error", err)
		}
		d.bad = true
		return
	}
	d.bad = false
	was, m := *d.now.Load(), d.marks(total)
	now := group.Space{Level: m.level(free, was.Level), Free: free}
	if free > m.full {
		now.Room = free - m.full
	}
	d.now.Store(&now)
	if now.Level == was.Level {
		return
	}
	switch now.Level {
	case group.SpaceOK:
		d.log.Info("the disk has room again", "dir", d.dir, "free", free)
	case group.SpaceLow:
		d.log.Warn("the disk is nearly full: this node takes only what needs no more space", "dir", d.dir, "free", free, "below", m.low)
	case group.SpaceFull:
		d.log.Error("the disk is full: this node writes nothing until there is room", "dir", d.dir, "free", free, "below", m.full)
		select {
		case d.hint <- struct{}{}:
		default:
		}
	}
}

// watch looks at the disk until ctx ends.
func (d *disk) watch(ctx context.Context) {
	if !d.watched() {
		return
	}
	t := time.NewTicker(spaceEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-d.hint:
		}
		d.look()
		d.keepReserve()
	}
}

// waitForRoom returns when the node may write. What it waits for is made by an
// operator, or by whoever fills the disk; to end and be started again would help
// nobody.
func (d *disk) waitForRoom(ctx context.Context) error {
	var said time.Time
	for d.space().Level == group.SpaceFull {
		if time.Since(said) > saySpaceEvery {
			said = time.Now()
			d.log.Error("waiting for room on the disk before the node starts", "dir", d.dir, "free", d.space().Free)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(spaceEvery):
		}
		d.look()
		d.keepReserve()
	}
	return nil
}

// saySpaceEvery is how often a node that waits for room says so.
const saySpaceEvery = 30 * time.Second

// describeSpace says how the disk is, for people.
func describeSpace(s group.Space) string {
	return fmt.Sprintf("%s, %d MiB free", s.Level, s.Free>>20)
}
