package fsm

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// grantOf is the reply to who is granted a lock for the n-th token of the machine.
func grantOf(token uint64, ms, holds int) resp.Value {
	return resp.List(resp.Int64(int64(token)), resp.Int(ms), resp.Int(holds))
}

const firstToken = 1<<48 + 1

func TestLocks(t *testing.T) {
	const a, b = firstToken, firstToken + 1
	upgrade := resp.Err("UPGRADE a shared lock is not made exclusive: release it first")
	for _, tt := range []struct {
		name  string
		steps []any // a command, then its reply; a number of ms that pass
	}{
		{"one at a time", []any{
			"LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 1), "LOCK.ACQUIRE k you 1000", resp.NullArray, "SET k you NX", resp.Null, "GET k", resp.Str("me"),
			"PTTL k", resp.Int(1000), "LOCK.CHECK k " + tok(a), resp.Int(1), "LOCK.CHECK k " + tok(b), resp.Int(0),
			"LOCK.RELEASE k " + tok(b), resp.Null, "LOCK.RELEASE k " + tok(a), resp.Int(0), "EXISTS k", resp.Int(0),
			"LOCK.ACQUIRE k you 500", grantOf(b, 500, 1), "LOCK.RELEASE k " + tok(a), resp.Null, "GET k", resp.Str("you"),
		}},
		{"asked for again", []any{
			"LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 1), 400, "LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 1), "LOCK.ACQUIRE k me 10", grantOf(a, 1000, 1),
			"LOCK.RELEASE k " + tok(a), resp.Int(0), "LOCK.RELEASE k " + tok(a), resp.Null,
		}},
		{"counted", []any{
			"LOCK.ACQUIRE k me 1000 REENTRANT", grantOf(a, 1000, 1), "LOCK.ACQUIRE k me 1000 reentrant", grantOf(a, 1000, 2),
			"LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 2), "LOCK.RELEASE k " + tok(a), resp.Int(1), "GET k", resp.Str("me"), "LOCK.RELEASE k " + tok(a), resp.Int(0),
		}},
		{"its time", []any{
			"LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 1), 1000, "LOCK.CHECK k " + tok(a), resp.Int(1), 1, "LOCK.CHECK k " + tok(a), resp.Int(0),
			"LOCK.RENEW k " + tok(a) + " 1000", resp.Int(0), "LOCK.ACQUIRE k me 1000", grantOf(b, 1000, 1), 999, "LOCK.RENEW k " + tok(b) + " 5000", resp.Int(1),
			4000, "LOCK.CHECK k " + tok(b), resp.Int(1), "PTTL k", resp.Int(1000), "LOCK.RENEW k " + tok(b) + " 10", resp.Int(1), "PTTL k", resp.Int(10),
		}},
		{"shared", []any{
			"LOCK.ACQUIRE k me 1000 SHARED", grantOf(a, 1000, 1), "LOCK.ACQUIRE k you 3000 SHARED", grantOf(b, 3000, 1), "LOCK.ACQUIRE k he 10", resp.NullArray,
			"LOCK.ACQUIRE k me 1000", upgrade, "PTTL k", resp.Int(3000), 1001, "LOCK.CHECK k " + tok(a), resp.Int(0), "LOCK.CHECK k " + tok(b), resp.Int(1),
			"LOCK.ACQUIRE k me 10 SHARED", grantOf(b+1, 10, 1), "LOCK.RELEASE k " + tok(b), resp.Int(0), "GET k", resp.Str("me"), "PTTL k", resp.Int(10),
			"LOCK.RELEASE k " + tok(b+1), resp.Int(0), "EXISTS k", resp.Int(0), "LOCK.ACQUIRE k me 1000", grantOf(b+2, 1000, 1),
		}},
		{"made shared", []any{
			"LOCK.ACQUIRE k me 1000", grantOf(a, 1000, 1), "LOCK.ACQUIRE k you 1000 SHARED", resp.NullArray, "LOCK.ACQUIRE k me 1000 SHARED", grantOf(a, 1000, 1),
			"LOCK.ACQUIRE k you 1000 SHARED", grantOf(b, 1000, 1), "LOCK.CHECK k " + tok(a), resp.Int(1),
		}},
		{"a delay after it is lost", []any{
			"LOCK.ACQUIRE k me 1000 DELAY 500", grantOf(a, 1000, 1), 1001, "LOCK.CHECK k " + tok(a), resp.Int(0), "LOCK.RENEW k " + tok(a) + " 10", resp.Int(0),
			"LOCK.ACQUIRE k me 10", resp.NullArray, "LOCK.ACQUIRE k you 10 SHARED", resp.NullArray, "SET k you NX", resp.Null, 499, "SET k you NX", resp.Null, 1, "LOCK.ACQUIRE k you 10", grantOf(b, 10, 1),
		}},
		{"none after it is released", []any{
			"LOCK.ACQUIRE k me 1000 DELAY 500", grantOf(a, 1000, 1), "LOCK.RELEASE k " + tok(a), resp.Int(0), "LOCK.ACQUIRE k you 10", grantOf(b, 10, 1),
		}},
		{"taken by force", []any{
			"LOCK.ACQUIRE k me 1000 DELAY 500", grantOf(a, 1000, 1), "LOCK.FORCE k " + tok(b), resp.Int(0), "LOCK.FORCE k " + tok(a), resp.Int(1),
			"LOCK.CHECK k " + tok(a), resp.Int(0), "LOCK.ACQUIRE k you 10", resp.NullArray, "PTTL k", resp.Int(500), 501, "LOCK.ACQUIRE k you 10 DELAY 0", grantOf(b, 10, 1),
			"LOCK.FORCE k " + tok(b), resp.Int(1), "EXISTS k", resp.Int(0),
		}},
		{"of another client's", []any{
			"SET k me NX PX 1000", resp.OK, "LOCK.ACQUIRE k you 10", resp.NullArray, "LOCK.CHECK k " + tok(a), resp.Int(1), "LOCK.ACQUIRE k me 2000", grantOf(a, 2000, 1), "PTTL k", resp.Int(2000),
			"LOCK.RELEASE k " + tok(a), resp.Int(0), "SET k me NX", resp.OK, "LOCK.ACQUIRE k me 10", grantOf(b, -1, 1), "LOCK.FORCE k " + tok(b), resp.Int(1), "EXISTS k", resp.Int(0),
		}},
		{"for other clients", []any{
			"LOCK.ACQUIRE k me 1000 DELAY 100", grantOf(a, 1000, 1), "PEXPIRE k 2000", resp.Int(1), "PTTL k", resp.Int(2100), "LOCK.ACQUIRE k me 10", grantOf(a, 2000, 1),
			"PERSIST k", resp.Int(1), "LOCK.ACQUIRE k me 10", grantOf(a, -1, 1), "LOCK.RENEW k " + tok(a) + " 50", resp.Int(1), 51, "LOCK.CHECK k " + tok(a), resp.Int(0),
			"DEL k", resp.Int(1), "LOCK.ACQUIRE k you 10", grantOf(b, 10, 1), "SET k other", resp.OK, "LOCK.ACQUIRE k you 10", resp.NullArray,
		}},
		{"under another name", []any{
			"LOCK.ACQUIRE k me 1000 SHARED", grantOf(a, 1000, 1), "RENAME k l", resp.OK, "LOCK.CHECK l " + tok(a), resp.Int(0), "LOCK.CHECK l " + tok(b), resp.Int(1),
			"LOCK.ACQUIRE l you 10 SHARED", resp.NullArray,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.checked = true
			for i := 0; i < len(tt.steps); i++ {
				switch s := tt.steps[i].(type) {
				case int:
					r.clock += int64(s)
					r.apply()
				case string:
					i++
					if got, want := r.do(strings.Fields(s)...), tt.steps[i].(resp.Value); !equal(got, want) {
						t.Fatalf("%s: %s, want %s", s, show(got), show(want))
					}
					checkSound(t, r.m)
					if c := restored(t, r.m); c.Bytes() != r.m.Bytes() {
						t.Fatalf("%s: %d bytes, restored %d", s, r.m.Bytes(), c.Bytes())
					}
				}
			}
		})
	}
}

func tok(n uint64) string { return strconv.FormatUint(n, 10) }

func TestLockFaults(t *testing.T) {
	r := newRig(t)
	r.do("RPUSH", "list", "a")
	long := strings.Repeat("m", maxMeta+1)
	for _, tt := range []struct{ call, want string }{
		{"LOCK.ACQUIRE list me 10", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.RENEW list 1 10", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.RELEASE list 1", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.CHECK list 1", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.FORCE list 1", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.INFO list", "WRONGTYPE Operation against a key holding the wrong kind of value"},
		{"LOCK.ACQUIRE k me x", "ERR value is not an integer or out of range"},
		{"LOCK.ACQUIRE k me 0", "ERR invalid expire time in lock command: it has to be at least 1 ms, or 0 with a session"},
		{"LOCK.ACQUIRE k me 9223372036854775807", "ERR invalid expire time in lock command: it has to be at least 1 ms, or 0 with a session"},
		{"LOCK.RENEW k 1 -5", "ERR invalid expire time in lock command: it has to be at least 1 ms, or 0 with a session"},
		{"LOCK.ACQUIRE k me 10 NX", "ERR syntax error"},
		{"LOCK.ACQUIRE k me 10 DELAY", "ERR syntax error"},
		{"LOCK.ACQUIRE k me 10 DELAY -1", "ERR DELAY and WAIT take a number of milliseconds"},
		{"LOCK.ACQUIRE k me 10 META " + long, "ERR META is longer than 4096 bytes"},
		{"LOCK.RENEW k me 10", "ERR the token is not a number"},
		{"LOCK.CHECK k -1", "ERR the token is not a number"},
	} {
		wantReply(t, r.do(strings.Fields(tt.call)...), resp.Err(tt.want))
	}
	crowd := lock{mode: shared}
	for i := range maxHolders {
		crowd.holders = append(crowd.holders, holder{owner: fmt.Sprint("reader-", i), token: uint64(i + 1), holds: 1})
	}
	r.m.ks[0].put("k", nil, entry{str: "reader-0", token: 1, lock: &crowd})
	wantReply(t, r.do("LOCK.ACQUIRE", "k", "another", "1000", "SHARED"), errHolders)
}

func TestLockInfo(t *testing.T) {
	r := newRig(t)
	wantReply(t, r.do("LOCK.INFO", "k"), resp.Null)
	r.do("LOCK.ACQUIRE", "k", "me", "1000", "SHARED", "META", "pid 7", "DELAY", "50")
	r.clock += 100
	r.do("LOCK.ACQUIRE", "k", "you", "1000", "SHARED")
	r.do("LOCK.RENEW", "k", tok(firstToken), "1500")
	holder := func(owner string, token uint64, held, expires, renewals int, meta string) resp.Value {
		return resp.Pairs(resp.Str("owner"), resp.Str(owner), resp.Str("token"), resp.Int64(int64(token)), resp.Str("holds"), resp.Int(1),
			resp.Str("session"), resp.Str(""), resp.Str("client"), resp.Str(""), resp.Str("meta"), resp.Str(meta),
			resp.Str("held-ms"), resp.Int(held), resp.Str("expires-in-ms"), resp.Int(expires), resp.Str("renewals"), resp.Int(renewals))
	}
	wantReply(t, r.do("LOCK.INFO", "k"), resp.Pairs(
		resp.Str("mode"), resp.Str("shared"), resp.Str("native"), resp.Int(1), resp.Str("delay-ms"), resp.Int(50), resp.Str("limit"), resp.Int(0), resp.Str("free-in-ms"), resp.Int(1550),
		resp.Str("holders"), resp.List(holder("me", firstToken, 100, 1500, 1, "pid 7"), holder("you", firstToken+1, 0, 1000, 0, "")), resp.Str("queue"), resp.EmptyArray))
	r.do("SET", "other", "me")
	wantReply(t, r.do("LOCK.INFO", "other"), resp.Pairs(
		resp.Str("mode"), resp.Str("exclusive"), resp.Str("native"), resp.Int(0), resp.Str("delay-ms"), resp.Int(0), resp.Str("limit"), resp.Int(0), resp.Str("free-in-ms"), resp.Int(-1),
		resp.Str("holders"), resp.List(holder("me", firstToken+2, -1, -1, 0, "")), resp.Str("queue"), resp.EmptyArray))
}
