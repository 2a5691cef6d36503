package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/hashicorp/memberlist"
)

// Member is what is known of a node. All of it is a hint: it was true when the
// node last said it.
type Member struct {
	ID     string `json:"id"` // the node's id, stable for ever
	Region string `json:"region"`
	// Where the node can be reached, each "host:port" or empty if unknown.
	ClusterAddr string `json:"cluster_addr"`
	RESPAddr    string `json:"resp_addr"`
	GossipAddr  string `json:"gossip_addr"`
	Version     string `json:"version"` // of its program
	// Incarnation is larger at each start of the node, so that the newer of two
	// statements wins. Zero is for what was never said by the node itself, such as
	// an address from a configuration file.
	Incarnation uint64 `json:"incarnation"`
	// Alive says that the failure detector has not missed the node. It decides
	// nothing about locks, sessions or votes.
	Alive bool `json:"-"`
}

// The lengths that a member's fields may have, in bytes. Together with the rest
// of the meta they stay below memberlist's 512.
const (
	maxName    = 64 // id, region, version
	maxAddress = 96
)

var errMember = errors.New("not a valid member")

// check judges a member as untrusted input.
func (m *Member) check() error {
	if m.ID == "" || m.Region == "" {
		return fmt.Errorf("%w: it has no id or no region", errMember)
	}
	for _, name := range []string{m.ID, m.Region, m.Version} {
		if len(name) > maxName || !printable(name) {
			return fmt.Errorf("%w: %.80q is not a name of up to %d printable characters", errMember, name, maxName)
		}
	}
	for _, addr := range []string{m.ClusterAddr, m.RESPAddr, m.GossipAddr} {
		if addr == "" {
			continue
		}
		host, service, err := net.SplitHostPort(addr)
		port, portErr := strconv.ParseUint(service, 10, 16)
		if err != nil || portErr != nil || port == 0 || host == "" || len(addr) > maxAddress || !printable(addr) {
			return fmt.Errorf("%w: %.120q is not host:port of up to %d bytes", errMember, addr, maxAddress)
		}
	}
	return nil
}

// printable reports whether s is ASCII without blanks and control characters.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// A node's meta, which every gossip message about it carries:
//
//	u8   format version, 1
//	u8   flags: 1 = the node is about to leave for good
//	u64  incarnation, big endian
//	5 times a length byte and that many bytes: id, region, cluster address,
//	     RESP address, program version
const (
	metaVersion = 1
	metaLeaving = 1
	metaHead    = 10
)

// encodeMeta fails if m is not valid or too large for memberlist, which would
// panic.
func encodeMeta(m Member, leaving bool) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b := []byte{metaVersion, 0}
	if leaving {
		b[1] |= metaLeaving
	}
	b = binary.BigEndian.AppendUint64(b, m.Incarnation)
	for _, s := range []string{m.ID, m.Region, m.ClusterAddr, m.RESPAddr, m.Version} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("%w: its meta takes %d of %d bytes", errMember, len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

// decodeMeta reads another node's meta.
func decodeMeta(b []byte) (m Member, leaving bool, err error) {
	if len(b) < metaHead || len(b) > memberlist.MetaMaxSize {
		return m, false, fmt.Errorf("%w: a meta of %d bytes", errMember, len(b))
	}
	if b[0] != metaVersion || b[1]&^metaLeaving != 0 {
		return m, false, fmt.Errorf("%w: a meta of version %d, flags %#x", errMember, b[0], b[1])
	}
	leaving = b[1]&metaLeaving != 0
	m.Incarnation = binary.BigEndian.Uint64(b[2:])
	b = b[metaHead:]
	for _, s := range []*string{&m.ID, &m.Region, &m.ClusterAddr, &m.RESPAddr, &m.Version} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return m, false, fmt.Errorf("%w: its meta is cut short", errMember)
		}
		*s, b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
	}
	if len(b) > 0 {
		return m, false, fmt.Errorf("%w: %d bytes follow its meta", errMember, len(b))
	}
	return m, leaving, m.check()
}

// name is what memberlist calls a node. It differs at each start, so that a node
// which comes back at another address is somebody new at once; under the bare id
// the others would take it for an impostor until they had declared its old self
// dead and waited for a further half minute.
func (m *Member) name() string { return fmt.Sprintf("%s@%x", m.ID, m.Incarnation) }

// fromNode reads the member that memberlist tells of.
func fromNode(n *memberlist.Node) (m Member, leaving bool, err error) {
	if m, leaving, err = decodeMeta(n.Meta); err != nil {
		return m, false, err
	}
	if n.Name != m.name() {
		return m, false, fmt.Errorf("%w: it calls itself %.200q and %q", errMember, n.Name, m.name())
	}
	m.GossipAddr = n.Address()
	return m, leaving, nil
}
