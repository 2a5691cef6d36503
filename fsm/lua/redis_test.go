package lua

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

// realRedis is a connection to a real server. It is a host, too.
type realRedis struct {
	t testing.TB
	*proctest.Conn
}

// redisAndHost starts a real server and connects to it twice: for the scripts that it
// runs itself, and for the commands of those that run here, in the given protocol
// version.
func redisAndHost(t testing.TB, proto string) (server, host realRedis) {
	t.Helper()
	addr := proctest.RunRedis(t)
	return connect(t, addr, "2"), connect(t, addr, proto)
}

// connect dials a server of [proctest.RunRedis] in the given protocol version.
func connect(t testing.TB, addr, proto string) realRedis {
	t.Helper()
	c, err := proctest.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := realRedis{t, c}
	r.do("HELLO", proto)
	return r
}

func (r realRedis) do(args ...string) resp.Value {
	v, err := r.Do(args...)
	if err != nil {
		r.t.Fatalf("%q: %v", args, err)
	}
	return v
}

func (r realRedis) Call(args [][]byte) resp.Value {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = string(a)
	}
	return r.do(words...)
}

func (r realRedis) Allowed([][]byte) (allowed, known bool) { return true, true }
func (r realRedis) Log(int, string)                        {}

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// run runs a script with two keys and three arguments.
func runScript(e *Engine, host Host, script string) resp.Value {
	return e.Run(context.Background(), host, shaOf(script), script,
		[][]byte{[]byte("k1"), []byte("k2")}, [][]byte{[]byte("10"), []byte("b"), []byte("\x00\xff")})
}

// compare runs scripts here and on a real server.
func compare(t *testing.T, e *Engine, server realRedis, host Host, scripts []string) {
	t.Helper()
	for _, s := range scripts {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		want := string(server.do("EVAL", s, "2", "k1", "k2", "10", "b", "\x00\xff").Append(nil, 3))
		reply := runScript(e, host, s)
		got, err := resp.Read(bufio.NewReader(strings.NewReader(string(reply.Append(nil, 2)))))
		if err != nil {
			t.Fatal(err)
		}
		if g := string(got.Append(nil, 3)); g != want {
			t.Errorf("%s\n  here:  %q\n  Redis: %q", s, g, want)
		}
	}
}
