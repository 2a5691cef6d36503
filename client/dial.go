package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// shunTime is how long a node that failed is tried after all others, so that a
// dead region costs one time-out and not one for every connection.
const shunTime = 5 * time.Second

// maxProbe is the longest reply to the PING that opens a connection, in bytes: a
// line of text.
const maxProbe = 1024

// Attempt is one node that could not be reached.
type Attempt struct {
	Addr string
	Err  error
}

// DialError is returned when no node could be reached. It lists them in the order
// in which they were tried.
type DialError struct {
	Attempts []Attempt
}

// Error lists the nodes and what was wrong with each.
func (e *DialError) Error() string {
	var b strings.Builder
	b.WriteString("no node answered")
	sep := ": "
	for _, a := range e.Attempts {
		fmt.Fprintf(&b, "%s%s: %v", sep, a.Addr, a.Err)
		sep = "; "
	}
	return b.String()
}

// Unwrap returns the nodes' errors.
func (e *DialError) Unwrap() []error {
	errs := make([]error, len(e.Attempts))
	for i, a := range e.Attempts {
		errs[i] = a.Err
	}
	return errs
}

// dialer opens connections to the first node that answers.
type dialer struct {
	addrs   []string // in order of preference
	timeout time.Duration
	tls     *tls.Config
	connect func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	failed map[string]time.Time // when a node last failed
}

func newDialer(cfg Config) (*dialer, error) {
	d := &dialer{timeout: cfg.DialTimeout, tls: cfg.TLS, connect: cfg.Dial, failed: map[string]time.Time{}}
	if d.connect == nil {
		d.connect = new(net.Dialer).DialContext
	}
	home, ok := cfg.Regions[cfg.Region]
	if cfg.Region != "" && !ok {
		return nil, fmt.Errorf("%w: region %q is not in Regions", ErrConfig, cfg.Region)
	}
	d.add(home)
	d.add(cfg.Addrs)
	for _, r := range slices.Sorted(maps.Keys(cfg.Regions)) {
		d.add(cfg.Regions[r])
	}
	for _, a := range d.addrs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("%w: the address %q is not host:port", ErrConfig, a)
		}
	}
	switch n := len(d.addrs); {
	case n == 0:
		return nil, fmt.Errorf("%w: no node is named in Regions or Addrs", ErrConfig)
	case n > MaxAddrs:
		return nil, fmt.Errorf("%w: %d addresses, at most %d are supported", ErrConfig, n, MaxAddrs)
	}
	return d, nil
}

// add appends the new ones of some equally good addresses, in random order: each
// client has its own, and so they spread over the nodes.
func (d *dialer) add(addrs []string) {
	for _, i := range rand.Perm(len(addrs)) {
		if !slices.Contains(d.addrs, addrs[i]) {
			d.addrs = append(d.addrs, addrs[i])
		}
	}
}

// order returns the addresses to try: those that failed lately come last.
func (d *dialer) order(now time.Time) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	shunned := func(a string) bool { at, ok := d.failed[a]; return ok && now.Sub(at) < shunTime }
	var good, bad []string
	for _, a := range d.addrs {
		if shunned(a) {
			bad = append(bad, a)
		} else {
			good = append(good, a)
		}
	}
	return append(good, bad...)
}

func (d *dialer) note(addr string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		delete(d.failed, addr)
	} else {
		d.failed[addr] = time.Now()
	}
}

// dial is go-redis's Dialer. The address it is given means nothing.
func (d *dialer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var failed DialError
	for _, addr := range d.order(time.Now()) {
		if ctx.Err() != nil {
			break
		}
		conn, err := d.open(ctx, network, addr)
		if err == nil || ctx.Err() == nil { // not the node's fault that the caller left
			d.note(addr, err)
		}
		if err == nil {
			return conn, nil
		}
		failed.Attempts = append(failed.Attempts, Attempt{addr, err})
	}
	if len(failed.Attempts) == 0 {
		return nil, ctx.Err()
	}
	return nil, &failed
}

// open connects to one node and waits until it answers a PING: a node that hangs,
// or accepts and refuses, is to be passed over, and once go-redis has the
// connection it is too late for that.
func (d *dialer) open(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := d.greet(ctx, raw, addr)
	if !stop() {
		err = context.Cause(ctx) // too late: the deadline is set, and stays
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// greet does what comes before the first command: the TLS handshake and the PING.
func (d *dialer) greet(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	if d.tls != nil {
		conf := d.tls
		if conf.ServerName == "" && !conf.InsecureSkipVerify {
			conf = conf.Clone()
			conf.ServerName, _, _ = net.SplitHostPort(addr)
		}
		secure := tls.Client(conn, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	return conn, probe(conn)
}

// probe sends a PING and reads the reply. That a password is asked for is an
// answer too; any other error is a reason to go elsewhere: starting, protected,
// too many clients.
func probe(conn io.ReadWriter) error {
	if _, err := io.WriteString(conn, "*1\r\n$4\r\nPING\r\n"); err != nil {
		return err
	}
	line := make([]byte, 0, maxProbe)
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == cap(line) {
			return fmt.Errorf("the reply to PING is not of the Redis protocol: %.20q", line)
		}
		n, err := conn.Read(line[len(line):cap(line)])
		if line = line[:len(line)+n]; err != nil && n == 0 {
			return err
		}
	}
	switch reply := strings.TrimSuffix(string(line), "\r\n"); {
	case reply == "+PONG" || strings.HasPrefix(reply, "-NOAUTH"):
		return nil
	case reply[:min(1, len(reply))] == "-":
		return fmt.Errorf("%s", reply[1:])
	default:
		return fmt.Errorf("the reply to PING is not of the Redis protocol: %.20q", reply)
	}
}
