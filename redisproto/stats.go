package redisproto

import (
	"fmt"
	"strconv"
	"sync/atomic"
)

// Stats counts what the server did since it was made or since CONFIG RESETSTAT.
// All fields may be read at any time.
type Stats struct {
	Connections     atomic.Int64 // accepted
	Rejected        atomic.Int64 // refused: too many, or protected mode
	Commands        atomic.Int64 // received, those answered with an error counted
	InputBytes      atomic.Int64 // after TLS
	OutputBytes     atomic.Int64 // as sent, TLS included
	ProtocolErrors  atomic.Int64 // connections ended for what they sent
	Evicted         atomic.Int64 // connections ended for what all of them keep
	QueryLimit      atomic.Int64 // ... for too long a command
	IdleTimeouts    atomic.Int64 // connections ended for saying nothing
	WriteTimeouts   atomic.Int64 // connections ended for taking replies too slowly
	KeyLimit        atomic.Int64 // commands refused for too long a key
	ValueLimit      atomic.Int64 // commands refused for too long a string to be made
	OutputLimit     atomic.Int64 // connections ended for not reading replies
	AuthFailures    atomic.Int64 // wrong passwords
	Panics          atomic.Int64 // defects: connections ended by a panic
	AcceptErrors    atomic.Int64 // such as running out of file descriptors
	UnknownCommands atomic.Int64
}

// Field is one line of INFO.
type Field struct{ Name, Value string }

func field(name string, n int64) Field { return Field{name, strconv.FormatInt(n, 10)} }

func (s *Stats) reset() {
	for _, n := range []*atomic.Int64{
		&s.Connections, &s.Rejected, &s.Commands, &s.InputBytes, &s.OutputBytes, &s.ProtocolErrors,
		&s.Evicted, &s.QueryLimit, &s.IdleTimeouts, &s.WriteTimeouts, &s.KeyLimit, &s.ValueLimit, &s.OutputLimit, &s.AuthFailures, &s.Panics, &s.AcceptErrors, &s.UnknownCommands,
	} {
		n.Store(0)
	}
}

// Stats returns the server's counters.
func (s *Server) Stats() *Stats { return &s.stats }

// ClientCount returns how many connections are open.
func (s *Server) ClientCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}

// InfoClients returns the fields of the section "clients" of INFO.
func (s *Server) InfoClients() []Field {
	return []Field{
		field("connected_clients", int64(s.ClientCount())),
		field("maxclients", s.tune.maxClients.Load()),
		field("blocked_clients", s.blocked.Load()),
		field("tracking_clients", 0), // CLIENT TRACKING is refused
	}
}

// ClientBuffers returns how many bytes the commands of all clients that have not come to
// their end take, with the replies that wait: what [Config.MaxBuffers] bounds.
func (s *Server) ClientBuffers() int64 { return s.buffers.held.Load() }

// InfoStats returns the fields of the section "stats" of INFO that the server
// knows.
func (s *Server) InfoStats() []Field {
	return []Field{
		field("total_connections_received", s.stats.Connections.Load()),
		field("total_commands_processed", s.stats.Commands.Load()),
		field("instantaneous_ops_per_sec", s.rates.commands()),
		{"instantaneous_input_kbps", fmt.Sprintf("%.2f", s.rates.input())},
		{"instantaneous_output_kbps", fmt.Sprintf("%.2f", s.rates.output())},
		field("total_net_input_bytes", s.stats.InputBytes.Load()),
		field("total_net_output_bytes", s.stats.OutputBytes.Load()),
		field("rejected_connections", s.stats.Rejected.Load()),
		field("keyspace_hits", s.meter.hits.Load()),
		field("keyspace_misses", s.meter.misses.Load()),
		field("pubsub_channels", s.hub.size(channels)),
		field("pubsub_patterns", s.hub.size(patterns)),
		field("pubsubshard_channels", s.hub.size(shards)),
		field("total_error_replies", s.meter.errorCount.Load()),
		field("evicted_clients", s.stats.Evicted.Load()),
		field("client_query_buffer_limit_disconnections", s.stats.QueryLimit.Load()),
		field("client_output_buffer_limit_disconnections", s.stats.OutputLimit.Load()),
		field("acl_access_denied_auth", s.stats.AuthFailures.Load()),
		field("protocol_error_disconnections", s.stats.ProtocolErrors.Load()),
		field("panic_disconnections", s.stats.Panics.Load()),
		field("accept_errors", s.stats.AcceptErrors.Load()),
		field("idle_disconnections", s.stats.IdleTimeouts.Load()),
		field("slow_reader_disconnections", s.stats.WriteTimeouts.Load()),
		field("key_limit_rejections", s.stats.KeyLimit.Load()),
		field("value_limit_rejections", s.stats.ValueLimit.Load()),
		field("unknown_commands", s.stats.UnknownCommands.Load()),
	}
}
