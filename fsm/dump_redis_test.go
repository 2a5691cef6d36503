package fsm

import (
	"fmt"
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// RESTORE takes what a real server dumps, of every type in every encoding.
func TestRestoreTakesDumpsOfRedis(t *testing.T) {
	redis := connect(t, proctest.RunRedis(t), 2)
	r := newRig(t)
	set := func(args ...string) { redis.must(t, args...) }
	for i, s := range []string{"", "v", "12", "-300", "70000", "9223372036854775807", "1.5", strings.Repeat("ab", 500), strings.Repeat("x", 20000)} {
		set("SET", fmt.Sprint("string", i), s)
	}
	values := []string{"0", "127", "-1", "4095", "-4096", "30000", "-8000000", "2000000000", "-9000000000000000000", "text", "", strings.Repeat("y", 63), strings.Repeat("z", 64),
		strings.Repeat("w", 5000), "\x00\xff"}
	for i, v := range values {
		for _, cmd := range [][]string{{"RPUSH", "list", v}, {"HSET", "hash", fmt.Sprint("f", i), v}, {"HSET", "small", fmt.Sprint("f", i), v[:min(len(v), 60)]},
			{"SADD", "set", v}, {"ZADD", "zset", fmt.Sprint(i * i), v}, {"ZADD", "packed", fmt.Sprint(1.5 - float64(i)), v[:min(len(v), 60)]}} {
			set(cmd...)
		}
	}
	for i := range 1000 {
		set("RPUSH", "long", strings.Repeat("element ", i%50))
		set("SADD", "ints", fmt.Sprint(i*i*i-500))
	}
	for _, n := range []string{"40000", "-3000000000"} {
		set("SADD", "ints"+n, "1", n)
	}
	for _, e := range redis.must(t, "KEYS", "*").Elems {
		dump := redis.must(t, "DUMP", e.Str).Str
		if v := r.do("RESTORE", e.Str, "0", dump); v.IsError() {
			t.Errorf("RESTORE of %s: %s", e.Str, v.Str)
			continue
		}
		show := map[string][]string{
			"string": {"GET", e.Str}, "list": {"LRANGE", e.Str, "0", "-1"}, "hash": {"HGETALL", e.Str}, "set": {"SMEMBERS", e.Str},
			"zset": {"ZRANGE", e.Str, "0", "-1", "WITHSCORES"},
		}[redis.must(t, "TYPE", e.Str).Str]
		if want, got := redis.must(t, show...), onWire(t, r.do(show...), 2); !alike(show, got, want) {
			t.Errorf("%s: %.300s, not %.300s", e.Str, cliText(got, ""), cliText(want, ""))
		}
		// No byte of it can be changed or left out, and nothing panics.
		for at := 0; at < len(dump); at += 1 + len(dump)/50 {
			bad := []byte(dump)
			bad[at] ^= 0x55
			for _, b := range []string{string(bad), dump[:at], fixed(bad)} {
				if v := r.do("RESTORE", "other", "0", b, "REPLACE"); !v.IsError() && len(b) < len(dump) {
					t.Errorf("%s: %d bytes of %d are taken", e.Str, len(b), len(dump))
				}
			}
		}
	}
	if v := r.do("RESTORE", "k", "0", "\x00\x01v\x0b\x00"+"12345678"); v.Kind != resp.Error {
		t.Errorf("a dump with a wrong sum: %+v", v)
	}
}

// fixed returns a dump with the checksum that it should have.
func fixed(b []byte) string {
	n := len(b) - 8
	sum := redisCRC(b[:n])
	for i := range 8 {
		b[n+i] = byte(sum >> (8 * i))
	}
	return string(b)
}
