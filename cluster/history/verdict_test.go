package history

import (
	"strings"
	"testing"
)

// histories that can and cannot be explained. Good ones and bad ones differ in as
// little as possible.
var histories = []struct {
	name string
	good bool
	text string
}{
	{"write, then read", true, `
		1 0-10 SET k a = OK
		2 20-30 GET k = a`},
	{"stale read", false, `
		1 0-10 SET k a = OK
		1 20-30 SET k b = OK
		2 40-50 GET k = a`},
	{"read beside a write, either", true, `
		1 0-10 SET k a = OK
		1 20-50 SET k b = OK
		2 30-40 GET k = a
		3 30-40 GET k = a`},
	{"new value, then the old one again", false, `
		1 0-10 SET k a = OK
		1 20-90 SET k b = OK
		2 30-40 GET k = b
		3 50-60 GET k = a`},
	{"acknowledged write lost", false, `
		1 0-10 SET k a = OK
		2 20-30 GET k = nil`},
	{"lost update", false, `
		1 0-10 INCR n = 1
		2 20-30 INCR n = 1`},
	{"increments beside each other", true, `
		1 0-30 INCR n = 2
		2 10-20 INCR n = 1
		3 40-50 GET n = "2"`},
	{"unknown increment that was done late", true, `
		1 0-10 INCR n = ?
		2 20-30 INCR n = 1
		2 40-50 GET n = "1"
		2 60-70 GET n = "2"`},
	{"unknown increment that was not done", true, `
		1 0-10 INCR n = ?
		2 20-30 INCR n = 1
		2 60-70 GET n = "1"`},
	{"unknown increment that was done twice", false, `
		1 0-10 INCR n = ?
		2 20-30 INCR n = 2
		2 60-70 GET n = "3"`},
	{"unknown increment that was done and undone", false, `
		1 0-10 INCR n = ?
		2 20-30 GET n = "1"
		2 60-70 GET n = nil`},
	{"unknown write that was done before it was asked for", false, `
		2 0-10 GET k = a
		1 20-30 SET k a = ?`},
	{"two unknown writes in turn", true, `
		1 0-10 SET k a = ?
		1 20-30 SET k b = ?
		2 40-50 GET k = nil
		2 60-70 GET k = b
		2 80-90 GET k = a`},
	{"unknown read", true, `
		1 0-10 SET k a = OK
		2 20-30 GET k = ?
		2 40-50 GET k = a`},
	{"refused and not done", true, `
		1 0-10 SET k a = !
		2 20-30 GET k = nil`},
	{"refused but done", false, `
		1 0-10 SET k a = !
		2 20-30 GET k = a`},
	{"refused increment that was done", false, `
		1 0-10 INCR n = !
		2 20-30 INCR n = 2`},
	{"reply of another command", false, `
		1 0-20 GET k = 1
		2 0-20 INCR n = nil`},
	{"both take with NX", false, `
		1 0-20 SET k a NX = OK
		2 0-20 SET k b NX = OK`},
	{"one takes with NX", true, `
		1 0-20 SET k a NX = OK
		2 0-20 SET k b NX = nil`},
	{"GETSET chain", true, `
		1 0-90 GETSET k a = b
		2 0-90 GETSET k b = nil
		3 0-90 SET k c XX GET = a`},
	{"GETSET chain with a gap", false, `
		1 0-90 GETSET k a = b
		2 0-90 GETSET k b = nil
		3 0-90 GETSET k c = b`},
	{"wrong type, as the machine says it", true, `
		1 0-10 SET k a = OK
		1 20-30 HGET k f = WRONGTYPE Operation against a key holding the wrong kind of value`},
	{"error without a reason", false, `
		1 0-10 INCR n = ERR internal error, the command was not applied`},
	{"hash in any order", true, `
		1 0-10 HSET h a 1 b 2 = 2
		1 20-30 HGETALL h = ["b" "2" "a" "1"]`},
	{"hash with swapped values", false, `
		1 0-10 HSET h a 1 b 2 = 2
		1 20-30 HGETALL h = ["b" "1" "a" "2"]`},
	{"set without a member", false, `
		1 0-10 SADD s a b = 2
		1 20-30 SREM s c = 0
		2 40-50 SMEMBERS s = ["a"]`},
	{"element popped twice", false, `
		1 0-10 RPUSH l a b = 2
		2 20-40 LPOP l = a
		3 20-40 LPOP l = a`},
	{"element pushed twice", false, `
		1 0-10 RPUSH l a = 1
		2 20-40 LRANGE l 0 -1 = [a a]`},
	{"sorted set", true, `
		1 0-10 ZADD z 2 a = 1
		1 20-30 ZINCRBY z 3 b = "3"
		1 40-50 ZRANGE z 0 -1 WITHSCORES = ["a" "2" "b" "3"]`},
	{"sorted set, counted twice", false, `
		1 0-10 ZINCRBY z 3 b = "3"
		1 40-50 ZRANGE z 0 -1 WITHSCORES = ["b" "6"]`},
	{"torn MSET", false, `
		1 0-90 MSET {t}a v {t}b v = OK
		2 10-20 MGET {t}a {t}b = ["v" nil]`},
	{"MSET as a whole", true, `
		1 0-90 MSET {t}a v {t}b v = OK
		2 10-20 MGET {t}a {t}b = [nil nil]
		2 30-40 MGET {t}b {t}a = ["v" "v"]`},
	{"MSET seen on one key before the other", false, `
		1 0-90 MSET {t}a v {t}b v = OK
		2 10-20 GET {t}a = v
		2 30-40 GET {t}b = nil`},
	{"half of a DEL", false, `
		1 0-10 MSET {t}a v {t}b v = OK
		2 20-30 DEL {t}a {t}b = ?
		2 40-50 EXISTS {t}a {t}b = 1`},
	{"pipeline in order", true, `
		1 0#1-90 SET k a = OK
		1 0#1-90 GET k = a
		1 0#1-90 SET k b = OK`},
	{"pipeline out of order", false, `
		1 0#1-90 SET k a = OK
		1 0#1-90 SET k b = OK
		1 0#1-90 GET k = a`},
	{"client that sees its pipeline backwards", false, `
		1 0#1-90 SET k a = OK
		1 0#1-90 SET j a = OK
		1 0#1-90 GET k = nil`},
}

// lockHistories are the same of locks, with times to live of 100 ms.
var lockHistories = []struct {
	name string
	good bool
	text string
}{
	{"given away too early", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 20-99 SET l b NX PX 100 = OK`},
	{"given away after its time", true, `
		1 0-10 SET l a NX PX 100 = OK
		2 20-100 SET l b NX PX 100 = OK`},
	{"both have it at the same time", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 0-10 SET l b NX PX 100 = OK`},
	{"its time runs from when it was asked for", true, `
		1 0-200 SET l a NX PX 100 = OK
		2 150-160 GET l = nil
		2 170-180 GET l = a
		2 190-249 SET l b NX PX 100 = OK`},
	{"still held long after its time, as without a leader", true, `
		1 0-10 SET l a NX PX 100 = OK
		2 900-910 SET l b NX PX 100 = nil
		2 920-930 GET l = a
		1 940-950 EVALSHA ` + releaseSHA + ` 1 l a = 1
		2 960-970 SET l b NX PX 100 = OK`},
	{"given away too early after an extension that came late", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 900-910 EVALSHA ` + extendSHA + ` 1 l a 100 0 = 1
		2 920-999 SET l b NX PX 100 = OK`},
	{"given away after such an extension", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 900-910 EVALSHA ` + extendSHA + ` 1 l a 100 0 = 1
		2 920-1000 SET l b NX PX 100 = OK`},
	{"gone too early", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 20-99 GET l = nil`},
	{"comes back after it expired", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 110-120 GET l = nil
		2 130-140 GET l = a`},
	{"comes back after another had it", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 110-120 SET l b NX PX 100 = OK
		2 130-140 GET l = a`},
	{"seen after its release", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + releaseSHA + ` 1 l a = 1
		2 40-50 GET l = a`},
	{"refused though free", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + releaseSHA + ` 1 l a = 1
		2 40-50 SET l b NX PX 100 = nil`},
	{"released by another", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 20-30 EVALSHA ` + releaseSHA + ` 1 l b = 1`},
	{"release that came too late", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 110-120 EVALSHA ` + releaseSHA + ` 1 l a = 0
		2 130-140 GET l = nil`},
	{"release that says it came too late, but did not", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + releaseSHA + ` 1 l a = 0`},
	{"release that says it came too late, of a lock that is still there", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 110-120 EVALSHA ` + releaseSHA + ` 1 l a = 0
		2 130-140 GET l = a`},
	{"extended by what is added", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + extendSHA + ` 1 l a 100 0 = 1
		2 40-200 SET l b NX PX 100 = OK`},
	{"given away before the added time", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + extendSHA + ` 1 l a 100 0 = 1
		2 40-199 SET l b NX PX 100 = OK`},
	{"given away before the new time", false, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + extendSHA + ` 1 l a 100 1 = 1
		2 40-119 SET l b NX PX 100 = OK`},
	{"given away after the new, shorter time", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + reacquireSHA + ` 1 l a 10 = 1
		2 31-32 SET l b NX PX 100 = OK`},
	{"extended after another has it", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 110-120 SET l b NX PX 100 = OK
		1 130-140 EVALSHA ` + extendSHA + ` 1 l a 100 1 = 1`},
	{"unknown acquisition, seen", true, `
		1 0-10 SET l a NX PX 100 = ?
		2 20-30 SET l b NX PX 100 = nil
		2 40-50 GET l = a`},
	{"unknown acquisition, done later", true, `
		1 0-10 SET l a NX PX 100 = ?
		2 20-30 SET l b NX PX 100 = OK
		2 200-210 GET l = a`},
	{"unknown acquisition, later, is given away too early", false, `
		1 0-10 SET l a NX PX 100 = ?
		2 20-30 SET l b NX PX 100 = OK
		2 200-210 GET l = a
		2 211-215 SET l c NX PX 100 = OK
		2 216-217 SET l d NX PX 100 = OK`},
	{"unknown acquisition, done twice", false, `
		1 0-10 SET l a NX PX 100 = ?
		2 20-30 GET l = a
		2 150-160 GET l = nil
		2 170-180 GET l = a`},
	{"refused acquisition that was done", false, `
		1 0-10 SET l a NX PX 100 = !
		2 20-30 GET l = a`},
	{"unknown release", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + releaseSHA + ` 1 l a = ?
		2 40-50 GET l = a
		2 60-70 SET l b NX PX 100 = OK`},
	{"unknown extension", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + extendSHA + ` 1 l a 100 0 = ?
		2 110-120 PTTL l = 85`},
	{"more time left than was given", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 40-50 PTTL l = 101`},
	{"less time left than is promised", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 40-50 PTTL l = 48`},
	{"no time to live", false, `
		1 0-10 SET l a NX PX 100 = OK
		2 40-50 PTTL l = -1`},
	{"gone by PTTL, then given away", true, `
		1 0-10 SET l a NX PX 100 = OK
		2 90-105 PTTL l = -2
		2 106-107 SET l b NX PX 100 = OK`},
	{"own lock by the whole script", true, `
		1 0-10 SET l a NX PX 100 = OK
		1 20-30 EVALSHA ` + releaseSHA + ` 1 l b = 0
		2 40-50 GET l = a`},
}

func TestVerdicts(t *testing.T) {
	for _, tt := range append(histories, lockHistories...) {
		t.Run(tt.name, func(t *testing.T) {
			report := Check(parse(t, tt.text), CheckOptions{})
			if good := len(report.Violations) == 0; good != tt.good {
				t.Errorf("taken for good: %v. %v", good, report.Err())
			}
			for _, v := range report.Violations {
				if !strings.HasPrefix(v.Why, "no order") {
					t.Errorf("%s", v.Why)
				}
			}
		})
	}
}
