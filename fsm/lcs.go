package fsm

import (
	"math"
	"slices"

	"phonond/redisproto/resp"
)

var lcsCommands = group("string",
	read("lcs", -3, 1, lcsCmd, "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", "The longest common subsequence of two strings.").
		lastKey(2, 1).since("7.0.0"),
)

// maxLCSWork bounds the product of the lengths of the two strings of LCS: it takes
// that many steps, and four bytes of memory for each. Redis, too, has a bound, of 512 MB
// as it comes.
const maxLCSWork = 16 << 20

// lcsOptions are the options of LCS.
type lcsOptions struct {
	onlyLen, idx, withMatchLen bool
	minMatchLen                int64
}

func parseLCSOptions(args [][]byte) (o lcsOptions, fault resp.Value) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case is(a, "IDX"):
			o.idx = true
		case is(a, "LEN"):
			o.onlyLen = true
		case is(a, "WITHMATCHLEN"):
			o.withMatchLen = true
		case is(a, "MINMATCHLEN") && i+1 < len(args):
			i++
			var ok bool
			if o.minMatchLen, ok = parseInt(args[i]); !ok {
				return o, resp.ErrNotInteger
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	if o.idx && o.onlyLen {
		return o, resp.Err("ERR If you want both the length and indexes, please just use IDX.")
	}
	return o, fault
}

func lcsCmd(v *View, args [][]byte) resp.Value {
	a, _, ok1 := getString(v, args[1])
	b, _, ok2 := getString(v, args[2])
	if !ok1 || !ok2 {
		return resp.Err("ERR The specified keys must contain string values")
	}
	o, fault := parseLCSOptions(args[3:])
	switch {
	case fault.IsError():
		return fault
	case int64(len(a)+1)*int64(len(b)+1) > maxLCSWork:
		return resp.Err("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	}
	t := newLCSTable(a, b)
	length := resp.Int64(int64(t.at(len(a), len(b))))
	switch {
	case o.onlyLen:
		return length
	case !o.idx:
		return resp.Str(t.text())
	}
	var matches []resp.Value
	t.walk(func(m lcsMatch) {
		if m.n < o.minMatchLen {
			return
		}
		pair := []resp.Value{m.inA(), m.inB()}
		if o.withMatchLen {
			pair = append(pair, resp.Int64(m.n))
		}
		matches = append(matches, resp.List(pair...))
	})
	return resp.Pairs(resp.Str("matches"), resp.List(matches...), resp.Str("len"), length)
}

// lcsTable holds the lengths of the longest common subsequences of all pairs of
// beginnings of two strings.
type lcsTable struct {
	a, b    string
	lengths []uint32
}

func newLCSTable(a, b string) *lcsTable {
	width := len(b) + 1
	t := &lcsTable{a, b, make([]uint32, (len(a)+1)*width)}
	for i := range len(a) {
		above, row := t.lengths[i*width:], t.lengths[(i+1)*width:]
		for j := range len(b) {
			if a[i] == b[j] {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
		}
	}
	return t
}

// at returns the length for the first i and j bytes.
func (t *lcsTable) at(i, j int) uint32 { return t.lengths[i*(len(t.b)+1)+j] }

// lcsMatch is a part that both strings have, by where it begins in each.
type lcsMatch struct {
	a, b int
	n    int64
}

func (m lcsMatch) inA() resp.Value { return interval(m.a, m.n) }
func (m lcsMatch) inB() resp.Value { return interval(m.b, m.n) }

func interval(from int, n int64) resp.Value {
	return resp.List(resp.Int(from), resp.Int64(int64(from)+n-1))
}

// walk calls f for the parts of one longest common subsequence, the last one first.
func (t *lcsTable) walk(f func(m lcsMatch)) {
	var m lcsMatch
	end := func() {
		if m.n > 0 {
			f(m)
		}
		m = lcsMatch{a: math.MaxInt, b: math.MaxInt}
	}
	for i, j := len(t.a), len(t.b); i > 0 && j > 0; {
		switch {
		case t.a[i-1] == t.b[j-1]:
			i, j = i-1, j-1
			if m.a != i+1 || m.b != j+1 {
				end()
			}
			m = lcsMatch{i, j, m.n + 1}
		case t.at(i-1, j) > t.at(i, j-1):
			i--
		default:
			j--
		}
	}
	end()
}

// text returns the subsequence.
func (t *lcsTable) text() string {
	var b []byte
	t.walk(func(m lcsMatch) {
		for i := m.n - 1; i >= 0; i-- {
			b = append(b, t.a[m.a+int(i)])
		}
	})
	slices.Reverse(b)
	return string(b)
}
