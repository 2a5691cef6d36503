package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"phonond/cluster/proctest"
)

// The pauses of a keeper before it starts a node again that has ended by itself,
// and how long a node must have run for the first pause to hold.
const (
	firstPause = time.Second
	maxPause   = 5 * time.Second
	ranWell    = 30 * time.Second
)

// endTimeout bounds how long a process may take to be gone after SIGKILL, or to
// end after SIGTERM. A node needs ten seconds at most, if its disk answers.
const endTimeout = 12 * time.Second

// keeper is a node's supervisor: it starts the node whenever it has ended, unless
// a fault wants it to be away.
type keeper struct {
	node   *proctest.Node
	health *health
	faults *violations
	say    func(format string, args ...any)
	ended  func(reason string) // a process ended by itself, as it was meant to

	mu      sync.Mutex
	away    int    // how many faults want it to be away
	asked   string // why the process ends, if it was asked to
	started time.Time
	running bool
	wake    chan struct{} // closed and replaced when one of them changes
}

func newKeeper(n *proctest.Node, r *rig) *keeper {
	return &keeper{node: n, health: r.health, faults: r.faults, say: r.say, ended: r.measure.countEnd, wake: make(chan struct{})}
}

// changed tells whoever waits. The caller holds mu.
func (k *keeper) changed() {
	close(k.wake)
	k.wake = make(chan struct{})
}

// run keeps the node until ctx is done.
func (k *keeper) run(ctx context.Context) {
	pause := firstPause
	for k.awaitWanted(ctx) {
		began := time.Now()
		if !k.start() {
			return
		}
		var ready sync.WaitGroup
		ready.Go(func() {
			if k.node.Ready(ctx) == nil {
				k.health.setReady(k.node.ID, true)
			}
		})
		code, err := k.node.Exit(ctx)
		ready.Wait()
		k.health.setReady(k.node.ID, false)
		if err != nil {
			return
		}
		if asked := k.gone(code); asked {
			pause = firstPause
			continue
		}
		if time.Since(began) > ranWell {
			pause = firstPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// awaitWanted waits until no fault wants the node to be away.
func (k *keeper) awaitWanted(ctx context.Context) bool {
	for {
		k.mu.Lock()
		away, wake := k.away > 0, k.wake
		k.mu.Unlock()
		if !away {
			return ctx.Err() == nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return false
		}
	}
}

func (k *keeper) start() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.node.Start(); err != nil {
		k.faults.add("start %s: %v", k.node.ID, err)
		return false
	}
	k.asked, k.running, k.started = "", true, time.Now()
	k.changed()
	return true
}

// infancy is for how long a process that has just been started may not know signals
// yet, and end by one.
const infancy = time.Second

// gone judges how the process has ended.
func (k *keeper) gone(code int) (asked bool) {
	k.mu.Lock()
	why, age := k.asked, time.Since(k.started)
	k.running = false
	k.changed()
	k.mu.Unlock()
	reason := lastError(k.node.LogFile())
	switch {
	case why == "killed", why == "terminated" && code == 0:
		return true
	case why == "terminated" && code < 0 && age < infancy:
		return true
	case code > 0 && k.health.mayEnd(k.node.ID):
		k.ended(reason)
		k.say("%s ended with code %d: %s", k.node.ID, code, reason)
		return why != ""
	}
	k.faults.add("%s ended with code %d and nobody knows why (it was %q): %s", k.node.ID, code, why, reason)
	return false
}

// leave makes the node end, by SIGKILL or SIGTERM, and stay away until back is
// called as often.
func (k *keeper) leave(sig syscall.Signal) { k.signalEnd(sig, 1) }

// end makes the process end; the keeper starts it again.
func (k *keeper) end(sig syscall.Signal) { k.signalEnd(sig, 0) }

func (k *keeper) signalEnd(sig syscall.Signal, away int) {
	k.health.setReady(k.node.ID, false)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away += away
	if !k.running {
		return
	}
	if sig != syscall.SIGTERM {
		k.asked = "killed"
	} else if k.asked == "" { // one that was killed may not have gone yet
		k.asked = "terminated"
	}
	k.node.Signal(sig) // it may have ended by itself: its keeper finds out
}

// back lets the node come back.
func (k *keeper) back() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.away--
	k.changed()
}

// awaitEnd waits until the process is gone.
func (k *keeper) awaitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for {
		k.mu.Lock()
		running, wake := k.running, k.wake
		k.mu.Unlock()
		if !running {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("%s has not ended: %w", k.node.ID, ctx.Err())
		}
	}
}

// pid returns the process, 0 for none.
func (k *keeper) pid() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.running {
		return 0
	}
	return k.node.Pid()
}

// signal sends a signal to the process if it is still the one with this id.
func (k *keeper) signal(pid int, sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running && k.node.Pid() == pid {
		k.node.Signal(sig)
	}
}

// lastErrorTail is how much of a log is looked at for the last error, in bytes.
const lastErrorTail = 256 << 10

// lastError returns the last error in a node's log.
func lastError(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	b = b[max(0, len(b)-lastErrorTail):]
	last := "nothing was logged"
	for line := range strings.Lines(string(b)) {
		var m struct{ Level, Msg, Error string }
		if json.Unmarshal([]byte(line), &m) == nil && m.Level == "ERROR" {
			last = m.Msg + ": " + m.Error
		}
	}
	return last
}
