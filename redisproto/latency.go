package redisproto

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// maxSpikes is how many samples of an event are kept, by Redis's number.
const maxSpikes = 160

// latencies keeps the times at which commands took remarkably long.
type latencies struct {
	threshold atomic.Int64 // milliseconds; 0: nothing is kept

	mu     sync.Mutex
	events map[string]*event
}

// event is a kind of delay: "command", or "fast-command" for one that has no business
// to be slow.
type event struct {
	spikes []spike // oldest first, one a second
	max    int64
}

type spike struct{ at, ms int64 }

func (l *latencies) init() { l.events = map[string]*event{} }

func (l *latencies) settings() []Setting {
	return []Setting{Number("latency-monitor-threshold", &l.threshold, 0, 1<<63-1)}
}

func (l *latencies) note(spec *command.Spec, took time.Duration) {
	threshold, ms := l.threshold.Load(), took.Milliseconds()
	if threshold == 0 || ms < threshold {
		return
	}
	name := "command"
	if spec.Has(command.Fast) {
		name = "fast-command"
	}
	now := time.Now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.events[name]
	if e == nil {
		e = &event{}
		l.events[name] = e
	}
	e.max = max(e.max, ms)
	if n := len(e.spikes); n > 0 && e.spikes[n-1].at == now {
		e.spikes[n-1].ms = max(e.spikes[n-1].ms, ms)
		return
	}
	e.spikes = append(e.spikes, spike{now, ms})
	if extra := len(e.spikes) - maxSpikes; extra > 0 {
		e.spikes = append(e.spikes[:0:0], e.spikes[extra:]...)
	}
}

// LATENCY LATEST
func latencyLatest(c *Client, _ [][]byte) resp.Value {
	l := &c.srv.meter.latency
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []resp.Value
	for _, name := range slices.Sorted(maps.Keys(l.events)) {
		e := l.events[name]
		last := e.spikes[len(e.spikes)-1]
		list = append(list, resp.List(resp.Str(name), resp.Int64(last.at), resp.Int64(last.ms), resp.Int64(e.max)))
	}
	return resp.List(list...)
}

// LATENCY HISTORY event
func latencyHistory(c *Client, args [][]byte) resp.Value {
	l := &c.srv.meter.latency
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []resp.Value
	if e := l.events[string(args[2])]; e != nil {
		for _, s := range e.spikes {
			list = append(list, resp.List(resp.Int64(s.at), resp.Int64(s.ms)))
		}
	}
	return resp.List(list...)
}

// LATENCY RESET [event [event ...]]
func latencyReset(c *Client, args [][]byte) resp.Value {
	l := &c.srv.meter.latency
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.events)
	if len(args) == 2 {
		clear(l.events)
	}
	for _, name := range args[2:] {
		delete(l.events, string(name))
	}
	return resp.Int(before - len(l.events))
}

// LATENCY GRAPH event
//
// One column a sample, as high as it was long; below it how long ago.
func latencyGraph(c *Client, args [][]byte) resp.Value {
	l := &c.srv.meter.latency
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.events[string(args[2])]
	if e == nil {
		return resp.Err("ERR No samples available for event " + quoted(args[2]))
	}
	high, low := e.spikes[0].ms, e.spikes[0].ms
	for _, s := range e.spikes {
		high, low = max(high, s.ms), min(low, s.ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n%s\n", args[2], high, low, e.max, strings.Repeat("-", 80))
	const rows = 4
	for row := rows; row > 0; row-- {
		for _, s := range e.spikes {
			switch height := 1 + (s.ms-low)*(rows-1)/max(high-low, 1); {
			case height == int64(row):
				b.WriteByte('#')
			case height > int64(row):
				b.WriteByte('|')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	now, ages, width := time.Now().Unix(), []string{}, 0
	for _, s := range e.spikes {
		age := shortAge(now - s.at)
		ages, width = append(ages, age), max(width, len(age))
	}
	for i := range width {
		for _, age := range ages {
			if i < len(age) {
				b.WriteByte(age[i])
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return verbatim(b.String())
}

// shortAge is a number of seconds in few letters.
func shortAge(s int64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 86400:
		return fmt.Sprintf("%dh", s/3600)
	}
	return fmt.Sprintf("%dd", s/86400)
}

// LATENCY DOCTOR
func latencyDoctor(c *Client, _ [][]byte) resp.Value {
	l := &c.srv.meter.latency
	if l.threshold.Load() == 0 {
		return verbatim("Latency monitoring is off on this node. CONFIG SET latency-monitor-threshold <milliseconds> turns it on.\n")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return verbatim("No command took remarkably long on this node.\n")
	}
	var b strings.Builder
	b.WriteString("Commands took long on this node:\n\n")
	for i, name := range slices.Sorted(maps.Keys(l.events)) {
		e, sum := l.events[name], int64(0)
		for _, s := range e.spikes {
			sum += s.ms
		}
		fmt.Fprintf(&b, "%d. %s: %d latency spikes, %d ms on average, %d ms at worst.\n", i+1, name, len(e.spikes), sum/int64(len(e.spikes)), e.max)
	}
	b.WriteString("\nSLOWLOG GET shows the commands. The time is what a client waits: a write waits for the disks and the network of " +
		"a majority. PHONON.STATUS and PHONON.GROUPS show how those are.\n")
	return verbatim(b.String())
}

// LATENCY HISTOGRAM [command [command ...]]
func latencyHistogram(c *Client, args [][]byte) resp.Value {
	var list []resp.Value
	for _, m := range c.srv.meter.used() {
		if m.calls.Load() > 0 && (len(args) == 2 || slices.ContainsFunc(args[2:], func(a []byte) bool { return names(string(a), m.name) })) {
			list = append(list, resp.Str(m.name), m.histogram())
		}
	}
	return resp.Pairs(list...)
}

// names reports whether a command is asked for, by its name or its container's.
func names(asked, name string) bool {
	asked = strings.ToLower(asked)
	return asked == name || strings.HasPrefix(name, asked+"|")
}

// histogram counts the calls that took so many microseconds at most.
func (s *commandStats) histogram() resp.Value {
	var pairs []resp.Value
	seen := int64(0)
	for i := range s.buckets {
		if n := s.buckets[i].Load(); n > 0 {
			seen += n
			pairs = append(pairs, resp.Int64(bucketTop(i).Microseconds()), resp.Int64(seen))
		}
	}
	return resp.Pairs(resp.Str("calls"), resp.Int64(s.calls.Load()), resp.Str("histogram_usec"), resp.Pairs(pairs...))
}
