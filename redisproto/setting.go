package redisproto

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Setting is one row of CONFIG, under Redis's name for it.
type Setting struct {
	Name string // in lower case
	// Get returns the value as CONFIG GET shows it.
	Get func() string
	// Set checks a new value and returns what puts it into force, so that CONFIG SET
	// changes all that it names or nothing. The error is what the client is told. Nil:
	// the setting is given when the server starts.
	Set func(value string) (apply func(ctx context.Context) error, err error)
}

// settingError is a text of Redis's about a value.
type settingError string

func (e settingError) Error() string { return string(e) }

// Fixed returns a setting that only a restart can change.
func Fixed(name, value string) Setting {
	return Setting{Name: name, Get: func() string { return value }}
}

// Only returns a setting that has one value for ever. To set it to that is no error, as
// programs do so to make sure of it.
func Only(name, value string) Setting {
	s := Fixed(name, value)
	s.Set = func(v string) (func(context.Context) error, error) {
		if !strings.EqualFold(v, value) {
			return nil, fmt.Errorf("this server supports %s only", strconv.Quote(value))
		}
		return nothing, nil
	}
	return s
}

func nothing(context.Context) error { return nil }

// Number returns a setting that is a whole number from low to high.
func Number(name string, at *atomic.Int64, low, high int64) Setting {
	return variable(name, at, func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0, errors.New("argument couldn't be parsed into an integer")
		}
		return n, within(n, low, high)
	}, 1)
}

// Bytes returns a setting that is an amount of memory from low to high, such as 64mb.
func Bytes(name string, at *atomic.Int64, low, high int64) Setting {
	return variable(name, at, func(s string) (int64, error) {
		n, ok := parseBytes(s)
		if !ok {
			return 0, errors.New("argument must be a memory value")
		}
		return n, within(n, low, high)
	}, 1)
}

// seconds returns a setting that is kept as nanoseconds.
func seconds(name string, at *atomic.Int64) Setting {
	number := Number(name, at, 0, 1<<31-1)
	return variable(name, at, func(s string) (int64, error) {
		_, err := number.Set(s)
		n, _ := strconv.ParseInt(s, 10, 64)
		return n * int64(time.Second), err
	}, int64(time.Second))
}

// variable returns a setting that is kept as so many units.
func variable(name string, at *atomic.Int64, parse func(string) (int64, error), unit int64) Setting {
	return Setting{
		Name: name,
		Get:  func() string { return strconv.FormatInt(at.Load()/unit, 10) },
		Set: func(value string) (func(context.Context) error, error) {
			n, err := parse(value)
			return func(context.Context) error { at.Store(n); return nil }, err
		},
	}
}

func within(n, low, high int64) error {
	if n < low || n > high {
		return fmt.Errorf("argument must be between %d and %d inclusive", low, high)
	}
	return nil
}

// units are the suffixes of an amount of memory.
var units = map[string]int64{
	"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30,
}

// parseBytes reads an amount of memory as Redis does.
func parseBytes(s string) (int64, bool) {
	digits := len(s)
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = i
	}
	unit, known := units[strings.ToLower(s[digits:])]
	n, err := strconv.ParseUint(s[:digits], 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		n, err = 1<<63-1, nil // out of any range
	}
	if !known || err != nil {
		return 0, false
	}
	if n > uint64(1<<63-1)/uint64(unit) {
		return 1<<63 - 1, true
	}
	return int64(n) * unit, true
}

// tunables are the settings that CONFIG SET changes on this node until it ends. Any
// goroutine may read them.
type tunables struct {
	maxClients, bulk, query, output atomic.Int64
	pubsub, pubsubSoft              atomic.Int64
	idle, keepAlive, pubsubPatience atomic.Int64 // nanoseconds
}

func (t *tunables) init(c *Config) {
	for at, n := range map[*atomic.Int64]int{
		&t.maxClients: c.MaxClients, &t.bulk: c.MaxBulk, &t.query: c.MaxQuery, &t.output: c.MaxOutput,
		&t.pubsub: c.MaxPubSubOutput, &t.pubsubSoft: c.SoftPubSubOutput,
	} {
		at.Store(int64(n))
	}
	t.idle.Store(int64(c.IdleTimeout))
	t.keepAlive.Store(int64(c.KeepAlive))
	t.pubsubPatience.Store(int64(c.PubSubPatience))
}

// The least that Redis lets these limits be.
const (
	minBulk  = 1 << 20
	minQuery = 1 << 20
)

// newSettings returns the rows of CONFIG, by name. Passwords are not among them.
func (s *Server) newSettings() map[string]Setting {
	t, c := &s.tune, &s.cfg
	protected := "no"
	if c.Protected {
		protected = "yes"
	}
	rows := map[string]Setting{}
	add := func(list ...Setting) {
		for _, row := range list {
			rows[row.Name] = row
		}
	}
	add(
		Fixed("databases", strconv.Itoa(c.Databases)),
		Fixed("protected-mode", protected),
		Fixed("enable-debug-command", c.Debug),
		Number("maxclients", &t.maxClients, 1, 1<<32-1),
		seconds("timeout", &t.idle),
		seconds("tcp-keepalive", &t.keepAlive),
		// What a node was started with is what its log can hold.
		Bytes("proto-max-bulk-len", &t.bulk, min(minBulk, int64(c.MaxBulk)), int64(c.MaxQuery)),
		Bytes("client-query-buffer-limit", &t.query, min(minQuery, int64(c.MaxQuery)), int64(c.MaxQuery)),
		s.outputLimits(),
		Bytes("maxmemory-clients", &s.buffers.limit, 0, 1<<44),
	)
	add(s.meter.slow.settings()...)
	add(s.meter.latency.settings()...)
	add(c.Settings...)
	return rows
}

// outputLimits is how much may wait for clients that do not read.
func (s *Server) outputLimits() Setting {
	t := &s.tune
	const name = "client-output-buffer-limit"
	return Setting{
		Name: name,
		Get: func() string {
			return fmt.Sprintf("normal %d 0 0 pubsub %d %d %d", t.output.Load(),
				t.pubsub.Load(), t.pubsubSoft.Load(), time.Duration(t.pubsubPatience.Load())/time.Second)
		},
		Set: func(value string) (func(context.Context) error, error) {
			words := strings.Fields(value)
			if len(words)%4 != 0 {
				return nil, settingError("Wrong number of arguments in buffer limit configuration.")
			}
			normal := t.output.Load()
			pubsub, pubsubSoft, patience := t.pubsub.Load(), t.pubsubSoft.Load(), t.pubsubPatience.Load()
			for ; len(words) > 0; words = words[4:] {
				n, ok := parseBytes(words[1])
				soft, ok2 := parseBytes(words[2])
				seconds, err := strconv.ParseUint(words[3], 10, 31)
				switch {
				case !ok || !ok2 || err != nil:
					return nil, settingError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
				case !strings.EqualFold(words[0], "normal") && !strings.EqualFold(words[0], "pubsub"):
					return nil, settingError("Invalid client class specified in buffer limit configuration.")
				case n < minOutput:
					return nil, fmt.Errorf("the hard limit must be at least %d", minOutput)
				case strings.EqualFold(words[0], "pubsub"):
					pubsub, pubsubSoft, patience = n, soft, int64(time.Duration(seconds)*time.Second)
				case soft != 0:
					return nil, errors.New("this server supports no soft limit for normal clients")
				default:
					normal = n
				}
			}
			return func(context.Context) error {
				t.output.Store(normal)
				t.pubsub.Store(pubsub)
				t.pubsubSoft.Store(pubsubSoft)
				t.pubsubPatience.Store(patience)
				for _, c := range s.all() {
					c.limitOutput()
				}
				return nil
			}, nil
		},
	}
}

// minOutput is the least limit of the replies that wait for a client.
const minOutput = 4 << 10
