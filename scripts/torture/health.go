package main

import (
	"maps"
	"sync"
	"time"
)

// ailment is what can be wrong with a node, other than that it is not there.
type ailment string

// The ailments. One that is slow works; the others make a node useless to its
// groups, and out of reach for clients where silent says so.
const (
	stopped ailment = "stopped"
	cutOff  ailment = "cut off"
	hung    ailment = "hung"
	full    ailment = "full"
	failing ailment = "failing"
	slow    ailment = "slow"
)

// silent reports whether a client of such a node has no right to an answer.
func (a ailment) silent() bool { return a == stopped || a == cutOff || a == hung }

// excuseOf is what a process says that ends by itself, by what is wrong with it. A
// disk that is slow is no reason to end. That one that is full may be, rarely, is in
// docs/adr/0011-full-disks.md.
var excuseOf = map[ailment]string{
	stopped: "has hung",
	hung:    "has hung",
	failing: "input/output error",
	full:    "no space left on device",
}

// excuseFor is how long an ailment explains after its end that a process ended by
// itself.
const excuseFor = 30 * time.Second

// health is what the faults have done to the nodes: who ought to be served, who
// may be silent, and who may end. It knows of a fault before it is made, and of
// its end after.
type health struct {
	mu      sync.Mutex
	nodes   map[string]*condition
	groups  map[string][]string // the voters
	dropped map[direction]int
	served  map[seat]time.Time // since when, of those who ought to be
	quiet   bool               // nobody is counted
}

// condition is a node's.
type condition struct {
	ready time.Time // when the process said so, zero if it has not
	ails  map[ailment]int
	ended map[ailment]time.Time // when each ailment ended last
}

// seat is a node as the clients of one group see it.
type seat struct{ node, group string }

func newHealth(nodes []string) *health {
	h := &health{nodes: map[string]*condition{}, groups: map[string][]string{}, dropped: map[direction]int{}, served: map[seat]time.Time{}, quiet: true}
	for _, n := range nodes {
		h.nodes[n] = &condition{ails: map[ailment]int{}, ended: map[ailment]time.Time{}}
	}
	return h
}

// change makes a change and finds out who ought to be served then.
func (h *health) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	now := time.Now()
	for group := range h.groups {
		for node := range h.nodes {
			s := seat{node, group}
			_, before := h.served[s]
			switch after := !h.quiet && h.ought(s); {
			case after && !before:
				h.served[s] = now
			case !after:
				delete(h.served, s)
			}
		}
	}
}

// ought reports whether a node is on the majority's side for a group: it is well,
// and every voter that can lead, of which there is one at least, is within its
// reach. A voter can lead if it is well and has, with itself, a majority of voters
// within reach that are. To be within reach is meant in both directions.
func (h *health) ought(s seat) bool {
	voters := h.groups[s.group]
	leaders := 0
	for _, leader := range voters {
		follow := 0
		for _, v := range voters {
			if h.well(leader) && h.well(v) && h.joined(leader, v) {
				follow++
			}
		}
		if follow <= len(voters)/2 {
			continue
		}
		if !h.joined(s.node, leader) {
			return false
		}
		leaders++
	}
	return leaders > 0 && h.well(s.node)
}

// well reports whether a node can do its part.
func (h *health) well(node string) bool {
	c := h.nodes[node]
	for a, n := range c.ails {
		if n > 0 && a != slow {
			return false
		}
	}
	return !c.ready.IsZero()
}

func (h *health) joined(a, b string) bool {
	return h.dropped[direction{a, b}] == 0 && h.dropped[direction{b, a}] == 0
}

func (h *health) setGroups(voters map[string][]string) {
	h.change(func() { h.groups = maps.Clone(voters) })
}

func (h *health) setReady(node string, ready bool) {
	h.change(func() {
		h.nodes[node].ready = time.Time{}
		if ready {
			h.nodes[node].ready = time.Now()
		}
	})
}

func (h *health) setQuiet(quiet bool) { h.change(func() { h.quiet = quiet }) }

// ail says that a node has an ailment, until recover is called as often.
func (h *health) ail(node string, a ailment) {
	h.change(func() { h.nodes[node].ails[a]++ })
}

func (h *health) recover(node string, a ailment) {
	h.change(func() {
		c := h.nodes[node]
		if c.ails[a]--; c.ails[a] == 0 {
			c.ended[a] = time.Now()
		}
	})
}

// drop says what is lost between nodes; by is 1, or -1 when it is not any more.
func (h *health) drop(list []direction, by int) {
	h.change(func() {
		for _, d := range list {
			h.dropped[d] += by
		}
	})
}

// since returns since when a seat ought to be served; false if it ought not.
func (h *health) since(s seat) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.served[s]
	return t, ok
}

// silentSince reports whether a node had reason to say nothing at any time since
// start.
func (h *health) silentSince(node string, start time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.nodes[node]
	for a, n := range c.ails {
		if a.silent() && (n > 0 || c.ended[a].After(start)) {
			return true
		}
	}
	return false
}

// readySince reports whether the node's process was ready at a moment, and is the
// same now.
func (h *health) readySince(node string, at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.nodes[node]
	return !c.ready.IsZero() && c.ready.Before(at)
}

// isReady reports whether the node's process has said that it is, whatever else is
// wrong with it.
func (h *health) isReady(node string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.nodes[node].ready.IsZero()
}

// excuses returns what a node's process may say when it ends by itself: nothing if
// there is no reason why it should.
func (h *health) excuses(node string) (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a, text := range excuseOf {
		if h.nodes[node].lately(a) {
			list = append(list, text)
		}
	}
	return list
}

// mayBeLate reports whether a node may take longer to stop than it is given: it
// waits for its disk, or was stopped itself.
func (h *health) mayBeLate(node string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.nodes[node]
	return c.lately(slow) || c.lately(hung) || c.lately(stopped)
}

// lately reports whether a node has an ailment, or had it a moment ago.
func (c *condition) lately(a ailment) bool {
	return c.ails[a] > 0 || time.Since(c.ended[a]) < excuseFor
}

// allWell reports whether nothing is wrong with a node.
func (h *health) allWell(node string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.well(node)
}
