package lua

import (
	"container/list"
	"strings"
	"sync"

	"phonond/fsm/lua/vm"
	"phonond/redisproto/resp"
)

// Flags are what a script says of itself in its first line, "#!lua flags=...".
type Flags struct {
	Shebang           bool // it has such a line
	NoWrites          bool
	AllowOOM          bool
	AllowStale        bool
	NoCluster         bool
	AllowCrossSlotKey bool
}

// script is a compiled script, or the reason why it is none.
type script struct {
	sha     string
	size    int
	flags   Flags
	program *vm.Proto
	fault   resp.Value
}

// sourceName is how Redis calls scripts.
const sourceName = "@user_script"

// Compile checks a script, and keeps it compiled under its SHA1. The reply is an error if
// it cannot run.
func (e *Engine) Compile(sha, text string) (fault resp.Value) { return e.script(sha, text).fault }

// Flags returns what a script's first line says; the reply is an error if Redis does not
// understand that.
func (e *Engine) Flags(text string) (flags Flags, fault resp.Value) {
	flags, _, fault = shebang(text)
	return flags, fault
}

func (e *Engine) script(sha, text string) *script {
	if s := e.scripts.get(sha); s != nil {
		return s
	}
	s := e.compile(sha, text)
	if !s.fault.IsError() {
		e.scripts.put(s)
	}
	return s
}

func (e *Engine) compile(sha, text string) *script {
	s := &script{sha: sha, size: len(text)}
	var body string
	if s.flags, body, s.fault = shebang(text); s.fault.IsError() {
		return s
	}
	if len(text) > e.limits.Source {
		s.fault = resp.Err("ERR Error compiling script (new function): the script is too long")
		return s
	}
	program, err := vm.Compile(sourceName, body)
	if err != nil {
		s.fault = resp.Err(oneLine("ERR Error compiling script (new function): " + err.Error()))
	}
	s.program = program
	return s
}

// shebang reads the first line if it is one for the engine; body is the text without it,
// but with its end, so that lines keep their numbers.
func shebang(text string) (flags Flags, body string, fault resp.Value) {
	if !strings.HasPrefix(text, "#!") {
		return flags, text, fault
	}
	flags.Shebang = true
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		return flags, "", resp.Err("ERR Invalid script shebang")
	}
	parts := strings.Fields(text[:end])
	if parts[0] != "#!lua" {
		return flags, "", resp.Err(oneLine("ERR Unexpected engine in script shebang: " + parts[0]))
	}
	for _, part := range parts[1:] {
		names, ok := strings.CutPrefix(part, "flags=")
		if !ok {
			return flags, "", resp.Err(oneLine("ERR Unknown lua shebang option: " + part))
		}
		if names == "" {
			continue
		}
		for name := range strings.SplitSeq(names, ",") {
			switch name {
			case "no-writes":
				flags.NoWrites = true
			case "allow-oom":
				flags.AllowOOM = true
			case "allow-stale":
				flags.AllowStale = true
			case "no-cluster":
				flags.NoCluster = true
			case "allow-cross-slot-keys":
				flags.AllowCrossSlotKey = true
			default:
				return flags, "", resp.Err(oneLine("ERR Unexpected flag in script shebang: " + name))
			}
		}
	}
	return flags, text[end:], fault
}

// cache keeps the compiled scripts that were used last.
type cache struct {
	mu    sync.Mutex
	limit int // bytes of texts
	size  int
	bySHA map[string]*list.Element // of *script
	order list.List                // the latest first
}

func (c *cache) get(sha string) *script {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.bySHA[sha]; el != nil {
		c.order.MoveToFront(el)
		return el.Value.(*script)
	}
	return nil
}

func (c *cache) put(s *script) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bySHA[s.sha] != nil {
		return
	}
	if c.bySHA == nil {
		c.bySHA = map[string]*list.Element{}
	}
	c.bySHA[s.sha] = c.order.PushFront(s)
	c.size += s.size + scriptOverhead
	for c.size > c.limit && c.order.Len() > 1 {
		last := c.order.Remove(c.order.Back()).(*script)
		delete(c.bySHA, last.sha)
		c.size -= last.size + scriptOverhead
	}
}

// scriptOverhead is what a compiled script takes beside what grows with its text.
const scriptOverhead = 512
