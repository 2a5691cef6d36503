return struct.pack('>I2', 258)
return struct.pack('<I2', 258) .. struct.pack('I4', 1) .. struct.pack('b', -1) .. struct.pack('B', 255)
return struct.pack('>hHlLi8I8', -2, 65535, -3, 4, -5, 6)
return struct.pack('fd>fd', 1.5, 2.5, 1.5, 2.5)
return struct.pack('sc3c0', 'abc', 'defgh', 'ijk')
return struct.pack('c5', 'abc')
return struct.pack('!4 b i4', 1, 2)
return struct.pack('!8bd', 1, 2)
return struct.pack('xBx', 1)
return {struct.unpack('>I2', '\1\2')}
return {struct.unpack('<i2b', '\254\255\200')}
return {tostring(({struct.unpack('fd', struct.pack('fd', 1.1, 2.2))})[2])}
return {struct.unpack('s', 'abc\0def')}
return {struct.unpack('Bc0', '\3abcdef')}
return {struct.unpack('c2c3', 'abcdef')}
return {struct.unpack('I4', 'ab')}
return {struct.unpack('s', 'abc')}
return {struct.unpack('c0', 'abc')}
return {struct.unpack('B', 'abc', 2)}
return {struct.unpack('B', 'abc', 0)}
return {struct.unpack('B', 'abc', 10)}
return {struct.size('!4bi4'), struct.size('bhl'), struct.size('>I3'), struct.size('c10')}
return struct.size('s')
return struct.size('c0')
return struct.pack('y', 1)
return struct.pack('i33', 1)
return struct.pack('!3i4', 1)
return struct.pack('i99999999999', 1)
return struct.pack('b')
return struct.pack('b', 'x')
return struct.pack('I4', 2^40 + 7) .. struct.pack('i4', -2^31)
return struct.pack()
return struct.size('X') + struct.size('i0c10') + struct.size('B5')
return struct.size('jhc0')
return struct.size('%')
return struct.pack('B\0y', 1) .. struct.size('H\0L')
return struct.pack('d>d', 0/0, -(0/0))
return {struct.unpack('B', 'abc', -1)}
return {struct.unpack('!4i4', 'abcd', -1)}
return {pcall(struct.unpack, '', 'a', 1e10)}
local _, at = pcall(struct.unpack, '', 'a', -1/0) return tostring(at)
