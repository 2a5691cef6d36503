package proctest

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

// Redis is a redis-server that this process has started, to compare with.
type Redis struct {
	*Process
	Addr string
}

// StartRedis starts a redis-server with its data in dir, which exists, and waits
// until it answers. It saves nothing unless flags of its command line say otherwise.
func StartRedis(ctx context.Context, dir string, flags ...string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("a real redis-server (7.0) is needed to compare with: %w", err)
	}
	addr, err := FreeAddr(nil)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	args := []string{"--bind", host, "--port", port, "--dir", dir, "--save", "", "--appendonly", "no"}
	p, err := StartProcess(exec.Command(path, append(args, flags...)...))
	if err != nil {
		return nil, err
	}
	err = Until(ctx, func() error {
		c, err := Dial(addr)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Do("PING") // an error is an answer, too: it may want a password
		return err
	})
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("redis-server does not answer: %w", err)
	}
	return &Redis{p, addr}, nil
}

// redisTimeout bounds how long a test waits for its redis-server to come up.
const redisTimeout = 20 * time.Second

// RunRedis runs a redis-server for the length of a test, and returns its address.
// See [StartRedis].
func RunRedis(t testing.TB, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), redisTimeout)
	defer cancel()
	r, err := StartRedis(ctx, t.TempDir(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill() })
	return r.Addr
}
