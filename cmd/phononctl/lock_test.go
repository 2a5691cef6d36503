package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phonond/client"
	"phonond/cluster/proctest"
)

// lockRig is a cluster, and the program as shells run it.
type lockRig struct {
	t       *testing.T
	program string
	addr    string
	dir     string
}

func newLockRig(t *testing.T) *lockRig {
	t.Helper()
	r := &lockRig{t: t, dir: t.TempDir()}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := proctest.Build(ctx, r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.program = filepath.Join(r.dir, "phononctl")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", r.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := proctest.New(proctest.Options{Program: server, Dir: r.dir, Regions: []proctest.Region{{Name: "a", Nodes: 1}, {Name: "b", Nodes: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	r.addr = c.Nodes()[1].RESP
	return r
}

// start runs phononctl.
func (r *lockRig) start(args ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command(r.program, append([]string{"--addr", r.addr}, args...)...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// code waits for the end of a program and returns its exit code.
func code(cmd *exec.Cmd) int {
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		return -1
	}
	return 0
}

func (r *lockRig) until(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal("waited in vain for ", what)
		}
	}
}

// said returns what the children have written into a file.
func (r *lockRig) said(file string) string {
	text, _ := os.ReadFile(filepath.Join(r.dir, file))
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestLockRunsACommand(t *testing.T) {
	r := newLockRig(t)
	c, err := client.New(client.Config{Addrs: []string{r.addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := context.Background()

	for _, tt := range []struct {
		script string
		want   int
	}{{"exit 7", 7}, {"true", 0}, {"kill -9 $$", 128 + 9}, {`test "$PHONOND_LOCK_KEY" = job && test "$PHONOND_LOCK_TOKEN" -gt 0`, 0}} {
		if got := code(r.start("lock", "job", "--", "sh", "-c", tt.script)); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.script, got, tt.want)
		}
	}
	if got := code(r.start("lock", "job", "--", "/nowhere")); got != exitNoChild {
		t.Errorf("no such command: exit code %d", got)
	}

	log := filepath.Join(r.dir, "log")
	var all []*exec.Cmd
	for range 5 {
		all = append(all, r.start("lock", "job", "--", "sh", "-c", "echo start >> "+log+"; sleep 0.05; echo end >> "+log))
	}
	for _, cmd := range all {
		if got := code(cmd); got != 0 {
			t.Errorf("exit code %d", got)
		}
	}
	if want := strings.TrimSpace(strings.Repeat("start end ", 5)); r.said("log") != want {
		t.Errorf("with the lock: %s", r.said("log"))
	}

	// One is killed: the next has the lock when its time is over. One is forced: it ends.
	began := filepath.Join(r.dir, "began")
	dead := r.start("lock", "job", "--ttl", "2s", "--", "sh", "-c", "echo dead >> "+began+"; exec sleep 60")
	r.until("the first child", func() bool { return r.said("began") == "dead" })
	next := r.start("lock", "job", "--", "sh", "-c", "echo next >> "+began+"; exec sleep 60")
	r.until("the second to wait", func() bool {
		l, err := c.Admin().Lock(ctx, "job")
		return err == nil && len(l.Queue) == 1
	})
	dead.Process.Kill()
	dead.Wait()
	r.until("the second child", func() bool { return r.said("began") == "dead next" })
	if got := code(r.start("lock", "job", "--wait", "100ms", "--", "true")); got != exitTimeout {
		t.Errorf("not to be had: exit code %d", got)
	}
	l, err := c.Admin().Lock(ctx, "job")
	if err != nil || len(l.Holders) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if done, err := c.Admin().ForceLock(ctx, "job", l.Holders[0].Token, "test"); !done || err != nil {
		t.Fatal(done, err)
	}
	if got := code(next); got != exitLost {
		t.Errorf("taken by force: exit code %d", got)
	}
	if list, err := c.Admin().Audits(ctx); err != nil || len(list) != 1 || list[0].Reason != "test" {
		t.Errorf("audits: %+v, %v", list, err)
	}
	r.until("all to be released", func() bool {
		locks, err := c.Admin().Locks(ctx, client.LockFilter{Match: "*"})
		sessions, err2 := c.Admin().Sessions(ctx)
		return err == nil && err2 == nil && len(locks) == 0 && len(sessions) == 0
	})
}
