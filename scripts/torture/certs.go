package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// secrets are the files that nodes need off loopback.
type secrets struct {
	dir      string
	ca       *x509.Certificate
	key      *ecdsa.PrivateKey
	password string
}

// certLife is how long certificates are valid: longer than any run, in both
// directions, as the clocks of this run are not to be trusted.
const certLife = 30 * 24 * time.Hour

// newSecrets makes an authority, keys for gossip and a password.
func newSecrets(dir string) (*secrets, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	s := &secrets{dir: dir, key: key, password: rand.Text()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "torture"}, NotBefore: time.Now().Add(-certLife), NotAfter: time.Now().Add(certLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if s.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	gossip := make([]byte, 32)
	rand.Read(gossip)
	for name, text := range map[string]string{
		"ca.crt": block("CERTIFICATE", der), "gossip.keys": base64.StdEncoding.EncodeToString(gossip) + "\n", "password": s.password + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func block(kind string, b []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
}

// flags are the settings of one node, which gets a certificate.
func (s *secrets) flags(cluster, region, node string) ([]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: s.ca.NotBefore, NotAfter: s.ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{{Scheme: "phonond", Host: cluster, Path: "/" + region + "/" + node}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.ca, &key.PublicKey, s.key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(s.dir, name) }
	if err := os.WriteFile(file(node+".crt"), []byte(block("CERTIFICATE", der)), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file(node+".key"), []byte(block("PRIVATE KEY", keyDER)), 0o600); err != nil {
		return nil, err
	}
	return []string{
		"--cluster-tls-cert=" + file(node+".crt"), "--cluster-tls-key=" + file(node+".key"), "--cluster-tls-ca=" + file("ca.crt"),
		"--gossip-keys-file=" + file("gossip.keys"), "--resp-password-file=" + file("password"),
	}, nil
}
