package redisproto

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// maxErrorKinds bounds the kinds of errors that are counted one by one, as scripts may
// make any.
const maxErrorKinds = 128

// meter measures commands as the clients of this node see them: until the reply is
// there, with what the way to another node takes.
type meter struct {
	commands map[*command.Spec]*commandStats // complete from the start
	hits     atomic.Int64
	misses   atomic.Int64

	mu         sync.Mutex
	errors     map[string]int64 // by prefix
	errorCount atomic.Int64

	slow    slowlog
	latency latencies
}

// commandStats is what is known of one command.
type commandStats struct {
	calls, nanos, rejected, failed atomic.Int64

	buckets [latencyBuckets]atomic.Int64
}

// latencyBuckets is how many durations a histogram tells apart: the first is up to
// 1,024 ns, and each of the others up to twice the one before.
const latencyBuckets = 36

func bucketOf(took time.Duration) int {
	if took <= 0 {
		return 0
	}
	return min(bits.Len64(uint64(took-1)>>10), latencyBuckets-1)
}

// bucketTop is the longest duration of a bucket.
func bucketTop(i int) time.Duration { return 1024 << i }

func (m *meter) init(t *table) {
	m.commands, m.errors = map[*command.Spec]*commandStats{}, map[string]int64{}
	for _, e := range t.entries {
		for _, e := range append(e.sorted(), e) {
			m.commands[e.spec] = &commandStats{}
		}
	}
	m.slow.init()
	m.latency.init()
}

// record takes note of a command that was done, and of its reply. Commands that went
// to the backend together share the time that it took.
func (c *Client) record(spec *command.Spec, args [][]byte, reply resp.Value, took time.Duration) {
	m := &c.srv.meter
	s := m.commands[spec]
	switch {
	case s == nil: // a row that the backend did not declare
		return
	case refused(reply):
		s.rejected.Add(1)
		m.fault(reply)
		return
	case reply.IsError():
		s.failed.Add(1)
		m.fault(reply)
		if strings.HasPrefix(reply.Str, resp.ErrStringTooLong.Str) { // a script says more
			c.srv.stats.ValueLimit.Add(1)
		}
	case spec.Has(command.ReadOnly) && !spec.Has(command.Script) && (spec.FirstKey > 0 || spec.NumKeys > 0):
		m.lookup(spec, args, reply)
	}
	s.calls.Add(1)
	s.nanos.Add(int64(took))
	s.buckets[bucketOf(took)].Add(1)
	m.slow.note(c, spec, args, took)
	m.latency.note(spec, took)
}

// reject takes note of a command that was refused before it was begun. e is nil for
// one that is not known.
func (m *meter) reject(e *entry, why resp.Value) {
	if e != nil {
		m.commands[e.spec].rejected.Add(1)
	}
	m.fault(why)
}

// refusals are the prefixes of errors that say that a command was not begun.
var refusals = []string{"NOAUTH ", "OOM ", "MISCONF ", "LOADING ", "CLUSTERDOWN ", "CROSSSLOT "}

func refused(reply resp.Value) bool {
	return reply.IsError() &&
		slices.ContainsFunc(refusals, func(prefix string) bool { return strings.HasPrefix(reply.Str, prefix) })
}

// fault counts an error by its prefix.
func (m *meter) fault(reply resp.Value) {
	m.errorCount.Add(1)
	kind, _, _ := strings.Cut(reply.Str, " ")
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.errors[kind]; known || len(m.errors) < maxErrorKinds {
		m.errors[kind]++
	}
}

// lookup counts what a read found: unlike Redis it goes by the reply, so that a field
// that a hash lacks is a miss, too.
func (m *meter) lookup(spec *command.Spec, args [][]byte, reply resp.Value) {
	found, asked := int64(1), int64(1)
	switch {
	case spec.Name == "mget":
		asked, found = int64(len(reply.Elems)), 0
		for _, v := range reply.Elems {
			if v.Kind != resp.Nil {
				found++
			}
		}
	case spec.Name == "exists":
		asked, found = int64(len(args)-1), reply.Int
	case nothingFound(reply):
		found = 0
	}
	m.hits.Add(found)
	m.misses.Add(asked - found)
}

func nothingFound(reply resp.Value) bool {
	switch reply.Kind {
	case resp.Nil, resp.NilArray:
		return true
	case resp.Array, resp.Set, resp.Map, resp.Tuples:
		return len(reply.Elems) == 0
	case resp.Integer:
		return reply.Int == 0 || reply.Int == -2 // as TTL says
	case resp.Simple:
		return reply.Str == "none" // as TYPE says
	}
	return false
}

// reset forgets the counts, as CONFIG RESETSTAT does. The slow log and the latency
// events have commands of their own for that.
func (m *meter) reset() {
	for _, s := range m.commands {
		for _, n := range []*atomic.Int64{&s.calls, &s.nanos, &s.rejected, &s.failed} {
			n.Store(0)
		}
		for i := range s.buckets {
			s.buckets[i].Store(0)
		}
	}
	m.hits.Store(0)
	m.misses.Store(0)
	m.errorCount.Store(0)
	m.mu.Lock()
	clear(m.errors)
	m.mu.Unlock()
}

// measured is a command with what is known of it.
type measured struct {
	name string
	*commandStats
}

// used returns the commands that were called or refused, by name.
func (m *meter) used() []measured {
	var list []measured
	for spec, s := range m.commands {
		if s.calls.Load()+s.rejected.Load() > 0 {
			list = append(list, measured{spec.Name, s})
		}
	}
	slices.SortFunc(list, func(a, b measured) int { return cmp.Compare(a.name, b.name) })
	return list
}

// InfoCommandStats returns the fields of the section "commandstats" of INFO.
func (s *Server) InfoCommandStats() []Field {
	var list []Field
	for _, c := range s.meter.used() {
		calls, usec := c.calls.Load(), c.nanos.Load()/1000
		list = append(list, Field{"cmdstat_" + c.name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			calls, usec, float64(usec)/float64(max(calls, 1)), c.rejected.Load(), c.failed.Load())})
	}
	return list
}

// InfoErrorStats returns the fields of the section "errorstats" of INFO.
func (s *Server) InfoErrorStats() []Field {
	m := &s.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Field
	for _, kind := range slices.Sorted(maps.Keys(m.errors)) {
		list = append(list, Field{"errorstat_" + kind, fmt.Sprintf("count=%d", m.errors[kind])})
	}
	return list
}

// InfoLatencyStats returns the fields of the section "latencystats" of INFO. A
// percentile is given as the top of its bucket, at most twice too long.
func (s *Server) InfoLatencyStats() []Field {
	var list []Field
	for _, c := range s.meter.used() {
		if c.calls.Load() > 0 {
			list = append(list, Field{"latency_percentiles_usec_" + c.name,
				fmt.Sprintf("p50=%.3f,p99=%.3f,p99.9=%.3f", c.percentile(0.5), c.percentile(0.99), c.percentile(0.999))})
		}
	}
	return list
}

// percentile returns the time in microseconds that so large a part of the calls took at most.
func (s *commandStats) percentile(part float64) float64 {
	total := int64(0)
	for i := range s.buckets {
		total += s.buckets[i].Load()
	}
	seen := int64(0)
	for i := range s.buckets {
		if seen += s.buckets[i].Load(); float64(seen) >= part*float64(total) {
			return float64(bucketTop(i)) / 1000
		}
	}
	return float64(bucketTop(latencyBuckets-1)) / 1000
}
