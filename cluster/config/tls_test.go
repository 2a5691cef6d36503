package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phonond/cluster/mux"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write puts the authority's certificate into a file.
func (a *authority) write(t *testing.T) string {
	t.Helper()
	return writePEM(t, "CERTIFICATE", a.cert.Raw, 0o644)
}

// sign writes a certificate and its key to files. The change is made to the
// template before it is signed.
func (a *authority) sign(t *testing.T, uri string, change func(*x509.Certificate)) (cert, key string) {
	t.Helper()
	k := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if uri != "" {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.URIs = []*url.URL{u}
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", der, 0o644), writePEM(t, "PRIVATE KEY", keyDER, 0o600)
}

func writePEM(t *testing.T, kind string, der []byte, mode os.FileMode) string {
	t.Helper()
	text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	return writeFile(t, filepath.Join(t.TempDir(), "x.pem"), text, mode)
}

// node is the configuration of node n of region east of cluster phonond, with a
// certificate for uri.
func (a *authority) node(t *testing.T, n, uri string, change func(*x509.Certificate)) *Config {
	t.Helper()
	c := Default()
	c.Node, c.Region = n, "east"
	c.Cluster.TLS.Cert, c.Cluster.TLS.Key = a.sign(t, uri, change)
	c.Cluster.TLS.CA = a.write(t)
	return c
}

// TestNodesOfAClusterMeet: what is loaded here is what package mux needs. Whom
// that refuses is tested there.
func TestNodesOfAClusterMeet(t *testing.T) {
	ca := newAuthority(t)
	open := func(node string) *mux.Mux {
		conf, err := ca.node(t, node, "phonond://phonond/east/"+node, nil).ClusterTLS()
		if err != nil {
			t.Fatal(err)
		}
		m, err := mux.New(mux.Config{
			Network: mux.TCP(), Addr: "127.0.0.1:0", TLS: conf, Log: slog.New(slog.DiscardHandler),
			Self: mux.Identity{ClusterName: "phonond", Region: "east", Node: node},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	n1, n2 := open("n1"), open("n2")
	hellos := n2.Handle(mux.Hello, "")
	called := make(chan string, 1)
	go func() {
		c, err := hellos.Accept()
		if err != nil {
			called <- err.Error()
			return
		}
		peer, _ := mux.Peer(c)
		called <- peer.From
		c.Close()
	}()
	c, err := n1.Dial(t.Context(), n2.Addr().String(), "n2", mux.Hello, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if from := <-called; from != "n1" {
		t.Errorf("n2 was called by %q", from)
	}
}

func TestClusterTLSRefusesAtStart(t *testing.T) {
	ca := newAuthority(t)
	const uri = "phonond://phonond/east/n1"
	for name, tt := range map[string]struct {
		uri    string
		change func(*x509.Certificate)
		config func(*Config)
		says   string
	}{
		"another node's":     {"phonond://phonond/east/n2", nil, nil, "it names phonond://phonond/east/n2, this node is phonond://phonond/east/n1"},
		"another region's":   {"phonond://phonond/west/n1", nil, nil, "it names phonond://phonond/west/n1"},
		"without a name":     {"", nil, nil, "it names no node"},
		"with another name":  {"spiffe://phonond/east/n1", nil, nil, "it names no node"},
		"with two names":     {uri, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }, nil, "it names two nodes"},
		"with a long path":   {uri + "/x", nil, nil, "is not phonond://cluster/region/node"},
		"with a short path":  {"phonond://phonond/east", nil, nil, "is not phonond://cluster/region/node"},
		"with a query":       {uri + "?x", nil, nil, "is not phonond://cluster/region/node"},
		"with an escape":     {"phonond://phonond/east/n%2f1", nil, nil, "is not phonond://cluster/region/node"},
		"for servers only":   {uri, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }, nil, "incompatible key usage"},
		"expired":            {uri, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, nil, "expired"},
		"of another CA":      {uri, nil, func(c *Config) { c.Cluster.TLS.CA = newAuthority(t).write(t) }, "cluster.tls.cert"},
		"with a CA of chaff": {uri, nil, func(c *Config) { c.Cluster.TLS.CA = c.Cluster.TLS.Key }, "holds no certificate"},
		"with another key":   {uri, nil, func(c *Config) { _, c.Cluster.TLS.Key = ca.sign(t, uri, nil) }, "private key does not match"},
		"with an open key":   {uri, nil, func(c *Config) { os.Chmod(c.Cluster.TLS.Key, 0o644) }, "is open to everybody"},
		"with no file":       {uri, nil, func(c *Config) { c.Cluster.TLS.Cert += "x" }, "no such file"},
	} {
		c := ca.node(t, "n1", tt.uri, tt.change)
		if tt.config != nil {
			tt.config(c)
		}
		if _, err := c.ClusterTLS(); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("a certificate %s: got %v, want it to say %q", name, err, tt.says)
		}
	}
	c := ca.node(t, "n1", "phonond://phonond/east/n2", nil)
	if _, err := c.ClusterTLS(); !errors.Is(err, mux.ErrIdentity) {
		t.Errorf("another node's certificate: %v", err)
	}
	if p, err := Default().ClusterTLS(); p != nil || err != nil {
		t.Errorf("no files: %v, %v", p, err)
	}
}

// handshake lets a client meet a server and returns what each says.
func handshake(t *testing.T, client, server *tls.Config) (clientErr, serverErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			s := tls.Server(conn, server)
			if err = s.Handshake(); err == nil {
				s.Write([]byte("x"))
			}
			s.Close()
		}
		done <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr == nil {
		// With TLS 1.3 a client learns only now that its certificate was refused.
		_, clientErr = c.Read(make([]byte, 1))
	} else {
		conn.Close()
	}
	return clientErr, <-done
}

func TestRESPTLS(t *testing.T) {
	ca := newAuthority(t)
	c := Default()
	if conf, err := c.RESPTLS(); conf != nil || err != nil {
		t.Errorf("no files: %v, %v", conf, err)
	}
	c.RESP.TLS.Cert, c.RESP.TLS.Key = ca.sign(t, "", func(x *x509.Certificate) { x.DNSNames = []string{"redis.example"} })
	server, err := c.RESPTLS()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	client := &tls.Config{RootCAs: roots, ServerName: "redis.example"}
	if clientErr, serverErr := handshake(t, client, server); clientErr != nil || serverErr != nil {
		t.Errorf("client %v, server %v", clientErr, serverErr)
	}

	c.RESP.TLS.ClientCA = ca.write(t)
	if server, err = c.RESPTLS(); err != nil {
		t.Fatal(err)
	}
	if clientErr, serverErr := handshake(t, client, server); clientErr == nil || serverErr == nil {
		t.Errorf("a client without certificate was let in: client %v, server %v", clientErr, serverErr)
	}
}

func TestCheckCommand(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.sign(t, "phonond://phonond/east/n1", nil)
	file := writeFile(t, filepath.Join(dir, "p.yaml"), minimal+`
node: n1
cluster:
  tls: {cert: `+cert+`, key: `+key+`, ca: `+ca.write(t)+`}
`, 0o644)
	for _, tt := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"check --config " + file, 0, "OK\n", "warning: one node: everything stops"},
		{"check --config " + file + " --node n2 --resp-tls-cert /nowhere --resp-tls-key /nowhere", 1, "", "this node is phonond://phonond/east/n2\nresp.tls: "},
		{"check --config " + file + " --region west --log-level loud", 1, "", `log.level: "loud" is not debug or info or warn or error` + "\nregion: west is not in regions"},
		{"check --help", 0, "--resp-max-clients (number, 1 to 1000000; default 10000)", ""},
		{"", 2, "", "Usage: phonond config check"},
		{"chek", 2, "", "Usage: phonond config check"},
	} {
		var stdout, stderr bytes.Buffer
		if code := Command(strings.Fields(tt.args), nil, &stdout, &stderr); code != tt.code {
			t.Errorf("%s: exit code %d", tt.args, code)
		}
		if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
			t.Errorf("%s:\n%s\n%s", tt.args, stdout.String(), stderr.String())
		}
	}
}
