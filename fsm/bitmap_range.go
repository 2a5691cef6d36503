package fsm

import (
	"math/bits"

	"phonond/redisproto/resp"
)

// bitRange is bits of a string, the ends included; none if from > to.
type bitRange struct{ from, to int64 }

// parseBitUnit reads the unit that BITCOUNT and BITPOS count in, and returns how
// many bits it has.
func parseBitUnit(arg []byte) (size int64, ok bool) {
	switch {
	case is(arg, "BIT"):
		return 1, true
	case is(arg, "BYTE"):
		return 8, true
	}
	return 0, false
}

// clampBits turns positions in units of so many bits, counted from the end if
// they are negative, into bits of a string of n bytes.
func clampBits(start, end, unit int64, n int) bitRange {
	total := int64(n) * 8 / unit
	if start < 0 {
		start = max(start+total, 0)
	}
	if end < 0 {
		end = max(end+total, 0)
	}
	end = min(end, total-1)
	if start > end {
		return bitRange{1, 0}
	}
	return bitRange{start * unit, end*unit + unit - 1}
}

func bitcountCmd(v *View, args [][]byte) resp.Value {
	s, found, ok := getString(v, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case !found:
		return resp.Int(0)
	}
	var within bitRange
	switch len(args) {
	case 2:
		within = clampBits(0, -1, 8, len(s))
	case 4, 5:
		start, end, ok := parseRange(args[2], args[3])
		if !ok {
			return resp.ErrNotInteger
		}
		if start < 0 && end < 0 && start > end {
			return resp.Int(0) // whatever the unit
		}
		unit := int64(8)
		if len(args) == 5 {
			if unit, ok = parseBitUnit(args[4]); !ok {
				return resp.ErrSyntax
			}
		}
		within = clampBits(start, end, unit, len(s))
	default:
		return resp.ErrSyntax
	}
	return resp.Int(countBits(s, within))
}

// countBits returns how many bits of a range are set.
func countBits(s string, r bitRange) int {
	n := 0
	for i := r.from >> 3; i <= r.to>>3 && r.from <= r.to; i++ {
		n += bits.OnesCount8(s[i] & r.mask(i))
	}
	return n
}

// mask returns which bits of the i-th byte are in the range.
func (r bitRange) mask(i int64) byte {
	mask := byte(0xff)
	if i == r.from>>3 {
		mask >>= r.from & 7
	}
	if i == r.to>>3 {
		mask &= 0xff << (7 - r.to&7)
	}
	return mask
}

func bitposCmd(v *View, args [][]byte) resp.Value {
	bit, ok := parseInt(args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case bit&^1 != 0:
		return resp.Err("ERR The bit argument must be 1 or 0.")
	}
	s, found, ok := getString(v, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case !found: // zeros without end
		return resp.Int64(-bit)
	}
	within, endless, fault := parseBitposRange(args[3:], len(s))
	switch {
	case fault.IsError():
		return fault
	case within.from > within.to:
		return resp.Int(-1)
	}
	at := findBit(s, within, bit == 1)
	if at < 0 && bit == 0 && endless {
		at = int64(len(s)) * 8 // the first of the zeros behind the string
	}
	return resp.Int64(at)
}

// parseBitposRange reads the range of BITPOS in a string of n bytes. It is endless
// when its end is not given.
func parseBitposRange(args [][]byte, n int) (r bitRange, endless bool, fault resp.Value) {
	if len(args) > 3 {
		return r, false, resp.ErrSyntax
	}
	start, end, unit, ok := int64(0), int64(-1), int64(8), true
	if len(args) > 0 {
		if start, ok = parseInt(args[0]); !ok {
			return r, false, resp.ErrNotInteger
		}
	}
	if len(args) > 2 {
		if unit, ok = parseBitUnit(args[2]); !ok {
			return r, false, resp.ErrSyntax
		}
	}
	if len(args) > 1 {
		if end, ok = parseInt(args[1]); !ok {
			return r, false, resp.ErrNotInteger
		}
	}
	return clampBits(start, end, unit, n), len(args) < 2, fault
}

// findBit returns where the first bit of a range is that is set, or is clear; -1
// if there is none.
func findBit(s string, r bitRange, set bool) int64 {
	flip := byte(0xff)
	if set {
		flip = 0
	}
	for i := r.from >> 3; i <= r.to>>3; i++ {
		if b := (s[i] ^ flip) & r.mask(i); b != 0 {
			return i*8 + int64(bits.LeadingZeros8(b))
		}
	}
	return -1
}
