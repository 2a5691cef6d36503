package mux

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrNoAddress is returned when nobody knows where the node is.
var ErrNoAddress = errors.New("mux: the node's address is not known")

// DialNode is Dial to wherever the node lives now.
func (m *Mux) DialNode(ctx context.Context, node string, s Service, group string, epoch uint64) (net.Conn, error) {
	if m.cfg.Resolve != nil {
		if addr, ok := m.cfg.Resolve(node); ok {
			return m.Dial(ctx, addr, node, s, group, epoch)
		}
	}
	return nil, fmt.Errorf("dial %s: %w", node, ErrNoAddress)
}

// Dial opens a connection for a service, and the group with its epoch where the
// service has groups, to the node with the id to at addr. For Hello, to may be
// empty: then whoever lives there answers. It returns once the other node has
// agreed. When it refused, the error is a *Refusal. Any other error leaves open
// whether the node is there; nothing of the service's has been sent.
//
// The connection is closed with the Mux, if its owner does not close it before.
func (m *Mux) Dial(ctx context.Context, addr, to string, s Service, group string, epoch uint64) (net.Conn, error) {
	p := Preamble{Service: s, Cluster: m.clusterID(), Epoch: epoch, Group: group,
		From: m.cfg.Self.Node, Region: m.cfg.Self.Region, To: to}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, m.limits.Dial)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)()

	raw, err := m.cfg.Network.Dial(ctx, addr)
	if err != nil {
		return nil, m.dialError(to, addr, err)
	}
	c := &conn{Conn: raw, raw: raw, mux: m}
	if !m.keep(raw) {
		raw.Close()
		return nil, ErrClosed
	}
	if err := m.introduce(ctx, c, p); err != nil {
		c.Close()
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Epoch > epoch {
			m.higherEpoch(group, refusal.Epoch)
		}
		return nil, m.dialError(to, addr, err)
	}
	return c, nil
}

func (m *Mux) dialError(to, addr string, err error) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	if to == "" {
		return fmt.Errorf("dial %s: %w", addr, err)
	}
	return fmt.Errorf("dial %s at %s: %w", to, addr, err)
}

// keep takes a dialled connection into account.
func (m *Mux) keep(raw net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx.Err() != nil {
		return false
	}
	m.open[raw] = struct{}{}
	return true
}

// introduce makes the dialler's half of the handshake, within the handshake's
// time and no longer than ctx lasts.
func (m *Mux) introduce(ctx context.Context, c *conn, p Preamble) error {
	ctx, cancel := context.WithTimeout(ctx, m.limits.Handshake)
	defer cancel()
	interrupt := context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
	err := m.exchange(ctx, c, p)
	if !interrupt() { // whatever failed, failed because of this
		return ctx.Err()
	}
	return err
}

func (m *Mux) exchange(ctx context.Context, c *conn, p Preamble) error {
	if m.security != nil {
		secure := tls.Client(c.raw, m.security.dial)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		c.Conn = secure
		id, err := Certified(secure.ConnectionState().PeerCertificates[0])
		if err != nil {
			return err
		}
		if id.ClusterName != m.cfg.Self.ClusterName || p.To != "" && id.Node != p.To {
			return fmt.Errorf("%w: the certificate there is that of %s", ErrIdentity, id.URI())
		}
	}
	if _, err := c.Conn.Write(p.append(nil)); err != nil {
		return err
	}
	return readAnswer(c.Conn)
}
