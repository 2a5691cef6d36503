package mux

import (
	"context"
	"net"
	"time"
)

// Network is where a node's connections come from: the real one, or a test's.
// A node touches the network through nothing else.
type Network interface {
	// Listen opens a listener for streams at addr, "host:port". Port 0 picks one.
	Listen(addr string) (net.Listener, error)
	// Dial opens a stream to addr and gives up when ctx is done.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// TCP is the real network. Its connections send small writes at once, and one
// whose other end has vanished fails after about half a minute of silence.
func TCP() Network { return tcp{} }

// keepAlive asks a silent peer after 15 s, then every 5 s, and gives up after
// the third question: a host that lost power says nothing by itself.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

type tcp struct{}

func (tcp) Listen(addr string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	return config.Listen(context.Background(), "tcp", addr)
}

// Go turns TCP_NODELAY on for every connection, accepted or dialled.
func (tcp) Dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	return dialer.DialContext(ctx, "tcp", addr)
}
