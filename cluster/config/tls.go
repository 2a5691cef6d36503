package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// ErrIdentity is returned when a certificate does not say which node it belongs
// to, or names another one.
var ErrIdentity = errors.New("config: certificate names the wrong node")

// Identity is what a node's certificate says of it.
type Identity struct {
	Cluster, Region, Node string
}

// String returns the URI that must be among the certificate's names:
// phonond://<cluster>/<region>/<node>.
func (id Identity) String() string {
	return "phonond://" + id.Cluster + "/" + id.Region + "/" + id.Node
}

func (c *Config) identity(node string) Identity {
	return Identity{Cluster: c.Cluster.Name, Region: c.Region, Node: node}
}

// IdentityOf reads the identity from a certificate. It must have exactly one such
// URI. Errors wrap ErrIdentity.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	var found []*url.URL
	for _, u := range cert.URIs {
		if u.Scheme == "phonond" {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return Identity{}, fmt.Errorf("%w: it has %d names phonond://CLUSTER/REGION/NODE, not one", ErrIdentity, len(found))
	}
	region, node, _ := strings.Cut(strings.TrimPrefix(found[0].Path, "/"), "/")
	id := Identity{Cluster: found[0].Host, Region: region, Node: node}
	// Only the plain spelling counts: no user, port, query or escape may hide in it.
	if id.Cluster == "" || id.Region == "" || id.Node == "" || id.String() != found[0].String() ||
		checkName(id.Cluster) != nil || checkName(id.Region) != nil || checkName(id.Node) != nil {
		return Identity{}, fmt.Errorf("%w: %s is not phonond://CLUSTER/REGION/NODE", ErrIdentity, found[0])
	}
	return id, nil
}

// PeerTLS is mutual TLS 1.3 between the nodes of a cluster. Both sides check that
// the other's certificate is signed by the cluster's authority and belongs to a
// node of the same cluster; host names are not looked at, as addresses may change.
// Which node it is, the caller compares with the one it meant or was told of, by
// [IdentityOf] the connection's first peer certificate.
type PeerTLS struct {
	Self   Identity
	Server *tls.Config
	Client *tls.Config
}

// ClusterTLS loads the files of cluster.tls. It returns nil, and no error, when
// they are not set. The certificate must be this node's and valid now.
func (c *Config) ClusterTLS() (*PeerTLS, error) {
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
	self, err := IdentityOf(cert.Leaf)
	if err == nil && self != c.identity(c.Node) {
		err = fmt.Errorf("%w: it names %s, this node is %s", ErrIdentity, self, c.identity(c.Node))
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
	check := func(usage x509.ExtKeyUsage) func(tls.ConnectionState) error {
		return func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return fmt.Errorf("%w: there is none", ErrIdentity)
			}
			if err := verify(cs.PeerCertificates[0], cs.PeerCertificates[1:], ca, usage); err != nil {
				return err
			}
			peer, err := IdentityOf(cs.PeerCertificates[0])
			if err == nil && peer.Cluster != self.Cluster {
				err = fmt.Errorf("%w: %s is not of cluster %s", ErrIdentity, peer, self.Cluster)
			}
			return err
		}
	}
	return &PeerTLS{
		Self: self,
		Server: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
			ClientCAs: ca, ClientAuth: tls.RequireAndVerifyClientCert,
			VerifyConnection: check(x509.ExtKeyUsageClientAuth),
		},
		Client: &tls.Config{
			MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
			// This turns off the check of the host name only: VerifyConnection checks
			// the chain, as it would have been, and the identity.
			InsecureSkipVerify: true,
			VerifyConnection:   check(x509.ExtKeyUsageServerAuth),
		},
	}, nil
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
