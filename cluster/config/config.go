// Package config is the configuration of one node: where it comes from (a YAML
// file, PHONOND_* variables, flags), what it may say, and what is wrong with it.
// Every setting is one row of one table (settings.go), from which its place in
// the file, its flag, its variable, its default and its line in
// docs/configuration.md follow. cmd/phonond reads it and hands it to the node;
// nothing here opens a port or writes a file.
package config

import (
	"net"
	"time"

	"phonond/cluster/placement"
)

// Config is the configuration of one node. Make one with [Default] or [Load];
// the zero value is not valid. Addresses are host:port.
type Config struct {
	// Node is the node's id, for ever. Empty: the node makes one at its first start
	// and keeps it in DataDir.
	Node string
	// Region is the region the node is in. No default.
	Region string
	// DataDir holds the node's log and snapshots. No default.
	DataDir string
	// LogStore is the kind of store for logs and votes, bolt or wal. A data
	// directory keeps the kind it was made with. Default bolt.
	LogStore string
	// Regions lists the nodes the cluster starts with. No default.
	Regions Regions
	// WitnessRegions are those of Regions that vote but own no keys. Default none.
	WitnessRegions []string
	// SurvivalGoal is what may fail without loss of service. Default node.
	SurvivalGoal placement.Goal
	// PlacementRules send keys to a region by prefix, before their slot does.
	// Default none.
	PlacementRules Rules
	// RequestTimeout is how long a command may wait for a leader. Default 10s.
	RequestTimeout time.Duration
	// MaxMemory is the heap, in bytes, beyond which the groups that this node leads take
	// nothing that needs more; 0 is no limit. Default 0.
	MaxMemory Size

	RESP     RESP
	Cluster  Cluster
	Gossip   Gossip
	Raft     Raft
	Snapshot Snapshot
	Disk     Disk
	Log      Log

	unknown []string // PHONOND_ variables that name no setting
}

// RESP is the listener for clients.
type RESP struct {
	// Listen is the address to bind. Default 127.0.0.1:6379.
	Listen string
	// Advertise is the address other nodes name to clients. Empty: see
	// [Config.RESPAddr].
	Advertise string
	// Password is asked of clients. Default none.
	Password Secret
	// PasswordFile is a file that holds Password. Default none.
	PasswordFile string
	TLS          RESPTLS
	// MaxClients is the most client connections. Default 10000.
	MaxClients int
	// IdleTimeout closes connections that were silent for so long. Default 0s, never.
	IdleTimeout time.Duration
	// OutputBuffer is the most a client may leave unread, in bytes. Default 32mb.
	OutputBuffer Size
	// PubsubBuffer is the same for one that has subscribed to something. Default 32mb.
	PubsubBuffer Size
	// MaxBuffers is the most that all clients together may have in unfinished commands and
	// unread replies, in bytes; 0 is no limit. Default 128mb.
	MaxBuffers Size
	// WriteTimeout is how long a client may take to read 64 KiB of the replies that wait
	// for it. Default 1m.
	WriteTimeout time.Duration
	// QueryBuffer is the longest command, in bytes. Default 63mb.
	QueryBuffer Size
	// MaxBulk is the longest argument of a command, in bytes. Default 16mb.
	MaxBulk Size
	// MaxKey is the longest key, in bytes. Default 64kb.
	MaxKey Size
	// Debug is who may use DEBUG: no, local or yes. Default no.
	Debug string
}

// RESPTLS makes the RESP listener speak TLS.
type RESPTLS struct {
	// Cert is a PEM file with the server's certificate chain. Default none: plain.
	Cert string
	// Key is a PEM file with its key. Default none.
	Key string
	// ClientCA is a PEM file with authorities; set, clients must show a certificate
	// of one of them. Default none.
	ClientCA string
}

// Cluster is the listener for the other nodes: Raft and forwarded commands.
type Cluster struct {
	// Name keeps clusters apart that meet by accident. Default phonond.
	Name string
	// Listen is the address to bind. Default 127.0.0.1:7379.
	Listen string
	// Advertise is the address other nodes dial. Empty: Listen.
	Advertise string
	TLS       ClusterTLS
}

// ClusterTLS holds the files of mutual TLS between nodes.
type ClusterTLS struct {
	// Cert is a PEM file with this node's certificate chain. Default none: plain.
	Cert string
	// Key is a PEM file with its key. Default none.
	Key string
	// CA is a PEM file with the cluster's authorities. Default none.
	CA string
}

// Gossip is the listener by which nodes find each other, TCP and UDP.
type Gossip struct {
	// Listen is the address to bind. Default 127.0.0.1:7946.
	Listen string
	// Advertise is the address other nodes send to. Empty: see [Config.GossipAddr].
	Advertise string
	// Keys are encryption keys in base64, of 16, 24 or 32 bytes; the first is used
	// for sending, all for receiving. Default none.
	Keys Secrets
	// KeysFile is a file that holds Keys, one a line. Default none.
	KeysFile string
}

// Raft is how groups elect.
type Raft struct {
	// ElectionTimeout is the silence after which a home voter gives its leader up.
	// Default 1s.
	ElectionTimeout time.Duration
}

// Snapshot is when a group writes one: when any of the three is reached.
type Snapshot struct {
	// Interval is the time between snapshots if there was any entry. Default 2m.
	Interval time.Duration
	// Entries is the number of log entries between snapshots. Default 65536.
	Entries int
	// Bytes is the size of log entries between snapshots. Default 64mb.
	Bytes Size
}

// Disk is when the disk of DataDir counts as full.
type Disk struct {
	// Low is the free space, in bytes, below which the node takes nothing that makes
	// its state grow; 0 turns the watch off. Default 256mb.
	Low Size
	// Reserve is what the node sets aside and gives up when the disk is full, in
	// bytes; 0 sets nothing aside. Default 64mb.
	Reserve Size
}

// Log is what the node writes to standard error.
type Log struct {
	// Level is the least important level that is written. Default info.
	Level string
	// Format is text or json. Default text.
	Format string
}

// ClusterPort is the port of a cluster address that names none.
const ClusterPort = "7379"

// ClusterAddr returns the address by which other nodes reach this one.
func (c *Config) ClusterAddr() string {
	if c.Cluster.Advertise != "" {
		return withPort(c.Cluster.Advertise, ClusterPort)
	}
	return c.Cluster.Listen
}

// RESPAddr returns the address by which clients reach this node: as configured,
// else the address it binds, else, where it binds all addresses, the host that
// other nodes use.
func (c *Config) RESPAddr() string { return c.reachable(c.RESP.Advertise, c.RESP.Listen) }

// GossipAddr returns the address for gossip, found as for [Config.RESPAddr].
func (c *Config) GossipAddr() string { return c.reachable(c.Gossip.Advertise, c.Gossip.Listen) }

func (c *Config) reachable(advertise, listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if advertise != "" {
		return withPort(advertise, port)
	}
	if !anyHost(host) {
		return listen
	}
	if host, _, err = net.SplitHostPort(c.ClusterAddr()); err != nil {
		return listen
	}
	return net.JoinHostPort(host, port)
}

// withPort adds a port to an address that has none.
func withPort(addr, port string) string {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr
	}
	if n := len(addr); n > 1 && addr[0] == '[' && addr[n-1] == ']' {
		addr = addr[1 : n-1]
	}
	return net.JoinHostPort(addr, port)
}

// anyHost reports whether a listener on host binds all addresses.
func anyHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// loopback reports whether only this machine can reach a listener on addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
