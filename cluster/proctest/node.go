package proctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Node is one node of a cluster, running or not.
type Node struct {
	ID, Region            string
	RESP, Cluster, Gossip string // addresses
	DataDir               string

	name    string   // of its files, unlike that of any other
	cluster *Cluster // the rest of it
	process *Process // nil until it was started for the first time
	ready   *readyWatch
}

// choose takes new addresses.
func (n *Node) choose() error {
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

func (n *Node) logFile() string { return filepath.Join(n.cluster.opts.Dir, n.name+".log") }

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
	return os.WriteFile(n.ConfigFile(), []byte(text), 0o600)
}

// Start starts the process. It does not wait for it to be of use: see
// [Node.Ready].
func (n *Node) Start(flags ...string) error {
	if n.Running() {
		return fmt.Errorf("node %s runs already", n.ID)
	}
	log, err := os.OpenFile(n.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	args := append([]string{"server", "--config", n.ConfigFile()}, n.cluster.opts.Flags...)
	cmd := exec.Command(n.cluster.opts.Program, append(args, flags...)...)
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
	b, err := os.ReadFile(n.logFile())
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
