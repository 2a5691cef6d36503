package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"phonond/client"
)

// options are the flags that all commands share. Those for TLS have redis-cli's
// names.
type options struct {
	addr, user, password   string
	output                 string
	timeout                time.Duration
	tls                    bool
	cacert, cert, key, sni string

	// Of lock, and what shows locks.
	shared, noTTL       bool
	ttl, wait, delay    time.Duration
	killAfter, older    time.Duration
	meta, reason, match string
}

func newFlags() (*flag.FlagSet, *options) {
	o := new(options)
	fs := flag.NewFlagSet("phononctl", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // Run says what was wrong
	fs.StringVar(&o.addr, "addr", "127.0.0.1:6379", "nodes to ask, `HOST:PORT[,HOST:PORT]`; the first that answers is asked")
	fs.StringVar(&o.user, "user", "", "the user's `NAME`, if not the default user")
	fs.StringVar(&o.password, "password", "", "the user's `PASSWORD`; other users can see it, PHONONCTL_PASSWORD they cannot")
	fs.StringVar(&o.output, "o", "table", "`FORMAT` of the output: table or json")
	fs.DurationVar(&o.timeout, "timeout", defaultTimeout, "how long all may take")
	fs.BoolVar(&o.tls, "tls", false, "speak TLS")
	fs.StringVar(&o.cacert, "cacert", "", "`FILE` with the authorities to trust, instead of the system's; implies --tls")
	fs.StringVar(&o.cert, "cert", "", "`FILE` with the client's certificate; implies --tls")
	fs.StringVar(&o.key, "key", "", "`FILE` with its key")
	fs.StringVar(&o.sni, "sni", "", "the `NAME` that the server's certificate has, if not the host's; implies --tls")
	fs.BoolVar(&o.shared, "shared", false, "lock: together with others that share it")
	fs.DurationVar(&o.ttl, "ttl", 15*time.Second, "lock: how long after this process has died it is free")
	fs.DurationVar(&o.wait, "wait", 0, "lock: how long to wait for it; 0 is for ever")
	fs.DurationVar(&o.delay, "delay", 0, "lock: how long nobody gets it after it was lost")
	fs.DurationVar(&o.killAfter, "kill-after", 5*time.Second, "lock: how long the command may take to end when the lock is lost")
	fs.StringVar(&o.meta, "meta", "", "lock: a `TEXT` that lock info shows")
	fs.StringVar(&o.reason, "reason", "", "lock force: a `TEXT` that is remembered")
	fs.StringVar(&o.match, "match", "", "locks: a `PATTERN` of keys; by default native locks, and *.lock")
	fs.DurationVar(&o.older, "older", 0, "locks: those held for so long")
	fs.BoolVar(&o.noTTL, "no-ttl", false, "locks: those that no time will free")
	return fs, o
}

// parse reads flags wherever they stand and returns the other words.
func parse(fs *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return words, nil
		}
		words = append(words, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// client returns the configuration that the flags and PHONONCTL_PASSWORD say.
func (o *options) client() (cfg client.Config, err error) {
	cfg = client.Config{Addrs: strings.Split(o.addr, ","), Username: o.user, Password: o.password, Timeout: o.timeout, PoolSize: 2}
	if cfg.Password == "" {
		cfg.Password = os.Getenv("PHONONCTL_PASSWORD")
	}
	if o.timeout <= 0 {
		return cfg, errors.New("--timeout must be more than 0")
	}
	if !o.tls && o.cacert == "" && o.cert == "" && o.key == "" && o.sni == "" {
		return cfg, nil
	}
	cfg.TLS = &tls.Config{ServerName: o.sni, MinVersion: tls.VersionTLS12}
	if o.cacert != "" {
		pem, err := os.ReadFile(o.cacert)
		if err != nil {
			return cfg, fmt.Errorf("--cacert: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("--cacert: %s holds no certificate", o.cacert)
		}
	}
	if o.cert != "" || o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return cfg, fmt.Errorf("--cert, --key: %w", err)
		}
		cfg.TLS.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
