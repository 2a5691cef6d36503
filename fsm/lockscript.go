package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/resp"
)

// lockScript is a well-known lock script as a command of its own: what it does,
// and the errors it makes, are those of the Lua text with that SHA1. Unlike the
// text, a script that ends in an error changes nothing.
type lockScript struct {
	sha  string
	name string
	f    func(s *scriptRun) resp.Value
}

// lockScripts are the scripts by SHA1.
var lockScripts = scriptsBySHA(
	lockScript{"5688a2541c9edd77746bcd2385e65ff3639a664f", "redis-py 2.10 LuaLock acquire", (*scriptRun).acquire},
	lockScript{"c3f8721cbb97f72bc19e972846bd7aaf91901658", "redis-py release", (*scriptRun).release},
	lockScript{"4a484ac024e9b025224cd9f8e1d59dbf3c15d00d", "redis-py 2.10 to 3.3 extend", (*scriptRun).extend},
	lockScript{"a4e8783852e6b949f9ef3a97212805108459a890", "redis-py 3.4 extend", (*scriptRun).extendOrReplace},
	lockScript{"1cac51482acf5858da00f6d685d68f886cd6b6b2", "redis-py reacquire", (*scriptRun).reacquire},
	lockScript{"e950836ed1e694540c503ef9972b8de518044d3b", "redsync 4.12 delete", (*scriptRun).deleteOrAbsent},
	lockScript{"00583931c4e4d483f6233879c133c71ed5393f9d", "redsync delete", (*scriptRun).release},
	lockScript{"d75bb8b5bd13532ddedd17762e772346e39b321e", "redsync touch", (*scriptRun).touch},
	lockScript{"53692746b44cae854b8dfa32b177218bbe40baee", "redsync 3 touch", (*scriptRun).touch},
	lockScript{"b6b55c439e02c6f52ffb8be7ec8c0d0ac816ea79", "redsync 4.12 touch with SET NX", (*scriptRun).touchOrSet},
)

func scriptsBySHA(list ...lockScript) map[string]*lockScript {
	m := make(map[string]*lockScript, len(list))
	for i := range list {
		m[list[i].sha] = &list[i]
	}
	return m
}

// run executes the script.
func (s *lockScript) run(t *Tx, keys, argv [][]byte) resp.Value {
	return s.f(&scriptRun{View: &t.View, tx: t, script: s, keys: keys, argv: argv})
}

// refuse answers the script if it would change nothing.
func (s *lockScript) refuse(v *View, keys, argv [][]byte) (reply resp.Value, ok bool) {
	r := &scriptRun{View: v, script: s, keys: keys, argv: argv}
	reply = s.f(r)
	return reply, !r.changes || reply.IsError()
}

// scriptRun is one execution of a script.
type scriptRun struct {
	*View
	tx         *Tx // nil when it is only asked whether the script would change anything
	script     *lockScript
	keys, argv [][]byte
	changes    bool
	grows      bool // it makes a key
}

// arg returns KEYS[i] or ARGV[i], counted from 1, nil if there are fewer.
func arg(list [][]byte, i int) []byte {
	if i > len(list) {
		return nil
	}
	return list[i-1]
}

// fail makes the error of a redis.call in the given line of the text.
func (s *scriptRun) fail(fault resp.Value, line int) resp.Value {
	return resp.Err(fault.Str + " script: " + s.script.sha + ", on @user_script:" + strconv.Itoa(line) + ".")
}

// errScriptArgs is what redis.call makes of nil.
var errScriptArgs = resp.Err("ERR Lua redis lib command arguments must be strings or integers")

// get is redis.call("get", KEYS[1]) in line 2, held false if there is no such
// key, and whether the value is ARGV[1].
func (s *scriptRun) get() (held, own bool, fault resp.Value) {
	key := arg(s.keys, 1)
	if key == nil {
		return false, false, s.fail(errScriptArgs, 2)
	}
	value, held, ok := getString(s.View, key)
	if !ok {
		return false, false, s.fail(resp.ErrWrongType, 2)
	}
	token := arg(s.argv, 1)
	return held, held && token != nil && value == string(token), fault
}

// del is redis.call("del", KEYS[1]) of a key that is there.
func (s *scriptRun) del() resp.Value {
	s.changes = true
	if s.tx != nil {
		s.tx.delete(s.keys[0])
	}
	return resp.Int(1)
}

// pexpire is redis.call("pexpire", KEYS[1], ttl) of a key that is there.
func (s *scriptRun) pexpire(ttl []byte, line int) resp.Value {
	if ttl == nil {
		return s.fail(errScriptArgs, line)
	}
	ms, ok := parseInt(ttl)
	switch {
	case !ok:
		return s.fail(resp.ErrNotInteger, line)
	case ms > math.MaxInt64-max(s.now(), s.wallNow()):
		return s.fail(resp.ErrInvalidExpire("pexpire"), line)
	}
	s.changes = true
	if s.tx != nil {
		if ms <= 0 {
			s.tx.delete(s.keys[0])
		} else {
			s.tx.setDeadline(s.keys[0], s.now()+ms)
		}
	}
	return resp.Int(1)
}

func (s *scriptRun) acquire() resp.Value {
	key, token := arg(s.keys, 1), arg(s.argv, 1)
	if key == nil || token == nil {
		return s.fail(errScriptArgs, 2)
	}
	if s.find(key) != nil {
		return resp.Int(0)
	}
	s.changes, s.grows = true, true
	if s.tx != nil {
		s.tx.setString(key, string(token), 0)
	}
	if ttl := arg(s.argv, 2); ttl == nil || len(ttl) > 0 {
		return s.pexpire(ttl, 4)
	}
	return resp.Int(1)
}

func (s *scriptRun) release() resp.Value {
	_, own, fault := s.get()
	if fault.IsError() || !own {
		return orZero(fault)
	}
	return s.del()
}

// orZero returns an error if there is one, or else 0.
func orZero(fault resp.Value) resp.Value {
	if fault.IsError() {
		return fault
	}
	return resp.Int(0)
}

func (s *scriptRun) extend() resp.Value {
	left, ok, fault := s.left()
	if fault.IsError() || !ok {
		return orZero(fault)
	}
	ttl, fault := s.plus(left, 13)
	if fault.IsError() {
		return fault
	}
	return s.pexpire(ttl, 13)
}

func (s *scriptRun) extendOrReplace() resp.Value {
	left, ok, fault := s.left()
	if fault.IsError() || !ok {
		return orZero(fault)
	}
	ttl := arg(s.argv, 2)
	if string(arg(s.argv, 3)) == "0" {
		if ttl, fault = s.plus(left, 16); fault.IsError() {
			return fault
		}
	}
	return s.pexpire(ttl, 18)
}

// left is what is left of the time of a lock, in ms: 0 in its last one. ok is false
// when it is not the caller's, or has none.
func (s *scriptRun) left() (ms int64, ok bool, fault resp.Value) {
	_, own, fault := s.get()
	if fault.IsError() || !own {
		return 0, false, fault
	}
	e := s.find(s.keys[0])
	return e.deadline - s.now(), e.deadline != 0, fault
}

// plus is the Lua sum of a number and ARGV[2], as an argument of redis.call.
func (s *scriptRun) plus(n int64, line int) (sum []byte, fault resp.Value) {
	add := arg(s.argv, 2)
	what := "string"
	if add == nil {
		what = "nil"
	} else if f, ok := parseLuaNumber(add); ok {
		return []byte(formatNumber(float64(n) + f)), fault
	}
	return nil, s.fail(resp.Err("ERR user_script:"+strconv.Itoa(line)+
		": attempt to perform arithmetic on field '?' (a "+what+" value)"), line)
}

func (s *scriptRun) reacquire() resp.Value {
	_, own, fault := s.get()
	if fault.IsError() || !own {
		return orZero(fault)
	}
	return s.pexpire(arg(s.argv, 2), 6)
}

func (s *scriptRun) deleteOrAbsent() resp.Value {
	held, own, fault := s.get()
	switch {
	case fault.IsError():
		return fault
	case own:
		return s.del()
	case !held:
		return resp.Int(-1)
	}
	return resp.Int(0)
}

func (s *scriptRun) touch() resp.Value {
	_, own, fault := s.get()
	if fault.IsError() || !own {
		return orZero(fault)
	}
	return s.pexpire(arg(s.argv, 2), 3)
}

func (s *scriptRun) touchOrSet() resp.Value {
	held, own, fault := s.get()
	switch {
	case fault.IsError():
		return fault
	case own:
		return s.pexpire(arg(s.argv, 2), 3)
	}
	token, ttl := arg(s.argv, 1), arg(s.argv, 2)
	if token == nil || ttl == nil {
		return s.fail(errScriptArgs, 4)
	}
	at, fault := s.parseTTL("set", ttl, 1)
	switch {
	case fault.IsError():
		return s.fail(fault, 4)
	case held:
		return resp.Int(0)
	}
	s.changes, s.grows = true, true
	if s.tx != nil {
		s.tx.setString(s.keys[0], string(token), at)
		s.tx.notify(EventGeneric, "expire", s.keys[0])
	}
	return resp.Int(1)
}
