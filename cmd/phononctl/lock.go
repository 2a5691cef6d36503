package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"phonond/client"
)

// Exit codes of "lock NAME -- CMD" that are not the child's. A child that a signal ended
// has 128 and the signal's number, as in shells.
const (
	exitLost    = 123 // the lock was lost, and the child ended for that
	exitTimeout = 124 // the lock was not to be had in time
	exitOwn     = 125 // it could not be asked for
	exitNoExec  = 126 // the child cannot be executed
	exitNoChild = 127 // there is no such child
)

// exitCode is an error that says with which code phononctl ends; text may be empty.
type exitCode struct {
	code int
	text string
}

func (e exitCode) Error() string { return e.text }

var lockCommand = command{
	name: "lock", args: "NAME -- CMD | info KEY | force KEY TOKEN | audit", least: 1, max: 3, lasting: true,
	summary: "runs a command while it has a lock; or shows one, takes it by force, shows what was",
	run: func(ctx context.Context, a *app, args []string) error {
		if a.child != nil {
			if len(args) != 1 {
				return exitCode{exitUsage, "usage: phononctl lock NAME -- CMD [ARG ...]"}
			}
			return runLocked(ctx, a, args[0])
		}
		ctx, cancel := context.WithTimeout(ctx, a.o.timeout)
		defer cancel()
		switch {
		case len(args) == 2 && args[0] == "info":
			return lockInfo(ctx, a, args[1])
		case len(args) == 3 && args[0] == "force":
			return lockForce(ctx, a, args[1], args[2])
		case len(args) == 1 && args[0] == "audit":
			return lockAudit(ctx, a)
		}
		return exitCode{exitUsage, "usage: phononctl lock NAME -- CMD | info KEY | force KEY TOKEN | audit"}
	},
}

// runLocked runs the child while it has the lock.
func runLocked(ctx context.Context, a *app, name string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	opening, cancel := context.WithTimeout(ctx, a.o.timeout)
	p, err := a.client.OpenProcess(opening, client.ProcessOptions{TTL: a.o.ttl, Meta: "phononctl lock " + name})
	cancel()
	if err != nil {
		return exitCode{exitOwn, err.Error()}
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), a.o.timeout)
		defer cancel()
		p.Close(closing)
	}()
	l, err := waitForLock(ctx, a, p, name, signals)
	if err != nil {
		return err
	}
	return child(a, l, name, signals)
}

// waitForLock waits for the lock, until a signal comes.
func waitForLock(ctx context.Context, a *app, p *client.Process, name string, signals <-chan os.Signal) (*client.Lock, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.o.wait > 0 {
		ctx, cancel = context.WithTimeout(ctx, a.o.wait)
		defer cancel()
	}
	type got struct {
		l   *client.Lock
		err error
	}
	done := make(chan got, 1)
	go func() {
		l, err := p.Lock(ctx, name, client.LockOptions{Shared: a.o.shared, Delay: a.o.delay, Meta: a.o.meta})
		done <- got{l, err}
	}()
	var by os.Signal
	for {
		select {
		case s := <-signals:
			by = s
			cancel()
		case g := <-done:
			switch {
			case by != nil:
				return nil, exitCode{code: 128 + int(by.(syscall.Signal))}
			case g.err != nil && ctx.Err() != nil:
				return nil, exitCode{exitTimeout, fmt.Sprintf("%s was not to be had in %v", name, a.o.wait)}
			case g.err != nil:
				return nil, exitCode{exitOwn, g.err.Error()}
			}
			return g.l, nil
		}
	}
}

// child runs the command in a process group of its own, so that all it starts ends with it.
func child(a *app, l *client.Lock, name string, signals <-chan os.Signal) error {
	cmd := exec.Command(a.child[0], a.child[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PHONOND_LOCK_KEY="+name, "PHONOND_LOCK_TOKEN="+strconv.FormatUint(l.Token(), 10))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return exitCode{exitNoChild, err.Error()}
		}
		return exitCode{exitNoExec, err.Error()}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	lost := l.Context().Done()
	var kill <-chan time.Time
	for {
		select {
		case s := <-signals:
			syscall.Kill(-cmd.Process.Pid, s.(syscall.Signal))
		case <-lost:
			lost, kill = nil, time.After(a.o.killAfter)
			syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		case <-kill:
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		case err := <-ended:
			if lost == nil {
				syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has started
				return exitCode{exitLost, fmt.Sprintf("the lock was lost: %v", context.Cause(l.Context()))}
			}
			l.Unlock(context.Background())
			return outcome(err)
		}
	}
}

// outcome is the child's exit code.
func outcome(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return exitCode{exitOwn, err.Error()}
		}
		return nil
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitCode{code: 128 + int(status.Signal())}
	}
	return exitCode{code: exit.ExitCode()}
}
