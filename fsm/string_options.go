package fsm

import (
	"math"

	"phonond/redisproto/resp"
)

// setOptions are the options of SET and GETEX.
type setOptions struct {
	nx, xx, get, keepTTL, persist bool
	expiry                        *expiryOption
	ttl                           []byte // its argument
	ifeq                          bool   // only if the string is this one
	comparison                    []byte
}

// expiryOption is how a time to live is given.
type expiryOption struct {
	name     string
	unit     int64 // ms
	absolute bool  // unix time rather than a time from now
}

var expiryOptions = []expiryOption{{"EX", 1000, false}, {"PX", 1, false}, {"EXAT", 1000, true}, {"PXAT", 1, true}}

// parseSetOptions reads the options of SET, or those of GETEX, which are others.
// ok is false when they are not well formed, whatever the number in them.
func parseSetOptions(set bool, args [][]byte) (o setOptions, ok bool) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case set && is(a, "NX") && !o.xx && !o.ifeq:
			o.nx = true
		case set && is(a, "XX") && !o.nx && !o.ifeq:
			o.xx = true
		case set && is(a, "IFEQ") && !o.nx && !o.xx && !o.ifeq && i+1 < len(args):
			i++
			o.ifeq, o.comparison = true, args[i]
		case set && is(a, "GET"):
			o.get = true
		case set && is(a, "KEEPTTL") && o.expiry == nil:
			o.keepTTL = true
		case !set && is(a, "PERSIST") && o.expiry == nil:
			o.persist = true
		default:
			e := findExpiryOption(a)
			if e == nil || i+1 == len(args) || o.keepTTL || o.persist || o.expiry != nil && o.expiry != e {
				return o, false
			}
			i++
			o.expiry, o.ttl = e, args[i]
		}
	}
	return o, true
}

// allows reports whether the options let SET replace what a key holds, nil if
// there is no such key.
func (o *setOptions) allows(old *entry) bool {
	return !(o.nx && old != nil ||
		o.xx && old == nil ||
		o.ifeq && (old == nil || old.obj != nil || old.str != string(o.comparison)))
}

func findExpiryOption(arg []byte) *expiryOption {
	for i := range expiryOptions {
		if is(arg, expiryOptions[i].name) {
			return &expiryOptions[i]
		}
	}
	return nil
}

// deadline returns the deadline that the options of a command ask for, 0 for
// none, and whether it has passed.
func (o *setOptions) deadline(v *View, name string) (at int64, passed bool, fault resp.Value) {
	switch {
	case o.expiry == nil:
		return 0, false, resp.Value{}
	case o.expiry.absolute:
		return v.parseUnixTime(name, o.ttl, o.expiry.unit)
	}
	at, fault = v.parseTTL(name, o.ttl, o.expiry.unit)
	return at, false, fault
}

// parseTTL reads a time to live that must be positive, in units of so many ms,
// and returns the deadline.
func (v *View) parseTTL(name string, arg []byte, unit int64) (at int64, fault resp.Value) {
	n, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case n <= 0 || n > math.MaxInt64/unit || n*unit > math.MaxInt64-max(v.now(), v.wallNow()):
		return 0, resp.ErrInvalidExpire(name)
	}
	return v.now() + n*unit, resp.Value{}
}

// parseUnixTime reads a time that must be positive, in units of so many ms, and
// returns the deadline, and whether it has passed.
func (v *View) parseUnixTime(name string, arg []byte, unit int64) (at int64, passed bool, fault resp.Value) {
	n, ok := parseInt(arg)
	switch {
	case !ok:
		return 0, false, resp.ErrNotInteger
	case n <= 0 || n > math.MaxInt64/unit:
		return 0, false, resp.ErrInvalidExpire(name)
	}
	at, passed = v.deadlineOf(n * unit)
	return at, passed, resp.Value{}
}

// deadlineOf turns a unix time in ms into a deadline of the cluster clock, which
// is never 0, and tells whether it has passed.
func (v *View) deadlineOf(unix int64) (at int64, passed bool) {
	if unix <= v.wallNow() {
		return v.now(), true
	}
	left := unix - v.wallNow()
	if left > math.MaxInt64-v.now() {
		return math.MaxInt64, false
	}
	return v.now() + left, false
}

// unixTimeOf turns a deadline into a unix time in ms.
func (v *View) unixTimeOf(at int64) int64 {
	left := at - v.now()
	if left > math.MaxInt64-v.wallNow() {
		return math.MaxInt64
	}
	return v.wallNow() + left
}
