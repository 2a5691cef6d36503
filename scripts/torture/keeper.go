package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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

var errStillThere = errors.New("it is still there")

// keeper is a node's supervisor: it starts the node whenever it has ended, unless
// a fault wants it to be away.
type keeper struct {
	node   *proctest.Node
	health *health
	faults *violations
	say    func(format string, args ...any)
	ended  func(reason string) // a process ended by itself, as it was meant to
	traced sync.Mutex          // held by the fault that has strace at the process

	mu      sync.Mutex
	away    int    // how many faults want it to be away
	asked   string // why the process ends, if it was asked to
	started time.Time
	logged  int64 // how long the log was then
	fell    int   // how often a process ended by itself, as it was meant to
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
	k.logged = 0
	if info, err := os.Stat(k.node.LogFile()); err == nil {
		k.logged = info.Size()
	}
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
	reason := endReason(k.node.LogFile(), k.logged)
	meant := code > 0 && k.excused(why, reason)
	if meant {
		k.fell++
	}
	k.running = false
	k.changed()
	k.mu.Unlock()
	switch {
	case why == "killed", why == "terminated" && code == 0:
		return true
	case why == "terminated" && code < 0 && age < infancy:
		return true
	case meant:
		k.ended(reason)
		k.say("%s ended with code %d: %s", k.node.ID, code, reason)
		return why != ""
	}
	k.faults.add("%s ended with code %d and nobody knows why (it was %q): %s", k.node.ID, code, why, reason)
	return false
}

// lateStop is what a node says that was asked to end and could not do so in time.
const lateStop = "the node did not stop in time: the process ends as it is, which loses nothing"

// excused reports whether a process had a reason to end as it says it did.
func (k *keeper) excused(why, reason string) bool {
	if why == "terminated" && strings.HasPrefix(reason, lateStop) {
		return k.health.mayBeLate(k.node.ID)
	}
	return slices.ContainsFunc(k.health.excuses(k.node.ID), func(text string) bool { return strings.Contains(reason, text) })
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

// ends returns how often a process ended by itself, as it was meant to.
func (k *keeper) ends() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fell
}

// awaitOther waits until the process is not this one any more; false if it still is
// after the timeout.
func (k *keeper) awaitOther(pid int, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return proctest.Until(ctx, func() error {
		if k.pid() == pid {
			return errStillThere
		}
		return nil
	}) == nil
}

// signal sends a signal to the process if it is still the one with this id.
func (k *keeper) signal(pid int, sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running && k.node.Pid() == pid {
		k.node.Signal(sig)
	}
}

// endings are the errors with which a process ends. Others may be logged after them.
var endings = []string{"fatal: the process ends", "the node cannot start", lateStop}

// endReason returns the error with which a process ended or, if it did not say, its
// last one. Its log begins at a place in the file: what is before is of the processes
// before it.
func endReason(file string, from int64) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	last := "nothing was logged"
	for line := range strings.Lines(string(b[min(from, int64(len(b))):])) {
		var m struct{ Level, Msg, Error string }
		if json.Unmarshal([]byte(line), &m) != nil || m.Level != "ERROR" {
			continue
		}
		last = m.Msg + ": " + m.Error
		if slices.Contains(endings, m.Msg) {
			break
		}
	}
	return last
}
