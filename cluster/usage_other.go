//go:build !linux

package cluster

import "time"

// usage is what the process has taken of the machine.
type usage struct {
	resident, machine int64 // bytes; 0 if not known
	system, user      time.Duration
}

func readUsage() usage { return usage{} }
