package lua

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// echo is a host that knows no state.
type echo struct{}

func (echo) Call(args [][]byte) resp.Value               { return resp.Str(string(args[len(args)-1])) }
func (echo) Allowed(args [][]byte) (allowed, known bool) { return true, true }
func (echo) Log(int, string)                             {}

// TestHostileScripts runs what would take all memory or time. Each must end with an error,
// soon, and without much memory.
func TestHostileScripts(t *testing.T) {
	e := New(Limits{Steps: 10_000_000})
	for name, script := range map[string]string{
		"loop":               `while true do end`,
		"caught loop":        `while true do pcall(function() while true do end end) end`,
		"caught by xpcall":   `while true do xpcall(function() while true do end end, function() while true do end end) end`,
		"repeat":             `return pcall(string.rep, 'x', 2e9)`,
		"doubling":           `local s = 'x' while true do s = s .. s end`,
		"caught doubling":    `local s = 'x' while true do pcall(function() s = s .. s end) end`,
		"list":               `local t = {} while true do t[#t + 1] = {} end`,
		"fields":             `local t = {} local i = 0 while true do i = i + 1 t['k' .. i] = i end`,
		"strings in locals":  `local function f(s) return f(s .. 'x') .. s end return f(string.rep('x', 1e5))`,
		"strings in calls":   `local function f(n) return tostring(string.rep('x', 1e6)) .. f(n + 1) end return f(1)`,
		"closures":           `local t = {} while true do local x t[#t + 1] = function() return x end end`,
		"iterators":          `local t = {} while true do t[#t + 1] = string.gmatch(string.rep('x', 1e6), 'y') end`,
		"captures":           `return string.match(string.rep('x', 5e6), '((((((((((((((((((.*))))))))))))))))))')`,
		"format":             `local t = {} while true do t[#t + 1] = string.format('%99.99f', 1) end`,
		"gsub":               `return string.gsub(string.rep('x', 1e6), 'x', string.rep('y', 1e4))`,
		"table.concat":       `local t = {} for i = 1, 1e4 do t[i] = 'x' end return table.concat(t, string.rep('y', 1e5))`,
		"backtracking":       `return string.find(string.rep('a', 5000), '.-.-.-.-b')`,
		"nested repetitions": `return string.rep('a', 1e5):match(string.rep('a*', 50) .. 'b')`,
		"deep pattern":       `return string.rep('a', 1e5):match(string.rep('a?', 1e5) .. 'b')`,
		"recursion":          `local function f() return 1 + f() end return f()`,
		"tail recursion":     `local function f() return f() end return f()`,
		"metamethods":        `local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k + 1] end return t[1]`,
		"index loop":         `local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x.y`,
		"sort":               `local t = {} for i = 1, 1e6 do t[i] = -i end table.sort(t, function(a, b) while true do end end)`,
		"insert":             `local t = {} while true do table.insert(t, 1, 0) end`,
		"big index insert":   `table.insert({}, -2147483647, 1)`,
		"load":               `while true do loadstring(string.rep('x = 1 ', 1e4)) end`,
		"load forever":       `load(function() return 'x = 1 ' end)`,
		"json depth":         `local t = {} t[1] = t cjson.encode_max_depth(2^31 - 1) return cjson.encode(t)`,
		"json width":         `local a = {} for i = 1, 20 do a = {a, a, a} end return cjson.encode(a)`,
		"json list":          `return cjson.decode('[' .. string.rep('[],', 3e6) .. '1]')`,
		"json nesting":       `cjson.decode_max_depth(2^31 - 1) return cjson.decode(string.rep('[', 1e6))`,
		"reply width":        `local a = {} for i = 1, 12 do a = {a, a, a, a} end return a`,
		"unpack":             `return unpack({}, 1, 2^31 - 2)`,
		"concat range":       `return table.concat({}, 'x', 1, 2^31 - 1)`,
		"commands":           `while true do redis.call('echo', 'x') end`,
		"caught commands":    `while true do redis.pcall('echo', string.rep('x', 1e6)) end`,
		"coroutine":          `return coroutine.create(function() end)`,
		"many levels":        `return ` + strings.Repeat("(", 100000),
		"long chain":         `return 1` + strings.Repeat(" + x", 100000),
		"many suffixes":      `return x` + strings.Repeat(".y", 100000),
		"many functions":     strings.Repeat("return function() ", 50000),
	} {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			var before, most runtime.MemStats
			runtime.ReadMemStats(&before)
			most = before
			var done atomic.Bool
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				for now := before; !done.Load(); runtime.ReadMemStats(&now) {
					if now.HeapInuse+now.StackInuse > most.HeapInuse+most.StackInuse {
						most = now
					}
					runtime.Gosched()
				}
			}()
			start := time.Now()
			reply := runScript(e, echo{}, script)
			took := time.Since(start)
			done.Store(true)
			<-watched
			if !strings.HasPrefix(reply.Str, "ERR ") || reply.Kind != resp.Error {
				t.Errorf("reply %.100q", reply.Append(nil, 2))
			}
			if took > 8*time.Second {
				t.Errorf("took %v: %s", took, reply.Str)
			}
			grown := int64(most.HeapInuse+most.StackInuse) - int64(before.HeapInuse+before.StackInuse)
			if grown > 160<<20 {
				t.Errorf("took %d MiB: %s", grown>>20, reply.Str)
			}
		})
	}
	if got := runScript(e, echo{}, "return 1"); got.Int != 1 {
		t.Errorf("afterwards: %q", got.Append(nil, 2))
	}
}

// TestStepsAreExact runs a script that stops for want of steps: always at the same place.
func TestStepsAreExact(t *testing.T) {
	e := New(Limits{Steps: 100_000})
	script := `local n = 0 while true do n = n + 1 if n % 100 == 0 then redis.call('echo', n) end end`
	var counts [3]int
	for i := range counts {
		host := counter{n: &counts[i]}
		if reply := runScript(e, host, script); !strings.Contains(reply.Str, "steps") {
			t.Fatalf("reply %q", reply.Str)
		}
	}
	if counts[0] == 0 || counts[0] != counts[1] || counts[1] != counts[2] {
		t.Errorf("commands before the end: %v", counts)
	}
}

type counter struct {
	echo
	n *int
}

func (c counter) Call(args [][]byte) resp.Value {
	*c.n++
	return resp.OK
}

// TestKill ends a script from outside, whatever it catches.
func TestKill(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	killed := errors.New("Script killed by user with SCRIPT KILL...")
	host := hook{call: func() { cancel(killed) }}
	script := `redis.call('x') while true do pcall(function() while true do end end) end`
	got := New(Limits{}).Run(ctx, host, shaOf(script), script, nil, nil)
	if want := "ERR " + killed.Error() + " script: " + shaOf(script) + ", on @user_script:1."; got.Str != want {
		t.Errorf("got %q, want %q", got.Str, want)
	}
}

type hook struct {
	echo
	call func()
}

func (h hook) Call(args [][]byte) resp.Value {
	h.call()
	return resp.OK
}

// TestNothingLeaks runs scripts that would spoil the next one, and the next one.
func TestNothingLeaks(t *testing.T) {
	e := New(Limits{})
	probe := `local n = 0
for k, v in pairs(_G) do n = n + 1 end
local t = {}
for _, l in ipairs({string, table, math, bit, cjson, redis}) do for k, v in pairs(l) do n = n + 1 end end
return {n, ('x'):upper(), tostring(getmetatable('').__index == string), tostring(rawget(_G, 'leak')), KEYS[1], #KEYS, #ARGV,
  cjson.encode({1 / 3}), cjson.encode_max_depth(), tostring(t.x), tostring({}), type(redis.call('echo', 'x'))}`
	want := string(runScript(e, echo{}, probe).Append(nil, 2))
	for _, script := range []string{
		`getmetatable('').__index = nil`,
		`getmetatable('').__index = function() return 'leak' end`,
		`getmetatable(_G).__index = nil`,
		`rawset(getmetatable(''), '__index', nil)`,
		`rawset(_G, 'leak', 1)`,
		`rawset(string, 'upper', nil)`,
		`string.upper = nil`,
		`table.insert(string, 1)`,
		`table.remove(redis)`,
		`table.sort(_G)`,
		`setmetatable(_G, {__index = function() return 'leak' end})`,
		`setmetatable(string, {__index = function() return 'leak' end})`,
		`setmetatable(getmetatable(''), {})`,
		`leak = 1`,
		`function leak() end`,
		`_G.leak = 1`,
		`loadstring('leak = 1')()`,
		`KEYS[1] = 'leak' ARGV[10] = 1 return 1`,
		`cjson.encode_max_depth(1) cjson.encode_number_precision(2) return 1`,
		`redis.setresp(3) return 1`,
		`redis.call = nil`,
		`bit.band = bit.bor`,
		`local t = {} for i = 1, 1000 do t[i] = {} end error(t)`,
	} {
		runScript(e, echo{}, script)
		if got := string(runScript(e, echo{}, probe).Append(nil, 2)); got != want {
			t.Errorf("after %s\n  %q\nbefore\n  %q", script, got, want)
		}
	}
}

func BenchmarkTokenBucket(b *testing.B) {
	script := `local tokens = tonumber(redis.call('GET', KEYS[1])) or 10
local last = tonumber(redis.call('GET', KEYS[2])) or 0
local now = tonumber(ARGV[1])
tokens = math.min(10, tokens + (now - last) * 2)
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('SET', KEYS[1], tokens, 'EX', 10)
redis.call('SET', KEYS[2], now, 'EX', 10)
return { allowed and 1 or 0, tostring(tokens) }`
	e, sha := New(Limits{}), shaOf(script)
	keys, argv := [][]byte{[]byte("k1"), []byte("k2")}, [][]byte{[]byte("10")}
	host := numbers{}
	b.ReportAllocs()
	for b.Loop() {
		e.Run(context.Background(), host, sha, script, keys, argv)
	}
}

type numbers struct{ echo }

func (numbers) Call(args [][]byte) resp.Value { return resp.Str("5") }

func FuzzScript(f *testing.F) {
	for _, s := range []string{"return 1", "local t = {} for i = 1, 3 do t[i] = i .. 'x' end return t", "return string.format('%5.2f|%q', 1.5, 'x')",
		"return cjson.decode('[1,{\"a\":null}]')", "return ('x'):gsub('(.)%1', {})", "return pcall(error, {err = 'x'})"} {
		f.Add(s)
	}
	e := New(Limits{Steps: 100_000, Memory: 4 << 20, Time: time.Second, Cached: 1})
	f.Fuzz(func(t *testing.T, script string) {
		start := time.Now()
		runScript(e, echo{}, script).Append(nil, 3)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func FuzzCjsonDecode(f *testing.F) {
	for _, s := range []string{`[1,2]`, `{"a":{"b":[null,true,1e5,"\u00e9"]}}`, `"\ud83d\ude00"`, `[`} {
		f.Add([]byte(s))
	}
	e := New(Limits{Steps: 1_000_000, Memory: 8 << 20})
	script := `local v = cjson.decode(ARGV[1]) local s = cjson.encode(v) return s == cjson.encode(cjson.decode(s))`
	f.Fuzz(func(t *testing.T, text []byte) {
		reply := e.Run(context.Background(), echo{}, shaOf(script), script, nil, [][]byte{text})
		reply.Append(nil, 2)
	})
}

func FuzzCmsgpack(f *testing.F) {
	for _, s := range []string{"\x93\x01\xa1x\xc0", "\x81\xa1a\xcb\x00\x00\x00\x00\x00\x00\x00\x00", "\xdd\xff\xff\xff\xff"} {
		f.Add([]byte(s))
	}
	e := New(Limits{Steps: 1_000_000, Memory: 8 << 20})
	script := `return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))`
	f.Fuzz(func(t *testing.T, data []byte) {
		e.Run(context.Background(), echo{}, shaOf(script), script, nil, [][]byte{data})
	})
}
