package redisproto

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

const (
	// acceptPause is how long the server waits after a failed accept, such as
	// for lack of file descriptors; it doubles up to maxAcceptPause.
	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
	// maxRejecting bounds the connections that are being told that they are not
	// wanted. Beyond it they are closed without a word.
	maxRejecting = 64
	// foreignPause is the least time between warnings about foreign peers.
	foreignPause = time.Minute
)

const (
	textMaxClients = "-ERR max number of clients reached\r\n"
	textProtected  = "-DENIED This server runs in protected mode: it has no password, so it takes connections " +
		"from its own machine only. Set a password, or turn protected mode off if the network is trusted, " +
		"and restart the server.\r\n"
)

// door is the listener that redcon accepts from. It lets in whom the server has
// room for.
type door struct {
	net.Listener
	srv *Server
	tls *tls.Config // nil for plain connections
	err error       // why the listener ended
}

// Accept returns the next client. Of the listener's errors it passes on only
// the end: redcon would try again at once and for ever.
func (d *door) Accept() (net.Conn, error) {
	pause := acceptPause
	for {
		conn, err := d.Listener.Accept()
		if err == nil {
			if w := d.srv.admit(conn, d.tls); w != nil {
				return w, nil
			}
			pause = acceptPause
			continue
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			d.err = err
			// redcon closes all connections when the listener ends. In a
			// shutdown they have until then to finish.
			d.srv.waitIfClosing()
			return nil, net.ErrClosed
		}
		d.srv.stats.AcceptErrors.Add(1)
		d.srv.cfg.Logger.Warn("cannot accept a client", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-d.srv.ctx.Done():
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

func (s *Server) waitIfClosing() {
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if closing {
		<-s.gone
	}
}

// admit makes a client of conn, or turns it away and returns nil.
func (s *Server) admit(conn net.Conn, config *tls.Config) *wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	refusal := ""
	switch {
	case s.closing:
		conn.Close()
		return nil
	case s.cfg.Protected && s.cfg.Password == "" && !local(conn.RemoteAddr()):
		refusal = textProtected
	case int64(len(s.clients)) >= s.tune.maxClients.Load():
		refusal = textMaxClients
	}
	if refusal != "" {
		s.stats.Rejected.Add(1)
		s.turnAway(conn, refusal, config != nil)
		return nil
	}
	s.keepAlive(conn)
	s.stats.Connections.Add(1)
	s.lastID++
	c := newClient(s, s.lastID, conn, config)
	s.clients[c.id] = c
	s.wg.Add(1)
	return c.wire
}

// keepAlive has the system look from time to time whether a silent peer is there.
func (s *Server) keepAlive(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		idle := time.Duration(s.tune.keepAlive.Load())
		// Three probes within the time again, as Redis does.
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: idle > 0, Idle: idle, Interval: max(idle/3, time.Second), Count: 3})
	}
}

// turnAway tells a peer why it is not wanted, unless it expects TLS.
func (s *Server) turnAway(conn net.Conn, text string, secret bool) {
	if secret {
		conn.Close()
		return
	}
	select {
	case s.reject <- struct{}{}:
	default:
		conn.Close()
		return
	}
	s.wg.Go(func() {
		defer func() { <-s.reject }()
		defer conn.Close()
		stop := context.AfterFunc(s.ctx, func() { conn.Close() })
		defer stop()
		conn.SetDeadline(time.Now().Add(lingerTime))
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			io.Copy(io.Discard, io.LimitReader(conn, lingerBytes))
		}
	})
}

// foreign is called for a peer that does not speak Redis.
func (s *Server) foreign(c *Client) {
	now := time.Now().Unix()
	if last := s.warned.Load(); now-last >= int64(foreignPause/time.Second) && s.warned.CompareAndSwap(last, now) {
		s.cfg.Logger.Warn("closed a connection that does not speak the Redis protocol: HTTP, or TLS on the plain port",
			"client", c.addr)
	}
}

// local reports whether a peer is on this machine.
func local(addr net.Addr) bool {
	if n := addr.Network(); n == "unix" || n == "pipe" {
		return true
	}
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}
