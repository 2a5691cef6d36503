package fsm

import (
	"strconv"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

const (
	pyAcquire   = "5688a2541c9edd77746bcd2385e65ff3639a664f"
	pyRelease   = "c3f8721cbb97f72bc19e972846bd7aaf91901658"
	pyExtendOld = "4a484ac024e9b025224cd9f8e1d59dbf3c15d00d"
	pyExtend    = "a4e8783852e6b949f9ef3a97212805108459a890"
	pyReacquire = "1cac51482acf5858da00f6d685d68f886cd6b6b2"
	rsDelete    = "e950836ed1e694540c503ef9972b8de518044d3b"
	rsDeleteOld = "00583931c4e4d483f6233879c133c71ed5393f9d"
	rsTouch     = "d75bb8b5bd13532ddedd17762e772346e39b321e"
	rsTouchOld  = "53692746b44cae854b8dfa32b177218bbe40baee"
	rsTouchNX   = "b6b55c439e02c6f52ffb8be7ec8c0d0ac816ea79"
)

// withScripts returns a machine that knows all lock scripts.
func withScripts(t *testing.T) *rig {
	r := newRig(t)
	r.m.tx.reset(r.m, 0)
	for sha := range lockScripts {
		r.m.tx.loadScript(sha, []byte("text"))
	}
	r.m.tx.commit()
	return r
}

// TestLockScripts holds what each script answers and leaves behind, for a key
// that is free, held for ever, and held for 100 s, by "me". The values are those
// that the Lua texts gave on Redis 7.0.15.
func TestLockScripts(t *testing.T) {
	const (
		gone = -2
		ever = -1
		kept = 100_000
	)
	const notInt = "ERR value is not an integer or out of range"
	const nilArg = "ERR Lua redis lib command arguments must be strings or integers"
	for _, c := range []struct {
		sha  string
		key  string
		argv string
		want string // an integer, or the start of an error
		ttl  int64
	}{
		{pyAcquire, "free", "me 5000", "1", 5000},
		{pyAcquire, "free", "me ", "1", ever},
		{pyAcquire, "free", "me 0", "1", gone},
		{pyAcquire, "free", "me x", notInt, gone},
		{pyAcquire, "free", "me", nilArg, gone},
		{pyAcquire, "ever", "you 5000", "0", ever},
		{pyAcquire, "held", "me 5000", "0", kept},
		{pyAcquire, "list", "me 5000", "0", ever},
		{pyRelease, "free", "me", "0", gone},
		{pyRelease, "held", "me", "1", gone},
		{pyRelease, "held", "you", "0", kept},
		{pyRelease, "list", "me", "WRONGTYPE", ever},
		{pyExtendOld, "free", "me 5000", "0", gone},
		{pyExtendOld, "ever", "me 5000", "0", ever},
		{pyExtendOld, "held", "me 5000", "1", kept + 5000},
		{pyExtendOld, "held", "me 1e3", "1", kept + 1000},
		{pyExtendOld, "held", "me 1.5", notInt, kept},
		{pyExtendOld, "held", "me x", "ERR user_script:13: attempt to perform arithmetic on field '?' (a string value)", kept},
		{pyExtendOld, "held", "me", "ERR user_script:13: attempt to perform arithmetic on field '?' (a nil value)", kept},
		{pyExtendOld, "held", "me -100000", "1", gone},
		{pyExtendOld, "held", "you 5000", "0", kept},
		{pyExtend, "held", "me 5000 0", "1", kept + 5000},
		{pyExtend, "held", "me 5000 1", "1", 5000},
		{pyExtend, "held", "me 5000", "1", 5000},
		{pyExtend, "held", "me", nilArg, kept},
		{pyExtend, "ever", "me 5000 1", "0", ever},
		{pyExtend, "held", "you 5000 0", "0", kept},
		{pyReacquire, "ever", "me 5000", "1", 5000},
		{pyReacquire, "held", "me 5000", "1", 5000},
		{pyReacquire, "held", "me 0", "1", gone},
		{pyReacquire, "held", "me x", notInt, kept},
		{pyReacquire, "free", "me 5000", "0", gone},
		{pyReacquire, "held", "you 5000", "0", kept},
		{rsDelete, "free", "me", "-1", gone},
		{rsDelete, "held", "me", "1", gone},
		{rsDelete, "held", "you", "0", kept},
		{rsDeleteOld, "free", "me", "0", gone},
		{rsDeleteOld, "held", "me", "1", gone},
		{rsDeleteOld, "held", "you", "0", kept},
		{rsTouch, "held", "me 5000", "1", 5000},
		{rsTouch, "held", "you 5000", "0", kept},
		{rsTouch, "free", "me 5000", "0", gone},
		{rsTouchOld, "ever", "me 5000", "1", 5000},
		{rsTouchOld, "free", "me 5000", "0", gone},
		{rsTouchNX, "held", "me 5000", "1", 5000},
		{rsTouchNX, "held", "you 5000", "0", kept},
		{rsTouchNX, "held", "you 0", "ERR invalid expire time in 'set' command", kept},
		{rsTouchNX, "free", "me 5000", "1", 5000},
		{rsTouchNX, "free", "me x", notInt, gone},
		{rsTouchNX, "list", "me 5000", "WRONGTYPE", ever},
	} {
		r := withScripts(t)
		r.do("SET", "ever", "me")
		r.do("SET", "held", "me", "PX", "100000")
		r.do("RPUSH", "list", "me")
		args := append([]string{"EVALSHA", c.sha, "1", c.key}, strings.Split(c.argv, " ")...)
		version := r.m.version
		reply := r.do(args...) // which also compares with Refuse
		name := lockScripts[c.sha].name + " " + c.key + " " + c.argv
		got := strconv.FormatInt(reply.Int, 10)
		if reply.IsError() {
			got, _, _ = strings.Cut(reply.Str, " script: ")
		}
		if got != c.want && !(c.want == "WRONGTYPE" && got == resp.ErrWrongType.Str) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if reply.IsError() && !strings.Contains(reply.Str, " script: "+c.sha+", on @user_script:") {
			t.Errorf("%s: %q does not say where", name, reply.Str)
		}
		if ttl := r.do("PTTL", c.key).Int; ttl != c.ttl {
			t.Errorf("%s: PTTL %d, want %d", name, ttl, c.ttl)
		}
		// What changes nothing needs no entry in the log.
		if _, refused := r.m.Refuse(callOf(0, args...)); r.m.version == version && !refused {
			t.Errorf("%s: it changed nothing, but is not refused", name)
		}
	}
}

func TestScriptCacheIsPartOfTheState(t *testing.T) {
	r := withScripts(t)
	sum := r.m.Snapshot().Sum()
	r.m = restored(t, r.m)
	if r.m.Snapshot().Sum() != sum {
		t.Fatal("the sums differ")
	}
	wantReply(t, r.do("EVALSHA", pyAcquire, "1", "k", "me", "100"), resp.Int(1))
	digest := r.m.Digest()
	r.do("SCRIPT", "FLUSH")
	if r.m.Digest() == digest {
		t.Fatal("the digest does not cover the scripts")
	}
	wantReply(t, r.do("EVALSHA", pyAcquire, "1", "k", "me", "100"), resp.ErrNoScript)
	wantReply(t, restoredRig(t, r).do("EVALSHA", pyAcquire, "1", "k", "me", "100"), resp.ErrNoScript)
}

func restoredRig(t *testing.T, r *rig) *rig {
	c := *r
	c.m = restored(t, r.m)
	return &c
}

// TestLockInItsLastMillisecond: a lock of which PTTL says 0 is still there, and its
// holder's for every script.
func TestLockInItsLastMillisecond(t *testing.T) {
	for _, script := range []string{pyExtendOld, pyExtend, pyReacquire, rsTouch, rsTouchNX} {
		r := withScripts(t)
		r.do("SET", "held", "me", "PX", "1000")
		r.clock += 1000
		r.apply()
		if left := r.do("PTTL", "held"); left.Int != 0 {
			t.Fatalf("PTTL: %+v", left)
		}
		if v := r.do("EVALSHA", script, "1", "held", "me", "5000", "0"); v.Int != 1 {
			t.Errorf("%s: %+v", lockScripts[script].name, v)
		}
		if left := r.do("PTTL", "held"); left.Int != 5000 {
			t.Errorf("%s: PTTL %+v", lockScripts[script].name, left)
		}
	}
}
