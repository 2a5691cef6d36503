package simnet

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// packetQueue is how many packets may wait for their reader; more are lost, as
// datagrams are.
const packetQueue = 256

// Gossip opens a port for memberlist. Packets have the links' latency and are
// lost on cut links, also when the cut comes while they are under way.
func (h *Host) Gossip(port int) (memberlist.NodeAwareTransport, error) {
	streams, err := h.Listen(net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	l := streams.(*listener)
	t := &gossip{
		host:     h,
		listener: l,
		packets:  make(chan *memberlist.Packet, packetQueue),
		streams:  make(chan net.Conn),
		dialled:  make(map[net.Conn]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	h.net.mu.Lock()
	l.gossip = t
	h.net.mu.Unlock()
	t.work.Go(t.accept)
	return t, nil
}

// gossip is memberlist's transport over the simulated network.
type gossip struct {
	host     *Host
	listener *listener
	packets  chan *memberlist.Packet
	streams  chan net.Conn

	ctx    context.Context // done after Shutdown
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	dialled map[net.Conn]struct{}
}

// FinalAdvertiseAddr advertises this host, whatever was configured.
func (t *gossip) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.host.IP().AsSlice(), t.listener.port, nil
}

func (t *gossip) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *gossip) StreamCh() <-chan net.Conn           { return t.streams }

func (t *gossip) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (t *gossip) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	now := time.Now()
	name, port, err := splitAddr(addr.Addr)
	if err != nil {
		return now, err
	}
	n := t.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.ctx.Err() != nil || t.host.down {
		return now, syscall.ENETDOWN
	}
	target, err := n.find(name)
	if err != nil || n.isCut(t.host, target) || n.chance(n.weather.Loss) {
		return now, nil // nobody says that a packet is lost
	}
	copies := 1
	if n.chance(n.weather.Duplicate) {
		copies = 2
	}
	for range copies {
		packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.listener.addr()}
		time.AfterFunc(n.delay(t.host, target), func() { t.arrive(packet, name, port) })
	}
	return now, nil
}

// arrive gives a packet to whoever is at the address by now.
func (t *gossip) arrive(p *memberlist.Packet, name string, port int) {
	n := t.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	target, err := n.find(name)
	if err != nil || n.isCut(t.host, target) {
		return
	}
	l := target.listeners[port]
	if l == nil || l.gossip == nil {
		return
	}
	p.Timestamp = time.Now()
	select {
	case l.gossip.packets <- p:
	default:
	}
}

func (t *gossip) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

func (t *gossip) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	c, err := t.host.Dial(ctx, addr.Addr)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil {
		c.Close()
		return nil, net.ErrClosed
	}
	t.dialled[c] = struct{}{}
	return dialled{c, t}, nil
}

// dialled is a connection that ends with its transport.
type dialled struct {
	net.Conn
	t *gossip
}

func (d dialled) Close() error {
	d.t.mu.Lock()
	delete(d.t.dialled, d.Conn)
	d.t.mu.Unlock()
	return d.Conn.Close()
}

func (t *gossip) accept() {
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		select {
		case t.streams <- c:
		case <-t.ctx.Done():
			c.Close()
			return
		}
	}
}

// Shutdown closes the port and the connections that were dialled from it.
func (t *gossip) Shutdown() error {
	t.cancel()
	_ = t.listener.Close() // it may have gone with its host
	t.mu.Lock()
	for c := range t.dialled {
		c.Close()
	}
	t.mu.Unlock()
	t.work.Wait()
	return nil
}
