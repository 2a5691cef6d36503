package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"phonond/cluster/proctest"
)

// lab is the servers that are compared.
type lab struct {
	redis     *server
	others    []*server
	processes []*proctest.Process
}

// startTimeout bounds how long a server takes to come up.
const startTimeout = 60 * time.Second

// open starts the servers. What it returns is to be closed, even with an error.
func open(ctx context.Context, o options, dir string) (l *lab, err error) {
	var program string
	if !o.self && len(o.addrs) == 0 {
		if program, err = proctest.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	l = &lab{}
	if l.redis, err = l.startRedis(ctx, "redis", dir); err != nil {
		return l, err
	}
	switch {
	case o.self:
		return l, l.add(l.startRedis(ctx, "another redis", dir))
	case len(o.addrs) > 0:
		for _, addr := range o.addrs {
			if err := l.add(newServer(addr, addr)); err != nil {
				return l, err
			}
		}
		return l, nil
	}
	if err := l.add(l.startDev(ctx, "one node", program, dir, "one=1", 0)); err != nil {
		return l, err
	}
	regions, err := l.startDev(ctx, "two regions", program, dir, "one=2,two=2", 2)
	if err != nil {
		return l, err
	}
	regions.groups = true
	return l, l.add(regions, nil)
}

func (l *lab) add(s *server, err error) error {
	if err == nil {
		l.others = append(l.others, s)
	}
	return err
}

func (l *lab) startRedis(ctx context.Context, name, dir string) (*server, error) {
	r, err := proctest.StartRedis(ctx, dir)
	if err != nil {
		return nil, err
	}
	l.processes = append(l.processes, r.Process)
	return newServer(name, r.Addr)
}

// devTries is how often a cluster is started whose ports turn out to be taken.
const devTries = 5

// startDev runs a cluster in one process, and returns its node number at.
func (l *lab) startDev(ctx context.Context, name, program, dir, topology string, at int) (s *server, err error) {
	for range devTries {
		if s, err = l.tryDev(ctx, name, program, dir, topology, at); err == nil || ctx.Err() != nil {
			break
		}
	}
	return s, err
}

// tryDev does it with ports that are next to each other, and taken on trust: who finds
// one taken says so and ends.
func (l *lab) tryDev(ctx context.Context, name, program, dir, topology string, at int) (*server, error) {
	first, err := proctest.FreeAddr(nil)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(first)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(program, "dev", "--topology", topology, "--port", port)
	cmd.Stderr = log
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	cmd.Stdout = in
	p, err := proctest.StartProcess(cmd)
	if err != nil {
		return nil, err
	}
	l.processes = append(l.processes, p)
	in.Close()
	ready := make(chan bool, 1)
	go func() {
		defer out.Close()
		lines, said := bufio.NewScanner(out), false
		for lines.Scan() {
			if lines.Text() == "ready" {
				said = true
				ready <- true
			}
		}
		if !said {
			ready <- false
		}
	}()
	select {
	case ok := <-ready:
		if !ok {
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s: the process has ended:\n%s", name, text)
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is not ready: %w", name, ctx.Err())
	}
	return newServer(name, net.JoinHostPort(host, strconv.Itoa(number+at)))
}

// close ends everything that runs.
func (l *lab) close() {
	for _, p := range l.processes {
		p.Kill()
	}
}
