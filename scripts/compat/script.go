package main

import (
	"fmt"
	"strconv"
	"strings"
)

// scriptSession runs small scripts.
func scriptSession(d *drawer) (steps []step) {
	for len(steps) < length/2 {
		if d.chance(4) {
			steps = append(steps, draw(d, single, multiple))
			continue
		}
		w := &scripter{drawer: d}
		text := w.script()
		name := d.one("EVAL", "EVAL", "EVAL", "EVAL", "EVAL_RO")
		args := append([]string{name, text, strconv.Itoa(len(w.keys))}, w.keys...)
		s := step{args: append(args, w.argv()...)}
		if w.unordered {
			s.rule = &rule{deep: true}
		}
		steps = append(steps, s)
	}
	return steps
}

// scripter writes scripts.
type scripter struct {
	*drawer
	keys      []string
	unordered bool // a reply in it has no order
}

func (w *scripter) argv() []string {
	var list []string
	for range 3 {
		list = append(list, w.one("1", "2.5", "abc", "", "-3", "1e3", "0x10", "x\x00y"))
	}
	return list
}

// script draws a script.
func (w *scripter) script() string {
	switch w.IntN(10) {
	case 0:
		return "local a = " + w.value(2) + "; return {a, type(a), " + w.value(1) + "}"
	case 1:
		return "local r = " + w.call("pcall") + "; if type(r) == 'table' and r.err then return {'failed', r.err} end; return r"
	case 2:
		return fmt.Sprintf("for i = 1, %d do %s end; return %s", 1+w.IntN(4), w.call("call"), w.call("call"))
	case 3:
		return fmt.Sprintf("redis.setresp(%s); return %s", w.one("2", "3", "3", "4"), w.call(w.one("call", "pcall")))
	case 4:
		return "local ok, e = pcall(function() return " + w.value(1) + " end); return {tostring(ok), type(e)" + w.one("", ", e") + "}"
	case 5:
		return w.call("call") + "; " + w.call("call") + "; return " + w.value(1)
	case 6:
		return "local r = " + w.call(w.one("call", "pcall")) + "; return {type(r), " + w.one("tostring(r == false)", "r", "type(r) == 'table' and #r or 0") + "}"
	case 7:
		return w.one("return", "", "return nil", "return x", "x = 1; return x", "return redis.call()", "return redis.call('nosuch')", "return redis.call('get')",
			"error('e')", "error({err='My error'})", "return {err='ERR own'}", "return {err='plain words'}", "return redis.error_reply('MY text')", "return redis.status_reply('fine')",
			"syntax error", "return redis.REPL_ALL", "return redis.log(redis.LOG_DEBUG, 'x')", "return redis.sha1hex()", "return #redis.sha1hex('x')", "return redis.nosuch()",
			"return KEYS[10]", "return {1, 2, nil, 4}", "return {ok='a', 1}", "return {double=3.5}", "return {map={a=1}}", "return {set={a=true}}", "return {big_number='123'}",
			"redis.setresp(3); return {double=3.5}", "redis.setresp(3); return {map={a=1}}", "redis.setresp(3); return redis.call('hgetall','{t}nosuch')",
			"return tostring(nil)", "return _VERSION", "return 1e15", "return 2^53", "return -0", "return 3.99", "return -3.99", "return 0/0 ~= 0/0", "return true", "return false",
			"return redis.call('set','{t}s1')", "return redis.pcall('set','{t}s1').err", "return redis.call('multi')", "return redis.pcall('subscribe','x')", "return redis.replicate_commands()",
			"return redis.set_repl(redis.REPL_ALL)", "return redis.acl_check_cmd('get','{t}s1')", "return redis.breakpoint()", "return redis.REDIS_VERSION_NUM > 0",
			"#!lua flags=no-writes\nreturn redis.call('get','{t}s1')", "#!lua flags=no-writes\nreturn redis.call('set','{t}s1','x')", "#!lua flags=nosuch\nreturn 1", "#!nolua\nreturn 1", "#!lua\nreturn 1",
			"return loadstring('return 5')()", "return type(print)", "return type(os)", "return type(os.clock)", "return type(io)", "return type(require)", "return type(coroutine)", "return type(setmetatable)",
			"return math.max(1, 5)", "return string.rep('ab', 3)", "return table.concat({1,2,3}, ',')", "local t = {3,1,2}; table.sort(t); return t", "return string.format('%5.2f|%d|%s|%q', 3.14159, 42, 'x', 'y')",
			"return {string.find('hello world', 'o w')}", "return string.gsub('hello', 'l', 'L')", "return select('#', 1, nil, nil)", "return {unpack({1,2,3})}", "return tostring(1e100)", "return tostring(2^63)",
			"return tonumber('0x1F')", "return tonumber('z', 36)", "return tonumber('x')", "return #ARGV .. ''", "return next({}) == nil", "local a = {}; a.a = a; return 1",
			"return redis.call('get', {})", "return redis.call('get', true)", "return redis.call('set', '{t}s1', 1.5)", "return redis.call('set', '{t}s1', 10)", "return redis.call('incrbyfloat', '{t}s2', 0.1)",
			"return {1, {2, {3, {4}}}}", "return {{}, {}}", "return ''", "return {''}", "return {ok='x\\r\\ny'}", "return {err='x\\r\\ny'}")
	}
	return "return " + w.value(2)
}

// value draws an expression.
func (w *scripter) value(depth int) string {
	n := 24
	if depth == 0 {
		n = 9
	}
	sub := func() string { return w.value(depth - 1) }
	switch w.IntN(n) {
	case 0:
		return w.one("1", "0", "-1", "3.7", "-3.7", "1e3", "9007199254740993", "1e20", "2^31", "0.1", "255")
	case 1:
		return w.one("nil", "true", "false")
	case 2:
		return w.one("'text'", "''", "'10'", "'a\\0b'", "'\\255\\254'", "[[long\nstring]]")
	case 3, 4:
		return w.one("ARGV[1]", "ARGV[2]", "ARGV[3]", "ARGV[4]", "#ARGV", "#KEYS", "KEYS[1]")
	case 5:
		return w.one("tonumber(ARGV[1])", "tostring(ARGV[2])", "redis.sha1hex(ARGV[1])", "#KEYS + #ARGV", "string.len(ARGV[1])")
	case 6:
		return w.one("{}", "{1, 2, 3}", "{'a', 1, true}", "{a = 1}", "{1, nil, 3}", "{ok = 'FINE'}", "{err = 'ERR mine'}")
	case 7:
		return w.one("7 % 3", "-7 % 3", "7 / 2", "2 ^ 10", "10 .. 20", "1 == 1", "'a' < 'b'", "not nil", "1 and 2", "nil or 'x'", "#'abc'")
	case 8:
		return w.one("math.floor(3.7)", "math.abs(-2)", "math.fmod(7, 3)", "math.huge", "-math.huge", "math.pi", "string.upper('abc')", "string.sub('hello', 2, -2)",
			"string.byte('A')", "string.char(72, 105)", "string.reverse('abc')", "('x'):rep(3)")
	case 9, 10, 11, 12:
		return w.call(w.one("call", "pcall"))
	case 13:
		return "cjson.encode(" + w.one(sub(), "{1, 2, {3}}", "{a = 'x'}", "{}", "'a/b\"c\\\\'", "1.5", "{1, nil, 3}", "1e15", "cjson.null", "0.1", "123456789012345") + ")"
	case 14:
		return "cjson.decode('" + w.one(`{"a":1}`, `[1,2,3]`, `"x"`, `1.5`, `null`, `[null,true]`, `{`, ``, `[1e3,-0,"\\u00e9"]`, `{"a":{"b":[1]}}`) + "')" + w.one("", "", ".a", "[1]")
	case 15:
		return w.one("bit.band(0xff, 0x0f)", "bit.bor(1, 6)", "bit.bxor(5, 1)", "bit.lshift(1, 31)", "bit.rshift(-1, 28)", "bit.arshift(-8, 1)", "bit.bnot(0)", "bit.tohex(255, 4)",
			"bit.tohex(-1)", "bit.rol(0x12345678, 12)", "bit.bswap(0x12345678)", "bit.tobit(2^40 + 5)")
	case 16:
		return w.one("struct.pack('>I2', 258)", "struct.pack('<i4', -2)", "struct.unpack('>I2', '\\1\\2')", "struct.pack('s', 'abc')", "struct.size('i4')", "struct.pack('BBc3', 1, 2, 'xyz')",
			"struct.pack('d', 1.5)", "struct.pack('q', 1)", "struct.unpack('c0', 'abc')", "struct.unpack('I8', 'x')")
	case 17:
		return "cmsgpack.unpack(cmsgpack.pack(" + w.one("{1, 2, 3}", "'x'", "1.5", "-5", "nil", "true", "{a = 1}", "2^40", "{}") + "))"
	case 18:
		return "cmsgpack.pack(" + w.one("{1, 2, 3}", "'x'", "1.5", "-5", "nil", "true", "70000", "2^40", "{}", "-200") + ")"
	case 19:
		return "type(" + sub() + ")"
	case 20:
		return "tostring(" + w.one("1", "1.5", "1e15", "1e16", "2^53", "-0", "nil", "true", "ARGV[1]", "1/3", "1e300 * 1e10", "100") + ")"
	case 21:
		return "{" + sub() + ", " + sub() + "}"
	case 22:
		return w.one("redis.status_reply(", "redis.error_reply(") + w.one("'X'", "'ERR y'", "'-Z z'", "'two words'", "1") + ")"
	}
	return "(" + sub() + ")"
}

// call draws a call of a command.
func (w *scripter) call(how string) string {
	for {
		plain := *w.drawer
		plain.plain = true
		s := draw(&plain, multiple)
		if w.chance(2) {
			s = draw(w.drawer, single)
		}
		w.unique = max(w.unique, plain.unique)
		name := nameOf(s.args)
		if notInScripts[name] || w.tag != "" && keyAt(s.args) > 0 && !strings.HasPrefix(s.args[keyAt(s.args)], w.tag) {
			continue
		}
		if r := rules[name]; r != nil {
			w.unordered = true
		}
		words := make([]string, len(s.args))
		for i, a := range s.args {
			words[i] = luaString(a)
			if w.tag != "" && strings.HasPrefix(a, w.tag) && i > 0 {
				w.keys = append(w.keys, a)
				words[i] = fmt.Sprintf("KEYS[%d]", len(w.keys))
			}
		}
		return "redis." + how + "(" + strings.Join(words, ", ") + ")"
	}
}

// keyAt returns where the first key of a command is, if it may be there, or 0.
func keyAt(args []string) int {
	at := 1
	switch nameOf(args) {
	case "object|encoding", "object|refcount", "object|freq", "bitop", "sintercard", "zintercard", "lmpop", "zmpop", "zunion", "zinter", "zdiff":
		at = 2
	case "blmpop", "bzmpop":
		at = 3
	}
	if at >= len(args) {
		return 0
	}
	return at
}

// notInScripts are the commands the replies of which are compared otherwise than by
// their order.
var notInScripts = map[string]bool{
	"ttl": true, "pttl": true, "expiretime": true, "pexpiretime": true, "spop": true, "object|encoding": true, "object|idletime": true, "memory|usage": true,
	"srandmember": true, "hrandfield": true, "zrandmember": true,
}

// luaString writes a string as Lua reads it.
func luaString(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03d", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
