package mux

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Identity is who a node is.
type Identity struct {
	Cluster     ClusterID // zero until the node belongs to a cluster, see Mux.SetCluster
	ClusterName string    // as in certificates; needed with TLS only
	Region      string
	Node        string // the node id
}

// URI is the name that a node's certificate must carry, once, among its subject
// alternative names: phonond://cluster/region/node. Addresses do not matter, so
// that a node may move without a new certificate.
func (id Identity) URI() *url.URL {
	return &url.URL{Scheme: "phonond", Host: id.ClusterName, Path: "/" + id.Region + "/" + id.Node}
}

func (id Identity) check(secure bool) error {
	if !ValidName(id.Node) || !ValidName(id.Region) || secure && !ValidName(id.ClusterName) {
		return fmt.Errorf("mux: node %q, region %q or cluster %q is not a valid name", id.Node, id.Region, id.ClusterName)
	}
	return nil
}

// Certified reads who a certificate says its owner is. It must say so exactly
// once, in the plain spelling of [Identity.URI]; errors wrap ErrIdentity.
func Certified(cert *x509.Certificate) (Identity, error) {
	var id Identity
	for _, uri := range cert.URIs {
		if uri.Scheme != "phonond" {
			continue
		}
		if id.Node != "" {
			return id, fmt.Errorf("%w: it names two nodes", ErrIdentity)
		}
		region, node, _ := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
		id = Identity{ClusterName: uri.Host, Region: region, Node: node}
		if id.check(true) != nil || id.URI().String() != uri.String() {
			return id, fmt.Errorf("%w: %q is not phonond://cluster/region/node", ErrIdentity, uri)
		}
	}
	if id.Node == "" {
		return id, fmt.Errorf("%w: it names no node", ErrIdentity)
	}
	return id, nil
}

// security holds the two sides of mutual TLS, made from the one configuration
// that the node was given.
type security struct{ accept, dial *tls.Config }

// newSecurity makes both sides refuse anything but TLS 1.3 with a certificate of
// the cluster's own authorities.
func newSecurity(base *tls.Config) (*security, error) {
	if base.RootCAs == nil {
		// Else the system's authorities would do, and the whole world could come.
		return nil, errors.New("mux: the TLS configuration names no authorities (RootCAs)")
	}
	if base.GetConfigForClient != nil {
		return nil, errors.New("mux: GetConfigForClient would replace what is checked here; use GetCertificate")
	}
	if len(base.Certificates) == 0 && (base.GetCertificate == nil || base.GetClientCertificate == nil) {
		return nil, errors.New("mux: the TLS configuration holds no certificate")
	}
	accept := base.Clone()
	accept.MinVersion = tls.VersionTLS13
	accept.ClientAuth = tls.RequireAndVerifyClientCert
	accept.SessionTicketsDisabled = true // every connection shows its certificate
	if accept.ClientCAs == nil {
		accept.ClientCAs = base.RootCAs
	}

	dial := base.Clone()
	dial.MinVersion = tls.VersionTLS13
	dial.ClientSessionCache = nil
	// The library's own check wants the address in the certificate. Ours wants
	// the authority here and the node's name in Mux.secureDial.
	dial.InsecureSkipVerify = true
	dial.VerifyConnection = func(state tls.ConnectionState) error {
		if base.VerifyConnection != nil {
			if err := base.VerifyConnection(state); err != nil {
				return err
			}
		}
		chain := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			chain.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots:         base.RootCAs,
			Intermediates: chain,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		return err
	}
	return &security{accept, dial}, nil
}
