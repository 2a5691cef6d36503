package main

import (
	"os"
	"strconv"
	"syscall"
)

// hangUp ends all connections of the process and lets nobody connect any more. The end
// of a process does so too, but not as long as one of its threads hangs in the system,
// at a disk that does not answer: clients and nodes would wait for as long. Of a
// descriptor that is no socket nothing becomes of it.
func hangUp() {
	for _, fd := range openFiles() {
		if fd > 2 { // what the log is written to may be a socket as well
			syscall.Shutdown(fd, syscall.SHUT_RDWR)
		}
	}
}

// maxFDs bounds the descriptors that are looked at where the system does not list them.
const maxFDs = 1 << 12

// openFiles returns the descriptors of the process, and perhaps more.
func openFiles() (list []int) {
	entries, err := os.ReadDir("/dev/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, fd)
		}
	}
	if err == nil {
		return list
	}
	for fd := range maxFDs {
		list = append(list, fd)
	}
	return list
}
