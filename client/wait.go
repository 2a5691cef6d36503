package client

import (
	"context"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// waiter is a connection for a command that waits: nothing else goes over it, and to close
// it is how the waiting is given up.
type waiter struct {
	redis *redis.Client
	mu    sync.Mutex
	conn  net.Conn
	ended bool
}

func (c *Client) newWaiter() *waiter {
	w := &waiter{}
	o := *c.redis.Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.conn = conn; err == nil && w.ended {
			conn.Close()
		}
		return conn, err
	}
	o.PoolSize, o.MinIdleConns, o.ReadTimeout, o.ConnMaxLifetime = 1, 0, -1, 0
	o.ContextTimeoutEnabled = true
	w.redis = redis.NewClient(&o)
	return w
}

// stop closes the connection.
func (w *waiter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.conn != nil {
		w.conn.Close()
	}
}

// wait sends a command that may take long, until either context ends. Its outcome is then
// not known.
func (c *Client) wait(ctx, also context.Context, args ...any) (any, error) {
	w := c.newWaiter()
	defer w.redis.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(also, func() { cancel(context.Cause(also)) })()
	defer context.AfterFunc(ctx, w.stop)()
	v, err := w.redis.Do(context.WithoutCancel(ctx), args...).Result()
	return v, Classify(err)
}
