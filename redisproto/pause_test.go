package redisproto

import (
	"testing"
	"time"
)

func TestClientCommandsAnswerLikeRedis(t *testing.T) {
	_, mine := start(t, DefaultConfig(), newMemory())
	compare(t, mine, realRedis(t), []string{
		lines("CLIENT PAUSE", "CLIENT PAUSE x", "CLIENT PAUSE -1", "CLIENT PAUSE 1 foo", "CLIENT PAUSE 1 write x", "CLIENT PAUSE 0", "CLIENT PAUSE 1", "PING", "CLIENT UNPAUSE",
			"CLIENT UNPAUSE x", "CLIENT PAUSE 100000 write", "GET nosuch", "CLIENT UNPAUSE", "SET k v"),
		lines("CLIENT TRACKINGINFO", "CLIENT TRACKINGINFO x", "CLIENT GETREDIR", "CLIENT CACHING yes", "CLIENT TRACKING off", "CLIENT TRACKING", "CLIENT TRACKING foo",
			"CLIENT TRACKING on foo", "CLIENT TRACKING off foo", "CLIENT TRACKING on REDIRECT", "HELLO 3", "CLIENT TRACKINGINFO"),
		lines("COMMAND GETKEYSANDFLAGS", "COMMAND GETKEYSANDFLAGS set a b", "COMMAND GETKEYSANDFLAGS set a b GET", "COMMAND GETKEYSANDFLAGS nosuch a",
			"COMMAND GETKEYSANDFLAGS mset a b c d", "COMMAND GETKEYSANDFLAGS get", "COMMAND GETKEYSANDFLAGS eval x 1 a", "COMMAND GETKEYSANDFLAGS ping a",
			"COMMAND GETKEYSANDFLAGS object encoding k", "HELLO 3", "COMMAND GETKEYSANDFLAGS set a b"),
	})
}

func TestPauseHoldsUpClients(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	admin, reader, writer, gone := dial(t, addr), dial(t, addr), dial(t, addr), dial(t, addr)
	admin.ask(cmd("CLIENT", "PAUSE", "1000000", "WRITE"), "+OK\r\n")
	writer.send(cmd("GET", "k") + cmd("SET", "k", "1") + cmd("GET", "k"))
	gone.send(cmd("SET", "k", "2"))
	writer.want("$-1\r\n") // what comes before is answered
	eventually(t, "two clients to wait", func() bool { return srv.blocked.Load() == 2 })
	reader.ask(cmd("GET", "k"), "$-1\r\n")
	gone.Conn.Close()
	eventually(t, "one to be gone", func() bool { return srv.ClientCount() == 3 })
	admin.ask(cmd("CLIENT", "PAUSE", "1"), "+OK\r\n") // is not shorter than what there was, but stricter
	reader.send(cmd("GET", "k"))
	eventually(t, "readers to wait, too", func() bool { return srv.blocked.Load() == 2 })
	srv.setPause(nil) // as CLIENT UNPAUSE does, which would wait as well
	writer.want("+OK\r\n$1\r\n1\r\n")
	reader.ask("", "$")
	admin.ask(cmd("CLIENT", "PAUSE", "50", "ALL"), "+OK\r\n")
	began := time.Now()
	admin.ask(cmd("PING"), "+PONG\r\n")
	if d := time.Since(began); d < 30*time.Millisecond {
		t.Errorf("a pause of 50 ms lasted %v", d)
	}
}
