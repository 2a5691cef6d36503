return {KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], #KEYS, #ARGV, KEYS[3]}
return 1
return 'x'
return nil
return true
return false
return 3.99
return -3.99
return 1e30
return 0/0
return {1,2,3,nil,5}
return {1,{2,{3,{}}},"x",true,false}
return {ok="fine"}
return {err="My error"}
return {err="line\nbreak\r\n"}
return {double=1.5}
return {double=1/3}
return {double=1/0}
return {double=0/0}
return {big_number="123456789012345678901234567890"}
return {verbatim_string={format="txt",string="hello"}}
return {map={a=1}}
return {set={a=true}}
return function() end
return nosuch
x = 1
redis.x = 1
string.x = 1
KEYS = {}
KEYS[1] = 'y' return KEYS[1]
rawset(_G, 'x', 1)
rawset(redis, 'x', 1)
setmetatable(_G, nil)
setmetatable(redis, {})
getmetatable('').__index = nil
getmetatable('').x = nil
getmetatable(_G).__index = nil
table.insert(redis, 1)
return _G._G == _G
return type(getmetatable(_G))
return _VERSION
return tostring(nil) .. tostring(true) .. tostring(1)
return tostring(1/3)
return tostring(1e15)
return tostring(1e14)
return tostring(123456789012345)
return tostring(99999999999999)
return tostring(-0)
return tostring(0/0)
return tostring(-(0/0))
return tostring(1/0)
return tostring(-1/0)
return tostring(math.huge)
return tostring(2^53)
return tostring(0.1)
return tostring(1e-5)
return tostring(1e100)
return tostring(5%0) .. tostring(5%(1/0)) .. tostring((1/0)%5) .. tostring(-5%3) .. tostring(5%-3) .. tostring(-5.5%2)
return 1 .. ''
return 1.5 .. '|' .. 1e20 .. '|' .. 0/0
return '10' + 1
return '010' + 1
return '0x10' + 1
return ' 5 ' * '2'
return '1e2' + 0
return 'abc' + 1
return {} + 1
return nil .. 'x'
return 'x' .. {}
return {} .. 'x'
return 1 < 'x'
return {} < {}
return nil < 1
return 'a' < 'b'
return 'a' < 'B'
return 'a\0b' < 'a\0c'
return 2^10
return 2^0.5 > 1.414
return 7 % 3
return -7 % 3
return 10 / 4 * 100
return #'abc'
return #5
return #nil
local a return a.b
local a return a.b.c
local a = {} return a.b.c
local a = {} a.b.c = 1
local a = {} return a[1].x
local a = {} a.x()
local a = {} a:x()
local s = 'x' s:nosuch()
local f f()
nosuch()
return ('x').y.z
return (1)()
local a = {} return a[nil]
local a = {} a[nil] = 1
local a = {} a[0/0] = 1
local a = {} return -a
local a return a + 1
local a = {b={}} return a.b + 1
local function f() local x = nil; return function() return x.y end end return f()()
error('x')
error('x', 0)
error('x', 2)
error()
error(nil)
error(12)
error('')
error({err='foo'})
error({err='FOO bar'})
error({err=5})
error('a\nb')
local function f() error('deep', 2) end f()
local function f() error('deep') end local ok, e = pcall(f) return e
local ok, e = pcall(error, 'x') return e
local ok, e = pcall(error, {err='E x'}) return e
local ok, e = pcall(error, {1}) return e
local ok, e = pcall(nil) return e
return {pcall(function(...) return select('#', ...), ... end, 1, nil, 3)}
return {xpcall(function() error('x') end, function(e) return 'handled ' .. e end)}
return {xpcall(function() return 1, 2 end, error)}
assert(false)
assert(false, 'msg')
assert(nil, {})
return {assert(1, 2, 3)}
assert()
return select('#')
return {select(2, 'a', 'b', 'c')}
return {select(-1, 'a', 'b', 'c')}
return select(0)
return {unpack({1, 2, 3})}
return {unpack({1, 2, 3}, 2)}
return {unpack({1, 2, 3}, 2, 3)}
return unpack({}, 1, 1e6)
return {next({})}
return {next({10})}
return next({}, 'x')
return {tonumber('10'), tonumber('0x1F'), tonumber('  7  '), tonumber('1e1'), tonumber('z', 36), tonumber('11', 2), tonumber('ff', 16), tonumber('0xff', 16), tonumber('-ff', 16)}
return tostring(tonumber('')) .. tostring(tonumber('x')) .. tostring(tonumber('1x')) .. tostring(tonumber('0x')) .. tostring(tonumber('1e')) .. tostring(tonumber('8', 8))
return tostring(tonumber('inf')) .. tostring(tonumber('nan')) .. tostring(tonumber('0x1p4')) .. tostring(tonumber('.5')) .. tostring(tonumber('5.'))
return tonumber()
return tonumber('1', 99)
return tonumber({}, 10)
return type()
return {type(1), type('x'), type({}), type(print == nil)}
return rawequal('a', 'a') and rawget({a=1}, 'a')
return rawlen
return loadstring('return 1 + 1')()
local f, e = loadstring('return 1 +') return e
local f, e = loadstring('x x', '=name') return e
local f, e = loadstring('x x', '@file') return e
local f, e = loadstring('a very long first line of source that goes on and on and on and on =') return e
local f, e = loadstring('line\nx x') return e
return loadstring('x = 1')()
local i = 0 return load(function() i = i + 1 return ({'return ', '42'})[i] end)()
return load('return 1')
local t = setmetatable({}, {__index = function(t, k) return k .. '!' end}) return t.x
local t = setmetatable({}, {__index = {y = 5}}) return t.y
local t = setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v * 2) end}) t.x = 5 return t.x
local t = setmetatable({}, {__call = function(self, a, b) return a + b end}) return t(1, 2)
local mt = {__add = function(a, b) return 'add' end, __concat = function(a, b) return 'cat' end, __unm = function() return 'unm' end, __eq = function() return true end, __lt = function() return true end, __le = function() return false end, __tostring = function() return 'str' end} local a, b = setmetatable({}, mt), setmetatable({}, mt) return {a + 1, 1 + a, a .. 'x', 'x' .. a, -a, tostring(a), a == b, a < b, a <= b, a > b, a ~= b}
return setmetatable({}, {__metatable = 'locked'}) and getmetatable(setmetatable({}, {__metatable = 'locked'}))
setmetatable(setmetatable({}, {__metatable = 1}), {})
setmetatable({}, 1)
setmetatable(1, {})
local t = {} for i = 1, 10 do t[i] = i * i end return t
local t = {} for i = 10, 1, -3 do t[#t + 1] = i end return t
local n = 0 for i = 0.1, 1, 0.1 do n = n + 1 end return n
for i = 'a', 2 do end
for i = 1, {} do end
for i = 1, 2, {} do end
local t = {} for k, v in pairs({10, 20, x = 30}) do t[#t + 1] = tostring(k) .. '=' .. v end return t
local t = {} for k in pairs({a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9,j=10}) do t[#t + 1] = k end return t
local t, r = {}, {} for i = 1, 40 do t['key' .. i] = i end for k, v in pairs(t) do r[#r + 1] = k end return r
local t, r = {}, {} for i = 1, 40 do t[i * 1.5] = i end for k, v in pairs(t) do r[#r + 1] = tostring(k) end return r
local t, r = {}, {} for i = 20, 1, -1 do t[i] = i end for k, v in pairs(t) do r[#r + 1] = k end return r
local t, r = {[1]=1,[2]=2,x=1,[true]=3,[false]=4}, {} for k, v in pairs(t) do r[#r + 1] = tostring(k) end return r
local t = {} for i = 1, 10 do t[i] = i end for i = 1, 10, 2 do t[i] = nil end return #t
local t = {1, 2, nil, 4} return #t
local t = {nil, nil, 3} return #t
local t = {n = 1, 1, 2, [10] = 3} return #t
local t = {} t[1] = 1 t[2] = 2 t[4] = 4 return #t
for k, v in ipairs() do end
for k in 5 do end
for k in pairs(nil) do end
local function f(...) return select('#', ...), ... end return {f(nil, nil)}
local function f(...) local a, b = ... return {a, b, arg == nil} end return f(1, 2, 3)
local function f(...) return arg.n, arg[1] end return {f(7, 8)}
local function f(n) if n == 0 then return 0 end return f(n - 1) end return f(100000)
local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(5000)
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end return fib(15)
local fs = {} for i = 1, 3 do fs[i] = function() i = i + 1 return i end end return {fs[1](), fs[1](), fs[2]()}
local a, b, c = (function() return 1, 2, 3 end)() return {a, b, c}
local a, b = ((function() return 1, 2 end)()) return {a, b == nil}
local t = {(function() return 1, 2 end)(), (function() return 1, 2 end)()} return t
local a = {} a.x, a.y = 1, 2 return {a.x, a.y}
local i = 1 local a = {} i, a[i] = i + 1, 20 return {i, a[1], a[2] == nil}
local n = 0 repeat local k = n n = n + 1 until k >= 3 return n
local n = 0 while true do n = n + 1 if n > 5 then break end end return n
do local x = 1 end return 2;
return 'a\65\066\z'
return '\a\b\f\n\r\t\v\\\"\''
return [[long]] .. [==[lo]]ng]==]
return 0xff + .5 + 3. + 1e2
return "unfinished
return 'x
return [[x
--[[ comment
return '\300'
return 1..2
return 3x
return a.1
if x then
if x
while true
for
for i
for i =
for i in
x =
= 1
x
x, y
f() = 1
local
local function
function
return return
break
goto x
else
end
)
return (
return {1, 2
return f(
a.b:c = 1
local a = ... return a
function f(a, ) end
function f(..., a) end
return function() return ... end
return @
return $
return 1 ~ 2
x = }
local t = {} function t.a.b() end
local t = {} function t:m(x) return self == t and x end return t:m(5)
local s = 'x' return s:upper():lower():rep(3)
return not nil and not false and 1 or 2
return 1 and nil
return nil or false
return 1 == 1.0 and 'a' == 'a' and 1 ~= '1'
return 2 ^ 3 ^ 2
return -2 ^ 2
return 1 .. 2 .. 3
return not 1 == 2
return collectgarbage('nosuch')
return collectgarbage('collect')
local t = {} local r = t for i = 1, 7994 do r[1] = {} r = r[1] end return t
local t = {} local r = t for i = 1, 7995 do r[1] = {} r = r[1] end return t
