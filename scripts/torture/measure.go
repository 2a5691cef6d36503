package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// measure counts what happened.
type measure struct {
	mu       sync.Mutex
	fault    string // the one that pauses are put down to
	ops      int
	outcomes map[string]int // of operations of judged clients
	broken   int            // connections that broke
	answer   time.Duration  // the longest that a client waited for a node that had no reason to be silent
	seats    map[seat]*availability
	faults   map[string]*faultFigures
	ends     map[string]int // processes that ended by themselves as they were meant to
	hangs    []time.Duration
	peak     map[string]footprint
	baseline map[string]footprint // at the first rest
	latest   map[string]footprint // at the last one
	rests    int
	windows  int // histories judged
	checked  int // operations in them
}

// availability is of one seat.
type availability struct {
	last    time.Time // of the last write
	seconds int       // in which it ought to be served
	served  int       // of them, with a write
}

// faultFigures are of one kind of fault, or of several at once.
type faultFigures struct {
	count      int
	pause      time.Duration // the longest of any seat that ought to be served
	at         seat          // where
	recovery   time.Duration // the longest from its end to writes through all nodes
	recoveries []time.Duration
}

func newMeasure() *measure {
	return &measure{
		fault: "none", outcomes: map[string]int{}, seats: map[seat]*availability{}, faults: map[string]*faultFigures{},
		ends: map[string]int{}, peak: map[string]footprint{}, baseline: map[string]footprint{}, latest: map[string]footprint{},
	}
}

func (m *measure) figures(fault string) *faultFigures {
	if m.faults[fault] == nil {
		m.faults[fault] = &faultFigures{}
	}
	return m.faults[fault]
}

// begin puts what comes down to a fault.
func (m *measure) begin(fault string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
	m.figures(fault)
}

// injected counts a fault, alone or with others.
func (m *measure) injected(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures(kind).count++
}

func (m *measure) recovered(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.figures(m.fault)
	f.recovery = max(f.recovery, took)
	f.recoveries = append(f.recoveries, took)
}

func (m *measure) countEnd(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends[reason]++
}

func (m *measure) hang(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hangs = append(m.hangs, took)
}

// countTurn counts a step of a judged client.
func (m *measure) countTurn(commands [][]string, replies []resp.Value, err error, took time.Duration, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ops += len(commands)
	for i := range commands {
		if i < len(replies) {
			m.outcomes[outcomeOf(replies[i], nil)]++
		} else {
			m.outcomes[outcomeOf(resp.Value{}, err)]++
		}
	}
	if err != nil {
		m.broken++
	}
	if !silent {
		m.answer = max(m.answer, took)
	}
}

// pause is told how long a seat was without a write.
func (m *measure) pause(s seat, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.figures(m.fault); d > f.pause {
		f.pause, f.at = d, s
	}
}

// wrote is told of a write.
func (m *measure) wrote(s seat) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seat(s).last = time.Now()
}

func (m *measure) seat(s seat) *availability {
	if m.seats[s] == nil {
		m.seats[s] = &availability{}
	}
	return m.seats[s]
}

// judged counts a history.
func (m *measure) judged(ops int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.windows++
	m.checked += ops
}

// rested counts a comparison of all replicas.
func (m *measure) rested() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rests++
}

// first returns what a node had at the first rest, false if this is it.
func (m *measure) first(node string) (footprint, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.baseline[node]
	return f, ok
}

// atRest is told what a node has at rest.
func (m *measure) atRest(node string, now footprint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.baseline[node]; !ok {
		m.baseline[node] = now
	}
	m.latest[node] = now
}

// lastWrite returns when the last write of a seat's probe was acknowledged.
func (m *measure) lastWrite(s seat) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seat(s).last
}

// count counts, each second and for each seat that ought to have been served all
// through it, whether a write was acknowledged in it.
func (m *measure) count(ctx context.Context, h *health) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			m.second(now, h.since)
		}
	}
}

func (m *measure) second(now time.Time, since func(seat) (time.Time, bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := now.Add(-time.Second)
	for s, a := range m.seats {
		if t, ought := since(s); !ought || t.After(from) {
			continue
		}
		a.seconds++
		if a.last.After(from) {
			a.served++
		}
	}
}

// availability returns the share of seconds, of all seats.
func (m *measure) availability() (served, seconds int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.seats {
		served, seconds = served+a.served, seconds+a.seconds
	}
	return served, seconds
}

// sortedKeys returns the names in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// share prints a part of a whole in percent.
func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(part)/float64(whole))
}
