package redisproto

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSettingsAreCheckedLikeThoseOfRedis(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Settings = []Setting{Only("save", ""), Only("maxmemory-policy", "noeviction")}
	_, mine := start(t, cfg, newMemory())
	compare(t, mine, realRedis(t), []string{
		lines("CONFIG SET maxclients 0", "CONFIG SET maxclients x", "CONFIG SET maxclients 4294967296", "CONFIG SET timeout -1", "CONFIG SET timeout 5x",
			"CONFIG SET timeout ''", "CONFIG SET timeout 0x10", "CONFIG SET tcp-keepalive -1", "CONFIG SET proto-max-bulk-len 10zz", "CONFIG SET client-query-buffer-limit -1"),
		lines("CONFIG SET databases 3", "CONFIG SET databases 16", "CONFIG SET maxclients 10 maxclients 20", "CONFIG SET maxclients 10 nosuch 2",
			"CONFIG SET maxclients 10 timeout -1", "CONFIG SET MaxClients x", "CONFIG SET databases 3 nosuch 2", "CONFIG SET maxclients x maxclients 3"),
		lines("CONFIG GET MAXCLIENTS", `CONFIG GET \\maxclients`, "CONFIG GET MAXCLIENT? maxclients", "CONFIG GET Maxclients nosuch"),
		lines("CONFIG SET client-output-buffer-limit foo", "CONFIG SET client-output-buffer-limit 'foo 1 2 3'", "CONFIG SET client-output-buffer-limit 'normal 1 2'",
			"CONFIG SET client-output-buffer-limit 'normal 1 2 x'", "CONFIG SET client-output-buffer-limit ''"),
		lines("CONFIG SET timeout 77 maxclients 1000", "CONFIG GET maxclients", "CONFIG GET timeout", "CONFIG SET timeout 5 maxclients 0", "CONFIG GET timeout",
			"CONFIG SET client-query-buffer-limit 2mb", "CONFIG GET client-query-*", "CONFIG SET proto-max-bulk-len 2M", "CONFIG GET proto-max*",
			"CONFIG SET timeout 0", "CONFIG SET tcp-keepalive 100", "CONFIG GET tcp-keepalive"),
		lines("CONFIG SET save ''", "CONFIG GET save", "CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory-policy NOEVICTION"),
	})
}

// What CONFIG SET says holds for those who are connected already.
func TestSettingsTakeEffectAtOnce(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	old, admin := dial(t, addr), dial(t, addr)
	old.ask(cmd("PING"), "+PONG\r\n")
	admin.ask(cmd("CONFIG", "SET", "proto-max-bulk-len", "1mb", "maxclients", "2", "client-output-buffer-limit", "normal 5kb 0 0"), "+OK\r\n")
	third := dial(t, addr)
	third.want(textMaxClients)
	third.wantEnd()
	old.ask(cmd("PING"), "+PONG\r\n") // the limit holds from the next read on
	old.ask("*2\r\n$4\r\nPING\r\n$1048577\r\n", "-ERR Protocol error: invalid bulk length\r\n")
	old.wantEnd()
	old.Conn.Close()
	eventually(t, "a place", func() bool { return srv.ClientCount() == 1 })
	slow := dial(t, addr)
	slow.send(strings.Repeat(cmd("FILL", "1000000"), 20))
	eventually(t, "the slow reader to be cut off", func() bool { return srv.Stats().OutputLimit.Load() == 1 })
	admin.ask(cmd("CONFIG", "SET", "timeout", "1"), "+OK\r\n")
	began := time.Now()
	admin.wantEnd()
	if d := time.Since(began); d < 500*time.Millisecond {
		t.Errorf("closed after %v", d)
	}
}

// Nothing changes when one of several values is bad, and a setting of the node's
// may fail when it is put into force.
func TestSettingsOfTheNode(t *testing.T) {
	value, broken := "a", false
	cfg := DefaultConfig()
	cfg.Settings = []Setting{{
		Name: "letter",
		Get:  func() string { return value },
		Set: func(v string) (func(context.Context) error, error) {
			if len(v) != 1 {
				return nil, errors.New("not a letter")
			}
			return func(context.Context) error {
				if broken {
					return errors.New("no leader")
				}
				value = v
				return nil
			}, nil
		},
	}}
	_, addr := start(t, cfg, newMemory())
	p := dial(t, addr)
	const failed = "-ERR CONFIG SET failed (possibly related to argument 'letter') - "
	p.ask(cmd("CONFIG", "SET", "letter", "b", "timeout", "x"), "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer\r\n")
	p.ask(cmd("CONFIG", "SET", "timeout", "60", "letter", "bb"), failed+"not a letter\r\n")
	p.ask(cmd("CONFIG", "GET", "letter", "timeout"), "*4\r\n$6\r\nletter\r\n$1\r\na\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")
	p.ask(cmd("CONFIG", "SET", "LETTER", "c"), "+OK\r\n")
	broken = true
	p.ask(cmd("CONFIG", "SET", "letter", "d"), failed+"no leader\r\n")
	p.ask(cmd("CONFIG", "GET", "letter"), "*2\r\n$6\r\nletter\r\n$1\r\nc\r\n")
}
