package fsm

import (
	"encoding/binary"
	"strconv"
)

// rdbReader reads the parts of a value in Redis's format. What cannot be read makes it
// bad, and from then on it reads zeros.
type rdbReader struct {
	b   []byte
	bad bool
}

// bytes returns the next n bytes.
func (r *rdbReader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// uint returns the next n bytes, at most 8, as a number with the low byte first.
func (r *rdbReader) uint(n int) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(uint64(n)))
	return binary.LittleEndian.Uint64(b[:])
}

// length reads a length, or how a string is encoded: 6 bits, 14 bits, 32 or 64 bits
// with the high byte first, or a number for an encoding.
func (r *rdbReader) length() (n uint64, encoded bool) {
	first := byte(r.uint(1))
	switch low := uint64(first & 0x3f); first >> 6 {
	case 0:
		return low, false
	case 1:
		return low<<8 | r.uint(1), false
	case 3:
		return low, true
	}
	var b [8]byte
	switch first {
	case 0x80:
		copy(b[4:], r.bytes(4))
	case 0x81:
		copy(b[:], r.bytes(8))
	default:
		r.bad = true
	}
	return binary.BigEndian.Uint64(b[:]), false
}

// count reads how many elements follow, each of which takes a byte at least.
func (r *rdbReader) count() uint64 {
	n, encoded := r.length()
	if encoded || n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return n
}

// string reads a string: its bytes, a small integer, or compressed bytes.
func (r *rdbReader) string() string {
	n, encoded := r.length()
	switch {
	case !encoded:
		return string(r.bytes(n))
	case n == 0:
		return strconv.Itoa(int(int8(r.uint(1))))
	case n == 1:
		return strconv.Itoa(int(int16(r.uint(2))))
	case n == 2:
		return strconv.Itoa(int(int32(r.uint(4))))
	case n == 3:
		packed, _ := r.length()
		whole, _ := r.length()
		return string(r.lzf(r.bytes(packed), whole))
	}
	r.bad = true
	return ""
}

// maxLZF is how much larger than its compressed form a string can be: a reference takes
// three bytes and stands for 264.
const maxLZF = 88

// lzf returns what LibLZF has compressed to b from n bytes.
func (r *rdbReader) lzf(b []byte, n uint64) []byte {
	if n > uint64(len(b))*maxLZF {
		r.bad = true
		return nil
	}
	out := make([]byte, 0, n)
	in := rdbReader{b: b}
	for len(in.b) > 0 && !in.bad {
		c := in.uint(1)
		if c < 32 { // so many literal bytes, and one
			out = append(out, in.bytes(c+1)...)
			continue
		}
		size := c >> 5
		if size == 7 {
			size += in.uint(1)
		}
		back := int((c&31)<<8|in.uint(1)) + 1
		if back > len(out) || uint64(len(out))+size+2 > n {
			in.bad = true
			break
		}
		for range size + 2 { // which may overlap what they make
			out = append(out, out[len(out)-back])
		}
	}
	if in.bad || uint64(len(out)) != n {
		r.bad = true
	}
	return out
}

// strings reads a count and so many strings, or groups of them.
func (r *rdbReader) strings(group int) (list []string) {
	for n := r.count() * uint64(group); n > 0 && !r.bad; n-- {
		list = append(list, r.string())
	}
	return list
}

// intset reads integers of one width.
func (r *rdbReader) intset() (list []string) {
	in := rdbReader{b: []byte(r.string())}
	width, n := int(in.uint(4)), in.uint(4)
	if width != 2 && width != 4 && width != 8 || uint64(len(in.b)) != n*uint64(width) {
		r.bad = true
		return nil
	}
	for range n {
		shift := 64 - 8*width
		list = append(list, strconv.FormatInt(int64(in.uint(width)<<shift)>>shift, 10))
	}
	return list
}

// quicklist reads the nodes of a list: one element, or a listpack of them.
func (r *rdbReader) quicklist() (list []string) {
	const plain, packed = 1, 2
	for n := r.count(); n > 0 && !r.bad; n-- {
		container, _ := r.length()
		switch s := r.string(); container {
		case plain:
			list = append(list, s)
		case packed:
			list = append(list, r.listpack(s)...)
		default:
			r.bad = true
		}
	}
	return list
}

// listpack reads the elements of a listpack: its length in 4 bytes, their number in 2,
// the elements, and an end. Behind each element its length stands again.
func (r *rdbReader) listpack(s string) (list []string) {
	in := rdbReader{b: []byte(s)}
	in.bytes(6)
	for !in.bad && len(in.b) > 1 {
		before := len(in.b)
		list = append(list, in.packed())
		size := before - len(in.b)
		back := 1
		for limit := 127; size > limit && back < 5; back++ {
			limit = limit<<7 | 127
		}
		in.bytes(uint64(back))
	}
	if in.uint(1) != 0xff || in.bad {
		r.bad = true
	}
	return list
}

// packed reads one element of a listpack.
func (r *rdbReader) packed() string {
	signed := func(n uint64, bits int) string { return strconv.FormatInt(int64(n<<(64-bits))>>(64-bits), 10) }
	first := r.uint(1)
	switch {
	case first < 0x80:
		return strconv.FormatUint(first, 10)
	case first < 0xc0:
		return string(r.bytes(first & 0x3f))
	case first < 0xe0:
		return signed((first&0x1f)<<8|r.uint(1), 13)
	case first < 0xf0:
		return string(r.bytes((first&0x0f)<<8 | r.uint(1)))
	}
	switch first {
	case 0xf0:
		return string(r.bytes(r.uint(4)))
	case 0xf1:
		return signed(r.uint(2), 16)
	case 0xf2:
		return signed(r.uint(3), 24)
	case 0xf3:
		return signed(r.uint(4), 32)
	case 0xf4:
		return signed(r.uint(8), 64)
	}
	r.bad = true
	return ""
}
