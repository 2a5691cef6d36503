package mux_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"phonond/cluster/clustertest/simnet"
	"phonond/cluster/mux"
)

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert, key}
}

// config is a node's TLS configuration with a certificate for the URIs.
func (a *authority) config(t *testing.T, uris ...string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, uri := range uris {
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestTLSIdentity(t *testing.T) {
	const a, b = "phonond://prod/us/a", "phonond://prod/us/b"
	for name, test := range map[string]struct {
		dialler  string // the URI in its certificate
		acceptor string
		want     error // nil: they talk
	}{
		"right":                     {a, b, nil},
		"dialler is another node":   {"phonond://prod/us/c", b, mux.ErrRefused},
		"dialler's region differs":  {"phonond://prod/eu/a", b, mux.ErrRefused},
		"dialler's cluster differs": {"phonond://test/us/a", b, mux.ErrRefused},
		"dialler has no name":       {"", b, mux.ErrRefused},
		"dialler's name is odd":     {"phonond://prod/us/a/b", b, mux.ErrRefused},
		"acceptor is another node":  {a, "phonond://prod/us/c", mux.ErrIdentity},
		"acceptor's cluster":        {a, "phonond://test/us/b", mux.ErrIdentity},
		"acceptor has no name":      {a, "https://prod/us/b", mux.ErrIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, ca := simnet.New(), newAuthority(t)
				with := func(uri string) func(*mux.Config) {
					return func(c *mux.Config) {
						c.Self.ClusterName = "prod"
						c.TLS = ca.config(t)
						if uri != "" {
							c.TLS = ca.config(t, uri)
						}
					}
				}
				dialler, acceptor := start(t, n, "a", with(test.dialler)), start(t, n, "b", with(test.acceptor))
				go echo(acceptor.Handle(mux.Raft, "us"))
				c, err := dialler.DialNode(t.Context(), "b", mux.Raft, "us", 0)
				if !errors.Is(err, test.want) || err != nil && !errors.Is(err, mux.ErrIdentity) {
					t.Fatalf("%v, want %v", err, test.want)
				}
				if err == nil {
					check(t, c, "hi")
					c.Close()
				}
			})
		})
	}
}

func TestTLSTwoNamesInOneCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ca := simnet.New(), newAuthority(t)
		a := start(t, n, "a", func(c *mux.Config) {
			c.Self.ClusterName, c.TLS = "prod", ca.config(t, "phonond://prod/us/a", "phonond://prod/us/c")
		})
		b := start(t, n, "b", func(c *mux.Config) {
			c.Self.ClusterName, c.TLS = "prod", ca.config(t, "phonond://prod/us/b")
		})
		b.Handle(mux.Link, "")
		if _, err := a.DialNode(t.Context(), "b", mux.Link, "", 0); !errors.Is(err, mux.ErrRefused) || !errors.Is(err, mux.ErrIdentity) {
			t.Fatal(err)
		}
	})
}

func TestTLSWithoutTheClustersCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ca, foreign := simnet.New(), newAuthority(t), newAuthority(t)
		b := start(t, n, "b", func(c *mux.Config) {
			c.Self.ClusterName, c.TLS = "prod", ca.config(t, "phonond://prod/us/b")
		})
		ln := b.Handle(mux.Hello, "")
		served := make(chan struct{})
		go func() {
			defer close(served)
			if c, err := ln.Accept(); err == nil {
				t.Errorf("%v got through", c.RemoteAddr())
				c.Close()
			}
		}()

		// A node with a certificate of another authority, which even trusts b's.
		stranger := start(t, n, "a", func(c *mux.Config) {
			c.Self.ClusterName, c.TLS = "prod", foreign.config(t, "phonond://prod/us/a")
			c.TLS.RootCAs.AddCert(ca.cert)
		})
		if _, err := stranger.DialNode(t.Context(), "b", mux.Hello, "", 0); err == nil || errors.Is(err, mux.ErrRefused) {
			t.Errorf("a foreign certificate: %v", err)
		}
		// A node that does not trust b's authority.
		wary := start(t, n, "c", func(c *mux.Config) {
			c.Self.ClusterName, c.TLS = "prod", foreign.config(t, "phonond://prod/us/c")
		})
		var unknown x509.UnknownAuthorityError
		if _, err := wary.DialNode(t.Context(), "b", mux.Hello, "", 0); !errors.As(err, &unknown) {
			t.Errorf("a foreign server: %v", err)
		}
		// One that speaks without TLS, and TLS clients with no certificate or too old.
		plain := start(t, n, "d", nil)
		if _, err := plain.DialNode(t.Context(), "b", mux.Hello, "", 0); err == nil {
			t.Error("a plain connection got through")
		}
		for name, config := range map[string]*tls.Config{
			"no certificate": {InsecureSkipVerify: true},
			"TLS 1.2":        {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: ca.config(t, "phonond://prod/us/e").Certificates},
		} {
			raw, err := n.Host("e", "us").Dial(t.Context(), "b:7379")
			if err != nil {
				t.Fatal(err)
			}
			client := tls.Client(raw, config)
			err = client.Handshake()
			if err == nil { // in TLS 1.3 the server's verdict comes later
				_, err = client.Read(make([]byte, 1))
			}
			var alert *net.OpError
			if !errors.As(err, &alert) || !strings.Contains(alert.Error(), "remote error: tls") {
				t.Errorf("%s: %v", name, err)
			}
			client.Close()
		}
		b.Close()
		<-served
	})
}

func TestTLSConfigurationIsChecked(t *testing.T) {
	ca := newAuthority(t)
	for name, spoil := range map[string]func(*mux.Config){
		"no authorities": func(c *mux.Config) { c.TLS.RootCAs = nil },
		"no certificate": func(c *mux.Config) { c.TLS.Certificates = nil },
		"another's checks": func(c *mux.Config) {
			c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		},
		"no cluster name": func(c *mux.Config) { c.Self.ClusterName = "" },
		"bad node id":     func(c *mux.Config) { c.Self.Node = "a/b" },
	} {
		cfg := mux.Config{
			Network: simnet.New().Host("a", "us"), Addr: ":7379",
			Self: mux.Identity{ClusterName: "prod", Region: "us", Node: "a"},
			TLS:  ca.config(t, "phonond://prod/us/a"),
		}
		spoil(&cfg)
		if m, err := mux.New(cfg); err == nil {
			m.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}
