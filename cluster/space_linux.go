package cluster

import (
	"errors"
	"os"
	"syscall"
)

// statDisk returns how many bytes a program without privileges may still write to the
// file system of dir, and how many it has in all.
func statDisk(dir string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	unit := uint64(s.Frsize)
	return s.Bavail * unit, s.Blocks * unit, nil
}

// allocate takes n bytes of space for a file.
func allocate(f *os.File, n int64) error {
	err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return fill(f, n)
	}
	return err
}
