package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"phonond/cluster/group"
)

// reserveFile is what a node gives up when the disk is full: for the day when another
// program has taken the last byte.
const reserveFile = "reserve"

// keepReserve gives the reserve up when the disk is full, and makes it when there is
// ample room. It is called by one goroutine at a time.
func (d *disk) keepReserve() {
	if !d.watched() || d.reserve == 0 {
		return
	}
	_, total, err := d.stat()
	if err != nil {
		return // it was said
	}
	m, now, path := d.marks(total), *d.now.Load(), filepath.Join(d.dir, reserveFile)
	_, err = os.Stat(path)
	switch held := err == nil; {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		d.log.Warn("the reserve of disk space cannot be looked at", "error", err)
	case held && now.Level == group.SpaceFull:
		if err := os.Remove(path); err != nil {
			d.log.Error("the reserve of disk space cannot be given up", "error", err)
			return
		}
		d.look()
		d.log.Warn("the reserve of disk space was given up", "file", path, "free", d.now.Load().Free)
	case !held && now.Level == group.SpaceOK && now.Free >= m.well+m.reserve:
		if err := makeReserve(path, int64(m.reserve)); err != nil {
			d.log.Warn("no reserve of disk space could be made", "error", err)
			return
		}
		d.look()
	}
}

// makeReserve makes a file whose space is really taken.
func makeReserve(path string, n int64) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(allocate(f, n), f.Sync(), f.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// fill takes space on file systems that cannot set it aside.
func fill(f *os.File, n int64) error {
	block := make([]byte, 1<<20)
	for n > 0 {
		wrote, err := f.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return err
		}
		n -= int64(wrote)
	}
	return nil
}
