package redisproto

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrBadConfig is returned when a setting is outside its range.
var ErrBadConfig = errors.New("redisproto: bad configuration")

// Config says how a [Server] behaves. Start from [DefaultConfig].
type Config struct {
	// Commands are rows that this node answers without the backend, beside the
	// connection commands.
	Commands []Command
	// Password is what AUTH asks for, for the user "default". Empty: no AUTH.
	Password string
	// Protected refuses clients from other machines while there is no password.
	// Default true.
	Protected bool
	// Debug says who may use DEBUG: "no" (default), "local" connections, or "yes".
	Debug string
	// Databases is how many SELECT may choose from. Default 16.
	Databases int
	// Version is what HELLO says; clients derive from it what the server can
	// do. Default "7.0.15".
	Version string

	// MaxClients bounds the connections. Default 10000.
	MaxClients int
	// IdleTimeout closes connections that send nothing for so long. Default 0:
	// never.
	IdleTimeout time.Duration
	// WriteTimeout is how long a client may take to read 64 KiB of replies that
	// wait for it. Default 1 minute.
	WriteTimeout time.Duration
	// KeepAlive is how long a silent TCP connection goes unprobed. Default 5 minutes;
	// 0 never probes.
	KeepAlive time.Duration
	// HandshakeTimeout bounds a TLS handshake. Default 5 seconds.
	HandshakeTimeout time.Duration

	// MaxBulk bounds an argument, in bytes. Default 16 MiB.
	MaxBulk int
	// MaxKey bounds a key, in bytes. Commands with longer ones are refused. Default
	// 64 KiB.
	MaxKey int
	// MaxArgs bounds the arguments of a command. Default 1048576.
	MaxArgs int
	// MaxQuery bounds a whole command, in bytes. Default 64 MiB.
	MaxQuery int
	// MaxInline bounds a command sent as a line, in bytes. Default 64 KiB.
	MaxInline int
	// MaxOutput bounds the replies that wait for a client that does not read,
	// in bytes; beyond it the connection is closed. Default 32 MiB.
	MaxOutput int
	// MaxBuffers bounds what all clients together have in commands that have not come to
	// their end and in replies that wait, in bytes. Beyond it clients with more than 128 KiB
	// are closed when they need more. Default 128 MiB; 0 is no limit.
	MaxBuffers int
	// MaxPubSubOutput bounds what waits for a client that has subscribed, in bytes.
	// Default 32 MiB.
	MaxPubSubOutput int
	// SoftPubSubOutput is how much of it may wait for longer than PubSubPatience, in
	// bytes; 0 is no such limit. Default 8 MiB and 1 minute.
	SoftPubSubOutput int
	PubSubPatience   time.Duration
	// MaxMulti bounds the arguments of the commands after MULTI, and the watched
	// keys, in bytes. Default 64 MiB.
	MaxMulti int
	// MaxMultiCommands bounds the number of commands after MULTI. Default 1048576.
	MaxMultiCommands int
	// MaxWatched bounds the number of watched keys. Default 10000.
	MaxWatched int

	// Settings are rows of CONFIG beside those of the fields above, and win over
	// them. Default none.
	Settings []Setting
	// ResetStats is called by CONFIG RESETSTAT, after the server has reset its
	// own counters. Default none.
	ResetStats func()
	// Logger gets what an operator should see. Default: nothing is logged.
	Logger *slog.Logger
}

// DefaultConfig returns the defaults named at the fields.
func DefaultConfig() Config {
	return Config{
		Protected:        true,
		Databases:        16,
		Debug:            "no",
		Version:          "7.0.15",
		MaxClients:       10000,
		WriteTimeout:     time.Minute,
		KeepAlive:        5 * time.Minute,
		HandshakeTimeout: 5 * time.Second,
		MaxBulk:          16 << 20,
		MaxKey:           64 << 10,
		MaxArgs:          1 << 20,
		MaxQuery:         64 << 20,
		MaxInline:        64 << 10,
		MaxOutput:        32 << 20,
		MaxBuffers:       128 << 20,
		MaxPubSubOutput:  32 << 20,
		SoftPubSubOutput: 8 << 20,
		PubSubPatience:   time.Minute,
		MaxMulti:         64 << 20,
		MaxMultiCommands: 1 << 20,
		MaxWatched:       10000,
		Logger:           slog.New(slog.DiscardHandler),
	}
}

// maxInt bounds every size, so that sums of them cannot overflow.
const maxInt = 1 << 30

// Validate returns [ErrBadConfig], with what is wrong, or nil.
func (c *Config) Validate() error {
	for _, n := range []struct {
		name      string
		value     int
		low, high int
	}{
		{"Databases", c.Databases, 1, 1 << 16},
		{"MaxClients", c.MaxClients, 1, maxInt},
		{"MaxBulk", c.MaxBulk, 1 << 10, maxInt},
		{"MaxKey", c.MaxKey, 64, maxInt},
		{"MaxArgs", c.MaxArgs, 16, maxInt},
		{"MaxQuery", c.MaxQuery, 4 << 10, maxInt},
		{"MaxInline", c.MaxInline, 256, maxInt},
		{"MaxBuffers", c.MaxBuffers, 0, 1 << 44},
		{"MaxOutput", c.MaxOutput, minOutput, maxInt},
		{"MaxPubSubOutput", c.MaxPubSubOutput, minOutput, maxInt},
		{"SoftPubSubOutput", c.SoftPubSubOutput, 0, maxInt},
		{"MaxMulti", c.MaxMulti, 1 << 10, maxInt},
		{"MaxMultiCommands", c.MaxMultiCommands, 1, maxInt},
		{"MaxWatched", c.MaxWatched, 1, maxInt},
	} {
		if n.value < n.low || n.value > n.high {
			return fmt.Errorf("%w: %s is %d, not within %d and %d", ErrBadConfig, n.name, n.value, n.low, n.high)
		}
	}
	switch {
	case c.IdleTimeout < 0:
		return fmt.Errorf("%w: IdleTimeout is negative", ErrBadConfig)
	case c.Debug != "no" && c.Debug != "local" && c.Debug != "yes":
		return fmt.Errorf("%w: Debug is %q", ErrBadConfig, c.Debug)
	case c.KeepAlive < 0:
		return fmt.Errorf("%w: KeepAlive is negative", ErrBadConfig)
	case c.WriteTimeout <= 0:
		return fmt.Errorf("%w: WriteTimeout is not positive", ErrBadConfig)
	case c.HandshakeTimeout <= 0:
		return fmt.Errorf("%w: HandshakeTimeout is not positive", ErrBadConfig)
	case c.Version == "":
		return fmt.Errorf("%w: Version is empty", ErrBadConfig)
	case c.Logger == nil:
		return fmt.Errorf("%w: Logger is nil", ErrBadConfig)
	}
	return nil
}
