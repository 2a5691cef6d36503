package simdisk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft"
	"phonond/cluster/group"
)

// part is what one write changes.
type part interface {
	// begin says that the write that follows is the last one before crash.
	begin()
	// crash makes of it what a power loss leaves. Without begin, the power fails
	// between two writes.
	crash(rng *rand.Rand, when Tear)
}

// medium is where a store keeps log and votes.
type medium interface {
	// crash is called before the store is closed, which then changes nothing more.
	part
	path() string
	// open opens the store on it, and the snapshots beside it.
	open() (*group.Storage, error)
	// fill says whether the disk is full.
	fill(on bool)
}

// volume is what the disk holds of one group.
type volume struct {
	disk      *Disk
	group     string
	log       medium
	snapshots *snapshotFiles
	open      *handle  // nil = nobody has it open
	unsure    []change // which failed in the store, who knows how far
	// halves are what the disk has of a vote in two keys.
	halves struct {
		term      uint64
		candidate []byte
	}
	// room is how likely an append needs room that the file system must find.
	room float64
}

func newVolume(d *Disk, name string) (*volume, error) {
	dir := filepath.Join(d.dir, name)
	v := &volume{disk: d, group: name, snapshots: &snapshotFiles{dir: filepath.Join(dir, snapshotDir)}}
	switch d.kind {
	case Bolt:
		v.log, v.room = &boltFile{dir: dir}, 1
	case WAL:
		v.log = newSegments(dir) // allocates ahead, and says itself when it cannot
	default:
		return nil, fmt.Errorf("simdisk: no such kind of store: %q", d.kind)
	}
	v.log.fill(d.full)
	return v, nil
}

// handOut opens the volume.
func (v *volume) handOut() (*group.Storage, error) {
	if v.open != nil {
		return nil, fmt.Errorf("%s: %w", v.group, ErrInUse)
	}
	s, err := v.log.open()
	if err != nil {
		return nil, err
	}
	for _, c := range v.unsure {
		if c.done(s) {
			c.tell(v.disk.observer)
		}
	}
	v.unsure = nil
	h := &handle{volume: v, Storage: s, over: make(chan struct{}), sinks: map[*sink]bool{}}
	v.open = h
	return &group.Storage{Path: s.Path, Logs: h, Stable: h, Snapshots: snapshots{h}, Closer: h}, nil
}

// close ends what is open. The disk is locked.
func (v *volume) close() error {
	h := v.open
	if h == nil {
		return nil
	}
	v.open = nil
	h.reading.Lock()
	defer h.reading.Unlock()
	close(h.over)
	for s := range h.sinks {
		s.abandon()
	}
	return h.Storage.Closer.Close()
}

// crashAgain opens the volume, which nobody has open, and lets the power fail while
// the store puts right what it finds.
func (v *volume) crashAgain(rng *rand.Rand) {
	v.log.begin()
	s, err := v.log.open()
	v.log.crash(rng, Torn)
	if err == nil { // else the next who opens it hears of it
		s.Closer.Close()
	}
}

// has reports whether a change is on the volume, which nobody has open.
func (v *volume) has(c change) bool {
	v.log.fill(false) // room is not what it is about
	defer func() { v.log.fill(v.disk.full) }()
	s, err := v.log.open()
	if err != nil {
		return false // the next who opens it hears of it
	}
	defer s.Closer.Close()
	return c.done(s)
}

// maybe is how likely a small write needs room: these stores never overwrite, but
// use room again that they have.
const maybe = 0.5

// handle is a volume that is open: from Storage to Close, or to a crash.
type handle struct {
	*group.Storage // what is below
	volume         *volume
	over           chan struct{} // closed when it is gone
	reading        sync.RWMutex  // held by readers, lest the store is closed below them
	sinks          map[*sink]bool
}

func (h *handle) gone() bool {
	select {
	case <-h.over:
		return true
	default:
		return false
	}
}

// Close ends the use of the storage, as the end of the process does.
func (h *handle) Close() error {
	d := h.volume.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.gone() {
		return nil
	}
	return h.volume.close()
}

// read reads something, unless the storage is gone.
func read[T any](h *handle, f func() (T, error)) (v T, err error) {
	h.reading.RLock()
	defer h.reading.RUnlock()
	if h.gone() {
		return v, ErrGone
	}
	return f()
}

func (h *handle) FirstIndex() (uint64, error) { return read(h, h.Logs.FirstIndex) }
func (h *handle) LastIndex() (uint64, error)  { return read(h, h.Logs.LastIndex) }

func (h *handle) GetLog(index uint64, l *raft.Log) error {
	_, err := read(h, func() (struct{}, error) { return struct{}{}, h.Logs.GetLog(index, l) })
	return err
}

func (h *handle) Get(key []byte) ([]byte, error) {
	return read(h, func() ([]byte, error) { return h.Stable.Get(key) })
}

func (h *handle) GetUint64(key []byte) (uint64, error) {
	return read(h, func() (uint64, error) { return h.Stable.GetUint64(key) })
}

func (h *handle) StoreLog(l *raft.Log) error { return h.StoreLogs([]*raft.Log{l}) }

func (h *handle) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	last := logs[len(logs)-1]
	return h.volume.disk.write(h, change{
		on: h.volume.log, room: h.volume.room,
		do: func() error { return h.Logs.StoreLogs(logs) },
		done: func(s *group.Storage) bool {
			var l raft.Log
			return s.Logs.GetLog(last.Index, &l) == nil && l.Term == last.Term
		},
		tell: func(o Observer) { o.Stored(h.volume.group, logs) },
	})
}

func (h *handle) DeleteRange(from, to uint64) error {
	return h.volume.disk.write(h, change{
		on: h.volume.log, room: maybe,
		do: func() error { return h.Logs.DeleteRange(from, to) },
		done: func(s *group.Storage) bool {
			first, err1 := s.Logs.FirstIndex()
			last, err2 := s.Logs.LastIndex()
			return err1 == nil && err2 == nil && (last == 0 || last < from || first > to)
		},
		tell: func(o Observer) { o.Deleted(h.volume.group, from, to) },
	})
}

func (h *handle) Set(key, value []byte) error {
	return h.volume.disk.write(h, change{
		on: h.volume.log, room: maybe,
		do: func() error { return h.Stable.Set(key, value) },
		done: func(s *group.Storage) bool {
			got, err := s.Stable.Get(key)
			return err == nil && bytes.Equal(got, value)
		},
		tell: func(o Observer) { h.volume.tellSet(o, key, value) },
	})
}

func (h *handle) SetUint64(key []byte, n uint64) error {
	return h.volume.disk.write(h, change{
		on: h.volume.log, room: maybe,
		do: func() error { return h.Stable.SetUint64(key, n) },
		done: func(s *group.Storage) bool {
			got, err := s.Stable.GetUint64(key)
			return err == nil && got == n
		},
		tell: func(o Observer) { h.volume.tellSetUint64(o, key, n) },
	})
}
