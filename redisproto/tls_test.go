package redisproto

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (server *tls.Config, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

func startTLS(t *testing.T, cfg Config, config *tls.Config) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	srv, err := New(cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	m.host(srv)
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(ln, config) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("ServeTLS: %v", err)
		}
	})
	return srv, ln.Addr().String()
}

func TestTLS(t *testing.T) {
	server, client := certificate(t)
	srv, addr := startTLS(t, DefaultConfig(), server)
	conn, err := tls.Dial("tcp", addr, client)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := peer{conn, bufio.NewReader(conn), t}
	p.ask(cmd("SET", "k", "v")+"GET k\r\n", "+OK\r\n$1\r\nv\r\n")

	// Replies that nobody reads for a while wait beneath TLS, which could not
	// go on after a write that timed out.
	const n, size = 100, 100_000
	p.send(strings.Repeat(cmd("FILL", "100000"), n) + cmd("SET", "done", "1"))
	eventually(t, "the last command", func() bool { return srv.Stats().Commands.Load() == n+3 })
	for range n {
		p.want("$100000\r\n" + strings.Repeat("x", size) + "\r\n")
	}
	p.want("+OK\r\n")
	p.ask("*a\r\n", "-ERR Protocol error: invalid multibulk length\r\n")
	p.wantEnd()
}

func TestTLSHandshakeHasADeadline(t *testing.T) {
	server, _ := certificate(t)
	cfg := DefaultConfig()
	cfg.HandshakeTimeout = 200 * time.Millisecond
	srv, addr := startTLS(t, cfg, server)
	silent, plain := dial(t, addr), dial(t, addr)
	plain.send(cmd("PING"))
	if line, err := plain.ReadString('\n'); strings.Contains(line, "PONG") {
		t.Errorf("a plain client got %q, %v", line, err)
	}
	silent.wantEnd()
	eventually(t, "both to go", func() bool { return srv.ClientCount() == 0 })
}
