package main

import (
	"os"
	"strings"
	"sync"
	"time"
)

// wallEvery is how often the file of --wall-file is read again.
const wallEvery = time.Second

// wall returns the wall clock, moved by the duration that the file holds, such as
// +1h. It is read again once a second; while it cannot be read or holds something
// else, the clock stays as far off as it was. --wall-file FILE is for tests, which
// cannot move the clock of one process from outside; it is no setting of a node,
// and not listed by --help. An empty name means the true clock.
func wall(file string) func() time.Time {
	if file == "" {
		return time.Now
	}
	var mu sync.Mutex
	var read time.Time
	var off time.Duration
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if read.IsZero() || now.Sub(read) >= wallEvery {
			read = now
			if b, err := os.ReadFile(file); err == nil {
				if d, err := time.ParseDuration(strings.TrimSpace(string(b))); err == nil {
					off = d
				}
			}
		}
		return now.Add(off)
	}
}
