package redisproto

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// How much of a command the slow log keeps, by Redis's numbers.
const (
	slowlogArgs  = 32
	slowlogBytes = 128
)

// slowlog keeps the last commands that took long.
type slowlog struct {
	threshold atomic.Int64 // microseconds; negative: none is slow
	length    atomic.Int64

	mu      sync.Mutex
	nextID  int64
	entries []slowEntry // oldest first
}

type slowEntry struct {
	id         int64
	at         time.Time
	took       time.Duration
	args       []string
	addr, name string
}

func (l *slowlog) init() {
	l.threshold.Store(10_000)
	l.length.Store(128)
}

func (l *slowlog) settings() []Setting {
	return []Setting{
		Number("slowlog-log-slower-than", &l.threshold, -1, 1<<63-1),
		Number("slowlog-max-len", &l.length, 0, 1<<63-1),
	}
}

// note keeps a command if it was slow.
func (l *slowlog) note(c *Client, spec *command.Spec, args [][]byte, took time.Duration) {
	if slow := l.threshold.Load(); slow < 0 || took.Microseconds() < slow || unlogged[spec.Name] {
		return
	}
	e := slowEntry{at: time.Now(), took: took, args: abridged(redacted(spec, args)), addr: c.addr, name: c.name}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.nextID
	l.nextID++
	l.entries = append(l.entries, e)
	if extra := len(l.entries) - int(min(l.length.Load(), 1<<30)); extra > 0 {
		l.entries = append(l.entries[:0:0], l.entries[extra:]...)
	}
}

// unlogged are commands that show what they run in entries of their own.
var unlogged = map[string]bool{"exec": true}

// redacted hides the passwords among args.
func redacted(spec *command.Spec, args [][]byte) [][]byte {
	hide := func(from, to int) [][]byte {
		safe := append([][]byte{}, args...)
		for i := from; i < min(to, len(safe)); i++ {
			safe[i] = []byte("(redacted)")
		}
		return safe
	}
	switch spec.Name {
	case "auth":
		return hide(1, len(args))
	case "hello":
		for i, a := range args {
			if i > 1 && bytes.EqualFold(a, []byte("AUTH")) {
				return hide(i+1, i+3)
			}
		}
	}
	return args
}

// abridged returns args in no more room than the slow log has for them.
func abridged(args [][]byte) []string {
	n := len(args)
	if n > slowlogArgs {
		n = slowlogArgs - 1
	}
	short := make([]string, 0, n+1)
	for _, a := range args[:n] {
		if more := len(a) - slowlogBytes; more > 0 {
			short = append(short, fmt.Sprintf("%s... (%d more bytes)", a[:slowlogBytes], more))
		} else {
			short = append(short, string(a))
		}
	}
	if more := len(args) - n; more > 0 {
		short = append(short, fmt.Sprintf("... (%d more arguments)", more))
	}
	return short
}

// SLOWLOG GET [count]
func slowlogGet(c *Client, args [][]byte) resp.Value {
	count := int64(10)
	switch {
	case len(args) > 3:
		return resp.Err("ERR unknown subcommand or wrong number of arguments for " + quoted(args[1]) + ". Try SLOWLOG HELP.")
	case len(args) == 3:
		n, ok := integer(args[2])
		if !ok || n < -1 {
			return resp.Err("ERR count should be greater than or equal to -1")
		}
		count = n
	}
	l := &c.srv.meter.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	if count < 0 || count > int64(len(l.entries)) {
		count = int64(len(l.entries))
	}
	var list []resp.Value
	for i := range int(count) {
		e := l.entries[len(l.entries)-1-i]
		list = append(list, resp.List(resp.Int64(e.id), resp.Int64(e.at.Unix()), resp.Int64(e.took.Microseconds()),
			resp.Strs(e.args...), resp.Str(e.addr), resp.Str(e.name)))
	}
	return resp.List(list...)
}

// SLOWLOG LEN
func slowlogLen(c *Client, _ [][]byte) resp.Value {
	l := &c.srv.meter.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	return resp.Int(len(l.entries))
}

// SLOWLOG RESET
func slowlogReset(c *Client, _ [][]byte) resp.Value {
	l := &c.srv.meter.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
	return resp.OK
}
