// Package mux is the one port between nodes: all Raft groups, forwarding and the
// first exchange between strangers share a listener. A connection begins with
// mutual TLS and a preamble that says who calls whom, for which service, group,
// cluster and epoch; what does not fit is refused, with a reason that the
// dialler gets as an error, before any byte of a service is decoded. The node
// owns one Mux; groups and links take their listeners and connections from it.
// It never reads or writes a service's bytes itself, and never retries.
package mux

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ErrClosed is returned when the Mux was closed. It is net.ErrClosed, too.
var ErrClosed = fmt.Errorf("mux: %w", net.ErrClosed)

// Limits bound what others can make a Mux hold. Zero means the default.
type Limits struct {
	// Handshakes is how many accepted connections may be under way to their
	// service at a time, 256 by default. Further ones are closed at once.
	Handshakes int
	// PerPeer is how many accepted connections one node may hold, 512 by
	// default: room for some hundred groups with a few connections each.
	PerPeer int
	// Handshake is how long TLS, preamble and answer may take together, and how
	// long an accepted connection waits for its service to take it. 5 s by default.
	Handshake time.Duration
	// Dial is how long Dial may take in all when its context allows more. 10 s by
	// default.
	Dial time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Handshakes == 0 {
		l.Handshakes = 256
	}
	if l.PerPeer == 0 {
		l.PerPeer = 512
	}
	if l.Handshake == 0 {
		l.Handshake = 5 * time.Second
	}
	if l.Dial == 0 {
		l.Dial = 10 * time.Second
	}
	return l
}

// Config is what a Mux is made from.
type Config struct {
	Network Network
	Addr    string // where to listen, "host:port"
	// TLS holds the node's certificate and, as RootCAs (and ClientCAs, if they
	// differ), the cluster's authorities. Nil means plain connections and no proof
	// of who calls, which the caller allows on loopback only.
	TLS  *tls.Config
	Self Identity
	Log  *slog.Logger
	// Resolve tells where a node is to be dialled; DialNode needs it.
	Resolve func(node string) (addr string, ok bool)
	// EpochOf tells our epoch of a group. Nil, or false, means any will do.
	EpochOf func(group string) (uint64, bool)
	// OnHigherEpoch is told when another node knows a newer epoch of a group than
	// we do, by its preamble or its refusal. It may be nil. It is called from many
	// goroutines and holds one connection up while it runs.
	OnHigherEpoch func(group string, epoch uint64)
	Limits        Limits
}

// Mux is a node's end of all connections between nodes.
type Mux struct {
	cfg      Config
	limits   Limits
	security *security // nil without TLS
	listener net.Listener

	ctx    context.Context // done when the Mux is closed
	cancel context.CancelFunc
	work   sync.WaitGroup // the accept loop and the handshakes

	mu         sync.Mutex
	cluster    ClusterID
	handshakes int
	services   map[service]*listener
	open       map[net.Conn]struct{} // every network connection that is not closed yet
	peers      map[string]int        // accepted connections by the node that called
}

// service is what a listener is registered for.
type service struct {
	Service
	group string
}

func (s service) String() string {
	if s.group == "" {
		return s.Service.String()
	}
	return fmt.Sprintf("%v for group %s", s.Service, s.group)
}

// New opens the listener and begins to accept. Until Handle registers a service
// its connections are refused with ErrUnknownService.
func New(cfg Config) (*Mux, error) {
	if err := cfg.Self.check(cfg.TLS != nil); err != nil {
		return nil, err
	}
	m := &Mux{
		cfg:      cfg,
		limits:   cfg.Limits.withDefaults(),
		cluster:  cfg.Self.Cluster,
		services: make(map[service]*listener),
		open:     make(map[net.Conn]struct{}),
		peers:    make(map[string]int),
	}
	if cfg.TLS != nil {
		var err error
		if m.security, err = newSecurity(cfg.TLS); err != nil {
			return nil, err
		}
	}
	ln, err := cfg.Network.Listen(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("mux: %w", err)
	}
	m.listener = ln
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.work.Go(m.acceptLoop)
	return m, nil
}

// Addr is where the Mux listens.
func (m *Mux) Addr() net.Addr { return m.listener.Addr() }

// SetCluster tells the id of the cluster once the node belongs to one.
// Connections that stand are not looked at again.
func (m *Mux) SetCluster(id ClusterID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster = id
}

func (m *Mux) clusterID() ClusterID {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster
}

// Close closes the listener and every connection that was accepted or dialled
// here, and waits until nothing runs any more. Listeners from Handle return
// net.ErrClosed.
func (m *Mux) Close() error {
	m.cancel()
	err := m.listener.Close()
	m.mu.Lock()
	services := make([]*listener, 0, len(m.services))
	for _, l := range m.services {
		services = append(services, l)
	}
	for raw := range m.open {
		m.work.Go(func() { raw.Close() }) // side by side: a delayed one takes its time
	}
	m.mu.Unlock()
	for _, l := range services {
		l.Close()
	}
	m.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Accepting is tried again after an error, such as too many open files, with a
// pause between these bounds.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

func (m *Mux) acceptLoop() {
	pause := acceptPauseMin
	for {
		raw, err := m.listener.Accept()
		if m.ctx.Err() != nil {
			if err == nil {
				raw.Close()
			}
			return
		}
		if err != nil {
			m.cfg.Log.Warn("accepting connections between nodes failed", "err", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-m.ctx.Done():
				return
			}
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		if !m.beginHandshake(raw) {
			m.cfg.Log.Debug("connection closed: too many handshakes", "addr", raw.RemoteAddr())
			raw.Close()
			continue
		}
		m.work.Go(func() {
			defer m.endHandshake()
			m.handshake(raw)
		})
	}
}

func (m *Mux) beginHandshake(raw net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil || m.handshakes == m.limits.Handshakes {
		return false
	}
	m.handshakes++
	m.open[raw] = struct{}{}
	return true
}

func (m *Mux) endHandshake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handshakes--
}

// handshake takes an accepted connection up to the service that it is for.
func (m *Mux) handshake(raw net.Conn) {
	c := &conn{Conn: raw, raw: raw, mux: m}
	deadline := time.Now().Add(m.limits.Handshake)
	l, err := m.greet(c, deadline)
	if err != nil {
		c.Close()
		m.logRefused(c, err)
		return
	}
	l.deliver(c, deadline)
}

// logRefused tells of a connection that came to nothing: loudly where a node
// named itself, quietly for strangers, who may come as often as they like.
func (m *Mux) logRefused(c *conn, err error) {
	log := m.cfg.Log.With("addr", c.raw.RemoteAddr(), "err", err)
	switch p := c.peer; {
	case m.ctx.Err() != nil:
	case p.From != "" && (p.Cluster.IsZero() || m.clusterID().IsZero()):
		// One of the two has yet to hear of the cluster that is being made.
		log.Debug("connection between nodes refused", "node", p.From, "service", p.Service)
	case errors.Is(err, ErrUnknownService):
		// Usual while a node starts: the other asks again.
		log.Info("connection between nodes refused", "node", p.From, "service", p.Service, "group", p.Group)
	case p.From != "":
		log.Warn("connection between nodes refused", "node", p.From, "region", p.Region, "service", p.Service, "group", p.Group)
	case errors.Is(err, io.EOF):
		log.Debug("connection closed before it said anything")
	default:
		log.Info("connection between nodes failed")
	}
}

// greet makes the handshake and answers it. The error says why the connection is
// to be closed, and the other side has been told as far as possible.
func (m *Mux) greet(c *conn, deadline time.Time) (*listener, error) {
	if err := c.raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	var caller *x509.Certificate
	if m.security != nil {
		secure := tls.Server(c.raw, m.security.accept)
		if err := secure.HandshakeContext(m.ctx); err != nil {
			return nil, err
		}
		c.Conn = secure
		caller = secure.ConnectionState().PeerCertificates[0]
	}
	// Read before anything is refused: a dialler that is still writing would hear
	// of a broken connection only, not why.
	p, err := readPreamble(c.Conn)
	if errors.Is(err, errPreamble) {
		return nil, m.answer(c, refuse(ErrBadPreamble, "%v", err))
	} else if err != nil {
		return nil, err
	}
	c.peer = p
	l, refusal := m.admit(c, caller)
	if refusal != nil {
		return nil, m.answer(c, refusal)
	}
	if _, err := c.Conn.Write([]byte{0}); err != nil {
		return nil, err
	}
	return l, c.raw.SetDeadline(time.Time{})
}

// answer tells the other side why not, and returns it for the log.
func (m *Mux) answer(c *conn, r *Refusal) error {
	_, err := c.Conn.Write(r.append(nil))
	return errors.Join(r, err)
}

// admit decides on a preamble. When it agrees the connection counts as one of
// the peer's until it is closed.
func (m *Mux) admit(c *conn, caller *x509.Certificate) (*listener, *Refusal) {
	self, p := m.cfg.Self, c.peer
	if caller != nil {
		id, err := Certified(caller)
		if err != nil {
			return nil, refuse(ErrIdentity, "%v", err)
		}
		if id.ClusterName != self.ClusterName || id.Region != p.Region || id.Node != p.From {
			return nil, refuse(ErrIdentity, "the certificate is that of %s", id.URI())
		}
	}
	ours := m.clusterID()
	stranger := p.Service == Hello && (ours.IsZero() || p.Cluster.IsZero())
	switch {
	case p.Cluster != ours && !stranger:
		return nil, refuse(ErrWrongCluster, "node %s belongs to cluster %s", self.Node, ours)
	case ours.IsZero() && p.Service != Hello:
		return nil, refuse(ErrWrongCluster, "node %s belongs to no cluster yet", self.Node)
	case p.To != self.Node && p.To != "":
		return nil, refuse(ErrWrongNode, "this is node %s", self.Node)
	}
	want := service{p.Service, p.Group}
	m.mu.Lock()
	l := m.services[want]
	m.mu.Unlock()
	if l == nil {
		return nil, refuse(ErrUnknownService, "node %s has no %v", self.Node, want)
	}
	if m.cfg.EpochOf != nil {
		epoch, known := m.cfg.EpochOf(p.Group)
		if known && p.Epoch < epoch {
			r := refuse(ErrStaleEpoch, "group %s is in epoch %d, not %d", p.Group, epoch, p.Epoch)
			r.Epoch = epoch
			return nil, r
		}
		if known && p.Epoch > epoch {
			m.higherEpoch(p.Group, p.Epoch)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.peers[p.From] >= m.limits.PerPeer {
		return nil, refuse(ErrBusy, "node %s has %d connections here", p.From, m.limits.PerPeer)
	}
	m.peers[p.From]++
	c.counted = true
	return l, nil
}

func (m *Mux) higherEpoch(group string, epoch uint64) {
	if m.cfg.OnHigherEpoch != nil {
		m.cfg.OnHigherEpoch(group, epoch)
	}
}
