package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"phonond/client/clienttest"
)

// who makes a node that answers WHO with its name.
func who(t *testing.T, name string, options ...clienttest.Option) string {
	t.Helper()
	return clienttest.Start(t, map[string]any{"WHO": name}, options...).Addr
}

// nobody returns an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// speaker returns an address where each connection is answered by a fixed text,
// and then kept open in silence.
func speaker(t *testing.T, text string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			conn, err := ln.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
			io.WriteString(conn, text)
		}
		for _, conn := range conns {
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func open(t *testing.T, cfg Config) *Client {
	t.Helper()
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = 200 * time.Millisecond
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOwnRegionFirst(t *testing.T) {
	regions := map[string][]string{
		"a": {who(t, "a"), who(t, "a")},
		"b": {who(t, "b"), who(t, "b")},
		"c": {who(t, "c")},
	}
	for region := range regions {
		c := open(t, Config{Regions: regions, Region: region, Addrs: []string{who(t, "stray")}})
		if got, err := c.Do(t.Context(), "WHO"); err != nil || got != region {
			t.Errorf("a client in %s talks to %v: %v", region, got, err)
		}
	}
}

func TestNodesThatDoNotServeArePassedOver(t *testing.T) {
	for name, bad := range map[string]string{
		"not there":        nobody(t),
		"silent":           speaker(t, ""),
		"protected":        speaker(t, "-DENIED phonond is running in protected mode\r\n"),
		"full":             speaker(t, "-ERR max number of clients reached\r\n"),
		"starting":         speaker(t, "-LOADING the node is starting\r\n"),
		"not Redis":        speaker(t, "HTTP/1.1 400 Bad Request\r\n\r\n"),
		"endless":          speaker(t, strings.Repeat("x", 2*maxProbe)),
		"wrong from start": speaker(t, "\r\n"),
	} {
		c := open(t, Config{Regions: map[string][]string{"a": {bad}, "b": {who(t, "b")}}, Region: "a"})
		if got, err := c.Do(t.Context(), "WHO"); err != nil || got != "b" {
			t.Errorf("a node that is %s: got %v, %v", name, got, err)
		}
	}
}

func TestNoNodeAnswers(t *testing.T) {
	here, there := nobody(t), speaker(t, "-LOADING the node is starting\r\n")
	c := open(t, Config{Regions: map[string][]string{"a": {here}, "b": {there}}, Region: "a"})
	_, err := c.Do(t.Context(), "WHO")
	var dial *DialError
	if !errors.As(err, &dial) || !errors.Is(err, ErrNotApplied) || errors.Is(err, ErrUnknownOutcome) {
		t.Fatalf("got %v", err)
	}
	if len(dial.Attempts) != 2 || dial.Attempts[0].Addr != here || dial.Attempts[1].Addr != there {
		t.Errorf("attempts: %v", dial.Attempts)
	}
	if s := err.Error(); !strings.Contains(s, here+": dial tcp") || !strings.Contains(s, there+": LOADING the node is starting") {
		t.Errorf("the error says %q", s)
	}
}

func TestAFailedNodeIsTriedLastForAWhile(t *testing.T) {
	d, err := newDialer(Config{Regions: map[string][]string{"a": {"a:1"}, "b": {"b:1"}}, Region: "a"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	order := func(after time.Duration) string { return strings.Join(d.order(now.Add(after)), " ") }
	if got := order(0); got != "a:1 b:1" {
		t.Errorf("at first: %s", got)
	}
	d.failed["a:1"] = now
	if got := order(shunTime - 1); got != "b:1 a:1" {
		t.Errorf("after a failure: %s", got)
	}
	if got := order(shunTime); got != "a:1 b:1" {
		t.Errorf("later: %s", got)
	}
	d.failed["b:1"] = now
	if got := order(0); got != "a:1 b:1" {
		t.Errorf("when all failed: %s", got)
	}
	d.note("a:1", nil)
	if got := order(0); got != "a:1 b:1" || len(d.failed) != 1 {
		t.Errorf("after success: %s, %v", got, d.failed)
	}
}

func TestEachClientHasItsOwnOrder(t *testing.T) {
	first := map[string]bool{}
	for range 200 { // all equal: once in 2^199
		d, err := newDialer(Config{Regions: map[string][]string{"a": {"a:1", "a:2"}}, Region: "a"})
		if err != nil {
			t.Fatal(err)
		}
		first[d.addrs[0]] = true
	}
	if len(first) != 2 {
		t.Errorf("all clients begin with %v", first)
	}
}

func TestNewRefuses(t *testing.T) {
	for says, cfg := range map[string]Config{
		"no node is named":            {},
		`region "b" is not in`:        {Regions: map[string][]string{"a": {"h:1"}}, Region: "b"},
		`"h" is not host:port`:        {Addrs: []string{"h"}},
		"513 addresses, at most 512 ": {Addrs: manyAddrs(513)},
	} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: got %v, want it to say %q", cfg, err, says)
		}
	}
}

func manyAddrs(n int) (addrs []string) {
	for i := range n {
		addrs = append(addrs, net.JoinHostPort("h", big.NewInt(int64(i+1)).String()))
	}
	return addrs
}

func TestDoSaysWhetherItWasApplied(t *testing.T) {
	node := clienttest.Start(t, map[string]any{
		"NIL":  nil,
		"GET":  "v",
		"DOWN": clienttest.Error("CLUSTERDOWN no leader for region a"),
		"BUSY": clienttest.Error("TRYAGAIN the queue is full"),
		"LOAD": clienttest.Error("LOADING the node is starting"),
		"OLD":  clienttest.Error("READONLY region fenced"),
		"FULL": clienttest.Error("MISCONF the disks of group a are full"),
		"LOST": clienttest.Error("TIMEOUT outcome unknown, request 1-1"),
		"TYPE": clienttest.Error("WRONGTYPE Operation against a key"),
	}, clienttest.Drop("CUT", 1))
	c := open(t, Config{Addrs: []string{node.Addr}})
	for command, want := range map[string]error{
		"GET": nil, "NIL": redis.Nil, "DOWN": ErrNotApplied, "BUSY": ErrNotApplied, "LOAD": ErrNotApplied,
		"OLD": ErrNotApplied, "FULL": ErrNotApplied, "LOST": ErrUnknownOutcome, "CUT": ErrUnknownOutcome, "TYPE": nil,
	} {
		_, err := c.Do(t.Context(), command)
		var reply redis.Error
		switch {
		case command == "TYPE":
			if !errors.As(err, &reply) || errors.Is(err, ErrNotApplied) || errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("%s: %v", command, err)
			}
		case !errors.Is(err, want) || errors.Is(err, ErrNotApplied) && errors.Is(err, ErrUnknownOutcome):
			t.Errorf("%s: got %v, want %v", command, err, want)
		}
	}
	// A command whose connection broke is sent once and never again.
	if n := strings.Count(strings.Join(node.Received(), " "), "CUT"); n != 1 {
		t.Errorf("CUT was sent %d times", n)
	}
	c.Close()
	if _, err := c.Do(t.Context(), "GET"); !errors.Is(err, ErrNotApplied) {
		t.Errorf("after Close: %v", err)
	}
}

func TestTimeOutIsAnUnknownOutcome(t *testing.T) {
	silent := speaker(t, "+PONG\r\n") // to the PING, then no more
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := open(t, Config{Addrs: []string{silent}})
	if _, err := c.Do(ctx, "INCR", "k"); !errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

func TestPasswordAndProtocol(t *testing.T) {
	for name, options := range map[string][]clienttest.Option{
		"RESP3": {clienttest.Password("secret")},
		"RESP2": {clienttest.Password("secret"), clienttest.RESP2()},
	} {
		addr := who(t, "a", options...)
		good := open(t, Config{Addrs: []string{addr}, Password: "secret", DB: 1})
		if got, err := good.Do(t.Context(), "WHO"); err != nil || got != "a" {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		bad := open(t, Config{Addrs: []string{addr}, Password: "guess"})
		if _, err := bad.Do(t.Context(), "WHO"); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("%s, wrong password: %v", name, err)
		}
		none := open(t, Config{Addrs: []string{addr}})
		if _, err := none.Do(t.Context(), "WHO"); err == nil {
			t.Errorf("%s: no password, yet an answer", name)
		}
	}
}

func TestTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	node := clienttest.Serve(t, ln, map[string]any{"WHO": "a"})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	trusting := open(t, Config{Addrs: []string{node.Addr}, TLS: &tls.Config{RootCAs: roots}, DialTimeout: 2 * time.Second})
	if got, err := trusting.Do(t.Context(), "WHO"); err != nil || got != "a" {
		t.Errorf("got %v, %v", got, err)
	}
	strange := open(t, Config{Addrs: []string{node.Addr}, TLS: &tls.Config{RootCAs: x509.NewCertPool()}, DialTimeout: 2 * time.Second})
	if _, err := strange.Do(t.Context(), "WHO"); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("a server nobody vouches for: %v", err)
	}
}
