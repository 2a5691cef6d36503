package fsm

import (
	"bytes"
	"math"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var expireCommands = group("generic",
	write("expire", -3, 1, expireCmd, "key seconds [NX|XX|GT|LT]", "Sets the time to live of a key in seconds.").
		flags(command.Fast|command.Clock).since("1.0.0").refuse(expireRefuse),
	write("pexpire", -3, 1, pexpireCmd, "key milliseconds [NX|XX|GT|LT]", "Sets the time to live of a key in milliseconds.").
		flags(command.Fast|command.Clock).since("2.6.0").refuse(expireRefuse),
	write("expireat", -3, 1, expireatCmd, "key unix-time-seconds [NX|XX|GT|LT]", "Sets the unix time at which a key expires, in seconds.").
		flags(command.Fast|command.Clock).since("1.2.0").refuse(expireRefuse),
	write("pexpireat", -3, 1, pexpireatCmd, "key unix-time-milliseconds [NX|XX|GT|LT]", "Sets the unix time at which a key expires, in milliseconds.").
		flags(command.Fast|command.Clock).since("2.6.0").refuse(expireRefuse),
	read("ttl", 2, 1, ttlCmd, "key", "The time to live of a key in seconds; -1 for ever, -2 no such key.").
		flags(command.Fast|command.Clock).since("1.0.0"),
	read("pttl", 2, 1, pttlCmd, "key", "The time to live of a key in milliseconds; -1 for ever, -2 no such key.").
		flags(command.Fast|command.Clock).since("2.6.0"),
	read("expiretime", 2, 1, expiretimeCmd, "key", "The unix time at which a key expires, in seconds; -1 never, -2 no such key.").
		flags(command.Fast).since("7.0.0"),
	read("pexpiretime", 2, 1, pexpiretimeCmd, "key", "The unix time at which a key expires, in milliseconds; -1 never, -2 no such key.").
		flags(command.Fast).since("7.0.0"),
	write("persist", 2, 1, persistCmd, "key", "Makes a key stay for ever.").
		flags(command.Fast).since("2.2.0"),
)

// expiry is one of the four commands that set a time to live.
type expiry struct {
	name     string
	unit     int64 // ms
	absolute bool  // unix time rather than a time from now
}

func expireCmd(t *Tx, args [][]byte) resp.Value { return t.expire(expiry{"expire", 1000, false}, args) }
func pexpireCmd(t *Tx, args [][]byte) resp.Value {
	return t.expire(expiry{"pexpire", 1, false}, args)
}
func expireatCmd(t *Tx, args [][]byte) resp.Value {
	return t.expire(expiry{"expireat", 1000, true}, args)
}
func pexpireatCmd(t *Tx, args [][]byte) resp.Value {
	return t.expire(expiry{"pexpireat", 1, true}, args)
}

func (t *Tx) expire(x expiry, args [][]byte) resp.Value {
	cond, fault := parseExpireCondition(args[3:])
	if fault.IsError() {
		return fault
	}
	n, ok := parseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if n > math.MaxInt64/x.unit || n < math.MinInt64/x.unit {
		return resp.ErrInvalidExpire(x.name)
	}
	n *= x.unit
	if !x.absolute && n > math.MaxInt64-max(t.now(), t.wallNow()) {
		return resp.ErrInvalidExpire(x.name)
	}
	e := t.find(args[1])
	if e == nil {
		return resp.Int(0)
	}
	at, passed := t.now()+max(n, 0), n <= 0
	if x.absolute {
		at, passed = t.deadlineOf(n)
	}
	if passed {
		at = t.now()
	}
	if !cond.allows(e.deadline, at) {
		return resp.Int(0)
	}
	if passed {
		t.delete(args[1])
	} else {
		t.setDeadline(args[1], at)
	}
	return resp.Int(1)
}

// expireRefuse answers the setting of a time to live of a key that is not there.
func expireRefuse(v *View, args [][]byte) (resp.Value, bool) {
	return resp.Int(0), len(args) == 3 && v.find(args[1]) == nil && validInt(args[2])
}

// validInt reports whether an argument is a number that no unit makes too large.
func validInt(arg []byte) bool {
	n, ok := parseInt(arg)
	return ok && n == int64(int32(n))
}

// expireCondition is the options NX, XX, GT and LT of EXPIRE.
type expireCondition struct{ nx, xx, gt, lt bool }

// beforeNUL is what C prints of an argument.
func beforeNUL(arg []byte) string {
	text, _, _ := bytes.Cut(arg, []byte{0})
	return string(text)
}

func parseExpireCondition(args [][]byte) (c expireCondition, fault resp.Value) {
	for _, a := range args {
		switch {
		case is(a, "NX"):
			c.nx = true
		case is(a, "XX"):
			c.xx = true
		case is(a, "GT"):
			c.gt = true
		case is(a, "LT"):
			c.lt = true
		default:
			return c, resp.Err("ERR Unsupported option " + beforeNUL(a))
		}
	}
	switch {
	case c.nx && (c.xx || c.gt || c.lt):
		return c, resp.Err("ERR NX and XX, GT or LT options at the same time are not compatible")
	case c.gt && c.lt:
		return c, resp.Err("ERR GT and LT options at the same time are not compatible")
	}
	return c, resp.Value{}
}

// allows compares a new deadline with the present one, 0 for never.
func (c expireCondition) allows(current, at int64) bool {
	return !(c.nx && current != 0 ||
		c.xx && current == 0 ||
		c.gt && (current == 0 || at <= current) ||
		c.lt && current != 0 && at >= current)
}

func persistCmd(t *Tx, args [][]byte) resp.Value {
	e := t.find(args[1])
	if e == nil || e.deadline == 0 {
		return resp.Int(0)
	}
	t.setDeadline(args[1], 0)
	return resp.Int(1)
}

func ttlCmd(v *View, args [][]byte) resp.Value {
	return v.deadlineReply(args[1], func(at int64) int64 { return seconds(at - v.now()) })
}

func pttlCmd(v *View, args [][]byte) resp.Value {
	return v.deadlineReply(args[1], func(at int64) int64 { return at - v.now() })
}

func expiretimeCmd(v *View, args [][]byte) resp.Value {
	return v.deadlineReply(args[1], func(at int64) int64 { return seconds(v.unixTimeOf(at)) })
}

func pexpiretimeCmd(v *View, args [][]byte) resp.Value {
	return v.deadlineReply(args[1], v.unixTimeOf)
}

// seconds rounds ms to seconds.
func seconds(ms int64) int64 { return ms/1000 + (ms%1000+500)/1000 }

// deadlineReply answers with what f makes of a key's deadline.
func (v *View) deadlineReply(key []byte, f func(at int64) int64) resp.Value {
	switch e := v.find(key); {
	case e == nil:
		return resp.Int(-2)
	case e.deadline == 0:
		return resp.Int(-1)
	default:
		return resp.Int64(f(e.deadline))
	}
}
