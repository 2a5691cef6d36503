package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"phonond/cluster/proctest"
)

// patience bounds every wait for what a tool prints.
const patience = 20 * time.Second

// tool is one of Redis's own programs, connected to a node.
func (r *report) tool(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	host, port, err := net.SplitHostPort(r.node())
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, name, append([]string{"-h", host, "-p", port}, args...)...), nil
}

// cli runs redis-cli to its end and returns what it prints.
func (r *report) cli(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd, err := r.tool(ctx, "redis-cli", args...)
	if err != nil {
		return "", err
	}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("redis-cli %s: %w\n%.2000s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// prints checks that redis-cli prints something.
func (r *report) prints(ctx context.Context, want, stdin string, args ...string) error {
	out, err := r.cli(ctx, stdin, args...)
	if err == nil && !strings.Contains(out, want) {
		err = fmt.Errorf("redis-cli %s does not print %q:\n%.2000s", strings.Join(args, " "), want, out)
	}
	return err
}

// session is a program that runs until it is ended.
type session struct {
	process *proctest.Process
	stdin   io.WriteCloser

	mu   sync.Mutex
	read int // how much of out was waited for
	out  strings.Builder
}

// begin starts a program. Whoever does ends it.
func begin(cmd *exec.Cmd) (s *session, err error) {
	s = &session{}
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = s, s
	s.process, err = proctest.StartProcess(cmd)
	return s, err
}

func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

// types writes a line, as a person does who ends it with Enter.
func (s *session) types(line string) error {
	_, err := io.WriteString(s.stdin, line+"\r")
	return err
}

// sees waits until what the program has printed since the last call fits the
// pattern.
func (s *session) sees(ctx context.Context, pattern string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	re := regexp.MustCompile(pattern)
	return proctest.Until(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if at := re.FindStringIndex(s.out.String()[s.read:]); at != nil {
			s.read += at[1]
			return nil
		}
		return fmt.Errorf("nothing that fits %q in\n%.2000s", pattern, s.out.String()[s.read:])
	})
}

// ends waits until the program has ended by itself.
func (s *session) ends() error {
	select {
	case <-s.process.Done():
		return nil
	case <-time.After(patience):
		return errors.New("it does not end")
	}
}

// end ends the program if it is still there.
func (s *session) end() { s.process.Kill() }
