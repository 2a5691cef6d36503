package redisproto

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

func TestServerCommandsAnswerLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	compare(t, mine, realRedis(t), []string{
		lines("ROLE", "ROLE x", "LOLWUT", "LOLWUT 5", "HELLO 3", "ROLE", "LOLWUT"),
		lines("SLOWLOG", "SLOWLOG FOO", "SLOWLOG GET x", "SLOWLOG GET -2", "SLOWLOG GET 1 2", "SLOWLOG LEN x", "SLOWLOG RESET", "SLOWLOG LEN", "SLOWLOG GET",
			"SLOWLOG GET -1", "SLOWLOG RESET x"),
		lines("CONFIG SET slowlog-max-len -1", "CONFIG SET slowlog-log-slower-than -2", "CONFIG SET latency-monitor-threshold x",
			"CONFIG GET slowlog-max-len", "CONFIG GET slowlog-log-slower-than", "CONFIG GET latency-monitor-threshold", "CONFIG GET enable-debug-command",
			"CONFIG SET enable-debug-command yes"),
		lines("LATENCY", "LATENCY FOO", "LATENCY LATEST", "LATENCY LATEST x", "LATENCY HISTORY", "LATENCY HISTORY x", "LATENCY RESET", "LATENCY RESET a b",
			"LATENCY GRAPH x", "LATENCY HISTOGRAM nosuch", "HELLO 3", "LATENCY HISTOGRAM nosuch", "LATENCY LATEST"),
		lines("DEBUG", "DEBUG SLEEP 0", "DEBUG JMAP", "MEMORY", "MEMORY FOO", "MEMORY PURGE", "MEMORY PURGE x", "MEMORY STATS x"),
	})
}

func TestDebugIsForThoseWhoMay(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Debug = "local"
	_, mine := start(t, cfg, newMemory())
	compare(t, mine, realRedis(t, "--enable-debug-command", "local"), []string{
		lines("DEBUG SLEEP 0", "DEBUG SLEEP 0.001", "DEBUG SLEEP x", "DEBUG SLEEP -1", "DEBUG SLEEP", "DEBUG FOO", "DEBUG SLEEP 1 2", "CONFIG GET enable-debug-command"),
	})
	cfg.Debug = "maybe"
	if _, err := New(cfg, newMemory()); err == nil {
		t.Error("any word will do")
	}
}

// stamps are the parts of the slow log that differ from run to run: when, for how
// long, and for whom.
var stamps = regexp.MustCompile(`\*6\r\n(:\d+\r\n):\d+\r\n:\d+\r\n|\$2\r\nid\r\n:\d+|\$\d+\r\n[^\r\n]*:\d+\r\n`)

func TestSlowLogKeepsWhatThatOfRedisDoes(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	theirs := realRedis(t)
	x := strings.Repeat("x", 129)
	for _, script := range []string{
		lines("CLIENT SETNAME joe", "CONFIG SET slowlog-log-slower-than 0", "PING", "SET k v", "GET k", "CONFIG SET slowlog-log-slower-than -1", "PING", "SLOWLOG GET", "SLOWLOG LEN"),
		lines("SLOWLOG RESET", "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2", "PING", "ECHO a", "echo b", "CONFIG SET slowlog-log-slower-than -1", "SLOWLOG GET -1", "SLOWLOG GET 1"),
		lines("SLOWLOG RESET", "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 20", "ECHO "+x, "ECHO "+x[1:], "MSET"+strings.Repeat(" a b", 15)+" c d",
			"MSET"+strings.Repeat(" a b", 16)+" c d", "ROLE", "AUTH default sesame", "HELLO 2 AUTH default sesame SETNAME me", "nosuch", "GET",
			"CONFIG SET slowlog-log-slower-than -1", "SLOWLOG GET 20"),
	} {
		want := stamps.ReplaceAllString(converse(t, theirs, script), "$1")
		got := stamps.ReplaceAllString(converse(t, mine, script), "$1")
		got = strings.ReplaceAll(got, "+mset", "+OK") // as the test's backend says
		if got != want {
			t.Errorf("%.200q: %s", script, difference(got, want))
		}
	}
}

func TestCommandsAreMeasured(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Debug = "yes"
	srv, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	p.ask(cmd("SET", "k", "v")+cmd("GET", "k")+cmd("GET", "nosuch")+cmd("SET", "k", "v", "x")+cmd("GET")+cmd("nosuch")+cmd("OBJECT", "ENCODING", "k"),
		"+OK\r\n$1\r\nv\r\n$-1\r\n-ERR syntax error\r\n-ERR wrong number of arguments for 'get' command\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n+object|encoding\r\n")
	p.ask(cmd("CONFIG", "SET", "latency-monitor-threshold", "1"), "+OK\r\n")
	p.ask(cmd("DEBUG", "SLEEP", "0.002"), "+OK\r\n")
	all := fmt.Sprint(srv.InfoCommandStats(), srv.InfoErrorStats(), srv.InfoLatencyStats(), srv.InfoStats())
	for _, want := range []string{
		`{cmdstat_get calls=2,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=1,failed_calls=0}`, `{cmdstat_set calls=2,.*rejected_calls=0,failed_calls=1}`,
		`{cmdstat_object\|encoding calls=1,`, `{cmdstat_debug calls=1,usec=\d{4,},`, `{errorstat_ERR count=3}`, `{total_error_replies 3}`,
		`{latency_percentiles_usec_get p50=\d+\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}}`, `{keyspace_hits 2} {keyspace_misses 1}`,
	} {
		if !regexp.MustCompile(want).MatchString(all) {
			t.Errorf("INFO lacks %s: %s", want, all)
		}
	}
	got := converse(t, addr, lines("LATENCY LATEST", "LATENCY HISTORY command", "LATENCY GRAPH command", "LATENCY HISTOGRAM object get", "LATENCY DOCTOR",
		"LATENCY RESET", "LATENCY LATEST"))
	for _, want := range []string{
		`^\*1\r\n\*4\r\n\$7\r\ncommand\r\n:\d+\r\n:(\d+)\r\n:\d+\r\n\*1\r\n\*2\r\n:\d+\r\n:\d+\r\n`, `command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)\n-{80}\n`,
		`\*4\r\n\$3\r\nget\r\n\*4\r\n\$5\r\ncalls\r\n:2\r\n\$14\r\nhistogram_usec\r\n\*2\r\n:\d+\r\n:2\r\n\$15\r\nobject\|encoding\r\n`, `command: 1 latency spikes`, `:1\r\n\*0\r\n\$27`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	p.ask(cmd("CONFIG", "RESETSTAT"), "+OK\r\n")
	if left := srv.InfoCommandStats(); len(left) != 1 || left[0].Name != "cmdstat_config|resetstat" || len(srv.InfoErrorStats()) > 0 {
		t.Errorf("after CONFIG RESETSTAT: %v, %v", left, srv.InfoErrorStats())
	}
}

// A container may have subcommands of the backend and of the node.
func TestContainersAreJoined(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Commands = []Command{{
		Spec: container("object", -2, "generic", "2.2.3", ""),
		Subs: []Command{early("object|here", 2, command.Local, func(*Client, [][]byte) resp.Value { return resp.Status("here") }, "", "", "Here.")},
	}}
	_, addr := start(t, cfg, newMemory())
	dial(t, addr).ask(cmd("OBJECT", "ENCODING", "k")+cmd("OBJECT", "HERE"), "+object|encoding\r\n+here\r\n")
	if help := converse(t, addr, cmd("OBJECT", "HELP")); !strings.Contains(help, "+HERE\r\n") || !strings.Contains(help, "+ENCODING\r\n") {
		t.Errorf("HELP is %q", help)
	}
}
