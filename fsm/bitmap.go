package fsm

import (
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var bitmapCommands = group("bitmap",
	write("setbit", 4, 1, setbitCmd, "key offset value", "Sets a bit of a string, which grows as need be; the bit before.").
		flags(command.DenyOOM).since("2.2.0"),
	read("getbit", 3, 1, getbitCmd, "key offset", "A bit of a string, 0 beyond its end.").
		flags(command.Fast).since("2.2.0"),
	read("bitcount", -2, 1, bitcountCmd, "key [start end [BYTE|BIT]]", "How many bits of a string are set.").since("2.6.0"),
	read("bitpos", -3, 1, bitposCmd, "key bit [start [end [BYTE|BIT]]]", "Where the first bit is that is set, or is clear.").since("2.8.7"),
	write("bitop", -4, 2, bitopCmd, "AND|OR|XOR|NOT destkey key [key ...]", "Stores what strings make bit by bit; its length.").
		lastKey(-1, 1).flags(command.DenyOOM).since("2.6.0"),
	write("bitfield", -2, 1, bitfieldCmd, "key [GET encoding offset | [OVERFLOW WRAP|SAT|FAIL] SET encoding offset value | INCRBY encoding offset increment ...]",
		"Reads and changes integers of any width in a string.").
		flags(command.DenyOOM).since("3.2.0").refuse(bitfieldRefuse),
	read("bitfield_ro", -2, 1, bitfieldROCmd, "key [GET encoding offset [GET encoding offset ...]]", "Reads integers of any width in a string.").
		flags(command.Fast).since("6.0.0"),
)

var (
	errBitOffset = resp.Err("ERR bit offset is not an integer or out of range")
	errBitValue  = resp.Err("ERR bit is not an integer or out of range")
)

// parseBitOffset reads the position of a bit in a string of the greatest length.
func parseBitOffset(arg []byte) (offset int64, ok bool) {
	offset, ok = parseInt(arg)
	return offset, ok && offset >= 0 && offset>>3 < MaxString
}

// bitMask returns the mask of a bit in its byte: the first one is the highest.
func bitMask(offset int64) byte { return 0x80 >> (offset & 7) }

func setbitCmd(t *Tx, args [][]byte) resp.Value {
	offset, ok := parseBitOffset(args[2])
	if !ok {
		return errBitOffset
	}
	on, ok := parseInt(args[3])
	if !ok || on&^1 != 0 {
		return errBitValue
	}
	s, _, ok := getString(&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	i, mask := int(offset>>3), bitMask(offset)
	was := i < len(s) && s[i]&mask != 0
	if i < len(s) && was == (on == 1) {
		return resp.Flag(was)
	}
	b := grown(s, i+1)
	b[i] &^= mask
	if on == 1 {
		b[i] |= mask
	}
	t.replaceString(args[1], string(b), "setbit")
	return resp.Flag(was)
}

// grown returns the bytes of s, with zeros behind up to a length of n.
func grown(s string, n int) []byte {
	b := make([]byte, max(len(s), n))
	copy(b, s)
	return b
}

func getbitCmd(v *View, args [][]byte) resp.Value {
	offset, ok := parseBitOffset(args[2])
	if !ok {
		return errBitOffset
	}
	s, _, ok := getString(v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	i := int(offset >> 3)
	return resp.Flag(i < len(s) && s[i]&bitMask(offset) != 0)
}
