package main

import "syscall"

// maxFDs bounds the descriptors that are looked at when all connections are ended.
const maxFDs = 1 << 16

// hangUp ends all connections of the process and lets nobody connect any more. The end
// of a process does so too, but not as long as one of its threads hangs in the system,
// at a disk that does not answer: clients and nodes would wait for as long. Of a
// descriptor that is no socket nothing becomes of it.
func hangUp() {
	for fd := 3; fd < maxFDs; fd++ { // what the log is written to may be a socket as well
		syscall.Shutdown(fd, syscall.SHUT_RDWR)
	}
}
