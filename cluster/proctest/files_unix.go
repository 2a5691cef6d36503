//go:build unix

package proctest

import (
	"fmt"
	"syscall"
)

// AllowFiles lets this process, and those that it starts, open so many files.
func AllowFiles(n uint64) error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	r.Cur = max(r.Cur, n)
	r.Max = max(r.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return fmt.Errorf("%d files cannot be opened: ulimit -n is too low: %w", n, err)
	}
	return nil
}
