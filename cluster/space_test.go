package cluster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/group"
)

// fakeDisk is a file system on which other programs leave so much free, and from
// which the reserve is taken.
type fakeDisk struct {
	dir   string
	total uint64

	mu   sync.Mutex
	left uint64 // without the reserve
	err  error
}

func (f *fakeDisk) stat() (free, total uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	free = f.left
	if info, err := os.Stat(filepath.Join(f.dir, reserveFile)); err == nil {
		free -= min(free, uint64(info.Size()))
	}
	return free, f.total, f.err
}

func (f *fakeDisk) set(left uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.err = left, err
}

const mib = 1 << 20

// watched runs a test on a watched disk in virtual time.
func watched(t *testing.T, low, reserve, left uint64, test func(f *fakeDisk, d *disk)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDisk{dir: t.TempDir(), total: 1024 * mib, left: left}
		d := newDisk(f.dir, low, reserve, f.stat, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { d.watch(ctx) })
		test(f, d)
		cancel()
		wg.Wait()
	})
}

// reserved is how long the reserve is, in MiB, -1 for none.
func (f *fakeDisk) reserved() int64 {
	info, err := os.Stat(filepath.Join(f.dir, reserveFile))
	if err != nil {
		return -1
	}
	return info.Size() / mib
}

func TestDiskLevels(t *testing.T) {
	watched(t, 64*mib, 0, 1000*mib, func(f *fakeDisk, d *disk) {
		for _, step := range []struct {
			free uint64 // MiB
			want group.Level
		}{
			{64, group.SpaceOK}, {63, group.SpaceLow}, {79, group.SpaceLow}, {80, group.SpaceOK},
			{8, group.SpaceLow}, {7, group.SpaceFull}, {15, group.SpaceFull}, {16, group.SpaceLow}, {0, group.SpaceFull}, {900, group.SpaceOK},
		} {
			f.set(step.free*mib, nil)
			time.Sleep(2 * spaceFresh)
			room := max(step.free, 8) - 8
			if got := d.space(); got != (group.Space{Level: step.want, Free: step.free * mib, Room: room * mib}) {
				t.Errorf("with %d MiB: %+v, not %v", step.free, got, step.want)
			}
		}
		// What cannot be found out does not change the level.
		f.set(0, errors.New("stale file handle"))
		time.Sleep(time.Minute)
		if got := d.space().Level; got != group.SpaceOK {
			t.Errorf("an unknown disk is %v", got)
		}
	})
}

// TestSmallDisksHaveSmallMarks: or a node could not be tried on one.
func TestSmallDisksHaveSmallMarks(t *testing.T) {
	d := &disk{low: 256 * mib, reserve: 64 * mib}
	for total, want := range map[uint64]marks{
		64 * mib:        {full: mib, low: 8 * mib, well: 10 * mib, reserve: 4 * mib},
		100 << 10 * mib: {full: 32 * mib, low: 256 * mib, well: 320 * mib, reserve: 64 * mib},
	} {
		if got := d.marks(total); got != want {
			t.Errorf("of %d MiB: %+v, not %+v", total/mib, got, want)
		}
	}
}

// TestReserveIsGivenUpWhenTheDiskIsFull, and made again when there is ample room.
func TestReserveIsGivenUpWhenTheDiskIsFull(t *testing.T) {
	watched(t, 64*mib, 16*mib, 1000*mib, func(f *fakeDisk, d *disk) {
		if got := f.reserved(); got != 16 {
			t.Fatalf("the reserve is %d MiB long", got)
		}
		f.set(16*mib, nil) // another program takes all but the reserve
		time.Sleep(2 * spaceEvery)
		if s := d.space(); f.reserved() != -1 || s.Level != group.SpaceLow || s.Free != 16*mib {
			t.Errorf("the disk is %+v, the reserve %d", s, f.reserved())
		}
		f.set(90*mib, nil) // well, but not with a reserve
		time.Sleep(2 * spaceEvery)
		if s := d.space(); f.reserved() != -1 || s.Level != group.SpaceOK {
			t.Errorf("the disk is %+v, the reserve %d", s, f.reserved())
		}
		f.set(96*mib, nil)
		time.Sleep(2 * spaceEvery)
		if s := d.space(); f.reserved() != 16 || s.Level != group.SpaceOK || s.Free != 80*mib {
			t.Errorf("the disk is %+v, the reserve %d", s, f.reserved())
		}
	})
}

// TestFullDiskIsSeenAtOnce: not at the next look of the watch, but before a write.
func TestFullDiskIsSeenAtOnce(t *testing.T) {
	watched(t, 64*mib, 16*mib, 1000*mib, func(f *fakeDisk, d *disk) {
		time.Sleep(spaceEvery / 2)
		f.set(16*mib, nil)
		time.Sleep(2 * spaceFresh)
		if got := d.space().Level; got != group.SpaceFull {
			t.Errorf("the disk is %v", got)
		}
		synctest.Wait()
		if got := d.space().Level; got != group.SpaceLow {
			t.Errorf("the disk is %v: the reserve was not given up", got)
		}
	})
}

// TestLogsFitOnSmallDisks: a log that is as long as it is on a large disk would leave a
// small one low for good, as its file does not get shorter.
func TestLogsFitOnSmallDisks(t *testing.T) {
	for _, c := range []struct {
		total uint64
		share int64 // 0 for the defaults
	}{{128 * mib, 1 * mib}, {1024 * mib, 8 * mib}, {1 << 40, 0}} {
		f := &fakeDisk{dir: t.TempDir(), total: c.total, left: c.total}
		d := newDisk(f.dir, 256*mib, 0, f.stat, slog.New(slog.DiscardHandler))
		got, want := group.DefaultLimits(), group.DefaultLimits()
		d.fit(&got, 4)
		if c.share > 0 {
			want.TrailingBytes, want.SnapshotBytes = c.share, c.share
		}
		if got != want {
			t.Errorf("of %d MiB: %+v", c.total/mib, got)
		}
	}
}

// TestUnwatchedDisks have always room.
func TestUnwatchedDisks(t *testing.T) {
	for name, d := range map[string]*disk{
		"turned off": newDisk(t.TempDir(), 0, 16*mib, func() (uint64, uint64, error) { return 0, 1024 * mib, nil }, slog.New(slog.DiscardHandler)),
		"no figures": newDisk(t.TempDir(), 64*mib, 16*mib, nil, slog.New(slog.DiscardHandler)),
	} {
		if got := d.space(); got.Level != group.SpaceOK || d.watched() {
			t.Errorf("%s: %+v", name, got)
		}
		if _, err := os.Stat(filepath.Join(d.dir, reserveFile)); err == nil {
			t.Errorf("%s: there is a reserve", name)
		}
	}
}

// TestNodeWaitsForRoom until there is some, or it is stopped.
func TestNodeWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDisk{dir: t.TempDir(), total: 1024 * mib}
		d := newDisk(f.dir, 64*mib, 16*mib, f.stat, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := d.waitForRoom(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("on a full disk: %v", err)
		}
		go func() {
			time.Sleep(time.Minute)
			f.set(100*mib, nil)
		}()
		start := time.Now()
		if err := d.waitForRoom(t.Context()); err != nil || time.Since(start) < time.Minute || time.Since(start) > time.Minute+2*spaceEvery {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestReserveTakesSpace: a file with holes would be none.
func TestReserveTakesSpace(t *testing.T) {
	dir := t.TempDir()
	for name, make := range map[string]func(f *os.File, n int64) error{"set aside": allocate, "written": fill} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := make(f, 3*mib+1); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil || info.Size() != 3*mib+1 || blocks(info) < 3*mib {
			t.Errorf("%s: it is %d bytes long and takes %d (%v)", name, info.Size(), blocks(info), err)
		}
		f.Close()
	}
	if free, total, err := statDisk(dir); err != nil || free == 0 || free > total {
		t.Errorf("the disk has %d of %d bytes free (%v)", free, total, err)
	}
	if err := makeReserve(filepath.Join(dir, "none", "reserve"), mib); err == nil {
		t.Error("a reserve was made in no directory")
	}
}

// blocks is what a file takes on the disk, in bytes.
func blocks(info os.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }
