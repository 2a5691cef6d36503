package fsm

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
	"math"
	"strconv"
)

// What DUMP of Redis 7.0 returns is read as well, so that keys can be moved from there:
// a byte for the type, the value, the version of the format in two bytes, and a CRC64,
// all numbers with the low byte first. See rdb.h and listpack.c of Redis 7.0.
const (
	redisDumpVersion = 10
	redisDumpTrailer = 2 + 8
)

// The types of values that Redis 7.0 writes.
const (
	rdbString        = 0
	rdbSet           = 2
	rdbHash          = 4
	rdbZSet          = 5
	rdbIntset        = 11
	rdbHashListpack  = 16
	rdbZSetListpack  = 17
	rdbListQuicklist = 18
)

// crcJones is the polynomial of Redis's CRC64, its bits reversed.
var crcJones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// redisCRC is crc64 of Redis: unlike that of Go it begins with 0 and does not invert.
func redisCRC(b []byte) uint64 { return ^crc64.Update(math.MaxUint64, crcJones, b) }

var errRedisDump = errors.New("fsm: not a value that Redis has dumped")

// isRedisDump reports whether b has the trailer of a dump that Redis made.
func isRedisDump(b []byte) bool {
	n := len(b) - redisDumpTrailer
	return n > 0 && binary.LittleEndian.Uint16(b[n:]) <= redisDumpVersion && binary.LittleEndian.Uint64(b[n+2:]) == redisCRC(b[:n+2])
}

// parseRedisDump reads a dump that Redis made.
func parseRedisDump(b []byte, h hasher) (e entry, err error) {
	r := &rdbReader{b: b[1 : len(b)-redisDumpTrailer]}
	var elems []string
	switch b[0] {
	case rdbString:
		e.str = r.string()
	case rdbIntset:
		elems = r.intset()
	case rdbSet:
		elems = r.strings(1)
	case rdbHash:
		elems = r.strings(2)
	case rdbHashListpack, rdbZSetListpack:
		elems = r.listpack(r.string())
	case rdbZSet:
		for n := r.count(); n > 0 && !r.bad; n-- {
			name := r.string()
			elems = append(elems, name, strconv.FormatFloat(math.Float64frombits(r.uint(8)), 'g', -1, 64))
		}
	case rdbListQuicklist:
		elems = r.quicklist()
	default:
		r.bad = true
	}
	if r.bad || len(r.b) > 0 || len(e.str) > max(MaxString, len(b)) {
		return entry{}, errRedisDump
	}
	if b[0] != rdbString {
		e.obj, err = objectOf(b[0], elems, h)
	}
	return e, err
}

// objectOf makes a value of its elements, each of which may be there once.
func objectOf(rdbType byte, elems []string, h hasher) (object, error) {
	if len(elems) == 0 {
		return nil, errRedisDump
	}
	switch rdbType {
	case rdbListQuicklist:
		l := list{}.edit()
		for _, element := range elems {
			l.append(element)
		}
		return l, nil
	case rdbSet, rdbIntset:
		s := newSet(h)
		for _, m := range elems {
			if !s.add(m) {
				return nil, errRedisDump
			}
		}
		return s, nil
	}
	if len(elems)%2 != 0 {
		return nil, errRedisDump
	}
	if rdbType == rdbHash || rdbType == rdbHashListpack {
		m := newHash(h)
		for i := 0; i < len(elems); i += 2 {
			if !m.set(elems[i], elems[i+1]) {
				return nil, errRedisDump
			}
		}
		return m, nil
	}
	z := newZSet(h)
	for i := 0; i < len(elems); i += 2 {
		score, err := strconv.ParseFloat(elems[i+1], 64)
		if _, twice := z.score([]byte(elems[i])); err != nil || twice || math.IsNaN(score) {
			return nil, errRedisDump
		}
		z.set(elems[i], score)
	}
	return z, nil
}
