package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"phonond/cluster/mux"
)

const (
	firstPort = 49152 // of those picked for port 0 and for dialling
	// backlog is how many dialled connections may wait for Accept; the next
	// dialler waits.
	backlog = 128
	// connectTimeout is how long a dial without a deadline goes on, as Linux does.
	connectTimeout = 127 * time.Second
)

// Host is one machine on the network. It is a mux.Network.
type Host struct {
	net    *Network
	name   string
	region string

	// Guarded by net.mu.
	ip        netip.Addr
	down      bool
	listeners map[int]*listener
	nextPort  int
}

var _ mux.Network = (*Host)(nil)

// Name is the name that the host was started with.
func (h *Host) Name() string { return h.name }

// IP is the host's address, for what needs an address rather than a name.
func (h *Host) IP() netip.Addr {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return h.ip
}

// Lookup finds the address of a name on the network, as a resolver does.
func (h *Host) Lookup(_ context.Context, name string) ([]netip.Addr, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	found, err := h.net.find(name)
	if err != nil {
		return nil, err
	}
	return []netip.Addr{found.ip}, nil
}

// Listen listens at a port of this host; addr names the host, its address, or no
// host. Port 0 picks a free one.
func (h *Host) Listen(addr string) (net.Listener, error) {
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: "sim", Addr: address(addr), Err: err}
	}
	host, port, err := splitAddr(addr)
	if err != nil {
		return fail(err)
	}
	if host != "" && host != h.name && host != h.ip.String() && host != "0.0.0.0" {
		return fail(syscall.EADDRNOTAVAIL)
	}
	if h.down {
		return fail(syscall.ENETDOWN)
	}
	if port == 0 {
		port = h.port()
	}
	if h.listeners[port] != nil {
		return fail(syscall.EADDRINUSE)
	}
	l := &listener{host: h, port: port, queue: make(chan *conn, backlog), done: make(chan struct{})}
	h.listeners[port] = l
	n.change()
	return l, nil
}

// port picks a port. The range is larger than what any test opens.
func (h *Host) port() int {
	for h.nextPort++; h.listeners[h.nextPort] != nil; h.nextPort++ {
	}
	return h.nextPort
}

// Dial opens a stream. It takes one round trip; on a cut link it waits for the
// link or for ctx, and where nobody listens it is refused.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, syscall.ETIMEDOUT)
	defer cancel()
	c, err := h.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "sim", Addr: address(addr), Err: err}
	}
	return c, nil
}

func (h *Host) dial(ctx context.Context, addr string) (net.Conn, error) {
	name, port, err := splitAddr(addr)
	if err != nil {
		return nil, err
	}
	for {
		c, wait, err := h.try(ctx, name, port)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try makes one attempt to connect. Without connection and error, the next one
// is due when the channel is closed.
func (h *Host) try(ctx context.Context, name string, port int) (net.Conn, <-chan struct{}, error) {
	n := h.net
	n.mu.Lock()
	target, err := n.find(name)
	if err == nil && h.down {
		err = syscall.ENETDOWN
	}
	if err != nil {
		n.mu.Unlock()
		return nil, nil, err
	}
	changed, open := n.changed, !n.isCut(h, target) && !n.isCut(target, h)
	rtt := n.delay(h, target) + n.delay(target, h)
	n.mu.Unlock()
	if !open {
		return nil, changed, nil
	}
	if rtt > 0 {
		select {
		case <-time.After(rtt):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	if target, err = n.find(name); err != nil {
		return nil, nil, err
	}
	if n.isCut(h, target) || n.isCut(target, h) {
		return nil, n.changed, nil
	}
	l := target.listeners[port]
	if h.down || l == nil {
		return nil, nil, syscall.ECONNREFUSED
	}
	here, there := newConn(h, target, address(net.JoinHostPort(h.name, strconv.Itoa(h.port()))), l.addr())
	select {
	case l.queue <- there:
		n.conns[here] = struct{}{}
		return here, nil, nil
	default: // a full backlog drops who knocks; he tries again
		retry := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(retry) })
		return nil, retry, nil
	}
}

// listener is a port where a host listens.
type listener struct {
	host  *Host
	port  int
	queue chan *conn
	done  chan struct{}
	// gossip takes the packets that come to the port; nil if none does. Guarded by
	// host.net.mu.
	gossip *gossip
}

func (l *listener) Accept() (net.Conn, error) {
	// What waits is not given out after Close: it has been closed.
	select {
	case <-l.done:
		return nil, l.closedError()
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, l.closedError()
	}
}

func (l *listener) closedError() error {
	return &net.OpError{Op: "accept", Net: "sim", Addr: l.addr(), Err: net.ErrClosed}
}

// Close stops listening and resets the connections that nobody accepted.
func (l *listener) Close() error {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.host.listeners[l.port] != l {
		return l.closedError()
	}
	l.closeLocked()
	n.change()
	return nil
}

func (l *listener) closeLocked() {
	delete(l.host.listeners, l.port)
	close(l.done)
	for {
		select {
		case c := <-l.queue:
			c.closeLocked(syscall.ECONNRESET)
		default:
			return
		}
	}
}

func (l *listener) addr() address {
	return address(net.JoinHostPort(l.host.name, strconv.Itoa(l.port)))
}

func (l *listener) Addr() net.Addr { return l.addr() }

// address is "host:port" on the simulated network.
type address string

func (address) Network() string  { return "sim" }
func (a address) String() string { return string(a) }

func splitAddr(addr string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(service)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("simnet: %q is not a port", service)
	}
	return host, port, nil
}
