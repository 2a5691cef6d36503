// Package client is the Go client of a phonond cluster: it prefers the nodes of its
// own region, goes to others when they are away, and says of every failure whether
// the command may have been applied. It is built on go-redis, whose whole API is at
// hand by [Client.Redis]. Applications import it, and phononctl; it knows nothing
// of the server's packages, and never sends a command twice that could count twice.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of Config.
const (
	DefaultDialTimeout = 2 * time.Second
	// DefaultTimeout is longer than the ten seconds for which a node keeps a command
	// while its group elects a leader: giving up before it would turn an answer into
	// an unknown outcome.
	DefaultTimeout  = 15 * time.Second
	DefaultPoolSize = 10
)

// MaxAddrs is the most addresses a client is given. Each is tried before a
// connection is given up.
const MaxAddrs = 512

// connLifetime is how long a connection is used. A client that went to another
// region because its own was away is back after this time at the latest.
const connLifetime = 5 * time.Minute

var (
	// ErrConfig is returned by New when the configuration names no node, or
	// contradicts itself.
	ErrConfig = errors.New("client: invalid configuration")
	// ErrNotApplied is returned when the command was certainly not carried out: it
	// may be sent again.
	ErrNotApplied = errors.New("client: not applied")
	// ErrUnknownOutcome is returned when the command may have been carried out or
	// not: the answer was lost, or the cluster does not know itself. Sending it
	// again is right only if twice does no harm.
	ErrUnknownOutcome = errors.New("client: outcome unknown")
)

// Config says where the cluster is.
type Config struct {
	// Regions lists each region's nodes, host:port.
	Regions map[string][]string
	// Region is the client's own, whose nodes come first; one of Regions. Empty: no
	// region is preferred.
	Region string
	// Addrs lists nodes whose region is not known. They come after those of Region.
	Addrs []string

	// Username and Password, if the cluster asks for them. An empty Username is
	// Redis's user "default".
	Username, Password string
	// TLS, if the nodes speak it. An empty ServerName is the host of each address.
	TLS *tls.Config
	// DB is the database of the connections, 0 to 15. Default 0.
	DB int

	// DialTimeout is the time for one node to be reached and to answer a PING; for
	// all nodes together it is at most Timeout. Default [DefaultDialTimeout].
	DialTimeout time.Duration
	// Timeout is the time for the reply to one command; a context may make it
	// shorter. Default [DefaultTimeout].
	Timeout time.Duration
	// PoolSize is the most connections. Default [DefaultPoolSize].
	PoolSize int
	// Protocol is 2 or 3. Default 3, and 2 where a server does not know it.
	Protocol int
	// Dial opens connections, in tests. Default: TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client is a pool of connections to a cluster. It is safe for use by many
// goroutines.
type Client struct {
	redis *redis.Client
}

// New makes a client. It connects when the first command is sent. Errors wrap
// ErrConfig.
func New(cfg Config) (*Client, error) {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.PoolSize <= 0 {
		cfg.PoolSize = DefaultPoolSize
	}
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{redis: redis.NewClient(&redis.Options{
		Addr:     d.addrs[0], // a name only: the dialler chooses
		Dialer:   d.dial,
		Username: cfg.Username,
		Password: cfg.Password,
		DB:       cfg.DB,
		Protocol: cfg.Protocol,

		// go-redis would send any command again after a lost connection, and an
		// INCRBY would count twice.
		MaxRetries: -1,
		// The dialler tries every node once; to do so again at once helps nobody.
		DialerRetries: 1,
		DialTimeout:   min(cfg.DialTimeout*time.Duration(len(d.addrs)), max(cfg.DialTimeout, cfg.Timeout)),

		ReadTimeout:           cfg.Timeout,
		ContextTimeoutEnabled: true,
		PoolSize:              cfg.PoolSize,
		ConnMaxLifetime:       connLifetime,

		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}, nil
}

// Redis returns the underlying client, for everything that Redis clients do. Its
// errors are go-redis's own: see [Classify].
func (c *Client) Redis() *redis.Client { return c.redis }

// Do sends one command and returns its reply; a nil reply is the error redis.Nil.
// Other errors are the server's ([redis.Error]), or wrap ErrNotApplied or
// ErrUnknownOutcome.
func (c *Client) Do(ctx context.Context, args ...any) (any, error) {
	v, err := c.redis.Do(ctx, args...).Result()
	return v, Classify(err)
}

// Close closes all connections.
func (c *Client) Close() error { return c.redis.Close() }

// Classify says of an error of a Redis client on phonond whether the command may
// have been applied: it returns the error wrapped in ErrNotApplied or
// ErrUnknownOutcome. A server's other answers, and nil, are returned as they are.
func Classify(err error) error {
	var dial *DialError
	var reply redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return err
	case errors.As(err, &dial) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNotApplied, err)
	case !errors.As(err, &reply): // the connection broke, or time was over
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case redis.HasErrorPrefix(err, "TIMEOUT"):
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	for _, prefix := range []string{"CLUSTERDOWN", "TRYAGAIN", "LOADING", "READONLY", "MISCONF"} {
		if redis.HasErrorPrefix(err, prefix) {
			return fmt.Errorf("%w: %w", ErrNotApplied, err)
		}
	}
	return err
}
