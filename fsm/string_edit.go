package fsm

import (
	"math"
	"strconv"

	"phonond/redisproto/resp"
)

func incrCmd(t *Tx, args [][]byte) resp.Value { return t.increment(args[1], 1) }
func decrCmd(t *Tx, args [][]byte) resp.Value { return t.increment(args[1], -1) }

func incrbyCmd(t *Tx, args [][]byte) resp.Value {
	by, ok := parseInt(args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	return t.increment(args[1], by)
}

func decrbyCmd(t *Tx, args [][]byte) resp.Value {
	by, ok := parseInt(args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case by == math.MinInt64:
		return resp.Err("ERR decrement would overflow")
	}
	return t.increment(args[1], -by)
}

func (t *Tx) increment(key []byte, by int64) resp.Value {
	s, found, ok := getString(&t.View, key)
	if !ok {
		return resp.ErrWrongType
	}
	n := int64(0)
	if found {
		if n, ok = parseInt(s); !ok {
			return resp.ErrNotInteger
		}
	}
	if overflows(n, by) {
		return resp.ErrOverflow
	}
	n += by
	t.replaceString(key, strconv.FormatInt(n, 10), "incrby")
	return resp.Int64(n)
}

func overflows(n, by int64) bool {
	return by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by
}

func incrbyfloatCmd(t *Tx, args [][]byte) resp.Value {
	s, found, ok := getString(&t.View, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if !found {
		s = "0"
	}
	value, ok1 := parseLongDouble(s)
	by, ok2 := parseLongDouble(args[2])
	if !ok1 || !ok2 {
		return resp.ErrNotFloat
	}
	sum, ok := addLongDouble(value, by)
	if !ok {
		return resp.ErrNaN
	}
	s = formatLongDouble(sum)
	t.replaceString(args[1], s, "incrbyfloat")
	return resp.Str(s)
}

func appendCmd(t *Tx, args [][]byte) resp.Value {
	s, _, ok := getString(&t.View, args[1])
	switch {
	case !ok:
		return resp.ErrWrongType
	case len(s)+len(args[2]) > MaxString:
		return resp.ErrStringTooLong
	}
	t.replaceString(args[1], s+string(args[2]), "append")
	return resp.Int(len(s) + len(args[2]))
}

func strlenCmd(v *View, args [][]byte) resp.Value {
	s, _, ok := getString(v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	return resp.Int(len(s))
}

func setrangeCmd(t *Tx, args [][]byte) resp.Value {
	offset, ok := parseInt(args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case offset < 0:
		return resp.ErrOffsetRange
	}
	s, _, ok := getString(&t.View, args[1])
	part := args[3]
	switch {
	case !ok:
		return resp.ErrWrongType
	case len(part) == 0:
		return resp.Int(len(s))
	case offset > MaxString-int64(len(part)):
		return resp.ErrStringTooLong
	}
	b := make([]byte, max(len(s), int(offset)+len(part)))
	copy(b, s)
	copy(b[offset:], part)
	t.replaceString(args[1], string(b), "setrange")
	return resp.Int(len(b))
}

func getrangeCmd(v *View, args [][]byte) resp.Value {
	start, stop, ok := parseRange(args[2], args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	s, _, ok := getString(v, args[1])
	if !ok {
		return resp.ErrWrongType
	}
	if start < 0 && stop < 0 && start > stop || s == "" {
		return resp.Str("")
	}
	// Unlike a list's, a string's end before its beginning is its beginning.
	if stop < 0 {
		stop = max(stop+int64(len(s)), 0)
	}
	from, to := clampRange(start, stop, len(s))
	if from > to {
		return resp.Str("")
	}
	return resp.Str(s[from : to+1])
}
