package group

import (
	"errors"
	"os"
	"syscall"
)

// fillHoles takes the space that a file of log and votes counts as its own. bbolt
// makes its files longer than it needs, in steps, and has no space for the rest until
// it writes there: on a full disk not even a vote could be written.
func fillHoles(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the storage is of another kind
	}
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Blocks*512 >= info.Size() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	err = syscall.Fallocate(int(f.Fd()), 0, 0, info.Size())
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return nil // nor would it help there
	}
	return err
}
