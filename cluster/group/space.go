package group

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	"phonond/fsm"
)

// Level is how much room a disk has.
type Level uint8

// The levels, from best to worst. A group takes of a request what its level allows.
const (
	SpaceOK Level = iota
	// SpaceLow refuses what makes the state grow: what frees space, renewals of locks,
	// expiry and reads go on.
	SpaceLow
	// SpaceFull refuses all writes. Reads go on; time stands still. The node writes
	// nothing but what it takes to vote and to open a term.
	SpaceFull
)

func (l Level) String() string {
	switch l {
	case SpaceOK:
		return "ok"
	case SpaceLow:
		return "low"
	}
	return "full"
}

// Space is what a node knows of the disk that its replicas are on.
type Space struct {
	Level Level
	Free  uint64 // bytes that are left to anybody
	Room  uint64 // bytes that may be written before the level is SpaceFull
}

// plenty is the space of a replica that was told of none.
func plenty() Space { return Space{Free: 1 << 62, Room: 1 << 62} }

// ErrNoSpace is wrapped by the errors of requests that were refused because disks
// are full: see [NoSpaceError]. They were not applied.
var ErrNoSpace = errors.New("no space on disk")

// NoSpaceError says why a request was refused.
type NoSpaceError struct {
	Level Level
	Where string // the nodes, with the bytes that each has left
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("%v: %s on %s", ErrNoSpace, e.Level, e.Where)
}

func (e *NoSpaceError) Unwrap() error { return ErrNoSpace }

// errNoRoom is returned for a write that was not begun. It is the system's own
// error, by which raft's callers and this package know it.
var errNoRoom = fmt.Errorf("not begun, to leave the disk some room: %w", syscall.ENOSPC)

// noRoom reports whether a write failed for want of space, and of nothing else.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// The pace at which a leader looks at the voters' disks, and for how long what one
// has said of its own holds.
const (
	spaceEvery  = time.Second
	spaceMaxAge = 10 * time.Second
)

// logRoom is about how much room n bytes of an entry take in a log store.
func logRoom(n int) uint64 { return uint64(n) + uint64(n)/8 + 512 }

// spaces is what a leader knows of the voters' disks.
type spaces struct {
	mu    sync.Mutex
	heard map[string]heardSpace // by node
	// verdict is what the group takes, nil for everything.
	verdict atomic.Pointer[NoSpaceError]
}

type heardSpace struct {
	node string
	Space
	at time.Time
}

// watchSpace keeps a leader informed of the voters' disks, and sees to it while there is
// room that there will be for votes when there is none.
func (g *Group) watchSpace() {
	t := time.NewTicker(spaceEvery)
	defer t.Stop()
	unfilled := false
	for {
		select {
		case <-t.C:
		case <-g.stopped.Done():
			return
		}
		if g.Leads() && g.cfg.Ask != nil {
			for _, node := range g.voters() {
				if node != g.cfg.Node {
					g.cfg.Ask(node, func(p Pulse, err error) {
						if err == nil {
							g.hearSpace(node, p.Space)
						}
					})
				}
			}
		}
		g.judgeSpace()
		if g.cfg.Space().Level == SpaceOK {
			if err := g.store.fillHoles(); err != nil && !unfilled {
				unfilled = true // once is enough
				g.log.Warn("no space can be set aside for votes", "error", err)
			}
		}
	}
}

// hearSpace takes note of what a voter says of its disk.
func (g *Group) hearSpace(node string, now Space) {
	s := &g.spaces
	s.mu.Lock()
	if s.heard == nil {
		s.heard = map[string]heardSpace{}
	}
	was := s.heard[node].Level
	s.heard[node] = heardSpace{node, now, time.Now()}
	s.mu.Unlock()
	if now.Level != was {
		g.judgeSpace()
	}
}

// voterSpace returns what a voter said last, plenty if that is too long ago.
func (g *Group) voterSpace(node string) Space {
	s := &g.spaces
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.heard[node]; ok && time.Since(h.at) < spaceMaxAge {
		return h.Space
	}
	return plenty()
}

// judgeSpace finds out what the group takes, if this replica leads it: no more than
// this replica has room for, and no more than a majority of the voters has. Those
// that were not heard of for a while are reckoned to have room only where the others
// are no majority: whether they are there at all is for raft to find out.
func (g *Group) judgeSpace() *NoSpaceError {
	mine := g.cfg.Space()
	known := []heardSpace{{node: g.cfg.Node, Space: mine}}
	voters := g.voters()
	s := &g.spaces
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, node := range voters {
		if h, ok := s.heard[node]; ok && node != g.cfg.Node && time.Since(h.at) < spaceMaxAge {
			known = append(known, h)
		}
	}
	slices.SortStableFunc(known, func(a, b heardSpace) int { return cmp.Compare(a.Level, b.Level) })
	level := mine.Level
	if quorum := len(voters)/2 + 1; quorum <= len(known) {
		level = max(level, known[quorum-1].Level)
	}
	var now *NoSpaceError
	if level != SpaceOK {
		now = &NoSpaceError{Level: level}
		for _, h := range known {
			now.add(h.node, h.Space)
		}
	}
	was := s.verdict.Swap(now)
	if was.level() != level {
		g.queue.nudge() // what was put off may be due
		switch {
		case !g.Leads():
		case now != nil:
			g.log.Warn("the group takes less, as disks are full", "level", level, "disks", now.Where)
		default:
			g.log.Info("the group takes everything again: its disks have room")
		}
	}
	return now
}

// add names a node whose disk is not well.
func (e *NoSpaceError) add(node string, s Space) {
	if s.Level == SpaceOK {
		return
	}
	if e.Where != "" {
		e.Where += ", "
	}
	e.Where += fmt.Sprintf("%s (%d MiB free)", node, s.Free>>20)
}

func (e *NoSpaceError) level() Level {
	if e == nil {
		return SpaceOK
	}
	return e.Level
}

// refusal returns why the group takes not everything now, nil if it does. What
// another node's disk is like is known with a delay, what this one's is at once.
func (g *Group) refusal(mine Space) *NoSpaceError {
	if v := g.spaces.verdict.Load(); v.level() == SpaceOK && mine.Level == SpaceOK {
		return nil
	}
	return g.judgeSpace()
}

// spaceFull returns an error while the group takes no writes at all.
func (g *Group) spaceFull() error {
	if why := g.refusal(g.cfg.Space()); why.level() == SpaceFull {
		return why
	}
	return nil
}

// ErrNoMemory is returned for a request that may make the state grow while the leader
// has no memory left for that. It was not applied.
var ErrNoMemory = errors.New("the leader's memory is full")

// admit returns an error for a request that the disks, or this node's memory, have no
// room for.
func (g *Group) admit(c *Call) error {
	if g.cfg.MemoryFull() && g.grows(c) {
		return ErrNoMemory
	}
	mine := g.cfg.Space()
	why := g.refusal(mine)
	switch {
	case why.level() == SpaceFull, why.level() == SpaceLow && g.grows(c):
		return why
	case logRoom(len(c.Request)) > mine.Room:
		why := &NoSpaceError{Level: SpaceLow}
		mine.Level = SpaceLow // for this one
		why.add(g.cfg.Node, mine)
		return why
	}
	return nil
}

// grows reports whether a request may make the state grow. Those that make an origin
// known do by a little, but without them nothing could be deleted.
func (g *Group) grows(c *Call) bool {
	r, _, err := fsm.DecodeRequest(c.Request)
	if err != nil {
		return true // a defect: requests are known to be sound
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return slices.ContainsFunc(r.Calls, g.machine.Grows)
}

// voters returns the ids of the group's voters.
func (g *Group) voters() []string {
	var list []string
	for _, s := range g.Servers() {
		if s.Suffrage == raft.Voter {
			list = append(list, string(s.ID))
		}
	}
	return list
}
