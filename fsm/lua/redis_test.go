package lua

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"phonond/redisproto/resp"
)

// startRedis runs a real redis-server for the length of a test and returns its
// address.
func startRedis(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests compare with a real redis-server (7.0): install one, it is not in PATH")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	ln.Close()
	// The shell ends the server when its own input ends, which it also does when this
	// process is killed.
	cmd := exec.Command("sh", "-c", `"$@" & read -r _; kill -9 $!; wait`, "sh",
		path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		cmd.Wait() // its error says that it was killed
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not answer: %v", err)
		}
	}
}

// realRedis is a connection to a real server. It is a host, too.
type realRedis struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dialRedis(t testing.TB, addr, proto string) *realRedis {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r := &realRedis{t, c, bufio.NewReader(c)}
	r.do("HELLO", proto)
	return r
}

func (r *realRedis) do(args ...string) resp.Value {
	r.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.Write(resp.AppendCommand(nil, args...)); err != nil {
		r.t.Fatalf("%q: %v", args, err)
	}
	v, err := resp.Read(r.r)
	if err != nil {
		r.t.Fatalf("%q: %v", args, err)
	}
	return v
}

func (r *realRedis) Call(args [][]byte) resp.Value {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = string(a)
	}
	return r.do(words...)
}

func (r *realRedis) Allowed([][]byte) (allowed, known bool) { return true, true }
func (r *realRedis) Log(int, string)                        {}

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
func compare(t *testing.T, e *Engine, server *realRedis, host Host, scripts []string) {
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
