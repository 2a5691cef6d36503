return cjson.encode({a=1,b=2,c={1,2,nil,4},d=1.5,e="x\n\"\\\127\1/é"})
return cjson.encode({})
return cjson.encode({1, 2, 3}) .. cjson.encode('x') .. cjson.encode(1.5) .. cjson.encode(true) .. cjson.encode(nil) .. cjson.encode(cjson.null)
return cjson.encode(1/3) .. cjson.encode(1e15) .. cjson.encode(12345678901234)
return cjson.encode({[1]='a', [3]='c'})
return cjson.encode({[1]='a', [30]='c'})
return cjson.encode({[1.5]='a', [2]='c'})
return cjson.encode({[true]=1})
return cjson.encode(1/0)
return cjson.encode(0/0)
return cjson.encode(function() end)
return cjson.encode({function() end})
return cjson.encode()
return cjson.encode(1, 2)
local t = {} t[1] = t return cjson.encode(t)
cjson.encode_max_depth(2) local ok, e = pcall(cjson.encode, {{{}}}) cjson.encode_max_depth(1000) return e
local r = cjson.encode({a={b={c={1,{d=2}}}}}) cjson.encode_max_depth(1000) return r
cjson.encode_sparse_array(true) local r = cjson.encode({[100]=1}) cjson.encode_sparse_array(false) return r
return {cjson.encode_sparse_array()}
return {cjson.encode_max_depth(), cjson.decode_max_depth(), cjson.encode_number_precision(), cjson.encode_keep_buffer(), cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers()}
cjson.encode_invalid_numbers(true) local r = cjson.encode({1/0, -1/0, 0/0}) cjson.encode_invalid_numbers(false) return r
cjson.encode_invalid_numbers('null') local r = cjson.encode({1/0, 0/0}) cjson.encode_invalid_numbers('off') return r
cjson.encode_number_precision(3) local r = cjson.encode(1/3) cjson.encode_number_precision(14) return r
cjson.encode_number_precision(15)
cjson.encode_max_depth(0)
cjson.encode_max_depth(1, 2)
cjson.encode_invalid_numbers('x')
return cjson.decode('{"a":1,"b":[1,2,3],"c":null,"d":true,"e":"x"}').b
return cjson.decode('[1,[2,[3]]]')
return cjson.decode('"a\\u00e9\\ud83d\\ude00\\n\\/"')
return cjson.decode('{"a":null}').a == cjson.null
return tostring(cjson.decode('[null]')[1]) ~= 'nil' and type(cjson.null)
return {tostring(cjson.decode('1e5')), tostring(cjson.decode('-0.5')), tostring(cjson.decode('0x10')), tostring(cjson.decode('inf')), tostring(cjson.decode('-nan'))}
return cjson.decode('')
return cjson.decode('{')
return cjson.decode('[1,')
return cjson.decode('[1,]')
return cjson.decode('{"a":1,}')
return cjson.decode('{"a" 1}')
return cjson.decode('{a:1}')
return cjson.decode('[1 2]')
return cjson.decode('{"a":1 "b":2}')
return cjson.decode('nope')
return cjson.decode('tru')
return cjson.decode('"abc')
return cjson.decode('"a\\x"')
return cjson.decode('"\\ud800"')
return cjson.decode('"\\udc00"')
return cjson.decode('"\\u12g4"')
return cjson.decode('1 2')
return cjson.decode('-')
return cjson.decode('+1')
return cjson.decode(']')
return cjson.decode(1)
return cjson.decode(nil)
return cjson.decode({})
return cjson.decode('1', 2)
return cjson.decode('\0\0')
return cjson.decode(string.rep('[', 1001) .. string.rep(']', 1001))
return #cjson.decode(string.rep('[', 999) .. string.rep(']', 999))
cjson.decode_max_depth(1) local ok, e = pcall(cjson.decode, '[[]]') cjson.decode_max_depth(1000) return e
cjson.decode_max_depth(1000) return cjson.encode(cjson.decode('{"z":1,"y":{"x":[1,{"w":2}]},"list":[],"obj":{}}'))
return cjson._NAME .. cjson._VERSION
