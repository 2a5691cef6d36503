package cluster

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// usage is what the process has taken of the machine.
type usage struct {
	resident, machine int64 // bytes; 0 if not known
	system, user      time.Duration
}

func readUsage() (u usage) {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(text); len(fields) > 1 {
			pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
			u.resident = pages * int64(os.Getpagesize())
		}
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		u.machine = int64(info.Totalram) * int64(info.Unit)
	}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.system, u.user = time.Duration(r.Stime.Nano()), time.Duration(r.Utime.Nano())
	}
	return u
}
