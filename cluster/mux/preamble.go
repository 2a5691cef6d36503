package mux

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// ClusterID tells clusters apart. It is drawn when a cluster is bootstrapped;
// zero means a node that belongs to none yet.
type ClusterID [16]byte

// IsZero reports whether the id has not been given.
func (id ClusterID) IsZero() bool { return id == ClusterID{} }

func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// Service is what a connection is for.
type Service byte

const (
	// Raft carries one group's Raft messages.
	Raft Service = 1 + iota
	// Link carries commands that one node forwards to another.
	Link
	// Hello is how nodes get to know each other before they share a cluster id:
	// either side's id may be zero, and the dialler need not know the node's name.
	Hello
)

func (s Service) String() string {
	switch s {
	case Raft:
		return "raft"
	case Link:
		return "link"
	case Hello:
		return "hello"
	}
	return fmt.Sprintf("service %d", byte(s))
}

// Preamble is the first thing on every connection. On the wire:
//
//	"PHND"  magic
//	u8      format version, 1
//	u8      service
//	[16]    cluster id
//	u64     epoch of the group, big endian
//	4 times a length byte and that many bytes: group, from, region, to
type Preamble struct {
	Service Service
	Cluster ClusterID
	Epoch   uint64 // the dialler's epoch of the group
	Group   string // the group's name; empty where the service has none
	From    string // the dialler's node id
	Region  string // and its region
	To      string // the node id it means to reach; empty, for Hello only, means any
}

const (
	preambleMagic   = "PHND"
	preambleVersion = 1
	preambleHead    = len(preambleMagic) + 1 + 1 + 16 + 8
)

// MaxName is how long a node id, region, group or cluster name may be, in bytes.
const MaxName = 64

var errPreamble = errors.New("not a phonond preamble")

// ValidName reports whether s may be a node id, region, group or cluster name:
// 1 to MaxName letters, digits, dots, dashes and underscores, so that it is at
// home in a certificate's URI, a file name and a log line.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// check reports the first field that no node would send.
func (p *Preamble) check() error {
	switch {
	case p.Service < Raft || p.Service > Hello:
		return fmt.Errorf("%w: %v is unknown", errPreamble, p.Service)
	case !ValidName(p.From) || !ValidName(p.Region):
		return fmt.Errorf("%w: the caller does not say who and where it is", errPreamble)
	case p.Group != "" && !ValidName(p.Group) || p.To != "" && !ValidName(p.To):
		return fmt.Errorf("%w: a name is not well formed", errPreamble)
	case p.To == "" && p.Service != Hello:
		return fmt.Errorf("%w: %v needs the id of the node that it is for", errPreamble, p.Service)
	}
	return nil
}

func (p *Preamble) append(b []byte) []byte {
	b = append(b, preambleMagic...)
	b = append(b, preambleVersion, byte(p.Service))
	b = append(b, p.Cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	for _, s := range []string{p.Group, p.From, p.Region, p.To} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b
}

// readPreamble reads exactly one preamble. What it cannot accept is told as
// errPreamble, before it has read more than a preamble may hold; other errors
// are the reader's.
func readPreamble(r io.Reader) (Preamble, error) {
	var p Preamble
	var head [preambleHead]byte
	// The magic is judged alone, so that another protocol's short first message
	// is refused at once.
	magic, rest := head[:len(preambleMagic)], head[len(preambleMagic):]
	if _, err := io.ReadFull(r, magic); err != nil {
		return p, err
	}
	if string(magic) != preambleMagic {
		return p, errPreamble
	}
	if _, err := io.ReadFull(r, rest); err != nil {
		return p, err
	}
	if rest[0] != preambleVersion {
		return p, fmt.Errorf("%w of version %d: this node speaks version %d", errPreamble, rest[0], preambleVersion)
	}
	p.Service = Service(rest[1])
	copy(p.Cluster[:], rest[2:])
	p.Epoch = binary.BigEndian.Uint64(rest[18:])
	var name [1 + MaxName]byte
	for _, s := range []*string{&p.Group, &p.From, &p.Region, &p.To} {
		if _, err := io.ReadFull(r, name[:1]); err != nil {
			return p, err
		}
		n := int(name[0])
		if n > MaxName {
			return p, fmt.Errorf("%w: a name of %d bytes", errPreamble, n)
		}
		if _, err := io.ReadFull(r, name[1:1+n]); err != nil {
			return p, err
		}
		*s = string(name[1 : 1+n])
	}
	return p, p.check()
}
