//go:build !linux

package proctest

import "syscall"

// endWithParent knows of no way on this system.
func endWithParent() *syscall.SysProcAttr { return nil }
