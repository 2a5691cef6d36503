package redisproto

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"phonond/redisproto/resp"
)

// CLIENT ID
func clientID(c *Client, _ [][]byte) resp.Value { return resp.Int64(c.id) }

// CLIENT INFO
func clientInfo(c *Client, _ [][]byte) resp.Value { return verbatim(c.line(time.Now()) + "\n") }

func verbatim(text string) resp.Value { return resp.Value{Kind: resp.Verbatim, Str: text} }

// all returns the connections in the order in which they came.
func (s *Server) all() []*Client {
	s.mu.Lock()
	list := make([]*Client, 0, len(s.clients))
	for _, c := range s.clients {
		if c.ctx.Err() == nil { // not killed
			list = append(list, c)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b *Client) int { return cmp.Compare(a.id, b.id) })
	return list
}

// CLIENT LIST [TYPE type] [ID id [id ...]]
func clientList(c *Client, args [][]byte) resp.Value {
	var ids map[int64]bool
	kind := "" // any
	switch {
	case len(args) == 2:
	case len(args) == 4 && bytes.EqualFold(args[2], []byte("TYPE")):
		var known bool
		if kind, known = clientType(args[3]); !known {
			return errClientType(args[3])
		}
	case len(args) > 3 && bytes.EqualFold(args[2], []byte("ID")):
		ids = map[int64]bool{}
		for _, arg := range args[3:] {
			id, ok := integer(arg)
			if !ok {
				return resp.Err("ERR Invalid client ID")
			}
			ids[id] = true
		}
	default:
		return resp.ErrSyntax
	}
	var b strings.Builder
	now := time.Now()
	for _, other := range c.srv.all() {
		if (ids == nil || ids[other.id]) && (kind == "" || kind == other.kind()) {
			b.WriteString(other.line(now))
			b.WriteByte('\n')
		}
	}
	return verbatim(b.String())
}

// clientType reads a type of connection.
func clientType(name []byte) (kind string, known bool) {
	switch kind = strings.ToLower(string(name)); kind {
	case "normal", "pubsub", "master", "replica":
		return kind, true
	case "slave":
		return "replica", true
	}
	return "", false
}

// kind is the type of a connection: none of ours is a master or a replica.
func (c *Client) kind() string {
	if c.subscriptions() > 0 {
		return "pubsub"
	}
	return "normal"
}

func errClientType(name []byte) resp.Value {
	return resp.Err("ERR Unknown client type " + quoted(name))
}

// killFilter says which connections CLIENT KILL ends.
type killFilter struct {
	id          int64  // 0 for any
	addr, laddr string // "" for any
	kind        string // "" for any
	never       bool
	skipMe      bool
}

func (f *killFilter) fits(c *Client) bool {
	return !f.never && (f.id == 0 || f.id == c.id) && (f.kind == "" || f.kind == c.kind()) &&
		(f.addr == "" || f.addr == c.addr) && (f.laddr == "" || f.laddr == c.laddr)
}

// CLIENT KILL address, or CLIENT KILL filter value [filter value ...]
func clientKill(c *Client, args [][]byte) resp.Value {
	f := killFilter{skipMe: true}
	if len(args) == 3 {
		f = killFilter{addr: string(args[2]), never: len(args[2]) == 0}
	} else if refusal := f.parse(args[2:]); refusal.IsError() {
		return refusal
	}
	killed := 0
	for _, other := range c.srv.all() {
		switch {
		case !f.fits(other) || other == c && f.skipMe:
			continue
		case other == c:
			c.quit = true // after the reply
		default:
			other.Kill()
		}
		killed++
	}
	if len(args) > 3 {
		return resp.Int(killed)
	}
	if killed == 0 {
		return resp.Err("ERR No such client")
	}
	return resp.OK
}

func (f *killFilter) parse(args [][]byte) resp.Value {
	for ; len(args) > 0; args = args[2:] {
		if len(args) == 1 {
			return resp.ErrSyntax
		}
		value := args[1]
		switch strings.ToLower(string(args[0])) {
		case "id":
			id, ok := integer(value)
			if !ok || id < 1 {
				return resp.Err("ERR client-id should be greater than 0")
			}
			f.id = id
		case "addr":
			f.addr = string(value)
		case "laddr":
			f.laddr = string(value)
		case "type":
			kind, known := clientType(value)
			if !known {
				return errClientType(value)
			}
			f.kind = kind
		case "user":
			if string(value) != defaultUser {
				return resp.Err("ERR No such user " + quoted(value))
			}
		case "skipme":
			skip, ok := yesNo(value, "yes", "no")
			if !ok {
				return resp.ErrSyntax
			}
			f.skipMe = skip
		default:
			return resp.ErrSyntax
		}
	}
	return resp.OK
}

// yesNo reads one of two words in any letter case.
func yesNo(arg []byte, yes, no string) (value, ok bool) {
	switch strings.ToLower(string(arg)) {
	case yes:
		return true, true
	case no:
		return false, true
	}
	return false, false
}

// CLIENT REPLY ON|OFF|SKIP
func clientReply(c *Client, args [][]byte) resp.Value {
	switch strings.ToLower(string(args[2])) {
	case "on":
		c.mute(false)
		c.skip = false
		return resp.OK
	case "off":
		c.mute(true)
		return resp.Value{}
	case "skip":
		c.skipNext = !c.muted
		return resp.Value{}
	}
	return resp.ErrSyntax
}

// CLIENT NO-EVICT ON|OFF
func clientNoEvict(c *Client, args [][]byte) resp.Value { return c.toggle(&c.noEvict, args[2]) }

// CLIENT NO-TOUCH ON|OFF
func clientNoTouch(c *Client, args [][]byte) resp.Value { return c.toggle(&c.noTouch, args[2]) }

func (c *Client) toggle(flag *bool, arg []byte) resp.Value {
	on, ok := yesNo(arg, "on", "off")
	if !ok {
		return resp.ErrSyntax
	}
	c.change(func() { *flag = on })
	return resp.OK
}
