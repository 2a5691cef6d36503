package proctest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a program that this one has started. It cannot outlive it: when the
// test ends in whatever way, the system kills the process. Where it cannot, that
// is everywhere but on Linux, [Process.Kill] has to.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
}

// StartProcess starts a command that was not started yet.
func StartProcess(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = endWithParent()
	started := make(chan error)
	go func() {
		// To the kernel, the parent is the thread that started the process: this one
		// stays until the process is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is in ProcessState
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid returns the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code returns the exit code of a process that is gone, -1 for one that was
// killed.
func (p *Process) Code() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Terminate asks the process to end. It does not wait.
func (p *Process) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Process) Kill() error {
	err := p.cmd.Process.Signal(os.Kill)
	if err != nil && err != os.ErrProcessDone {
		return fmt.Errorf("kill %d: %w", p.Pid(), err)
	}
	<-p.done
	return nil
}
