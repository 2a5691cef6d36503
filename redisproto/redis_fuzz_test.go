package redisproto

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tape makes choices of the bytes of a fuzz input: a small change of the input is a
// small change of what is chosen. At its end every choice is 0.
type tape struct{ b []byte }

func (t *tape) more() bool { return len(t.b) > 0 }

func (t *tape) below(n int) int {
	if len(t.b) == 0 {
		return 0
	}
	c := int(t.b[0])
	t.b = t.b[1:]
	return c % n
}

func (t *tape) pick(of []string) string { return of[t.below(len(of))] }

// clientWords are commands as clients send them, in words; "?" stands for one of
// clientArgs. None is here whose reply Redis makes of its own memory, clients or
// settings.
var clientWords = strings.Split(strings.TrimSpace(`
PING
PING ?
ECHO ?
SET ? ?
GET ?
SELECT ?
HELLO
HELLO ?
HELLO 2
HELLO 3
HELLO 3 SETNAME ?
HELLO 2 AUTH default ?
HELLO 3 AUTH ? ? SETNAME ?
HELLO ? ? ?
AUTH ?
AUTH ? ?
CLIENT
CLIENT ?
CLIENT GETNAME
CLIENT SETNAME ?
CLIENT REPLY ?
CLIENT REPLY OFF
CLIENT REPLY ON
CLIENT REPLY SKIP
CLIENT NO-EVICT ?
CLIENT KILL ? ?
CLIENT KILL ID ?
CLIENT KILL TYPE ? SKIPME ?
CLIENT LIST TYPE ?
CLIENT LIST ID 0 ?
COMMAND COUNT ?
COMMAND GETKEYS get ?
COMMAND GETKEYS ? ?
COMMAND DOCS nosuch
COMMAND LIST FILTERBY PATTERN ?
OBJECT
OBJECT ? ?
MULTI
EXEC
EXEC ?
DISCARD
WATCH ?
WATCH ? ?
UNWATCH
SUBSCRIBE ?
UNSUBSCRIBE ?
PSUBSCRIBE ?
PUNSUBSCRIBE ?
SSUBSCRIBE ?
SUNSUBSCRIBE ?
PUBLISH ? ?
SPUBLISH ? ?
WAIT 0 ?
RESET
QUIT
QUIT ?
GET
SET ?
?
? ?
? ? ?
`), "\n")

var clientArgs = []string{
	"", "0", "1", "3", "15", "16", "-1", "2147483648", "99999999999999999999", "01", " 1", "a", "k", "joe", "a b", "a\nb", "a\r\nb", "\x00", "x\x00y", "\xff\xfe",
	"ON", "off", "skip", "yes", "no", "normal", "replica", "pubsub", "default", "SETNAME", "AUTH", "TYPE", "ID", "databases", "nosuch", "qui?",
	"'", `"`, `a"b`, `\x41`, strings.Repeat("x", 70), strings.Repeat("y", 200), "*1", "$3",
}

// counts are what may stand after a star or a dollar, right or wrong.
var counts = []string{
	"0", "1", "2", "3", "4", "5", "7", "10", "-1", "-2", "-10", "01", "+1", " 1", "1 ", "", "a", "1a", "-", "-0", "00",
	"2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999999999999999", "0x1",
}

// pieces are what a stream may have anywhere, right or wrong.
var pieces = []string{
	"\r\n", "\n", "\r", "*", "$", " ", "\t", "\v", `"`, "'", `\`, "\\x4", "*1\r\n", "$4\r\n", "PING", "*-1\r\n", "*0\r\n", ":1\r\n", "+OK\r\n", "\x00",
	"*2\r\n*1\r\n$4\r\nPING\r\n$1\r\na\r\n", "POST", "host:", "\r\n\r\n", "\"\\xff\"", "''", `"" `, "\x7f",
}

// conversation makes what a client sends, mostly in the form of Redis and sometimes
// not.
func conversation(choose *tape) []byte {
	var b []byte
	for choose.more() && len(b) < 4<<10 {
		args := strings.Fields(choose.pick(clientWords))
		for i := range args {
			if args[i] == "?" {
				args[i] = choose.pick(clientArgs)
			}
		}
		switch choose.below(32) {
		default:
			b = append(b, cmd(args...)...)
		case 22, 23, 24, 25, 26, 27: // as a person types it
			b = append(b, strings.Join(args, choose.pick([]string{" ", "  ", "\t"}))...)
			b = append(b, choose.pick([]string{"\r\n", "\n", " \r\n"})...)
		case 28: // with a count, or two, that may be wrong
			b = append(b, "*"+choose.pick(counts)+"\r\n$"+choose.pick(counts)+"\r\n"+args[0]+"\r\n"...)
		case 29: // with one that is
			whole := cmd(args...)
			head, rest, _ := strings.Cut(whole, "\r\n")
			if choose.below(2) == 0 {
				whole = "*" + choose.pick(counts) + "\r\n" + rest
			} else {
				_, rest, _ = strings.Cut(rest, "\r\n")
				whole = head + "\r\n$" + choose.pick(counts) + "\r\n" + rest
			}
			b = append(b, whole...)
		case 30: // with something put into it
			whole := cmd(args...)
			at := choose.below(len(whole))
			b = append(b, whole[:at]+choose.pick(pieces)+whole[at:]...)
		case 31: // with something left out
			whole := cmd(args...)
			at := choose.below(len(whole))
			b = append(b, whole[:at]+whole[min(at+1+choose.below(3), len(whole)):]...)
		}
	}
	return b
}

// deliberate reports whether a stream comes to a point from where on this server
// answers otherwise than Redis 7.0 on purpose. These are all the differences in the
// reading of commands:
//
//   - A line with a count ends with \r\n. Redis takes any byte after the \r.
//   - An argument is followed by \r\n. Redis passes over any two bytes. In both cases
//     a stream that is out of step ends at once here, instead of being understood as
//     something else.
//   - A NUL is a byte like another. In Redis it hides the end of the line that it is
//     in, which then never comes.
//   - The greatest count of arguments and length of an argument are settings, and
//     lower.
//   - Lines that start an HTTP request, whatever its method, and TLS end the
//     connection.
func deliberate(in []byte) bool {
	for len(in) > 0 {
		if in[0] != '*' {
			line, rest, ended := bytes.Cut(in, []byte("\n"))
			words, _ := splitWords(line)
			if in[0] == tlsHandshake || bytes.IndexByte(line, 0) >= 0 || ended && len(words) == 3 && foreign(words) {
				return true
			}
			in = rest
			continue
		}
		n, rest, differs := looseCount(in)
		if differs || n > testLimits.args && n <= math.MaxInt32 {
			return true
		}
		for ; n > 0 && n <= testLimits.args && len(rest) > 0; n-- {
			size, after, differs := looseCount(rest)
			switch {
			case differs || rest[0] == '$' && size > testLimits.bulk && size <= 512<<20:
				return true
			case rest[0] != '$' || size < 0 || size > len(after)-2:
				return false // an error, or the end
			case string(after[size:size+2]) != "\r\n":
				return true
			}
			rest = after[size+2:]
		}
		in = rest
	}
	return false
}

// looseCount reads a line with a count as Redis does, -1 for what is none and for a
// line that does not end.
func looseCount(in []byte) (n int, rest []byte, differs bool) {
	line, rest, ended := bytes.Cut(in, []byte("\r"))
	if bytes.IndexByte(line, 0) >= 0 || len(rest) > 0 && rest[0] != '\n' {
		return -1, nil, true
	}
	count, ok := integer(line[min(1, len(line)):])
	if !ended || len(rest) == 0 || !ok {
		return -1, nil, false
	}
	return int(count), rest[1:], false
}

// stranger finds commands that this server and Redis cannot answer alike: those that
// only one of them has, and those that ask for what is different in every server, its
// clients, its settings, the list of its commands.
type stranger struct{ ours, theirs map[string]bool }

func newStranger(t testing.TB, sock string) *stranger {
	t.Helper()
	s := &stranger{ours: map[string]bool{}, theirs: map[string]bool{}}
	for name := range strings.FieldsSeq(redisAnswers(t, sock, []byte(cmd("COMMAND", "LIST")))) {
		s.theirs[name] = true // lengths, too, which are no names
	}
	srv, err := New(DefaultConfig(), newMemory())
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range srv.table.byName {
		s.ours[name] = true
		for _, sub := range e.subs {
			s.ours[sub.spec.Name] = true
		}
	}
	for _, name := range []string{
		"command|info", "client|id", "client|info",
		"config|get", "config|set", "config|rewrite", "config|resetstat", "mset", "eval", "object|encoding", "object|help",
	} {
		s.ours[name] = !s.theirs[name]
	}
	return s
}

// in reports whether such a command is in a stream.
func (s *stranger) in(stream []byte) bool {
	list, _ := parse(testLimits, true, bytes.Clone(stream))
	return slices.ContainsFunc(list, func(args []string) bool {
		for i := range args {
			args[i] = strings.ToLower(args[i])
		}
		name := args[0]
		if len(args) > 1 && s.ours[name] && (s.ours[name+"|help"] || s.theirs[name+"|help"]) {
			name += "|" + args[1]
		}
		switch name {
		case "command", "command|count", "command|list", "command|docs": // of all, or about some
			return len(args) <= 2 || slices.ContainsFunc(args[2:], s.is)
		case "command|getkeys":
			return slices.ContainsFunc(args[2:], s.is)
		case "client|list":
			return len(args) == 2 || slices.Contains(args, "normal")
		}
		return s.is(name)
	})
}

func (s *stranger) is(name string) bool { return s.ours[name] != s.theirs[name] }

// skipsNothing matches the end of CLIENT REPLY SKIP and then an empty command. Redis
// skips the reply of that, though it has none; here it is the next command's.
var skipsNothing = regexp.MustCompile(`(?i)skip[\s"']*\n(\*0|\*-|\s*\n)`)

// FuzzRedis: a connection is answered as a real redis-server answers it, byte for
// byte, and ends where that ends it.
func FuzzRedis(f *testing.F) {
	for i := range uint64(16) {
		rnd := rand.New(rand.NewPCG(i, 3))
		program := make([]byte, 100)
		for j := range program {
			program[j] = byte(rnd.Uint32())
		}
		f.Add(program, i)
	}
	theirs := realRedis(f)
	for range firstID / 10 { // the numbers of connections that commands may have
		dial(f, theirs).Conn.Close()
	}
	strangers := newStranger(f, theirs)
	f.Fuzz(func(t *testing.T, program []byte, seed uint64) {
		script := conversation(&tape{program})
		if strangers.in(script) || skipsNothing.Match(script) {
			return
		}
		whole := slices.Concat(script, []byte(cmd("ECHO", sentinel)))
		got := varying.ReplaceAllString(answers(t, DefaultConfig(), split(bytes.Clone(whole), seed)...), "N")
		all := redisAnswers(t, theirs, append([]byte(cmd("FLUSHALL")), whole...))
		want := varying.ReplaceAllString(strings.TrimPrefix(all, "+OK\r\n"), "N")
		if got == want {
			return
		}
		if deliberate(whole) {
			if i := strings.LastIndex(got, "-ERR Protocol error: "); i >= 0 {
				got = got[:i]
			}
			if strings.HasPrefix(want, got) || strings.HasPrefix(got, want) {
				return // one of them had no more to say
			}
		}
		t.Fatalf("%q\n%s", script, difference(got, want))
	})
}

// redisAnswers returns everything that a real server answers.
func redisAnswers(t testing.TB, sock string, in []byte) string {
	t.Helper()
	conn, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(in); err == nil { // else it has closed: what it said is there
		conn.(*net.UnixConn).CloseWrite()
	}
	out, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%q: got %q, then %v", in, out, err)
	}
	return string(out)
}
