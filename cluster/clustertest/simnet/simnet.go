// Package simnet is a network in memory whose links a test cuts, delays and
// mends. Hosts listen and dial on it as nodes do on the real one, with streams
// (mux.Network) and with memberlist's packets. It uses no socket, and time only
// through package time, so that a whole cluster on it runs in virtual time inside
// a testing/synctest bubble; there it must be made inside the bubble, and every
// connection closed before the bubble ends. Only tests use it.
package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Network is a set of hosts and the state of the links between them. All links
// start whole and without latency.
type Network struct {
	mu      sync.Mutex
	hosts   map[string]*Host // by name; a crashed host stays until its name comes back
	lastIP  netip.Addr
	cut     map[link]bool          // by the names of two hosts
	delays  map[link]time.Duration // by the names of hosts or regions
	weather Weather
	conns   map[*conn]struct{} // one for each pair of ends, until both are closed
	changed chan struct{}      // closed and replaced when links or listeners change
}

// link is one direction between two hosts or regions.
type link struct{ from, to string }

// New makes an empty network.
func New() *Network {
	return &Network{
		hosts:   make(map[string]*Host),
		lastIP:  netip.MustParseAddr("10.0.0.0"),
		cut:     make(map[link]bool),
		delays:  make(map[link]time.Duration),
		conns:   make(map[*conn]struct{}),
		changed: make(chan struct{}),
	}
}

// Host returns the running host of that name, or starts one. A host that comes
// back after a crash keeps its address, unless Move was called for it.
func (n *Network) Host(name, region string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.hosts[name]
	if old != nil && !old.down {
		return old
	}
	h := &Host{net: n, name: name, region: region, listeners: make(map[int]*listener), nextPort: firstPort}
	if old != nil && old.ip.IsValid() {
		h.ip = old.ip
	} else {
		n.lastIP = n.lastIP.Next()
		h.ip = n.lastIP
	}
	n.hosts[name] = h
	n.change()
	return h
}

// Move gives a crashed host another address for when it comes back. Until then
// its name is not known.
func (n *Network) Move(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.hosts[name]; h != nil && h.down {
		h.ip = netip.Addr{}
	}
}

// Crash ends a host as kill -9 does: its connections are reset, as soon as the
// others can hear of it, its listeners are gone, and who dials it is refused
// until Host brings the name back. What it still holds fails at once.
func (n *Network) Crash(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil || h.down {
		return
	}
	h.down = true
	for _, l := range h.listeners {
		l.closeLocked()
	}
	for c := range n.conns {
		for _, end := range []*conn{c, c.peer} {
			if end.host == h && !end.closed {
				end.closed = true
				end.in.CloseRead()
				end.out.End(syscall.ECONNRESET, n.delay(h, end.peer.host))
			}
		}
		n.dropIfClosed(c)
	}
	n.change()
}

// Cut cuts the links between a and b, both ways. Each may be a host or a region,
// which stands for its hosts. Bytes and packets on a cut link do not arrive, and
// neither end is told: bytes wait for Heal, packets are lost, and who dials waits
// until his context is done.
func (n *Network) Cut(a, b string) {
	n.setCut(true, a, b)
	n.setCut(true, b, a)
}

// CutOneWay cuts only what goes from one to the other. Dialling needs both ways.
func (n *Network) CutOneWay(from, to string) { n.setCut(true, from, to) }

// Isolate cuts a host, or the hosts of a region, from all others, both ways.
func (n *Network) Isolate(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	inside := n.members(name)
	for _, in := range inside {
		for _, out := range n.hosts {
			if !slices.Contains(inside, out) {
				n.cut[link{in.name, out.name}] = true
				n.cut[link{out.name, in.name}] = true
			}
		}
	}
	n.holdCut()
}

// Heal mends the links between a and b, both ways. What waited arrives after the
// links' latency.
func (n *Network) Heal(a, b string) {
	n.setCut(false, a, b)
	n.setCut(false, b, a)
}

// HealAll mends every link.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.holdCut()
}

func (n *Network) setCut(cut bool, from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.members(from) {
		for _, b := range n.members(to) {
			if l := (link{a.name, b.name}); a == b || !cut {
				delete(n.cut, l)
			} else {
				n.cut[l] = true
			}
		}
	}
	n.holdCut()
}

// Latency sets the round trip between two hosts or regions, half of it each way.
// A link between hosts takes precedence over one between regions. It holds for
// what is sent from now on.
func (n *Network) Latency(a, b string, rtt time.Duration) {
	n.Delay(a, b, rtt/2)
	n.Delay(b, a, rtt/2)
}

// Delay sets how long it takes one way between two hosts or regions, for example
// to delay only the answers.
func (n *Network) Delay(from, to string, oneWay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delays[link{from, to}] = oneWay
}

// NoDelay takes back a Delay.
func (n *Network) NoDelay(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.delays, link{from, to})
}

// Weather is what befalls everything that is sent between hosts. Streams keep
// their order, as TCP does; packets do not.
type Weather struct {
	Rand      *rand.Rand    // what is random comes from here; used under the network's lock
	Jitter    time.Duration // added to each delay, from none to all of it
	Loss      float64       // the part of the packets that is lost
	Duplicate float64       // and that arrives twice, the second after a delay of its own
}

// SetWeather changes the weather. It holds for what is sent from now on.
func (n *Network) SetWeather(w Weather) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.weather = w
}

// Reset breaks all streams between a and b, which may be hosts or regions. Both
// ends are told at once, and what was under way is lost: who waits for an answer
// does not know whether his request arrived.
func (n *Network) Reset(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	left, right := n.members(a), n.members(b)
	for c := range n.conns {
		from, to := c.host, c.peer.host
		if slices.Contains(left, from) && slices.Contains(right, to) || slices.Contains(left, to) && slices.Contains(right, from) {
			c.breakLocked()
			c.peer.breakLocked()
		}
	}
}

// members are the hosts that a name stands for.
func (n *Network) members(name string) []*Host {
	if h := n.hosts[name]; h != nil {
		return []*Host{h}
	}
	var members []*Host
	for _, h := range n.hosts {
		if h.region == name {
			members = append(members, h)
		}
	}
	if members == nil {
		panic(fmt.Sprintf("simnet: no host and no region is called %q", name))
	}
	return members
}

// holdCut makes every connection follow the state of its links.
func (n *Network) holdCut() {
	for c := range n.conns {
		c.hold()
		c.peer.hold()
	}
	n.change()
}

// change wakes whoever waits for a link or a listener.
func (n *Network) change() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// isCut reports whether nothing gets from a to b.
func (n *Network) isCut(a, b *Host) bool { return n.cut[link{a.name, b.name}] }

// delay is how long it takes from a to b, this time.
func (n *Network) delay(a, b *Host) time.Duration {
	if a == b {
		return 0
	}
	var jitter time.Duration
	if n.weather.Jitter > 0 {
		jitter = time.Duration(n.weather.Rand.Int64N(int64(n.weather.Jitter)))
	}
	for _, l := range []link{{a.name, b.name}, {a.name, b.region}, {a.region, b.name}, {a.region, b.region}} {
		if d, ok := n.delays[l]; ok {
			return d + jitter
		}
	}
	return jitter
}

// chance reports whether what happens to a part of all packets happens to this.
func (n *Network) chance(part float64) bool { return part > 0 && n.weather.Rand.Float64() < part }

// find is the host at an address or of a name. It may be down.
func (n *Network) find(host string) (*Host, error) {
	if h := n.hosts[host]; h != nil && h.ip.IsValid() {
		return h, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		for _, h := range n.hosts {
			if h.ip == ip {
				return h, nil
			}
		}
		return nil, syscall.EHOSTUNREACH
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
