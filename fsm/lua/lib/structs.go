package lib

import (
	"encoding/binary"
	"math"
	"strings"

	"phonond/fsm/lua/vm"
)

// Struct returns the library struct.
func Struct() *vm.Table {
	t := vm.NewShared()
	define(t, map[string]native{"pack": structPack, "unpack": structUnpack, "size": structSize})
	return t
}

const (
	maxIntSize  = 32
	structAlign = 8 // the greatest alignment of C on 64 bits
)

// layout reads a format option by option, with byte order and alignment.
type layout struct {
	st    *vm.State
	f     string
	at    int
	order binary.ByteOrder
	align int
}

func newLayout(st *vm.State, f string) *layout {
	f, _, _ = strings.Cut(f, "\x00") // the reference reads it as a string of C
	return &layout{st: st, f: f, order: binary.LittleEndian, align: 1}
}

// number reads digits of the format.
func (l *layout) number(otherwise int) int {
	if l.at >= len(l.f) || !isDigit(l.f[l.at]) {
		return otherwise
	}
	n := 0
	for l.at < len(l.f) && isDigit(l.f[l.at]) {
		d := int(l.f[l.at] - '0')
		if n > (math.MaxInt32-d)/10 {
			l.st.Errorf("integral size overflow")
		}
		n = 10*n + d
		l.at++
	}
	return n
}

// next returns an option with its size and the padding before it, when so many bytes
// are there.
func (l *layout) next(total int) (opt byte, size, padding int) {
	l.st.Spend(1)
	opt = l.f[l.at]
	l.at++
	switch opt {
	case 'B', 'b', 'x':
		size = 1
	case 'H', 'h':
		size = 2
	case 'L', 'l', 'T', 'd':
		size = 8
	case 'f':
		size = 4
	case 'c':
		size = l.number(1)
	case 'i', 'I':
		if size = l.number(4); size > maxIntSize {
			l.st.Errorf("integral size %d is larger than limit of %d", size, maxIntSize)
		}
	}
	if size == 0 || opt == 'c' {
		return opt, size, 0
	}
	if align := min(size, l.align); align > 1 {
		padding = (align - total&(align-1)) & (align - 1)
	}
	return opt, size, padding
}

// control carries out an option that stands for no value.
func (l *layout) control(opt byte) {
	switch opt {
	case ' ':
	case '>':
		l.order = binary.BigEndian
	case '<':
		l.order = binary.LittleEndian
	case '!':
		align := l.number(structAlign)
		if align == 0 || align&(align-1) != 0 {
			l.st.Errorf("alignment %d is not a power of 2", align)
		}
		l.align = align
	default:
		l.st.ArgError(1, "invalid format option '"+string([]byte{opt})+"'")
	}
}

func structPack(st *vm.State, args []vm.Value) []vm.Value {
	l := newLayout(st, text(st, args, 1))
	b := buffer{st: st}
	n := 1
	args = append(args, vm.Nil) // as the reference has it, which errors tell
	for l.at < len(l.f) {
		opt, size, padding := l.next(len(b.b))
		for range padding {
			b.addByte(0)
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			n++
			f := number(st, args, n)
			v := uint64(vm.ToInt64(f))
			if f >= 0 {
				v = toUint64(f)
			}
			l.putInt(&b, v, size)
		case 'x':
			b.addByte(0)
		case 'f':
			n++
			l.putInt(&b, uint64(math.Float32bits(float32(number(st, args, n)))), 4)
		case 'd':
			n++
			l.putInt(&b, float64Bits(number(st, args, n)), 8)
		case 'c', 's':
			n++
			s := text(st, args, n)
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				st.ArgError(n+1, "string too short") // so says the reference
			}
			b.add(s[:size])
			if opt == 's' {
				b.addByte(0)
			}
		default:
			l.control(opt)
		}
	}
	return st.Return(b.value())
}

// putInt adds the low bytes of an integer; what is beyond 64 bits is zero.
func (l *layout) putInt(b *buffer, v uint64, size int) {
	from := len(b.b)
	for range size {
		b.addByte(byte(v))
		v >>= 8
	}
	if l.order == binary.BigEndian {
		reverseBytes(b.b[from:])
	}
}

// float64Bits is the form of a double in memory: one for all that is not a number, but
// for its sign.
func float64Bits(f float64) uint64 {
	if f != f {
		return math.Float64bits(f)&(1<<63) | 0x7ff8<<48
	}
	return math.Float64bits(f)
}

func reverseBytes(b []byte) {
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
}

func structUnpack(st *vm.State, args []vm.Value) []vm.Value {
	l := newLayout(st, text(st, args, 1))
	data := text(st, args, 2)
	pos := int(optInteger(st, args, 3, 1))
	if pos == 0 {
		st.ArgError(3, "offset must be 1 or greater")
	}
	pos-- // to the reference it has no sign: what is below zero is far beyond the end
	var vs []vm.Value
	for l.at < len(l.f) {
		opt, size, padding := l.next(pos)
		pos += padding
		if uint(pos) > uint(len(data)) || size > len(data)-pos {
			st.ArgError(2, "data string too short")
		}
		if len(vs) >= maxUnpacked-len(args) {
			st.Errorf("stack overflow (too many results)")
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			vs = append(vs, vm.Num(l.integer(data[pos:pos+size], opt >= 'a')))
		case 'x':
		case 'f':
			vs = append(vs, vm.Num(float64(math.Float32frombits(uint32(l.bits(data[pos:pos+4]))))))
		case 'd':
			vs = append(vs, vm.Num(math.Float64frombits(l.bits(data[pos:pos+8]))))
		case 'c':
			if size == 0 {
				size = l.counted(&vs, data, pos)
			}
			v := substring(st, data, pos, pos+size)
			st.Hold(v)
			vs = append(vs, v)
		case 's':
			end := pos
			for end < len(data) && data[end] != 0 {
				end++
			}
			if end == len(data) {
				st.Errorf("unfinished string in data")
			}
			v := substring(st, data, pos, end)
			st.Hold(v)
			vs = append(vs, v)
			size = end - pos + 1
		default:
			l.control(opt)
		}
		pos += size
	}
	return st.ReturnAll(append(vs, vm.Int(pos+1)))
}

// counted takes the value before as the size of a string.
func (l *layout) counted(vs *[]vm.Value, data string, pos int) int {
	n := len(*vs)
	if n == 0 {
		l.st.Errorf("format 'c0' needs a previous size")
	}
	f, ok := (*vs)[n-1].Number()
	if !ok {
		l.st.Errorf("format 'c0' needs a previous size")
	}
	*vs = (*vs)[:n-1]
	if f < 0 || f > float64(len(data)-pos) {
		l.st.ArgError(2, "data string too short")
	}
	return int(f)
}

// bits reads the low 64 bits of an integer.
func (l *layout) bits(s string) (v uint64) {
	b := []byte(s)
	if l.order == binary.BigEndian {
		reverseBytes(b)
	}
	for i := min(len(b), 8) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func (l *layout) integer(s string, signed bool) float64 {
	v := l.bits(s)
	if !signed {
		return float64(v)
	}
	if size := len(s); size > 0 && size < 8 && v>>(8*size-1) != 0 {
		v |= ^uint64(0) << (8 * size)
	}
	return float64(int64(v))
}

func structSize(st *vm.State, args []vm.Value) []vm.Value {
	l := newLayout(st, text(st, args, 1))
	pos := 0
	for l.at < len(l.f) {
		opt, size, padding := l.next(pos)
		pos += padding
		switch {
		case opt == 's':
			st.ArgError(1, "option 's' has no fixed size")
		case opt == 'c' && size == 0:
			st.ArgError(1, "option 'c0' has no fixed size")
		case !isAlpha(opt) && !isDigit(opt): // the others are taken here, though not by pack
			l.control(opt)
		}
		pos += size
	}
	return st.Return(vm.Int(pos))
}
