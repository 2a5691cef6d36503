package redisproto

import (
	"bytes"
	"fmt"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// MONITOR
//
// The client sees all commands that this node's clients execute, but those for
// operators, until RESET.
func monitor(c *Client, _ [][]byte) resp.Value {
	if c.executing {
		return resp.Err("ERR MONITOR isn't allowed for DENY BLOCKING client")
	}
	if c.monitoring {
		return resp.Value{}
	}
	c.holdMessages() // until the reply is written
	c.setMonitoring(true)
	return resp.OK
}

func (c *Client) setMonitoring(on bool) {
	if c.monitoring == on {
		return
	}
	c.change(func() { c.monitoring = on })
	c.listen()
	h := &c.srv.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if on {
		if h.monitors == nil {
			h.monitors = map[*Client]struct{}{}
		}
		h.monitors[c] = struct{}{}
	} else {
		delete(h.monitors, c)
	}
	h.watched.Store(len(h.monitors) > 0)
}

// show tells the monitors of a command. It costs next to nothing without any.
func (c *Client) show(spec *command.Spec, db int, args [][]byte) {
	if !c.srv.hub.watched.Load() || spec.Has(command.Admin) {
		return
	}
	now := time.Now()
	b := fmt.Appendf(nil, "+%d.%06d [%d %s]", now.Unix(), now.Nanosecond()/1000, db, c.shownAddr())
	for i, arg := range args {
		b = append(b, ' ')
		if secret(spec, args, i) {
			arg = []byte("(redacted)")
		}
		b = appendRepr(b, arg)
	}
	b = append(b, "\r\n"...)
	h := &c.srv.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	for m := range h.monitors {
		if m == c && spec.Name == "quit" {
			continue // nothing comes behind its last reply
		}
		m.post(frame{b, b})
	}
}

// shownAddr is the address that monitors see.
func (c *Client) shownAddr() string {
	if c.wire.RemoteAddr().Network() == "unix" {
		return "unix:" + c.laddr
	}
	return c.addr
}

// secret reports whether an argument is for the server alone.
func secret(spec *command.Spec, args [][]byte, i int) bool {
	switch spec.Name {
	case "auth":
		return i > 0
	case "hello":
		after := func(n int) bool { return i-n > 1 && bytes.EqualFold(args[i-n], []byte("AUTH")) }
		return after(1) || after(2)
	}
	return false
}

// appendRepr appends text in the form that people can read and type.
func appendRepr(b, text []byte) []byte {
	b = append(b, '"')
	for _, ch := range text {
		switch ch {
		case '\\', '"':
			b = append(b, '\\', ch)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\a':
			b = append(b, `\a`...)
		case '\b':
			b = append(b, `\b`...)
		default:
			if ch < ' ' || ch > '~' {
				b = fmt.Appendf(b, `\x%02x`, ch)
			} else {
				b = append(b, ch)
			}
		}
	}
	return append(b, '"')
}
