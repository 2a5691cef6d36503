package config

import (
	"fmt"
	"strings"
	"time"

	"phonond/cluster/placement"
)

// Setting is one row of the table: a setting's name, and all that follows from it.
type Setting struct {
	Key     string // its place in the file, "resp.tls.cert"
	Default string // as it would be written; empty for none
	Help    string // a sentence or two

	value value
}

// Flag returns the setting's flag without the dashes: "resp-tls-cert".
func (s Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// Env returns the setting's environment variable: "PHONOND_RESP_TLS_CERT".
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Kind says what a value looks like: "duration, 100ms to 10m".
func (s Setting) Kind() string { return s.value.kind() }

const envPrefix = "PHONOND_"

// Settings returns the table, without values.
func Settings() []Setting { return new(Config).settings() }

// Default returns the configuration when nothing is set.
func Default() *Config {
	c := new(Config)
	for _, s := range c.settings() {
		if s.Default == "" {
			continue
		}
		if err := s.value.Set(s.Default); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", s.Key, err))
		}
	}
	return c
}

// settings is the table, bound to c.
func (c *Config) settings() []Setting {
	return []Setting{
		{"node", "", "The node's id, for ever: letters, digits, '.', '_' and '-'. " +
			"Without one the node makes an id at its first start and keeps it in data_dir. " +
			"Needed with cluster.tls, as the certificate carries it.", name(&c.Node)},
		{"region", "", "The region this node is in, one of regions.", name(&c.Region)},
		{"data_dir", "", "The directory for the log and snapshots. It belongs to one node and is created if it is missing.", text(&c.DataDir)},
		{"log_store", "bolt", "How log and votes are kept in data_dir: bolt, one file for each group, or wal, segments that take fewer syncs. " +
			"A data directory keeps the kind it was made with. Nodes of a cluster may differ.", choice(&c.LogStore, "bolt", "wal")},
		{"regions", "", "The nodes the cluster starts with: each region's cluster addresses, host or host:port. " +
			"The same on every node. Regions beside each other in the list count as near; the first one is the home of the cluster's own records. " +
			"Must name this node, under its region, as others reach it (cluster.advertise).", regions(&c.Regions)},
		{"witness_regions", "", "Regions of the list that vote, so that two others survive the loss of either, but own no keys and never lead.", list(&c.WitnessRegions)},
		{"survival_goal", string(placement.GoalNode), "What may fail without loss of service: any one node, or any one region. " +
			"region takes five nodes in three regions, and every write waits for another region. Read when the cluster is made.",
			choice(&c.SurvivalGoal, placement.GoalNode, placement.GoalRegion)},
		{"placement_rules", "", "Prefixes of keys that live in a given region, whatever their slot; the longest prefix that fits wins. " +
			"A prefix is compared with the key's tag: the text in braces, or the resource of phonon's own keys, or the key. Read when the cluster is made.", rules(&c.PlacementRules)},
		{"request_timeout", "10s", "How long a command may wait for a leader before the client gets an error.", duration(&c.RequestTimeout, 100*time.Millisecond, time.Minute)},
		{"max_memory", "0", "Memory, as used_memory of INFO counts it, beyond which the groups that this node leads take only what needs no more: " +
			"reads, deletes, releases, renewals, expiry. Other commands are answered -OOM; no key is evicted. 0 is no limit.", size(&c.MaxMemory, 0, 1<<44)},

		{"resp.listen", "127.0.0.1:6379", "The address for clients.", address(&c.RESP.Listen)},
		{"resp.advertise", "", "The address for clients as it is told to them. Default: resp.listen; where that is all addresses, the host of cluster.advertise.", target(&c.RESP.Advertise)},
		{"resp.password", "", "The password of clients. Without one, only clients on this machine are served.", secret(&c.RESP.Password)},
		{"resp.password_file", "", "A file with the password, instead of resp.password. Others must not be able to read it.", text(&c.RESP.PasswordFile)},
		{"resp.tls.cert", "", "The server's certificate chain, a PEM file; read at start.", text(&c.RESP.TLS.Cert)},
		{"resp.tls.key", "", "Its key, a PEM file. Others must not be able to read it.", text(&c.RESP.TLS.Key)},
		{"resp.tls.client_ca", "", "Authorities of client certificates, a PEM file. With it clients must show one.", text(&c.RESP.TLS.ClientCA)},
		{"resp.max_clients", "10000", "The most client connections.", count(&c.RESP.MaxClients, 1, 1_000_000)},
		{"resp.idle_timeout", "0s", "Connections silent for so long are closed; 0s is never.", duration(&c.RESP.IdleTimeout, 0, 30*24*time.Hour)},
		{"resp.output_buffer", "32mb", "The most that may wait for a client that does not read; then it is disconnected.", size(&c.RESP.OutputBuffer, 1<<20, 1<<30)},
		{"resp.pubsub_buffer", "32mb", "The same for a client that has subscribed to something; of more than 8 MiB that wait for a minute it is disconnected, too.", size(&c.RESP.PubsubBuffer, 1<<20, 1<<30)},
		{"resp.max_buffers", "128mb", "The most that all clients together may have in unfinished commands and unread replies; beyond it, those with more than 128 KiB are disconnected. 0 is no limit.", size(&c.RESP.MaxBuffers, 0, 1<<40)},
		{"resp.write_timeout", "1m", "How long a client may take to read 64 KiB of the replies that wait for it; then it is disconnected.", duration(&c.RESP.WriteTimeout, time.Second, time.Hour)},
		{"resp.query_buffer", "63mb", "The longest command, all arguments together. Where resp.max_bulk is more, that and 64 KiB. A client that sends a longer one is disconnected.", size(&c.RESP.QueryBuffer, 1<<20, 63<<20)},
		{"resp.max_bulk", "16mb", "The longest argument of a command. A client that sends a longer one is disconnected.", size(&c.RESP.MaxBulk, 64<<10, 32<<20)},
		{"resp.max_key", "64kb", "The longest key. Commands with longer ones are refused.", size(&c.RESP.MaxKey, 64, 16<<20)},
		{"resp.debug", "no", "Who may use DEBUG: nobody, clients on this machine, or all.", choice(&c.RESP.Debug, "no", "local", "yes")},

		{"cluster.name", "phonond", "The cluster's name. Nodes refuse those of another cluster.", name(&c.Cluster.Name)},
		{"cluster.listen", "127.0.0.1:7379", "The address for other nodes. Off this machine it takes cluster.tls.", address(&c.Cluster.Listen)},
		{"cluster.advertise", "", "The address for other nodes as they dial it. Default: cluster.listen.", target(&c.Cluster.Advertise)},
		{"cluster.tls.cert", "", "This node's certificate chain, a PEM file, with the URI phonond://CLUSTER/REGION/NODE among its names; read at start.", text(&c.Cluster.TLS.Cert)},
		{"cluster.tls.key", "", "Its key, a PEM file. Others must not be able to read it.", text(&c.Cluster.TLS.Key)},
		{"cluster.tls.ca", "", "The authorities that sign the nodes' certificates, a PEM file.", text(&c.Cluster.TLS.CA)},

		{"gossip.listen", "127.0.0.1:7946", "The address for finding other nodes, TCP and UDP. Off this machine it takes keys.", address(&c.Gossip.Listen)},
		{"gossip.advertise", "", "The address for gossip as others send to it. Default: gossip.listen; where that is all addresses, the host of cluster.advertise.", target(&c.Gossip.Advertise)},
		{"gossip.keys", "", "Keys of 16, 24 or 32 bytes in base64, the same on all nodes. The first is used to send, all to receive, so that keys can be changed one after the other.", secrets(&c.Gossip.Keys)},
		{"gossip.keys_file", "", "A file with the keys, one a line, instead of gossip.keys. Others must not be able to read it.", text(&c.Gossip.KeysFile)},

		{"raft.election_timeout", "1s", "The silence of a leader after which a voter of the home region gives it up. " +
			"About seven times the longest round trip between two regions, and the same on all nodes.", duration(&c.Raft.ElectionTimeout, 100*time.Millisecond, time.Minute)},

		{"snapshot.interval", "2m", "A group that changed writes a snapshot after this time,", duration(&c.Snapshot.Interval, time.Second, 24*time.Hour)},
		{"snapshot.entries", "65536", "or after so many log entries,", count(&c.Snapshot.Entries, 64, 100_000_000)},
		{"snapshot.bytes", "64mb", "or after so many bytes of them.", size(&c.Snapshot.Bytes, 1<<20, 64<<30)},

		{"disk.low", "256mb", "Free space on the disk of data_dir below which the node takes only what needs no more: reads, deletes, releases, renewals, expiry. " +
			"An eighth of the disk where that is less. Below an eighth of this it writes nothing. 0 turns it off.", size(&c.Disk.Low, 0, 1<<40)},
		{"disk.reserve", "64mb", "Space that the node sets aside in data_dir and gives up when the disk is full, to go on with; at most half of disk.low. 0 sets none aside.", size(&c.Disk.Reserve, 0, 1<<40)},

		{"log.level", "info", "The least important messages that are written.", choice(&c.Log.Level, "debug", "info", "warn", "error")},
		{"log.format", "text", "How they are written, to standard error.", choice(&c.Log.Format, "text", "json")},
	}
}
