package redisproto

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestTransactionsAnswerLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	compare(t, mine, realRedis(t), []string{
		lines("MULTI", "MULTI", "WATCH a", "PING", "EXEC"),
		lines("EXEC", "DISCARD", "EXEC foo", "DISCARD foo", "MULTI foo", "MULTI", "MULTI foo", "EXEC", "MULTI", "EXEC foo", "EXEC", "MULTI", "DISCARD foo", "EXEC"),
		lines("MULTI", "EXEC", "MULTI", "DISCARD", "EXEC"),
		lines("MULTI", "nosuch", "SET a 1", "EXEC", "GET a", "MULTI", "get", "PING", "EXEC", "MULTI", "CLIENT FOO", "EXEC", "MULTI", "nosuch", "DISCARD", "MULTI", "EXEC"),
		lines("SET a 0", "MULTI", "SET a 1", "PING", "GET a", "ECHO x", "SELECT 0", "EXEC", "GET a"),
		lines("MULTI", "PING a b", "SET a 1 2", "GET a", "CLIENT REPLY x", "SELECT x", "EXEC"),
		lines("MULTI", "QUIT", "EXEC"), lines("MULTI", "RESET", "EXEC", "GET a"), lines("WATCH a", "SET a 1", "RESET", "MULTI", "EXEC"),
		lines("MULTI", "SELECT 3", "SET k v", "SELECT 99", "SET k2 v", "EXEC", "GET k2", "SELECT 0", "GET k2"),
		lines("MULTI", "SELECT 3", "nosuch", "EXEC", "SET here 0", "SELECT 0", "GET here", "MULTI", "SELECT 4", "DISCARD", "GET here"),
		lines("MULTI", "HELLO 3", "GET nosuch", "EXEC", "GET nosuch", "MULTI", "HELLO 2", "GET nosuch", "EXEC"),
		lines("MULTI", "AUTH a b", "CLIENT SETNAME joe", "CLIENT GETNAME", "CONFIG GET databases", "COMMAND COUNT x", "EXEC"),
		lines("MULTI", "PING", "CLIENT REPLY OFF", "PING", "EXEC", "PING", "CLIENT REPLY ON", "PING"),
		lines("MULTI", "CLIENT REPLY SKIP", "PING", "PING", "EXEC", "PING", "PING"),
		lines("CLIENT REPLY OFF", "MULTI", "SET x 1", "EXEC", "CLIENT REPLY ON", "GET x"),
		lines("CLIENT REPLY SKIP", "MULTI", "SET x 1", "CLIENT REPLY SKIP", "EXEC", "GET x", "MULTI", "GET x", "CLIENT REPLY SKIP", "EXEC"),
		lines("WATCH", "UNWATCH foo", "UNWATCH", "WATCH a b a", "WATCH a"),
		lines("WATCH wk", "SET wk 1", "MULTI", "PING", "EXEC", "MULTI", "GET wk", "EXEC"),
		lines("WATCH wk", "SET wk 1", "MULTI", "nosuch", "EXEC", "EXEC", "MULTI", "GET wk", "EXEC"),
		lines("WATCH wk", "SET wk 1", "MULTI", "SET wk 2", "DISCARD", "MULTI", "GET wk", "EXEC"),
		lines("WATCH wk", "SET wk 1", "UNWATCH", "MULTI", "GET wk", "EXEC"),
		lines("SET wk 1", "WATCH wk", "MULTI", "SET wk 2", "UNWATCH", "GET wk", "EXEC"),
		lines("WATCH wk", "SELECT 2", "SET wk 1", "MULTI", "EXEC", "WATCH wk", "SELECT 0", "SET wk 1", "MULTI", "EXEC"),
		lines("WATCH wk", "SELECT 2", "WATCH wk", "SET wk 1", "MULTI", "EXEC", "HELLO 3", "WATCH x", "SET x 1", "MULTI", "EXEC"),
	})
}

func TestTransactionsBeforeAUTHAnswerLikeRedis(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Password = "sesame"
	_, mine := start(t, cfg, newMemory())
	compare(t, mine, realRedis(t, "--requirepass", "sesame"), []string{
		lines("MULTI", "EXEC", "AUTH sesame", "MULTI", "RESET", "MULTI", "EXEC", "EXEC x", "WATCH a", "DISCARD"),
		lines("AUTH sesame", "MULTI", "AUTH wrong", "AUTH sesame", "PING", "EXEC"),
	})
}

func TestTransactionIsOneExec(t *testing.T) {
	m := newMemory()
	cfg := DefaultConfig()
	cfg.MaxMulti = 1 << 10
	cfg.MaxMultiCommands = 100
	cfg.MaxWatched = 3
	_, addr := start(t, cfg, m)
	p := dial(t, addr)
	p.ask(lines("MULTI", "SET a 1", "PING", "GET a", "SELECT 1", "GET a", "EXEC"),
		"+OK\r\n"+strings.Repeat("+QUEUED\r\n", 5)+"*5\r\n+OK\r\n+PONG\r\n$1\r\n1\r\n+OK\r\n$-1\r\n")
	p.ask(lines("SELECT 0", "MULTI", "PING", "EXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n")
	p.ask(lines("WATCH a", "MULTI", "PING", "EXEC"), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n")
	// The write before WATCH in the pipeline has its effect before.
	p.ask(lines("SET a 2", "WATCH a", "MULTI", "GET a", "EXEC"), "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n")
	if got := fmt.Sprint(m.execs); got != "[3 0 1]" {
		t.Errorf("calls of Exec: %v", got)
	}
	crossed := "-CROSSSLOT Keys in request don't hash to the same slot\r\n"
	p.ask(lines("WATCH elsewhere"), crossed)
	p.ask(lines("MULTI", "SET elsewhere 1", "PING", "EXEC", "EXEC"), "+OK\r\n+QUEUED\r\n+QUEUED\r\n"+crossed+"-ERR EXEC without MULTI\r\n")

	aborted := "-EXECABORT Transaction discarded because of previous errors.\r\n"
	p.ask(lines("WATCH a b c", "WATCH a b", "WATCH d", "UNWATCH", "WATCH d"), "+OK\r\n+OK\r\n-ERR too many watched keys\r\n+OK\r\n+OK\r\n")
	p.ask(lines("MULTI", "SET b "+strings.Repeat("x", 1000), "PING", "EXEC", "GET b"),
		"+OK\r\n-ERR the transaction is too big\r\n-ERR the transaction is too big\r\n"+aborted+"$-1\r\n")
	p.ask(cmd("MULTI")+strings.Repeat(cmd("GET", "a"), 15)+cmd("EXEC"), "+OK\r\n"+strings.Repeat("+QUEUED\r\n", 15)+"*15\r\n"+strings.Repeat("$1\r\n2\r\n", 15))
	p.ask(cmd("WATCH", strings.Repeat("k", 1025)), "-ERR too many watched keys\r\n")
	cfg.MaxMulti = 1 << 20
	_, addr = start(t, cfg, m)
	p = dial(t, addr)
	p.ask(cmd("MULTI")+strings.Repeat(cmd("PING"), 101)+cmd("EXEC"),
		"+OK\r\n"+strings.Repeat("+QUEUED\r\n", 100)+"-ERR the transaction is too big\r\n"+aborted)
}

// The reply of EXEC is written in one piece, however long it is.
func TestLongTransaction(t *testing.T) {
	_, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	const n = 50
	p.send(cmd("MULTI") + strings.Repeat(cmd("FILL", "10000")+cmd("ECHO", "x"), n) + cmd("EXEC"))
	p.want("+OK\r\n" + strings.Repeat("+QUEUED\r\n", 2*n) + fmt.Sprintf("*%d\r\n", 2*n))
	p.want(strings.Repeat("$10000\r\n"+strings.Repeat("x", 10000)+"\r\n$1\r\nx\r\n", n))
	p.ask(cmd("PING"), "+PONG\r\n")
}

func TestClientListShowsTransactions(t *testing.T) {
	_, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	q := dial(t, addr)
	for _, tt := range []struct{ send, reply, want string }{
		{lines("CLIENT ID"), ":1\r\n", " flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 "},
		{lines("MULTI"), "+OK\r\n", " flags=x db=0 sub=0 psub=0 ssub=0 multi=0 "},
		{lines("PING", "GET a"), "+QUEUED\r\n+QUEUED\r\n", " flags=x db=0 sub=0 psub=0 ssub=0 multi=2 "},
		{lines("DISCARD"), "+OK\r\n", " flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 "},
	} {
		p.ask(tt.send, tt.reply)
		line := clientLine(t, q, 1)
		if !strings.Contains(line, tt.want) {
			t.Errorf("after %q: %s", tt.send, line)
		}
	}
	p.send(lines("MULTI", "CLIENT INFO", "EXEC", "QUIT"))
	rest, _ := io.ReadAll(p)
	if !strings.Contains(string(rest), " flags=x ") || !strings.Contains(string(rest), " multi=1 ") {
		t.Errorf("inside EXEC: %s", rest)
	}
}

// clientLine returns a client's line of CLIENT LIST.
func clientLine(t *testing.T, p peer, id int) string {
	t.Helper()
	p.send(cmd("CLIENT", "LIST", "ID", fmt.Sprint(id)))
	v, err := resp.Read(p.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return v.Str
}

// A backend that gives fewer replies than calls does not put the client out of step.
func TestExecOfABrokenBackend(t *testing.T) {
	_, addr := start(t, DefaultConfig(), fewer{newMemory()})
	p := dial(t, addr)
	p.ask(lines("MULTI", "GET a", "EXEC", "PING"), "+OK\r\n+QUEUED\r\n-ERR internal error, the command was not applied\r\n+PONG\r\n")
}

type fewer struct{ *memory }

func (fewer) Exec(context.Context, []command.KeyVersion, []command.Call) resp.Value {
	return resp.EmptyArray
}
