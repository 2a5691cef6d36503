package redisproto

import (
	"regexp"
	"strings"
	"testing"

	"phonond/redisproto/resp"
)

// monitored returns what a monitor sees of a script, without times and addresses.
func monitored(t *testing.T, addr, script string) string {
	t.Helper()
	m := dial(t, addr)
	m.ask(cmd("MONITOR"), "+OK\r\n")
	converse(t, addr, script)
	var text strings.Builder
	for !strings.Contains(text.String(), sentinel) {
		line, err := m.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, then %v", text.String(), err)
		}
		text.WriteString(line)
	}
	m.Conn.Close()
	return regexp.MustCompile(`\+\d+\.\d{6} \[(\d+) [^\]]+\]`).ReplaceAllString(text.String(), "[$1]")
}

func TestMonitorShowsWhatRedisShows(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	theirs := realRedis(t)
	for _, script := range []string{
		lines("PING", "set a 1", `SET b "x\x01\r\n\t\a\b\"y\\\xff"`, "GET a", "nosuch", "get", "SELECT 2", "GET a", "CONFIG GET x", "CLIENT ID", "CLIENT LIST"),
		lines("AUTH a", "AUTH a b", "HELLO 2 AUTH default x SETNAME joe", "HELLO 2 SETNAME AUTH"),
		lines("MULTI", "SET a 1", "PING", "SELECT 3", "GET a", "EXEC", "MULTI", "PING", "DISCARD", "WATCH a", "UNWATCH", "EXEC"),
		lines("MULTI", "EXEC x", "EXEC x", "EXEC"),
		lines("RPUSH l 1", "BLPOP l 0", "BLPOP l 0.01", "BLPOP l x", "PUBLISH a b", "WAIT 0 0"),
		lines("HELLO 3", "SUBSCRIBE a", "PUBLISH a x", "PUBSUB CHANNELS", "UNSUBSCRIBE"),
	} {
		if got, want := monitored(t, mine, script), monitored(t, theirs, script); got != want {
			t.Errorf("%q:\n got %s\nwant %s", script, got, want)
		}
	}
}

// What a monitor sees of its own commands comes after their replies.
func TestMonitorsAnswerLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	theirs := realRedis(t)
	at := regexp.MustCompile(`\+\d+\.\d{6} \[(\d+) [^\]]+\]`)
	for _, commands := range [][]string{
		{"MONITOR", "PING", "GET a", "nosuch", "AUTH a b", "SELECT 2", "PING", "MONITOR", "RESET", "PING"},
		{"MULTI", "MONITOR", "EXEC", "MONITOR", "MULTI", "PING", "EXEC", "MULTI", "GET a", "EXEC"},
		{"MONITOR", "CLIENT REPLY ON", "PING", "SUBSCRIBE a", "PING", "GET a", "UNSUBSCRIBE"},
	} {
		script := lines(commands...)
		want := at.ReplaceAllString(converse(t, theirs, script), "[$1]")
		got := at.ReplaceAllString(converse(t, mine, script), "[$1]")
		if got != want {
			t.Errorf("%q:\n got %q\nwant %q", script, got, want)
		}
	}
	p := dial(t, mine)
	p.ask(cmd("MONITOR"), "+OK\r\n")
	p.ask(cmd("PING"), "+PONG\r\n+")
	if line, err := p.ReadString('\n'); err != nil || !strings.HasSuffix(line, `] "PING"`+"\r\n") {
		t.Errorf("%q, %v", line, err)
	}
	q := dial(t, mine)
	if line := clientLine(t, q, int(lastID(t, q))-1); !strings.Contains(line, " flags=O ") {
		t.Errorf("CLIENT LIST: %s", line)
	}
}

func lastID(t *testing.T, p peer) int64 {
	t.Helper()
	p.send(cmd("CLIENT", "ID"))
	v, err := resp.Read(p.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return v.Int
}
