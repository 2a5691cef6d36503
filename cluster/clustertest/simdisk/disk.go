// Package simdisk is the disk of one simulated node. The log stores on it are the
// real ones, bbolt and raft-wal, as are the snapshots; what is simulated is the
// medium below them: power that fails in the middle of a write, writes that hang,
// take long or fail, and a disk that is full. It runs inside a testing/synctest
// bubble. Only tests use it; it never touches a file outside the directory it was
// given, which goes best to a file system in memory.
//
// Power loss follows the rules that the stores are written for. What was synced
// stays; of what was not, any sectors may be there, in any order; a sector is
// written whole or not at all. A file that was synced once has its name, too, as
// with ext4, XFS and btrfs.
package simdisk

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"phonond/cluster/group"
)

// Kind is the store in which groups keep log and votes.
type Kind string

const (
	Bolt Kind = "bolt" // raft-boltdb: one file, two syncs a write
	WAL  Kind = "wal"  // raft-wal: segments, one sync a write
)

// ErrGone is returned by whatever was opened before the power failed or the
// storage was closed. Nothing of it reaches the disk any more.
var ErrGone = errors.New("simdisk: the power failed, or the storage was closed")

// ErrInUse is returned by [Disk.Storage] for a group whose storage is open.
var ErrInUse = errors.New("simdisk: the storage is open already")

// sector is what a disk writes whole or not at all.
const sector = 512

// total is the size of the disk, in bytes, for those who ask.
const total = 1 << 30

// Tear is how much of the last write before a power loss is on the disk.
type Tear int

const (
	Lost Tear = iota // nothing
	Torn             // an arbitrary part, in any order: the write may have been done or not
	Done             // all, but nobody was told
)

func (t Tear) String() string { return [...]string{"lost", "torn", "done"}[t] }

// Disk is the disk of one node. Its methods may be called at any time, from any
// goroutine.
type Disk struct {
	dir  string
	kind Kind

	// mu is held for the length of a write, which takes no virtual time: the power
	// fails between two writes, or in the middle of one that was meant for it.
	mu       sync.Mutex
	rng      *rand.Rand
	volumes  map[string]*volume
	observer Observer
	closed   bool

	armed int // writes until the power fails; 0 = not armed
	when  Tear
	then  func()
	calls sync.WaitGroup // of then

	stall    chan struct{} // closed by Resume; nil = the disk answers
	min, max time.Duration // that a write takes
	fault    error
	full     bool
}

// New returns an empty disk that keeps its files in dir, which exists and is
// empty: best on a file system in memory. rng decides what is torn, and is the
// disk's alone from now on.
func New(dir string, kind Kind, rng *rand.Rand) *Disk {
	return &Disk{dir: dir, kind: kind, rng: rng, volumes: map[string]*volume{}, observer: nobody{}}
}

// Observe lets o know of every write from now on.
func (d *Disk) Observe(o Observer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.observer = o
}

// Storage opens the storage of a group with what is on the disk, as at the start
// of a node. The one handed out before must be closed, or gone in a crash.
func (d *Disk) Storage(name string) (*group.Storage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrGone
	}
	v := d.volumes[name]
	if v == nil {
		var err error
		if v, err = newVolume(d, name); err != nil {
			return nil, err
		}
		d.volumes[name] = v
	}
	return v.handOut()
}

// Crash is a power loss between two writes. What was opened so far is gone.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crash(Done)
}

// crash ends all that is open and makes the disk what the power loss left of it.
// when is about the write before which a part was told to begin.
func (d *Disk) crash(when Tear) {
	d.armed = 0
	for _, name := range slices.Sorted(maps.Keys(d.volumes)) { // in order: rng
		v := d.volumes[name]
		// The length of a bbolt file varies, and with it how often its rng is asked:
		// that is not to change what comes later.
		rng := rand.New(rand.NewPCG(d.rng.Uint64(), d.rng.Uint64()))
		more := d.rng.IntN(again) == 0
		v.log.crash(rng, when)
		v.close()
		v.snapshots.crash(rng, when)
		if more {
			v.crashAgain(rng)
		}
	}
}

// again is one in how many power losses is followed by another, in the middle of
// the start.
const again = 4

// Arm makes the n-th write from now the last one: the power fails while it is
// done. A write is one call of StoreLogs, DeleteRange, Set or SetUint64, or Create
// of a snapshot store or Write or Close of a snapshot, of any group of the node.
// The write returns ErrGone, and then is called, once, on a goroutine of its own,
// to end the node. A crash before that disarms.
func (d *Disk) Arm(n int, when Tear, then func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed, d.when, d.then = max(n, 1), when, then
}

// Disarm takes back what Arm said, if it has not happened.
func (d *Disk) Disarm() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = 0
}

// Stall lets every write hang until Resume, a crash, or the closing of its storage.
func (d *Disk) Stall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stall == nil {
		d.stall = make(chan struct{})
	}
}

// Resume ends what Stall began.
func (d *Disk) Resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stall != nil {
		close(d.stall)
		d.stall = nil
	}
}

// Slow lets every write take between min and max; 0, 0 makes the disk fast.
func (d *Disk) Slow(min, max time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.min, d.max = min, max
}

// Fail lets every write return err. What is on the disk then is not known, as
// with a failed fsync: some of the writes are done all the same. nil makes the
// disk healthy.
func (d *Disk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = err
}

// Fill makes the disk full, or gives it room again. While it is full, a write that
// needs room returns an error that is syscall.ENOSPC, perhaps with a part written.
func (d *Disk) Fill(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = on
	for _, v := range d.volumes {
		v.log.fill(on)
	}
}

// Free returns how many bytes are free, and how many there are: half, or none
// while the disk is full.
func (d *Disk) Free() (free, all uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return 0, total
	}
	return total / 2, total
}

// Close closes what is open, waits for what Arm began, and removes all files.
// Nothing can be opened any more.
func (d *Disk) Close() error {
	d.mu.Lock()
	d.closed, d.armed = true, 0
	for _, v := range d.volumes {
		v.close()
	}
	d.mu.Unlock()
	d.calls.Wait()
	return os.RemoveAll(d.dir)
}
