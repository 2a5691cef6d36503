package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

// region is the only one: the group of the keys has its three voters there.
const region = "bench"

// bench is the servers that are compared.
type bench struct {
	program string
	redis   *proctest.Redis
	cluster *proctest.Cluster

	leader, follower *proctest.Node
}

// start builds the program and starts everything, with data below dir.
func start(ctx context.Context, dir string) (_ *bench, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	b := &bench{}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.program, err = proctest.Build(ctx, dir); err != nil {
		return nil, err
	}
	if err := b.startRedis(ctx, dir); err != nil {
		return nil, err
	}
	return b, b.startCluster(ctx, dir, false)
}

// startRedis starts a redis-server that syncs before it answers.
func (b *bench) startRedis(ctx context.Context, dir string) (err error) {
	dir = filepath.Join(dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	b.redis, err = proctest.StartRedis(ctx, dir, "--appendonly", "yes", "--appendfsync", "always")
	return err
}

// startCluster starts three nodes, each writing a CPU profile if asked to.
func (b *bench) startCluster(ctx context.Context, dir string, profiled bool) error {
	c, err := proctest.New(proctest.Options{Program: b.program, Dir: dir, Regions: []proctest.Region{{Name: region, Nodes: 3}}})
	if err != nil {
		return err
	}
	b.cluster = c
	for _, n := range c.Nodes() {
		var flags []string
		if profiled {
			flags = []string{"--cpuprofile", profileOf(n)}
		}
		if err := n.Start(flags...); err != nil {
			return err
		}
	}
	if err := c.Start(ctx); err != nil { // waits
		return fmt.Errorf("%w\n%s", err, c.Logs())
	}
	if b.leader, err = c.Nodes()[0].Leader(ctx, region, nil); err != nil {
		return err
	}
	b.follower = c.Others(b.leader)[0]
	return nil
}

func profileOf(n *proctest.Node) string { return n.DataDir + ".pprof" }

// errMoved is returned when the group has another leader than at the start: what
// was measured then is not what the table says.
var errMoved = errors.New("the lead has moved meanwhile")

func (b *bench) sameLeader() error {
	g, err := b.leader.Group(region)
	if err == nil && g.Leader != b.leader.ID {
		err = errMoved
	}
	return err
}

// close ends everything that runs.
func (b *bench) close() {
	if b.redis != nil {
		b.redis.Kill()
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
}

// pprofLines is how much of each profile is printed.
const pprofLines = 25

// profiles runs each test against the leader of a cluster of its own, and keeps
// what its CPU did in the directory of the options, as a profile and as text.
func profiles(ctx context.Context, dir, program string, o options) error {
	if err := os.MkdirAll(o.profile, 0o700); err != nil {
		return err
	}
	for _, test := range o.tests {
		for _, pipeline := range o.pipelines {
			name := fmt.Sprintf("%s-P%d", test, pipeline)
			b := &bench{program: program}
			if err := b.profile(ctx, filepath.Join(dir, name), test, pipeline, filepath.Join(o.profile, name), o); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// profile writes the profile of one test to out.pprof and its head to out.txt.
func (b *bench) profile(ctx context.Context, dir, test string, pipeline int, out string, o options) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	defer b.close()
	if err := b.startCluster(starting, dir, true); err != nil {
		return err
	}
	at := target{"leader", b.leader.RESP}
	n, err := calibrate(ctx, at, test, pipeline, o)
	if err == nil {
		_, err = measure(ctx, at, test, pipeline, 2*n, o)
	}
	if err == nil {
		err = b.sameLeader()
	}
	if err != nil {
		return err
	}
	stopping, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, _, err := b.leader.Terminate(stopping); err != nil {
		return err
	}
	data, err := os.ReadFile(profileOf(b.leader))
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".pprof", data, 0o600); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, order := range []string{"-flat", "-cum"} {
		top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", order, fmt.Sprintf("-nodecount=%d", pprofLines), b.program, out+".pprof").Output()
		if err != nil {
			return fmt.Errorf("pprof: %w", err)
		}
		fmt.Fprintf(&text, "%s -P %d, %s\n%s\n", test, pipeline, order, top)
	}
	return os.WriteFile(out+".txt", text.Bytes(), 0o600)
}

// retries tells how often scripts had to be evaluated again at the leader.
func (b *bench) retries() (string, error) {
	reply, err := proctest.Ask(b.leader.RESP, "INFO", "phonond")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(reply.Str) {
		if fields, ok := strings.CutPrefix(line, "group_"+region+":"); ok {
			var scripts, again int
			for f := range strings.SplitSeq(strings.TrimSpace(fields), ",") {
				fmt.Sscanf(f, "scripts=%d", &scripts)
				fmt.Sscanf(f, "script_retries=%d", &again)
			}
			return fmt.Sprintf("\nscripts evaluated at the leader: %d, again because a key had changed: %d\n", scripts, again), nil
		}
	}
	return "", fmt.Errorf("INFO says nothing of the group %s", region)
}
