package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"phonond/cluster/mux"
)

// Identity is what the certificate of this node must say when its id is node.
func (c *Config) Identity(node string) mux.Identity {
	return mux.Identity{ClusterName: c.Cluster.Name, Region: c.Region, Node: node}
}

// ClusterTLS loads the files of cluster.tls: this node's certificate and the
// cluster's authorities, as package mux wants them. It returns nil, and no error,
// when they are not set. The certificate must name this node and be valid now.
func (c *Config) ClusterTLS() (*tls.Config, error) {
	files := c.Cluster.TLS
	if files == (ClusterTLS{}) {
		return nil, nil
	}
	cert, err := keyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls: %w", err)
	}
	ca, err := pool(files.CA)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls.ca: %w", err)
	}
	named, err := mux.Certified(cert.Leaf)
	self := c.Identity(c.Node)
	if err == nil && named != self {
		err = fmt.Errorf("%w: it names %s, this node is %s", mux.ErrIdentity, named.URI(), self.URI())
	}
	if err == nil {
		// Each node dials and is dialled: the certificate must do for both.
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if err = verify(cert.Leaf, chain(cert), ca, usage); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cluster.tls.cert: %s: %w", files.Cert, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: ca}, nil
}

// RESPTLS loads the files of resp.tls. It returns nil, and no error, when they are
// not set. TLS 1.2 is allowed, as Redis clients are of all ages.
func (c *Config) RESPTLS() (*tls.Config, error) {
	files := c.RESP.TLS
	if files.Cert == "" {
		return nil, nil
	}
	cert, err := keyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("resp.tls: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if files.ClientCA != "" {
		if conf.ClientCAs, err = pool(files.ClientCA); err != nil {
			return nil, fmt.Errorf("resp.tls.client_ca: %w", err)
		}
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

func keyPair(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := readFile(certFile, maxSecretFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readSecret(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	if cert.Leaf == nil { // only with GODEBUG=x509keypairleaf=0
		cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0])
	}
	return cert, err
}

// chain returns the certificates that follow the first.
func chain(cert tls.Certificate) (certs []*x509.Certificate) {
	for _, der := range cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}

func pool(file string) (*x509.CertPool, error) {
	pem, err := readFile(file, maxSecretFile)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return p, nil
}

// verify checks that leaf is signed by ca, may be used so, and is valid now.
func verify(leaf *x509.Certificate, chain []*x509.Certificate, ca *x509.CertPool, usage x509.ExtKeyUsage) error {
	between := x509.NewCertPool()
	for _, c := range chain {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: ca, Intermediates: between, CurrentTime: time.Now(), KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}
