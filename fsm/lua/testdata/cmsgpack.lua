return cmsgpack.pack(1) .. cmsgpack.pack(127) .. cmsgpack.pack(128) .. cmsgpack.pack(255) .. cmsgpack.pack(256) .. cmsgpack.pack(65536) .. cmsgpack.pack(2^32) .. cmsgpack.pack(2^53)
return cmsgpack.pack(-1) .. cmsgpack.pack(-32) .. cmsgpack.pack(-33) .. cmsgpack.pack(-129) .. cmsgpack.pack(-32769) .. cmsgpack.pack(-2^31) .. cmsgpack.pack(-2^40)
return cmsgpack.pack(1.5) .. cmsgpack.pack(1.1) .. cmsgpack.pack(1/0) .. cmsgpack.pack(1e300)
return cmsgpack.pack('abc') .. cmsgpack.pack(string.rep('x', 40)) .. cmsgpack.pack(string.rep('x', 300))
return cmsgpack.pack(nil, true, false, {})
return cmsgpack.pack({1, 2, 3}) .. cmsgpack.pack({a=1, b={c=2}})
return cmsgpack.pack({1, nil, 3}) .. cmsgpack.pack({[1]=1, x=2})
local t = {} for i = 1, 20 do t[i] = i end return cmsgpack.pack(t)
local t = {} t[1] = t return cmsgpack.pack(t)
return cmsgpack.pack(function() end)
cmsgpack.pack()
return {cmsgpack.unpack(cmsgpack.pack(1, 'x', {1, 2}, true))}
return cjson.encode(cmsgpack.unpack(cmsgpack.pack({a={1,2,{b='c'}}, d=1.5, e=-7, f=2^40})))
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3))}
return {cmsgpack.unpack_one(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 2)}
return {cmsgpack.unpack_limit(cmsgpack.pack(1, 2, 3), 1, 1)}
cmsgpack.unpack_limit('\1', -1)
cmsgpack.unpack_one('\1', 5)
cmsgpack.unpack('\146\1')
cmsgpack.unpack('\193')
cmsgpack.unpack('\217')
return cmsgpack.unpack('')
cmsgpack.unpack()
return {cmsgpack.unpack('\196\3abc')}
return cmsgpack._NAME .. cmsgpack._VERSION
