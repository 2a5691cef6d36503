package fsm

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// tokens finds fencing tokens, which are shown as #n.
var tokens = regexp.MustCompile(`\b2814749767\d{5}\b`)

// brief shows a reply in one line.
func brief(v resp.Value) string {
	text := strings.Join(strings.Fields(string(v.Append(nil, 3))), " ")
	return tokens.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.ParseUint(s, 10, 64)
		return "#" + strconv.FormatUint(n-1<<48, 10)
	})
}

// play does steps: a command and its reply, or how many ms pass. In both #n is the n-th
// token of the machine.
func play(t *testing.T, steps []any) {
	t.Helper()
	r := newRig(t)
	r.checked = true
	number := regexp.MustCompile(`#\d+`)
	for i := 0; i < len(steps); i++ {
		ms, pass := steps[i].(int)
		if pass {
			r.clock += int64(ms)
			r.apply()
			continue
		}
		line := number.ReplaceAllStringFunc(steps[i].(string), func(s string) string {
			n, _ := strconv.ParseUint(s[1:], 10, 64)
			return tok(1<<48 + n)
		})
		i++
		args := strings.Fields(line)
		for j := range args {
			args[j] = strings.TrimPrefix(args[j], "''") // nothing
		}
		if got, want := brief(r.do(args...)), steps[i].(string); got != want {
			t.Fatalf("%s:\n got %s\nwant %s", line, got, want)
		}
		checkSound(t, r.m)
		if c := restored(t, r.m); c.Bytes() != r.m.Bytes() || c.SessionCount() != r.m.SessionCount() || c.LastTold() != r.m.LastTold() {
			t.Fatalf("%s: the restored machine differs", line)
		}
	}
}

const (
	nosession = "-NOSESSION the session is not known, or has ended"
	open      = "SESSION.PUT s@eu 5000 me - cli - 0"
	openOther = "SESSION.PUT o@eu 5000 you - cli - 0"
	endIt     = "SESSION.END s@eu expired"
)

func TestSessions(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []any
	}{
		{"opened again", []any{
			open, "+OK", open, "+OK", "SESSION.PUT s@eu 6000 me - - - 0", "-ERR the session is open, with another time to live",
			"SESSION.ALIVE s@eu", "*2 :5000 :0", "SESSION.ALIVE o@eu", nosession, "SESSION.PUT s@eu 10 - - - - 0", "-ERR syntax error", "SESSION.PUT s 5000 - - - - 0", "-ERR syntax error",
			"SESSION.END s@eu -", ":1", "SESSION.END s@eu -", ":0", "SESSION.ALIVE s@eu", nosession,
		}},
		{"its locks end with it", []any{
			open, "+OK", "LOCK.ACQUIRE k me 0 SESSION s@eu", "*3 :#1 :-1 :1", "LOCK.ACQUIRE l me 1000 SESSION s@eu", "*3 :#2 :1000 :1", "LOCK.ACQUIRE m me 1000", "*3 :#3 :1000 :1",
			"LOCK.ACQUIRE k you 10", "_", "GET k", "$2 me", endIt, ":1", "LOCK.CHECK k #1", ":0", "EXISTS k l m", ":1", "LOCK.ACQUIRE k you 10", "*3 :#4 :10 :1",
			"LOCK.ACQUIRE l me 0 SESSION s@eu", nosession, "LOCK.ACQUIRE l me 0", "-ERR invalid expire time in lock command: it has to be at least 1 ms, or 0 with a session",
		}},
		{"what is shared stays with others", []any{
			open, "+OK", "LOCK.ACQUIRE k me 0 SHARED SESSION s@eu", "*3 :#1 :-1 :1", "LOCK.ACQUIRE k you 5000 SHARED", "*3 :#2 :5000 :1", "PTTL k", ":-1",
			endIt, ":1", "PTTL k", ":5000", "GET k", "$3 you", "LOCK.CHECK k #2", ":1",
		}},
		{"a delay when it is lost, none when it is closed", []any{
			open, "+OK", openOther, "+OK", "LOCK.ACQUIRE k me 0 DELAY 300 SESSION s@eu", "*3 :#1 :-1 :1", "LOCK.ACQUIRE l you 0 DELAY 300 SESSION o@eu", "*3 :#2 :-1 :1",
			endIt, ":1", "SESSION.END o@eu ''", ":1", "LOCK.ACQUIRE l he 10", "*3 :#3 :10 :1", "LOCK.ACQUIRE k he 10", "_", 301, "LOCK.ACQUIRE k he 10", "*3 :#4 :10 :1",
		}},
		{"another session's owner is another owner", []any{
			open, "+OK", openOther, "+OK", "LOCK.ACQUIRE k me 0 SESSION s@eu", "*3 :#1 :-1 :1", "LOCK.ACQUIRE k me 0 SESSION s@eu", "*3 :#1 :-1 :1", "LOCK.ACQUIRE k me 0 SESSION o@eu", "_", "LOCK.ACQUIRE k me 10", "_",
		}},
		{"it counts what it loses", []any{
			open, "+OK", "LOCK.ACQUIRE a me 100 SESSION s@eu", "*3 :#1 :100 :1", "LOCK.ACQUIRE b me 0 SESSION s@eu", "*3 :#2 :-1 :1", "LOCK.ACQUIRE c me 0 SESSION s@eu", "*3 :#3 :-1 :1", "LOCK.ACQUIRE d me 0 SESSION s@eu", "*3 :#4 :-1 :1",
			"SESSION.ALIVE s@eu", "*2 :5000 :0", 101, "SESSION.ALIVE s@eu", "*2 :5000 :1", "LOCK.FORCE b #2 REASON stuck CLIENT op", ":1", "SESSION.ALIVE s@eu", "*2 :5000 :2",
			"DEL c", ":1", "SESSION.ALIVE s@eu", "*2 :5000 :3", "LOCK.RELEASE d #4", ":0", "SESSION.ALIVE s@eu", "*2 :5000 :3", "LOCK.ACQUIRE e me 0 SESSION s@eu", "*3 :#5 :-1 :1",
			"SWAPDB 0 1", "+OK", "SESSION.ALIVE s@eu", "*2 :5000 :3", "FLUSHALL", "+OK", "SESSION.ALIVE s@eu", "*2 :5000 :4", endIt, ":1",
		}},
		{"an audit trail", []any{
			"LOCK.ACQUIRE k me 100 CLIENT here", "*3 :#1 :100 :1", "LOCK.FORCE k #1 REASON stuck CLIENT op", ":1",
			"LOCK.AUDIT", "*1 %8 $7 time-ms :1700000001000 $3 key $1 k $2 db :0 $5 owner $2 me $5 token $15 #1 $6 holder $4 here $6 reason $5 stuck $6 client $2 op", "LOCK.AUDIT COUNT 0", "*0",
			"LOCK.FORCE k #1 REASON", "-ERR syntax error", "LOCK.AUDIT COUNT x", "-ERR value is not an integer or out of range",
		}},
		{"parts", []any{
			open, "+OK", "SESSION.PART s@eu us ASK", "*4 :5000 $2 me $1 - $3 cli", "SESSION.PART s@eu us ASK", "_", "SESSION.ALIVE s@eu", "*2 :5000 :0",
			"SESSION.PART s@eu us OPENED", ":1", "SESSION.PART s@eu us ASK", ":1", "SESSION.ALIVE s@eu", "*3 :5000 :0 $2 us", "SESSION.PART s@eu as ASK", "*4 :5000 $2 me $1 - $3 cli",
			30_000, "SESSION.PART s@eu as ASK", "*4 :5000 $2 me $1 - $3 cli", "SESSION.PART o@eu as ASK", nosession,
		}},
		{"bound to a connection", []any{
			"SESSION.PUT s@eu 5000 me - cli c1 200", "+OK", "SESSION.BIND s@eu c2 -1", ":200", "SESSION.END s@eu gone c1", ":0", "SESSION.END s@eu gone c2", ":1", "SESSION.BIND s@eu c2 -1", nosession,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, tt.steps) })
	}
}

func TestSeveralLocksAtOnce(t *testing.T) {
	play(t, []any{
		"LOCK.MULTI 2 a b me 1000", "*3 :#1 :1000 :1", "LOCK.CHECK a #1", ":1", "LOCK.CHECK b #1", ":1", "LOCK.MULTI 2 b c you 1000", "_", "EXISTS c", ":0",
		"LOCK.MULTI 2 a b me 1000", "*3 :#1 :1000 :1", "LOCK.MULTI 2 b c me 1000", "-ERR the owner has some of the locks, and not the others",
		"LOCK.RELEASE a #1 b", ":0", "EXISTS a b", ":0", "LOCK.RELEASE a #1 b", "_", "LOCK.MULTI 2 b c you 1000", "*3 :#2 :1000 :1", "LOCK.ACQUIRE c he 10", "_",
		"LOCK.MULTI 0 me 1000 SHARED", "-ERR numkeys has to be a number from 1 to 1000", "LOCK.MULTI 3 a b c 1000", "-ERR syntax error", "LOCK.MULTI x a me 1000", "-ERR numkeys has to be a number from 1 to 1000",
		"RPUSH list x", ":1", "LOCK.MULTI 2 z list me 1000", "-WRONGTYPE Operation against a key holding the wrong kind of value", "EXISTS z", ":0",
	})
}

// TestUndo: a client that was gone when its wait was served gives back what it got, but not
// what it was told of elsewhere meanwhile.
func TestUndo(t *testing.T) {
	play(t, []any{
		open, "+OK", "LOCK.ACQUIRE k me 1000", "*3 :#1 :1000 :1", "LOCK.UNDO k #1", ":0", "EXISTS k", ":0", "LOCK.UNDO k #1", "_",
		"LOCK.ACQUIRE k me 1000", "*3 :#2 :1000 :1", "LOCK.ACQUIRE k me 1000", "*3 :#2 :1000 :1", "LOCK.UNDO k #2", ":0", "LOCK.CHECK k #2", ":1", "LOCK.UNDO k #2", ":0", "LOCK.CHECK k #2", ":0",
		"LOCK.ACQUIRE k me 1000 REENTRANT", "*3 :#3 :1000 :1", "LOCK.ACQUIRE k me 1000 REENTRANT", "*3 :#3 :1000 :2", "LOCK.UNDO k #3", ":0", "LOCK.RELEASE k #3", ":0",
		"LOCK.MULTI 2 a b me 1000", "*3 :#4 :1000 :1", "LOCK.UNDO a #4 b", ":0", "EXISTS a b", ":0",
		"SEM.ACQUIRE s me 1000 LIMIT 3 PERMITS 2", "*3 :#5 :1000 :2", "SEM.ACQUIRE s me 1000 PERMITS 2", "*3 :#5 :1000 :2", "LOCK.UNDO s #5", ":0", "SEM.CHECK s #5", ":1", "LOCK.UNDO s #5", ":0", "SEM.CHECK s #5", ":0",
		"REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#7", endIt, ":1", openOther, "+OK", "REF.WAITLAST R q SESSION o@eu", "*4 :0 :#7 :#10 _", "REF.WAITLAST R q SESSION o@eu", "*4 :0 :#7 :#10 _",
		"REF.UNDO R #10", ":1", "REF.PENDING", "*0", "REF.UNDO R #10", ":1", "REF.PENDING", "*1 $1 R", "REF.UNDO R #10", ":0",
	})
}

func TestSemaphores(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []any
	}{
		{"a limit", []any{
			"SEM.ACQUIRE s a 1000", "-ERR there is no such semaphore: LIMIT makes one", "SEM.ACQUIRE s a 1000 LIMIT 3", "*3 :#1 :1000 :1", "SEM.ACQUIRE s b 1000 PERMITS 2", "*3 :#2 :1000 :2",
			"SEM.ACQUIRE s c 1000", "_", "SEM.ACQUIRE s a 1000", "*3 :#1 :1000 :1", "SEM.ACQUIRE s a 1000 PERMITS 2", "-ERR the owner has another number of permits", "SEM.ACQUIRE s c 1000 LIMIT 4", "-ERR the semaphore has 3 permits, not 4",
			"SEM.ACQUIRE s c 1000 PERMITS 4", "-ERR the semaphore has no more than 3 permits", "SEM.RELEASE s #2", ":0", "SEM.ACQUIRE s c 1000 PERMITS 2", "*3 :#3 :1000 :2", "SEM.RELEASE s #2", "_",
			"SEM.CHECK s #3", ":1", "SEM.RENEW s #3 50", ":1", 51, "SEM.CHECK s #3", ":0", "SEM.CHECK s #1", ":1", "SEM.ACQUIRE s d 10 PERMITS 2", "*3 :#4 :10 :2", 1000, "EXISTS s", ":0",
		}},
		{"a limit for good", []any{
			"SEM.LIMIT s 2", ":1", "SEM.ACQUIRE s a 1000 PERMITS 2", "*3 :#1 :1000 :2", "SEM.LIMIT s 1", ":1", "SEM.ACQUIRE s b 1000", "_", "SEM.RELEASE s #1", ":0", "EXISTS s", ":1",
			"SEM.ACQUIRE s b 1000", "*3 :#2 :1000 :1", "SEM.LIMIT s 0", ":1", "SEM.RELEASE s #2", ":0", "EXISTS s", ":0", "SEM.LIMIT s 0", ":1", "SEM.LIMIT s -1", "-ERR LIMIT and PERMITS are numbers from 1 to 2147483647",
		}},
		{"no lock", []any{
			"SEM.ACQUIRE s a 1000 LIMIT 3", "*3 :#1 :1000 :1", "LOCK.ACQUIRE s b 1000", "-ERR the key is a semaphore, not a lock", "SET s x NX", "_", "LOCK.ACQUIRE k b 1000", "*3 :#2 :1000 :1",
			"SEM.ACQUIRE k a 1000 LIMIT 3", "-ERR the key is a lock, not a semaphore", "SEM.LIMIT k 3", "-ERR the key is a lock, not a semaphore", "SEM.ACQUIRE s b 1000 SHARED", "-ERR syntax error", "SEM.ACQUIRE s b 1000 LIMIT 0", "-ERR LIMIT and PERMITS are numbers from 1 to 2147483647",
		}},
		{"permits end with the session", []any{
			open, "+OK", "SEM.ACQUIRE s a 0 LIMIT 2 SESSION s@eu", "*3 :#1 :-1 :1", "SEM.ACQUIRE s b 0 SESSION s@eu", "*3 :#2 :-1 :1", "SEM.ACQUIRE s c 10", "_", endIt, ":1", "EXISTS s", ":0", "SEM.ACQUIRE s c 10 LIMIT 2", "*3 :#3 :10 :1",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, tt.steps) })
	}
}

func TestReferences(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []any
	}{
		{"one count with phonon's clients", []any{
			"HSET phonon_R.nodelist py 1", ":1", "INCRBY phonon_R.refcount 1", ":1", "REF.ACQUIRE R go", "*2 :2 :#1", "REF.ACQUIRE R go", "*2 :2 :#1", "HLEN phonon_R.nodelist", ":2", "GET phonon_R.refcount", "$1 2",
			"REF.COUNT R", ":2", "REF.TOUCH R go MODIFIED", "*3 :2 :1 :#1", "REF.TOUCH R he", "_", "REF.RELEASE R go", "*6 :1 :0 :1 :#1 _ _", "REF.RELEASE R go", "_",
			"HDEL phonon_R.nodelist py", ":1", "INCRBY phonon_R.refcount -1", ":0", "REF.COUNT R", ":0",
		}},
		{"the last one, without a session", []any{
			"REF.ACQUIRE R p", "*2 :1 :#1", "SET R payload", "+OK", "REF.TOUCH R p MODIFIED", "*3 :1 :1 :#1", "REF.RELEASE R p", "*6 :0 :1 :1 :#1 _ _", "KEYS *", "*1 $1 R", "REF.ACQUIRE R p", "*2 :1 :#5",
		}},
		{"the last one completes", []any{
			open, "+OK", "REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#2", "REF.ACQUIRE R q", "*2 :2 :#2", "SET R payload", "+OK", "REF.RELEASE R q", "*6 :1 :0 :0 :#2 _ _", "REF.RELEASE R p", "*6 :0 :1 :0 :#2 :#6 $7 payload",
			"REF.RELEASE R p", "*6 :0 :1 :0 :#2 :#6 $7 payload", "KEYS *", "*1 $20 phonon_R.completions", "REF.PENDING", "*0", "REF.DONE R 1", ":0", "REF.DONE R #6", ":1", "REF.DONE R #6", ":0", "KEYS *", "*0",
		}},
		{"the last one dies", []any{
			open, "+OK", openOther, "+OK", "REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#2", "SET R payload", "+OK", "REF.WAITLAST R q SESSION o@eu", "_", endIt, ":1", "EXISTS R phonon_R.nodelist phonon_R.refcount", ":0", "REF.PENDING", "*1 $1 R",
			"REF.WAITLAST R q SESSION s@eu", nosession, "REF.WAITLAST R q SESSION o@eu", "*4 :0 :#2 :#6 $7 payload", "REF.WAITLAST R q SESSION o@eu", "*4 :0 :#2 :#6 $7 payload", "REF.PENDING", "*0", "REF.DONE R #6", ":1",
		}},
		{"who completes dies", []any{
			open, "+OK", openOther, "+OK", "REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#2", "SET R one", "+OK", "REF.RELEASE R p", "*6 :0 :1 :0 :#2 :#6 $3 one",
			"REF.ACQUIRE R q SESSION o@eu", "*2 :1 :#8", "SET R two", "+OK", "REF.RELEASE R q", "*6 :0 :1 :0 :#8 _ _", "REF.WAITLAST R q SESSION o@eu", "_", endIt, ":1", "REF.DONE R #6", ":0",
			"REF.WAITLAST R q SESSION o@eu", "*4 :0 :#2 :#11 $3 one", "REF.DONE R #11", ":1", "REF.PENDING", "*1 $1 R", "REF.WAITLAST R q SESSION o@eu", "*4 :0 :#8 :#12 $3 two", "REF.DONE R #12", ":1", "KEYS *", "*0",
		}},
		{"a crash is no release for others", []any{
			open, "+OK", "REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#2", "HSET phonon_R.nodelist py 1", ":1", "INCRBY phonon_R.refcount 1", ":2", endIt, ":1", "REF.COUNT R", ":1", "GET phonon_R.refcount", "$1 1", "REF.PENDING", "*0",
		}},
		{"a process that is started again has the new session", []any{
			open, "+OK", openOther, "+OK", "REF.ACQUIRE R p SESSION s@eu", "*2 :1 :#2", "REF.ACQUIRE R p SESSION o@eu", "*2 :1 :#2", endIt, ":1", "REF.COUNT R", ":1", "SESSION.END o@eu expired", ":1", "REF.COUNT R", ":0", "REF.PENDING", "*1 $1 R",
		}},
		{"faults", []any{
			"SET phonon_R.nodelist x", "+OK", "REF.ACQUIRE R p", "-WRONGTYPE Operation against a key holding the wrong kind of value", "REF.RELEASE R p", "-WRONGTYPE Operation against a key holding the wrong kind of value",
			"REF.ACQUIRE Q p SESSION s@eu", nosession, "REF.ACQUIRE Q p SESSION", "-ERR syntax error", "REF.TOUCH Q p OFTEN", "-ERR syntax error", "REF.WAITLAST Q p WAIT 10", "-ERR REF.WAITLAST needs a SESSION: with it another is elected if this one dies",
			"REF.DONE Q x", "-ERR the token is not a number", "REF.PENDING COUNT x", "-ERR value is not an integer or out of range",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, tt.steps) })
	}
}
