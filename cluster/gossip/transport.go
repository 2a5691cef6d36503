package gossip

import (
	"context"
	"log"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport is memberlist's own over UDP and TCP, except that Shutdown ends what
// it has dialled: else stopping a node could wait half a minute for a host that
// does not answer.
type transport struct {
	*memberlist.NetTransport
	ctx    context.Context // done after Shutdown
	cancel context.CancelFunc

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// portAttempts is how often a free port is looked for when any will do: the one
// that the system picks for TCP may be taken for UDP.
const portAttempts = 10

func newTransport(host string, port int, log *log.Logger) (*transport, error) {
	attempts := 1
	if port == 0 {
		attempts = portAttempts
	}
	var inner *memberlist.NetTransport
	var err error
	for range attempts {
		inner, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{host}, BindPort: port, Logger: log,
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	t := &transport{NetTransport: inner, conns: make(map[net.Conn]struct{})}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, nil
}

func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	c, err := dialer.DialContext(t.ctx, "tcp", addr.Addr)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		c.Close()
		return nil, net.ErrClosed
	}
	t.conns[c] = struct{}{}
	return &dialled{c, t}, nil
}

func (t *transport) Shutdown() error {
	t.cancel()
	t.mu.Lock()
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	return t.NetTransport.Shutdown()
}

type dialled struct {
	net.Conn
	transport *transport
}

func (d *dialled) Close() error {
	d.transport.mu.Lock()
	delete(d.transport.conns, d.Conn)
	d.transport.mu.Unlock()
	return d.Conn.Close()
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)
