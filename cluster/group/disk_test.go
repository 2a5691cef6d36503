package group

import (
	"errors"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// disk is a replica's storage in memory. It remembers every write, so that a test
// can bring back what a crash between any two of them would have left, and has
// the faults that a test gives it.
type disk struct {
	*raft.InmemStore
	snapshots *raft.InmemSnapshotStore

	mu      sync.Mutex
	journal []func(*raft.InmemStore) error
	fault   error         // what writes fail with
	hang    chan struct{} // what writes wait for
	read    func(uint64, *raft.Log) error
	refused int // writes that were tried while there was a fault
}

func newDisk() *disk {
	return &disk{InmemStore: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore()}
}

func (d *disk) storage() *Storage {
	return &Storage{Path: "disk of the test", Logs: d, Stable: d, Snapshots: d.snapshots}
}

// after returns a disk that holds the first n writes to this one.
func (d *disk) after(n int) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk()
	for _, write := range d.journal[:n] {
		if err := write(c.InmemStore); err != nil {
			panic(err)
		}
		c.journal = append(c.journal, write)
	}
	return c
}

func (d *disk) writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.journal)
}

var errDisk = errors.New("input/output error")

// breakDown lets all writes fail.
func (d *disk) breakDown() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = errDisk
}

// stall lets all writes hang until repair.
func (d *disk) stall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hang = make(chan struct{})
}

// onRead replaces the reading of entries until repair; nil does not.
func (d *disk) onRead(read func(uint64, *raft.Log) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read = read
}

func (d *disk) repair() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.read = nil, nil
	if d.hang != nil {
		close(d.hang)
		d.hang = nil
	}
}

func (d *disk) write(f func(*raft.InmemStore) error) error {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		d.refused++
		return d.fault
	}
	d.journal = append(d.journal, f)
	return f(d.InmemStore)
}

func (d *disk) Set(k, v []byte) error {
	k, v = slices.Clone(k), slices.Clone(v)
	return d.write(func(s *raft.InmemStore) error { return s.Set(k, v) })
}

func (d *disk) SetUint64(k []byte, n uint64) error {
	k = slices.Clone(k)
	return d.write(func(s *raft.InmemStore) error { return s.SetUint64(k, n) })
}

func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *disk) StoreLogs(ls []*raft.Log) error {
	kept := make([]*raft.Log, len(ls))
	for i, l := range ls {
		c := *l
		c.Data = slices.Clone(l.Data)
		kept[i] = &c
	}
	return d.write(func(s *raft.InmemStore) error { return s.StoreLogs(kept) })
}

func (d *disk) DeleteRange(from, to uint64) error {
	return d.write(func(s *raft.InmemStore) error { return s.DeleteRange(from, to) })
}

func (d *disk) GetLog(index uint64, l *raft.Log) error {
	d.mu.Lock()
	read := d.read
	d.mu.Unlock()
	if read != nil {
		return read(index, l)
	}
	return d.InmemStore.GetLog(index, l)
}
