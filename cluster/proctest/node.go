package proctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"phonond/redisproto/resp"
)

// Node is one node of a cluster, running or not.
type Node struct {
	ID, Region            string
	RESP, Cluster, Gossip string // addresses
	DataDir               string

	host    Host
	name    string   // of its files, unlike that of any other
	cluster *Cluster // the rest of it
	process *Process // nil until it was started for the first time
	ready   *readyWatch
}

// settle gives the node its host and its first addresses.
func (n *Node) settle() (err error) {
	if host := n.cluster.opts.Host; host != nil {
		if n.host, err = host(n.ID, n.Region); err != nil {
			return fmt.Errorf("a host for %s: %w", n.ID, err)
		}
	}
	if n.host.DataDir != "" {
		n.DataDir = n.host.DataDir
	}
	return n.choose()
}

// choose takes new addresses.
func (n *Node) choose() (err error) {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	if n.host.Move != nil {
		n.RESP, n.Cluster, n.Gossip, err = n.host.Move()
		return err
	}
	for _, p := range []*string{&n.RESP, &n.Cluster, &n.Gossip} {
		addr, err := FreeAddr(n.cluster.taken)
		if err != nil {
			return err
		}
		n.cluster.taken[addr] = true
		*p = addr
	}
	return nil
}

// ConfigFile returns the path of the node's configuration.
func (n *Node) ConfigFile() string { return filepath.Join(n.cluster.opts.Dir, n.name+".yaml") }

// LogFile returns the path of what the node writes to standard error.
func (n *Node) LogFile() string { return filepath.Join(n.cluster.opts.Dir, n.name+".log") }

// configure writes the configuration.
func (n *Node) configure(regions string) error {
	return n.Configure(n.ID, n.Region, regions)
}

// Configure writes a configuration in which the node says that it is another
// one. An empty list of regions stands for the cluster's.
func (n *Node) Configure(id, region, regions string) error {
	if regions == "" {
		regions = n.cluster.regions()
	}
	text := fmt.Sprintf(`node: %s
region: %s
data_dir: %q
regions:
%sresp:
  listen: %q
cluster:
  name: proctest
  listen: %q
gossip:
  listen: %q
`, id, region, n.DataDir, regions, n.RESP, n.Cluster, n.Gossip)
	// Another node's move writes it too, while this one may be about to read it.
	whole := n.ConfigFile() + ".new"
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(whole, n.ConfigFile())
}

// Start starts the process. It does not wait for it to be of use: see
// [Node.Ready].
func (n *Node) Start(flags ...string) error {
	if n.Running() {
		return fmt.Errorf("node %s runs already", n.ID)
	}
	log, err := os.OpenFile(n.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	args := slices.Concat(n.host.Enter, []string{n.cluster.opts.Program, "server", "--config", n.ConfigFile()}, n.cluster.opts.Flags, n.host.Flags, flags)
	cmd := exec.Command(args[0], args[1:]...)
	n.ready = &readyWatch{seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.Env = n.ready, log, environ()
	n.process, err = StartProcess(cmd)
	return err
}

// Twin prepares a second process that takes itself for this node: with its data
// directory, and with its addresses or others. It is no part of the cluster, and
// whoever starts it ends it.
func (n *Node) Twin(moved bool) (*Node, error) {
	twin := *n
	twin.process, twin.name = nil, n.ID+"-twin"
	if moved {
		if err := twin.choose(); err != nil {
			return nil, err
		}
	}
	regions := strings.ReplaceAll(n.cluster.regions(), n.Cluster, twin.Cluster)
	return &twin, twin.configure(regions)
}

// Running reports whether the process is there.
func (n *Node) Running() bool {
	if n.process == nil {
		return false
	}
	select {
	case <-n.process.Done():
		return false
	default:
		return true
	}
}

// Pid returns the id of the process that was started last.
func (n *Node) Pid() int { return n.process.Pid() }

// errEnded is returned when a process has ended that should not have.
var errEnded = errors.New("the process has ended")

// Ready waits until the node says that every group has a leader.
func (n *Node) Ready(ctx context.Context) error {
	select {
	case <-n.ready.seen:
		return nil
	case <-n.process.Done():
		return fmt.Errorf("node %s: %w with code %d", n.ID, errEnded, n.process.Code())
	case <-ctx.Done():
		return fmt.Errorf("node %s is not ready: %w", n.ID, ctx.Err())
	}
}

// Signal sends a signal to the process that was started last.
func (n *Node) Signal(s os.Signal) error { return n.process.cmd.Process.Signal(s) }

// Addr returns the node's address for clients. Unlike the field it may be asked for
// while nodes move.
func (n *Node) Addr() string {
	n.cluster.mu.Lock()
	defer n.cluster.mu.Unlock()
	return n.RESP
}

// Dial connects to the node's port for clients, with the cluster's password. It may
// be called while nodes move.
func (n *Node) Dial() (*Conn, error) { return DialAs(n.Addr(), n.cluster.opts.Password) }

// ask sends one command over a connection of its own. See [Conn.Must].
func (n *Node) ask(args ...string) (resp.Value, error) {
	c, err := n.Dial()
	if err != nil {
		return resp.Value{}, err
	}
	defer c.Close()
	return c.Must(args...)
}

// Kill ends the process as kill -9 does. A node that does not run is left as it
// is.
func (n *Node) Kill() error {
	if !n.Running() {
		return nil
	}
	return n.process.Kill()
}

// Terminate asks the process to end, as a supervisor does, and waits for it. It
// returns the exit code and how long it took.
func (n *Node) Terminate(ctx context.Context) (code int, took time.Duration, err error) {
	start := time.Now()
	if err := n.process.Terminate(); err != nil {
		return 0, 0, fmt.Errorf("terminate %s: %w", n.ID, err)
	}
	code, err = n.Exit(ctx)
	return code, time.Since(start), err
}

// Exit waits for the process to end by itself and returns its exit code.
func (n *Node) Exit(ctx context.Context) (code int, err error) {
	select {
	case <-n.process.Done():
		return n.process.Code(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("node %s still runs: %w", n.ID, ctx.Err())
	}
}

// Log returns what the node has written to standard error since its first start.
func (n *Node) Log() string {
	b, err := os.ReadFile(n.LogFile())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "" // it was never started
	case err != nil:
		return err.Error()
	}
	return string(b)
}

// readyWatch is a process's standard output: it waits for the line "ready".
type readyWatch struct {
	mu   sync.Mutex
	line []byte
	seen chan struct{}
	said bool
}

func (w *readyWatch) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range b {
		if c != '\n' {
			w.line = append(w.line, c)
			continue
		}
		if bytes.Equal(w.line, []byte("ready")) && !w.said {
			w.said = true
			close(w.seen)
		}
		w.line = w.line[:0]
	}
	return len(b), nil
}
