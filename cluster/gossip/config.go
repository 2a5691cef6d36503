package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrKeyRequired is returned when gossip would leave loopback without a key.
// Whoever can send it a packet could otherwise tell the cluster where its nodes are.
var ErrKeyRequired = errors.New("gossip: a key is required off loopback")

// ErrKey is returned when a key cannot be one.
var ErrKey = errors.New("gossip: a key must have 16, 24 or 32 bytes")

// Config is what Start needs.
type Config struct {
	// Self is this node. GossipAddr and Alive are found out.
	Self Member
	// ClusterName labels every packet, so that two clusters which meet by mistake
	// do not mingle. It is no protection. Up to 64 bytes, required.
	ClusterName string
	// BindAddr is where to listen, by UDP and TCP: an IP address or localhost, and
	// a port; 0 picks one. Not used with Transport.
	BindAddr string
	// AdvertiseAddr is where the others reach us, "host:port", if it is not
	// BindAddr: behind address translation, or when bound to all addresses, where
	// the default is the first private one.
	AdvertiseAddr string
	// Keys encrypt gossip with AES-GCM. The first seals, all of them open. To
	// change a key, add the new one last everywhere, then move it to the front
	// everywhere, then remove the old one. Every holder of a key can say anything
	// in the name of every node.
	Keys [][]byte
	// Transport replaces UDP and TCP, in tests. Then no key is asked for.
	Transport memberlist.Transport
	// WAN selects memberlist's settings for nodes in several regions: a dead node
	// is noticed after half a minute or more and news takes seconds. Without it, a
	// dead node is noticed in some 5 s, which slow links would mistake for death.
	// All nodes of a cluster should have the same.
	WAN bool
	// Seeds are gossip addresses to find the others by, "host:port". It is asked
	// again before each attempt and should name every node that the cluster knows.
	Seeds func() []string
	// Lookup resolves the host names in Seeds and AdvertiseAddr. Nil means the
	// system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// RejoinInterval is how often those who seem dead are tried, 30 s by default.
	// memberlist itself forgets the dead after a minute at most, and never again
	// talks to them: a partition that lasts longer would be for ever.
	RejoinInterval time.Duration
	Log            *slog.Logger
	// OnChange is told all members after any change, never twice at a time. It may
	// take its time: what changes meanwhile is told together. It may be nil.
	OnChange func([]Member)
	// OnConflict is told of a conflict that has lasted, at every look for the
	// others (RejoinInterval), on every node that notices it. Of two with the same
	// incarnation, one may not notice. It may be nil.
	OnConflict func(Conflict)
}

const (
	// reclaim is how long a node that is known dead must have been so before it
	// may come back under the same incarnation at another address.
	reclaim = 30 * time.Second
	// A conflict counts when it has lasted for longer than the failure detector
	// can take to notice that the older of the two is dead: a node that has just
	// been restarted looks like a conflict.
	conflictLAN = time.Minute
	conflictWAN = 5 * time.Minute
	// lookupTimeout bounds the resolution of one name.
	lookupTimeout = 5 * time.Second
	// maxLookup is how many of a name's addresses are used.
	maxLookup = 16
)

func (c Config) withDefaults() Config {
	if c.RejoinInterval == 0 {
		c.RejoinInterval = 30 * time.Second
	}
	if c.Lookup == nil {
		c.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if c.Seeds == nil {
		c.Seeds = func() []string { return nil }
	}
	return c
}

func (c *Config) check() error {
	if err := c.Self.check(); err != nil {
		return fmt.Errorf("gossip: this node is %w", err)
	}
	if c.ClusterName == "" || len(c.ClusterName) > maxName {
		return fmt.Errorf("gossip: the cluster name must have 1 to %d bytes", maxName)
	}
	for i, key := range c.Keys {
		if n := len(key); n != 16 && n != 24 && n != 32 {
			return fmt.Errorf("%w: number %d has %d", ErrKey, i+1, n)
		}
	}
	if c.Transport == nil && len(c.Keys) == 0 && !(loopback(c.BindAddr) && (c.AdvertiseAddr == "" || loopback(c.AdvertiseAddr))) {
		return fmt.Errorf("%w: bound to %q, advertised as %q", ErrKeyRequired, c.BindAddr, c.AdvertiseAddr)
	}
	return nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip, _ := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || ip.Unmap().IsLoopback())
}

// resolve makes addresses of "host:port" where the host may be a name.
func (c *Config) resolve(ctx context.Context, addr string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q has no port number", addr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ips := make([]netip.Addr, 1)
	if ips[0], err = netip.ParseAddr(host); err != nil {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		if ips, err = c.Lookup(ctx, host); err != nil {
			return nil, err
		}
	}
	var found []netip.AddrPort
	for _, ip := range ips[:min(len(ips), maxLookup)] {
		if ip.IsValid() {
			found = append(found, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%q has no address", addr)
	}
	return found, nil
}

// How often a node sends news, times the logarithm of the number of nodes, and how
// often it exchanges all it knows with another. The library's own 4, and 30 or 60 s,
// left a node in 30 without a new address for up to a minute.
const (
	retransmit    = 8
	exchangeEvery = 5 * time.Second
)

// memberlist makes the library's configuration, whose callbacks go to t, and
// opens the transport.
func (c *Config) memberlist(t *table, logger *log.Logger) (*memberlist.Config, error) {
	conf := memberlist.DefaultLANConfig()
	if c.WAN {
		conf = memberlist.DefaultWANConfig()
	}
	conf.Name = c.Self.name()
	conf.Label = c.ClusterName
	conf.DeadNodeReclaimTime = reclaim
	// News is sent a few times to nodes chosen at random, and in a small cluster one of
	// them may be passed over each time: it hears with the next exchange of whole states,
	// which is cheap there.
	conf.RetransmitMult, conf.PushPullInterval = retransmit, exchangeEvery
	conf.GossipVerifyIncoming, conf.GossipVerifyOutgoing = true, true
	conf.Delegate, conf.Events, conf.Alive, conf.Conflict = t, t, t, t
	conf.Logger = logger
	if len(c.Keys) > 0 {
		keyring, err := memberlist.NewKeyring(c.Keys, c.Keys[0])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		conf.Keyring = keyring
	}
	if c.Transport != nil {
		conf.Transport = c.Transport
		return conf, nil
	}
	bind, err := c.resolve(context.Background(), c.BindAddr)
	if err != nil {
		return nil, fmt.Errorf("gossip: bind address: %w", err)
	}
	transport, err := newTransport(bind[0].Addr().String(), int(bind[0].Port()), logger)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	conf.Transport = transport
	conf.BindAddr, conf.BindPort = bind[0].Addr().String(), transport.GetAutoBindPort()
	conf.AdvertisePort = conf.BindPort
	if c.AdvertiseAddr != "" {
		advertise, err := c.resolve(context.Background(), c.AdvertiseAddr)
		if err != nil {
			_ = transport.Shutdown()
			return nil, fmt.Errorf("gossip: address to advertise: %w", err)
		}
		conf.AdvertiseAddr, conf.AdvertisePort = advertise[0].Addr().String(), int(advertise[0].Port())
	}
	return conf, nil
}
