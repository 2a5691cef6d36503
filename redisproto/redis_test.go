package redisproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"phonond/cluster/proctest"
)

// realRedis starts a redis-server and returns the path of its Unix socket: a fuzzer
// would run out of ports.
func realRedis(t testing.TB, args ...string) string {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "r.sock")
	proctest.RunRedis(t, append(args, "--unixsocket", sock)...)
	return sock
}

const (
	sentinel      = "the-end-of-the-conversation"
	sentinelReply = "$27\r\n" + sentinel + "\r\n"
)

// converse sends a script and returns everything that comes back, up to the
// reply to a last ECHO or the end of the connection.
func converse(t *testing.T, addr, script string) string {
	t.Helper()
	p := dial(t, addr)
	defer p.Conn.Close()
	var out []byte
	sent := make(chan struct{})
	go func() { // the server may close before it has read everything
		io.WriteString(p.Conn, script+cmd("ECHO", sentinel)+cmd("QUIT"))
		close(sent)
	}()
	buf := make([]byte, 1<<16)
	for !bytes.HasSuffix(out, []byte(sentinelReply)) {
		n, err := p.Reader.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
			out = append(out, "<closed>"...)
			break
		}
		if err != nil {
			t.Fatalf("%.60q: got %.200q, then %v", script, out, err)
		}
	}
	<-sent
	return strings.TrimSuffix(string(out), sentinelReply)
}

// varying are the parts of replies that depend on the server.
var varying = regexp.MustCompile(`\$2\r\nid\r\n:\d+|:\d{3,}`)

func compare(t *testing.T, mine, theirs string, scripts []string) {
	t.Helper()
	for _, script := range scripts {
		want := varying.ReplaceAllString(converse(t, theirs, script), "N")
		got := varying.ReplaceAllString(converse(t, mine, script), "N")
		if got != want {
			t.Errorf("%.200q: %s", script, difference(got, want))
		}
	}
}

// difference tells where two conversations part.
func difference(got, want string) string {
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	return fmt.Sprintf("after %d equal bytes\n got %.300q\nwant %.300q", same, got[same:], want[same:])
}

// lines joins commands as a person would type them.
func lines(commands ...string) string { return strings.Join(commands, "\r\n") + "\r\n" }

func TestConnectionCommandsAnswerLikeRedis(t *testing.T) {
	srv, mine := start(t, DefaultConfig(), newMemory())
	theirs := realRedis(t)
	compare(t, mine, theirs, []string{
		lines("PING", "PING hello", "PING a b", "ping", "ECHO", "ECHO x", "ECHO x y", `ECHO ""`),
		lines("SELECT 1", "SELECT 15", "SELECT 16", "SELECT -1", "SELECT a", `SELECT " 1"`, "SELECT 01", "SELECT", "SELECT 1 2",
			"SELECT 3000000000", "SELECT 99999999999999999999"),
		lines("SET k one", "GET k", "SELECT 3", "GET k", "SET k three", "SELECT 0", "GET k", "RESET", "GET k"),
		lines("QUIT"), lines("QUIT now", "PING"), lines("PING", "QUIT", "PING"),
		lines("HELLO"), lines("HELLO 2"), lines("HELLO 3"), lines("HELLO 3", "HELLO 2", "CLIENT GETNAME"),
		lines("HELLO 1", "HELLO 4", "HELLO a", "HELLO 03", `HELLO "3 "`, "HELLO 99999999999999999999"),
		lines("HELLO 3 FOO", "HELLO 2 AUTH a", "HELLO 2 AUTH a b", "HELLO 2 SETNAME", `HELLO 3 SETNAME "a b"`, "HELLO 3 AUTH default x SETNAME",
			`HELLO 3 "a\r\nb"`),
		lines("HELLO 2 AUTH default any SETNAME joe", "CLIENT GETNAME"),
		// FuzzRedis: options take effect in turn, whatever comes of the last.
		lines("HELLO 3 AUTH nobody x SETNAME", "HELLO 3 SETNAME joe FOO", "CLIENT GETNAME", `HELLO 3 SETNAME jim SETNAME "a b"`, "CLIENT GETNAME",
			"HELLO 3 AUTH nobody x", "PING"),
		lines("HELLO 3 SETNAME joe", "CLIENT GETNAME", "GET nosuch", "RESET", "CLIENT GETNAME", "GET nosuch"),
		lines("AUTH", "AUTH a", "AUTH a b", "AUTH a b c", "AUTH default x"),
		lines("RESET", "RESET 1"),
		lines("CLIENT", "CLIENT FOO", "CLIENT FOO a", "CLIENT ID x", "CLIENT GETNAME x", "CLIENT SETNAME", "CLIENT INFO x", "CLIENT HELP x"),
		lines("CLIENT GETNAME", "CLIENT SETNAME joe", "CLIENT GETNAME", `CLIENT SETNAME "a b"`, `CLIENT SETNAME "a\nb"`, "CLIENT GETNAME",
			`CLIENT SETNAME ""`, "CLIENT GETNAME"),
		lines("CLIENT LIST TYPE", "CLIENT LIST TYPE foo", "CLIENT LIST ID", "CLIENT LIST ID a", "CLIENT LIST ID 1 b", "CLIENT LIST FOO 1",
			"CLIENT LIST TYPE normal x", "CLIENT LIST TYPE master", "CLIENT LIST TYPE replica", "CLIENT LIST ID 0 -1", `CLIENT LIST TYPE "a\nb"`),
		lines("CLIENT KILL", "CLIENT KILL 1.2.3.4:5", "CLIENT KILL ID", "CLIENT KILL ID abc", "CLIENT KILL ID 0", "CLIENT KILL ID 99999999999999999999",
			"CLIENT KILL ID 987654321", "CLIENT KILL TYPE foo", "CLIENT KILL TYPE slave", "CLIENT KILL TYPE pubsub", "CLIENT KILL USER nobody",
			"CLIENT KILL SKIPME maybe ID 4", "CLIENT KILL FOO bar", "CLIENT KILL ID 1 SKIPME no FOO", "CLIENT KILL ADDR 1.2.3.4:5",
			"CLIENT KILL LADDR 1.2.3.4:5 USER default", `CLIENT KILL TYPE "a\nb"`),
		lines("CLIENT NO-EVICT on", "CLIENT NO-EVICT OFF", "CLIENT NO-EVICT", "CLIENT NO-EVICT x"),
		lines("CLIENT REPLY", "CLIENT REPLY x", "CLIENT REPLY ON"),
		lines("CLIENT REPLY OFF", "PING", "GET k", "nosuch", "CLIENT REPLY SKIP", "PING", "CLIENT REPLY ON", "PING"),
		lines("SET k v", "CLIENT REPLY SKIP", "GET k", "GET k", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY SKIP", "nosuch", "GET k"),
		lines("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING", "PING"),
		lines("CLIENT REPLY OFF", "RESET", "PING"),
		// FuzzRedis: ON ends SKIP, too, and SKIP is also for the last words to a client.
		lines("CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING", "CLIENT REPLY SKIP", "RESET", "PING"),
		lines("PING", "CLIENT REPLY SKIP") + "*a\r\n", lines("CLIENT REPLY SKIP", "PING") + "*a\r\n",
		lines("COMMAND COUNT x", "COMMAND FOO", "COMMAND GETKEYS", "COMMAND GETKEYS get", "COMMAND GETKEYS get a", "COMMAND GETKEYS get a b",
			"COMMAND GETKEYS ping a", "COMMAND GETKEYS nosuch a", "COMMAND GETKEYS mset a b c d", "COMMAND GETKEYS eval x 2 a b c",
			"COMMAND GETKEYS eval x 5 a", "COMMAND GETKEYS object encoding k", "COMMAND GETKEYS client kill x"),
		lines("COMMAND INFO nosuch", "COMMAND INFO get", "COMMAND INFO select client|id client|kill client|nosuch get|x echo",
			"COMMAND INFO command|count config|get config|resetstat|x"),
		lines("HELLO 3", "COMMAND INFO get client|setname", "COMMAND INFO nosuch", "COMMAND DOCS nosuch"),
		lines("COMMAND DOCS nosuch", "COMMAND LIST FILTERBY foo x", "COMMAND LIST FOO", "COMMAND LIST FILTERBY PATTERN qui*",
			"COMMAND LIST FILTERBY PATTERN QU[H-J]T", "COMMAND LIST FILTERBY MODULE x", "COMMAND LIST FILTERBY ACLCAT nosuch", "COMMAND LIST FILTERBY PATTERN"),
		lines("CONFIG", "CONFIG FOO", "CONFIG GET", "CONFIG GET databases", "CONFIG GET DATA*", "CONFIG GET nosuch", "CONFIG GET databases data*",
			"CONFIG SET a", "CONFIG SET a b c", "CONFIG SET nosuch x", "CONFIG RESETSTAT", "CONFIG RESETSTAT 1", "CONFIG REWRITE", "HELLO 3",
			"CONFIG GET databases", "CONFIG GET nosuch"),
		lines("nosuch", "nosuch a b c", "nosuch "+strings.Repeat("x", 50)+" "+strings.Repeat("y", 200)+" z", strings.Repeat("f", 200)+" a",
			"CLIENT "+strings.Repeat("x", 200), `"no\r\nsuch" "a\nb"`, `"no\x00such" "a\x00b" c`, `""`, `"\xff\xfe"`),
		lines("get", "get a b", "GET", "OBJECT", "OBJECT FOO", "OBJECT ENCODING", "object encoding a b"),
	})
	eventually(t, "earlier clients to go", func() bool { return srv.ClientCount() == 0 })
	compare(t, mine, theirs, []string{lines("CLIENT KILL TYPE normal SKIPME no", "PING")})
}

func TestProtocolErrorsAreThoseOfRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	long := strings.Repeat("1", 1<<20)
	scripts := []string{
		"*1\r\nPING\r\n", "*1\r\n\rPING\r\n", "*a\r\n", "*01\r\n", "*+1\r\n", "*\r\n", "*3000000000\r\n", "*9223372036854775807\r\n$",
		"*99999999999999999999\r\n", "*1\r\n$-1\r\n", "*1\r\n$\r\n", "*1\r\n$9223372036854775807\r\nabc\r\n", "*1\r\n$a\r\n", "*1\r\n$01\r\n",
		"*1\r\n$1x\r\n", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n:1\r\n", "*2\r\n$4\r\nPING\r\n\r\n",
		"\"PING\r\n", "PING \"a\"b\r\n", "PING 'a'b\r\n", "PING 'a\r\n", "PING \"a\\\"\r\n",
		"*" + long, "*1\r\n$" + long, long, "*" + strings.Repeat("1", 100) + "\r\n",
		"POST / HTTP/1.1\r\n", "Host: localhost\r\n", "post\r\n", "host: x\r\n",
		"*0\r\n*-1\r\n\r\n \r\n\t\r\nPING\r\n*-99999\r\n", "ECHO a\"b c\"\r\n", "ECHO 'a\\'b\\n'\r\n", `ECHO "\x41\n\q\x4\xzz\a\b\t\r"` + "\r\n",
		"ECHO\ta\r\nECHO\va\n\rPING\n", "ECHO \"\"''\r\n", "ECHO x\\n\r\n",
	}
	for _, s := range scripts[:25:25] { // what came before the bad bytes is answered
		scripts = append(scripts, cmd("PING")+cmd("SET", "k", "v")+cmd("GET", "k")+s)
	}
	compare(t, mine, realRedis(t), scripts)
}

func TestUnauthenticatedClientsAreAnsweredLikeRedis(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Password = "sesame"
	_, mine := start(t, cfg, newMemory())
	compare(t, mine, realRedis(t, "--requirepass", "sesame"), []string{
		"*11\r\n", "*2\r\n$16385\r\n", lines("PING") + "*11\r\n", lines("HELLO 3 AUTH default x") + "*11\r\n",
		lines("PING", "nosuch", "GET", "CLIENT FOO", "QUIT"),
		lines("HELLO", "HELLO 3", "HELLO 3 AUTH default x", "HELLO 9", "HELLO x", `HELLO 3 SETNAME "a b"`, "HELLO 3 AUTH default sesame SETNAME k",
			"CLIENT GETNAME", "RESET", "PING"),
		lines("HELLO 3 SETNAME joe", "HELLO 3 AUTH default sesame FOO", "CLIENT GETNAME", "PING"),
		lines("AUTH x", "AUTH sesame", "AUTH x", "PING", "AUTH default sesame", "AUTH bob sesame", "PING", "RESET", "PING"),
		lines("COMMAND", "ECHO a", "SELECT 1", "CLIENT ID", "CONFIG GET *", "GET k", "COMMAND DOCS", "AUTH", "AUTH a b c"),
		cmd("AUTH", "sesame") + cmd("ECHO", strings.Repeat("x", 20000)),
		cmd("AUTH", "sesame") + cmd("RESET") + cmd("ECHO", strings.Repeat("x", 20000)),
		lines("CLIENT REPLY OFF") + "*a\r\n",
	})
}

// The fields of CLIENT LIST are read by name, and Redis's come first.
func TestClientListHasTheFieldsOfRedis(t *testing.T) {
	srv, mine := start(t, DefaultConfig(), newMemory())
	names := func(addr, script string) []string {
		_, text, _ := strings.Cut(converse(t, addr, script), "id=")
		line, _, _ := strings.Cut("id="+text, "\n")
		var names []string
		for _, f := range strings.Fields(line) {
			name, _, _ := strings.Cut(f, "=")
			names = append(names, name)
		}
		return names
	}
	eventually(t, "earlier clients to go", func() bool { return srv.ClientCount() == 0 })
	theirs := realRedis(t)
	for _, script := range []string{lines("CLIENT LIST"), lines("CLIENT INFO"), lines("HELLO 3", "CLIENT LIST TYPE normal")} {
		want, got := names(theirs, script), names(mine, script)
		if len(got) < len(want) || strings.Join(got[:len(want)], " ") != strings.Join(want, " ") {
			t.Errorf("%q: fields %v, want %v first", script, got, want)
		}
	}
	p := dial(t, mine)
	p.ask(lines("CLIENT SETINFO LIB-NAME go-redis", "CLIENT SETINFO lib-ver 9.0", "CLIENT SETINFO x y", "CLIENT SETINFO LIB-NAME 'a b'", "CLIENT NO-TOUCH on"),
		"+OK\r\n+OK\r\n-ERR Unrecognized option 'x'\r\n-ERR lib-name cannot contain spaces, newlines or special characters.\r\n+OK\r\n")
	p.send(lines("SELECT 3", "CLIENT SETNAME joe", "HELLO 3", "CLIENT INFO", "QUIT"))
	all, err := io.ReadAll(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{" addr=" + p.LocalAddr().String() + " ", " laddr=" + mine + " ", " name=joe ", " age=0 ", " flags=T ", " db=3 ",
		" cmd=client|info ", " user=default ", " resp=3 ", " lib-name=go-redis ", " lib-ver=9.0\n"} {
		if !strings.Contains(string(all), f) {
			t.Errorf("CLIENT INFO lacks %q: %s", f, all)
		}
	}
}
