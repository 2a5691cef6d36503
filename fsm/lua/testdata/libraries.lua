return string.rep('ab', 3)
return string.rep('ab', -1) .. string.rep('', 10)
string.rep()
string.rep('x', {})
('x'):rep({})
return {string.byte('abc'), string.byte('abc', -1), string.byte('abc', 10)}
return {string.byte('abc', 1, -1)}
return string.char(65, 66, 200, 0)
string.char(256)
string.char(-1)
string.char('x')
return string.upper('aé\200z') .. string.lower('AÉ\200Z')
return string.reverse('abc') .. string.len('a\0b')
return {string.sub('hello', 2, 3), string.sub('hello', -3), string.sub('hello', 0), string.sub('hello', 10), string.sub('hello', 2, -2), string.sub('hello', -100, 2)}
return string.format('%d %i %5d|%-5d|%05d|%+d|% d', 1, 2, 3, 4, 5, 6, 7)
return string.format('%d', 3.99)
return string.format('%d', -3.99)
return string.format('%d', '10')
return string.format('%d', 'abc')
return string.format('%d')
return string.format('%u', -1)
return string.format('%u %o %x %X %#x %#o', 10, 8, 255, 255, 255, 8)
return string.format('%c%c%c', 65, 200, 66)
return string.format('%5c|%-5c|', 65, 66)
return string.format('%e %E %f %g %G', 1.5, 1.5, 1.5, 1e20, 1e-10)
return string.format('%.3f %10.2f|%-10.2f|%+.1e', 1.2345, 1.5, 1.5, 12345)
return string.format('%g %g %g %g', 100000, 1000000, 1e15, 0.0001)
return string.format('%.14g %.17g %.0g %#g', 0.1, 0.1, 0.15, 1)
return string.format('%f %f %f', 1/0, -1/0, 0/0)
return string.format('%05f|%5f|%-6f|', 1/0, 1/0, 1/0)
return string.format('%q', 'a\nb\0c\r"\\')
return string.format('%s %s %10s|%-10s|%.2s', 'a', 1, 'b', 'c', 'hello')
return string.format('%s', 'a\0b')
return string.format('%s', string.rep('x', 200)) 
return string.format('%s', nil)
return string.format('%s', {})
return string.format('%%')
return string.format('%')
return string.format('%y', 1)
return string.format('%123d', 1)
return string.format('%.123f', 1)
return string.format('%0000000d', 1)
return string.format('%99d', 1)
return string.format('%.99f', 1/3)
return string.format('%.20d|%.0d|%5.3d', 1, 0, 2)
return string.format('%x', -1)
return string.format('%d', 1e18)
return string.format('%d', 1e19)
return {string.find('hello world', 'wor')}
return {string.find('hello world', 'o', 6)}
return {string.find('hello', 'l+')}
return {string.find('a.b', '.', 1, true)}
return {string.find('hello', '')}
return {string.find('hello', '', 10)}
return {string.find('hello', '', 6)}
return {string.find('hello', 'xyz')}
return {string.find('hello', '(h)(e)()')}
return {string.match('key=value', '(%w+)=(%w+)')}
return string.match('hello', '.-l')
return string.match('  trim  ', '^%s*(.-)%s*$') .. '|'
return {string.match('2024-01-02', '(%d+)-(%d+)-(%d+)')}
return string.match('[[x]]', '%[%[(.*)%]%]')
return string.match('f(a(b)c)d', '%b()')
return string.match('THE (quick) fox', '%f[%a]%a+', 5)
return string.match('abcabc', '(abc)%1')
return string.match('x', '[a-')
return string.match('x', '%')
return string.match('x', '(x')
return string.match('x', 'x)')
return string.match('x', '%1')
return string.match('x', '%b')
return string.match('x', '%f')
return string.match('a-b]c', '[]-]+')
return string.match('a^b', '[%^a]+')
return string.match('abc123', '%a+%d?') 
return string.match('a\0b', '%z')
return {string.gsub('hello world', 'o', '0')}
return {string.gsub('hello world', '(%w+)', '<%1>')}
return {string.gsub('hello world', '%w+', '%0 %0', 1)}
return {string.gsub('hello', '', '-')}
return {string.gsub('abc', '%w', {a = 'x', b = true})}
return {string.gsub('abc', '%w', {a = 'x', b = false})}
return {string.gsub('abc', '%w', function(c) if c == 'b' then return nil end return c .. c end)}
return {string.gsub('abc', '%w', function(c) return {} end)}
return {string.gsub('abc', '%w', '%2')}
return {string.gsub('abc', '^a', 'x')}
return {string.gsub('abc', 'x*', '-')}
return string.gsub('abc', 'b')
return string.gsub('abc', 'b', true)
return {string.gsub('abc def', '%f[%w]%w+', string.upper)}
local t = {} for w in string.gmatch('one two three', '%a+') do t[#t + 1] = w end return t
local t = {} for k, v in string.gmatch('a=1, b=2', '(%w+)=(%w+)') do t[#t + 1] = k .. v end return t
local t = {} for w in string.gmatch('abc', '') do t[#t + 1] = 'x' end return t
string.gfind('x', 'y')
return table.concat({1, 2, 3}, ',')
return table.concat({1.5, 'x', 1e15}, '-')
return table.concat({1, {}, 3})
return table.concat({1, 2, 3}, ',', 2, 3)
return table.concat({}, 'x') .. table.concat({1, 2}, ',', 3)
return table.concat({1}, ',', 1, 2)
local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) return t
table.insert({}, 1, 2, 3)
table.insert({})
local t = {1, 2, 3} local r = table.remove(t) return {r, #t}
local t = {1, 2, 3} local r = table.remove(t, 1) return {r, t[1], t[2]}
return {table.remove({}), table.remove({1}, 5)}
local t = {5, 2, 8, 1, 9, 3, 7, 4, 6, 0} table.sort(t) return t
local t = {5, 2, 8, 1, 9} table.sort(t, function(a, b) return a > b end) return t
local t = {'b', 'a', 'c'} table.sort(t) return t
local t = {{k=1,v='a'},{k=1,v='b'},{k=0,v='c'},{k=1,v='d'},{k=0,v='e'}} table.sort(t, function(a, b) return a.k < b.k end) local r = {} for i, x in ipairs(t) do r[i] = x.v end return r
table.sort({1, 'x'})
table.sort({1, 2, 3}, 5)
local t = {} for i = 1, 50 do t[i] = (i * 7919) % 101 end table.sort(t) return t
table.sort({3, 1, 2, 5, 4, 7, 6, 9, 8, 10}, function() return true end)
return {table.maxn({1, 2, [10] = 3}), table.getn({1, 2}), table.maxn({})}
table.setn({}, 1)
local r = {} table.foreach({10, 20, x = 1}, function(k, v) r[#r + 1] = tostring(k) .. v end) return r
local r = {} table.foreachi({10, 20}, function(i, v) r[#r + 1] = i + v end) return r
return {math.floor(1.5), math.ceil(1.5), math.abs(-1), math.max(1, 3, 2), math.min(3, 1, 2), math.fmod(7, 3), math.sqrt(16), math.pow(2, 10)}
return {tostring(math.pi), tostring(math.exp(1)), tostring(math.log(10)), tostring(math.log10(1000)), tostring(math.sin(1)), tostring(math.cos(1)), tostring(math.tan(1))}
return {tostring(math.deg(1)), tostring(math.rad(90)), tostring(math.atan2(1, 2)), tostring(math.sinh(1)), tostring(math.cosh(1)), tostring(math.tanh(1)), tostring(math.asin(2)), tostring(math.sqrt(-1))}
local a, b = math.modf(3.7) local c, d = math.modf(-3.7) local e, f = math.modf(1/0) return {a, tostring(b), c, tostring(d), tostring(e), tostring(f)}
local a, b = math.frexp(10) return {tostring(a), b, math.ldexp(0.5, 4)}
math.floor('x')
math.max()
return math.floor('3.7')
return {tostring(math.random()), math.random(1000), math.random(5, 9), tostring(math.random())}
math.randomseed(42) return {tostring(math.random()), math.random(1000)}
math.randomseed(-7) return {math.random(1000000), math.random(1000000)}
math.random(0)
math.random(2, 1)
math.random(1, 2, 3)
return {bit.band(0xff, 0x0f), bit.bor(1, 2), bit.bxor(5, 1), bit.bnot(0), bit.lshift(1, 31), bit.rshift(-1, 1), bit.arshift(-8, 1), bit.rol(0x12345678, 8), bit.ror(0x12345678, 8), bit.bswap(0x12345678), bit.tobit(0xffffffff), bit.tobit(2^40 + 5)}
return {bit.tohex(255), bit.tohex(255, 4), bit.tohex(255, -4), bit.tohex(-1, 100), bit.tohex(1, 0)}
return bit.band()
return bit.band('x')
return bit.lshift(1)
return {bit.tobit(1.5), bit.tobit(2.5), bit.tobit('7')}
return redis.sha1hex('')
return redis.sha1hex(1.5)
return redis.sha1hex()
return redis.error_reply('My Err')
return redis.error_reply('-My Err')
return redis.error_reply('')
return redis.error_reply('-')
return redis.error_reply('single')
return redis.error_reply('A\nb\n')
return redis.error_reply()
return redis.error_reply(1)
return redis.status_reply('FINE')
return redis.status_reply('')
return redis.status_reply(1)
return redis.log(1)
return redis.log(9, 'x')
return redis.log('x', 'x')
return redis.log(redis.LOG_DEBUG, 'x')
return redis.setresp(4)
return redis.setresp()
return redis.set_repl(99)
return redis.set_repl()
return redis.set_repl(redis.REPL_ALL)
return redis.replicate_commands()
return redis.breakpoint()
return redis.debug('x')
return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING, redis.REPL_ALL, redis.REPL_AOF, redis.REPL_NONE, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REDIS_VERSION_NUM, redis.REDIS_VERSION}
return redis.call()
return redis.call({})
return redis.pcall({})
return redis.call('echo', true)
return {redis.call('echo', 1), redis.call('echo', 1.5), redis.call('echo', 1/3), redis.call('echo', 1e15), redis.call('echo', 1e16), redis.call('echo', 1e17), redis.call('echo', -0)}
return {redis.call('echo', 0/0), redis.call('echo', 1/0), redis.call('echo', 1e-7), redis.call('echo', 2^53), redis.call('echo', 123456789.125)}
return redis.call('set', 'str', 'value')
return redis.call('get', 'str')
return redis.call('get', 'nosuch')
return redis.call('get', 'nosuch') == false
return redis.call('incr', 'str')
return redis.pcall('incr', 'str')
local ok, e = pcall(redis.call, 'incr', 'str') return e
return redis.pcall('incr', 'str').err
return redis.call('set', 'str', 'value').ok
redis.call('del', 'l') redis.call('rpush', 'l', 1, 2, 3) return redis.call('lrange', 'l', 0, -1)
redis.call('del', 'h') redis.call('hset', 'h', 'a', 1) return redis.call('hgetall', 'h')
redis.call('del', 'z') redis.call('zadd', 'z', 1.5, 'm') return redis.call('zrange', 'z', 0, -1, 'withscores')
redis.call('zadd', 'z', 1.5, 'm') return redis.call('zscore', 'z', 'm')
local r = {} for k in pairs(redis) do r[#r + 1] = k end table.sort(r) return r
local r = {} for _, l in ipairs({string, table, math, bit}) do for k in pairs(l) do r[#r + 1] = k end end table.sort(r) return r
return {pcall(math.pow, {}, {})}
return {pcall(math.fmod, {})}
return {pcall(math.ldexp, {}, {})}
return {tostring(math.fmod(1, 0)), tostring(math.fmod(-1/0, 1)), tostring(math.fmod(0/0, 1)), tostring(math.fmod(1, -(0/0)))}
return {xpcall(error, nil)}
return {xpcall(error, function() error('x') end)}
return {xpcall(error, function() return 1, 2 end)}
return {xpcall(error, function() end)}
return {xpcall(function() error('a') end, {})}
return {xpcall(error, setmetatable({}, {__call = function() return 1 end}))}
return {pcall(redis.set_repl, 2^32)}
return {pcall(redis.set_repl, 0/0)}
return {pcall(redis.set_repl, 3.5)}
return ({loadstring('x(', 'a\0b')})[2]
return {pcall(loadstring('error("x")', '@a\0b'))}
return (select(2, loadstring('x(', 'a\0b')))
return cmsgpack.pack(0/0, -(0/0), 1/0)
return 1 $ 2
