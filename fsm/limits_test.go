package fsm

import (
	"fmt"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

func TestStringsHaveAGreatestLength(t *testing.T) {
	r := newRig(t)
	wantReply(t, r.do("SETRANGE", "k", fmt.Sprint(MaxString-1), "x"), resp.Int(MaxString))
	wantReply(t, r.do("SETRANGE", "k", fmt.Sprint(MaxString), "x"), resp.ErrStringTooLong)
	wantReply(t, r.do("SETRANGE", "k", "9223372036854775807", "x"), resp.ErrStringTooLong)
	wantReply(t, r.do("APPEND", "k", "x"), resp.ErrStringTooLong)
	wantReply(t, r.do("APPEND", "k", ""), resp.Int(MaxString))
	wantReply(t, r.do("STRLEN", "k"), resp.Int(MaxString))
}

// What SET stored, however long the node lets it be, is restored.
func TestLongStringIsRestored(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("x", MaxString+1)
	wantReply(t, r.do("SET", "k", long), resp.OK)
	wantReply(t, r.do("RESTORE", "other", "0", r.do("DUMP", "k").Str), resp.OK)
	if got := r.do("GET", "other").Str; got != long {
		t.Errorf("%d bytes came back of %d", len(got), len(long))
	}
}

func TestRandomDrawsHaveAGreatestSize(t *testing.T) {
	r := newRig(t)
	r.do("SADD", "s", "m")
	r.do("SADD", "long", strings.Repeat("m", 1<<20))
	if n := len(r.do("SRANDMEMBER", "s", fmt.Sprint(-maxRandom)).Elems); n != maxRandom {
		t.Fatalf("%d members, want %d", n, maxRandom)
	}
	for _, args := range [][]string{
		{"SRANDMEMBER", "s", fmt.Sprint(-maxRandom - 1)},
		{"SRANDMEMBER", "s", "-9223372036854775807"},
		{"SRANDMEMBER", "long", "-1000"},
	} {
		wantReply(t, r.do(args...), errDrawTooMany)
	}
	wantReply(t, r.do("SRANDMEMBER", "s", "9223372036854775807"), resp.Strs("m"))
}

func TestDrawsBesideTheLogDiffer(t *testing.T) {
	r := newRig(t)
	for i := range 100 {
		r.do("SADD", "s", fmt.Sprint(i))
	}
	seen := map[string]bool{}
	for range 200 {
		seen[r.do("SRANDMEMBER", "s").Str] = true
	}
	if len(seen) < 50 {
		t.Fatalf("200 draws from 100 members gave %d different ones", len(seen))
	}
	for range 20 {
		some := map[string]bool{}
		for _, e := range r.do("SRANDMEMBER", "s", "70").Elems {
			some[e.Str] = true
		}
		if len(some) != 70 {
			t.Fatalf("%d different members, want 70", len(some))
		}
	}
}

func TestScanVisitsEveryKeyThatStays(t *testing.T) {
	r := newRig(t)
	const keys = 3000
	for i := range keys {
		r.do("SET", benchKey(i), "v")
	}
	seen := map[string]int{}
	for cursor, n := "0", 0; n == 0 || cursor != "0"; n++ {
		reply := r.do("SCAN", cursor, "COUNT", "7")
		cursor = reply.Elems[0].Str
		for _, e := range reply.Elems[1].Elems {
			seen[e.Str]++
		}
		r.do("SET", fmt.Sprint("comes ", n), "v") // changes beside the scan
		r.do("DEL", fmt.Sprint("comes ", n-1))
	}
	for i := range keys {
		if seen[benchKey(i)] != 1 {
			t.Fatalf("%s was visited %d times", benchKey(i), seen[benchKey(i)])
		}
	}
}

func TestEqualHashesShareAPlace(t *testing.T) {
	d := newDict(hasher{1, 2}, func(n *node[int]) int64 { return int64(len(n.key) + n.val) })
	h := d.hash.sum([]byte("a"))
	// Real collisions of 48 bits cannot be found: make some by hand.
	chain := insert(nil, "a", 1)
	for i, key := range []string{"c", "b"} {
		chain = insert(chain, key, i+2)
	}
	d.tree.Set(h, chain)
	d.n, d.bytes = 3, 3+1+2+3
	if !d.delete([]byte("a")) || d.has([]byte("a")) || d.len() != 2 {
		t.Fatal("a is still there")
	}
	if !d.set("a", 9) || d.set("a", 10) || d.get([]byte("a")).val != 10 || d.len() != 3 {
		t.Fatal("a is not there again")
	}
	if d.bytes != 3+10+2+3 {
		t.Fatalf("it counts %d bytes", d.bytes)
	}
	var names []string
	d.each(func(key string, _ int) bool {
		names = append(names, key)
		return true
	})
	if got := strings.Join(names, ""); got != "abc" {
		t.Fatalf("the order is %q", got)
	}
	for count := range 4 {
		if n := len(d.sample(&random{7}, count)); n != count {
			t.Fatalf("%d of %d drawn", n, count)
		}
	}
}

func TestBitsHaveAGreatestOffset(t *testing.T) {
	r := newRig(t)
	last := 8*MaxString - 1
	wantReply(t, r.do("SETBIT", "k", fmt.Sprint(last), "1"), resp.Int(0))
	wantReply(t, r.do("STRLEN", "k"), resp.Int(MaxString))
	wantReply(t, r.do("BITCOUNT", "k"), resp.Int(1))
	wantReply(t, r.do("BITPOS", "k", "1"), resp.Int(last))
	wantReply(t, r.do("SETBIT", "k", fmt.Sprint(last+1), "1"), errBitOffset)
	wantReply(t, r.do("BITFIELD", "k", "SET", "u8", fmt.Sprint(last-7), "1"), resp.List(resp.Int(1)))
	for _, beyond := range []string{fmt.Sprint(last - 6), "9223372036854775807", "#1152921504606846975"} {
		wantReply(t, r.do("BITFIELD", "k", "SET", "u8", beyond, "1"), errBitOffset)
		wantReply(t, r.do("BITFIELD_RO", "k", "GET", "u8", beyond), errBitOffset)
	}
}

func TestLCSHasAGreatestCost(t *testing.T) {
	r := newRig(t)
	r.do("SET", "a", strings.Repeat("ab", 1000))
	r.do("SET", "b", strings.Repeat("b", 8000))
	wantReply(t, r.do("LCS", "a", "b", "LEN"), resp.Int(1000))
	r.do("SET", "b", strings.Repeat("b", 9000))
	wantReply(t, r.do("LCS", "a", "b"), resp.Err("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"))
}
