package redisproto

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"

	"phonond/redisproto/resp"
)

var (
	errWrongPass  = resp.Err("WRONGPASS invalid username-password pair or user is disabled.")
	errNoPassword = resp.Err("ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?")
	errHelloNoAuth = resp.Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the " +
		"HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
		"version at the same time")
	errNoProto    = resp.Err("NOPROTO unsupported protocol version")
	errBadVersion = resp.Err("ERR Protocol version is not an integer or out of range")
	errBadName    = resp.Err("ERR Client names cannot contain spaces, newlines or special characters.")
)

// login checks a name and a password and makes the name the connection's user.
func (c *Client) login(user, password []byte) bool {
	want := c.srv.cfg.Password
	// The digests have one length, so that the time tells nothing about the
	// password's.
	a, b := sha256.Sum256(password), sha256.Sum256([]byte(want))
	same := subtle.ConstantTimeCompare(a[:], b[:]) == 1
	if string(user) != defaultUser || !same && want != "" {
		c.srv.stats.AuthFailures.Add(1)
		return false
	}
	c.setUser(defaultUser)
	return true
}

// AUTH [username] password
func auth(c *Client, args [][]byte) resp.Value {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	user, password := []byte(defaultUser), args[1]
	if len(args) == 3 {
		user, password = args[1], args[2]
	} else if c.srv.cfg.Password == "" {
		return errNoPassword
	}
	if !c.login(user, password) {
		return errWrongPass
	}
	return resp.OK
}

// HELLO [protover [AUTH username password] [SETNAME clientname]]
//
// The options take effect in turn, as in Redis: those before one that is wrong stay.
func hello(c *Client, args [][]byte) resp.Value {
	proto := c.proto
	if len(args) > 1 {
		n, ok := integer(args[1])
		switch {
		case !ok:
			return errBadVersion
		case n < 2 || n > 3:
			return errNoProto
		}
		proto = int(n)
		args = args[2:]
	} else {
		args = nil
	}
	for len(args) > 0 {
		switch {
		case bytes.EqualFold(args[0], []byte("AUTH")) && len(args) > 2:
			if !c.login(args[1], args[2]) {
				return errWrongPass
			}
			args = args[3:]
		case bytes.EqualFold(args[0], []byte("SETNAME")) && len(args) > 1:
			if !c.setName(args[1]) {
				return errBadName
			}
			args = args[2:]
		default:
			return resp.Err("ERR Syntax error in HELLO option " + quoted(args[0]))
		}
	}
	if c.user == "" {
		return errHelloNoAuth
	}
	if c.listening() {
		c.holdMessages() // messages in the new protocol come after the reply
	}
	c.change(func() { c.proto = proto })
	return resp.Pairs(
		resp.Str("server"), resp.Str("redis"),
		resp.Str("version"), resp.Str(c.srv.cfg.Version),
		resp.Str("proto"), resp.Int(proto),
		resp.Str("id"), resp.Int64(c.id),
		resp.Str("mode"), resp.Str("standalone"),
		resp.Str("role"), resp.Str("master"),
		resp.Str("modules"), resp.EmptyArray,
	)
}

// plain reports whether text can stand in a line of CLIENT LIST.
func plain(text []byte) bool {
	for _, ch := range text {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

// CLIENT SETNAME name
func clientSetName(c *Client, args [][]byte) resp.Value {
	if !c.setName(args[2]) {
		return errBadName
	}
	return resp.OK
}

func (c *Client) setName(name []byte) bool {
	if !plain(name) {
		return false
	}
	c.change(func() { c.name = string(name) })
	return true
}

// CLIENT GETNAME
func clientGetName(c *Client, _ [][]byte) resp.Value {
	if c.name == "" {
		return resp.Null
	}
	return resp.Str(c.name)
}

// CLIENT SETINFO LIB-NAME name | LIB-VER version
func clientSetInfo(c *Client, args [][]byte) resp.Value {
	field, label := &c.libName, "lib-name"
	switch {
	case bytes.EqualFold(args[2], []byte("LIB-NAME")):
	case bytes.EqualFold(args[2], []byte("LIB-VER")):
		field, label = &c.libVer, "lib-ver"
	default:
		return resp.Err("ERR Unrecognized option " + quoted(args[2]))
	}
	if !plain(args[3]) {
		return resp.Err("ERR " + label + " cannot contain spaces, newlines or special characters.")
	}
	c.change(func() { *field = string(args[3]) })
	return resp.OK
}
