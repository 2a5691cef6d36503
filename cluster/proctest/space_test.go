package proctest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// smallDisk is how large the file system of each node is, in bytes. It is low at an
// eighth of that.
const smallDisk = 64 << 20

// mountable runs the rest of a test where it may mount file systems: here for root,
// else as root of a user namespace, in a process of its own.
func mountable(t *testing.T) (here bool) {
	t.Helper()
	if os.Geteuid() == 0 {
		return true
	}
	out, err := exec.Command("unshare", "--user", "--map-root-user", "--mount", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v").CombinedOutput()
	t.Logf("as root of a user namespace:\n%s", out)
	must(t, err)
	return false
}

// smallDisks runs three nodes in a region, each with a small disk of its own.
func smallDisks(t *testing.T, flags ...string) *proctest.Cluster {
	t.Helper()
	dir := t.TempDir()
	c, err := proctest.New(proctest.Options{
		Program: program, Dir: dir, Regions: []proctest.Region{{Name: "us-east-1", Nodes: 3}}, Flags: flags,
		Host: func(node, _ string) (proctest.Host, error) {
			mount := filepath.Join(dir, "disk-"+node)
			if err := os.Mkdir(mount, 0o700); err != nil {
				return proctest.Host{}, err
			}
			out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", smallDisk), "proctest", mount).CombinedOutput()
			if err != nil {
				return proctest.Host{}, fmt.Errorf("mount: %w: %s", err, out)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(mount, 0); err != nil {
					t.Errorf("unmount %s: %v", mount, err)
				}
			})
			return proctest.Host{DataDir: filepath.Join(mount, "data")}, nil
		},
	})
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(c.Logs())
		}
	})
	must(t, c.Start(within(t, patience)))
	return c
}

// fillDisk takes the space that is left on a node's disk, to the last byte, as another
// program does; again takes what the node has given up meanwhile.
func fillDisk(t *testing.T, n *proctest.Node) {
	t.Helper()
	f, err := os.OpenFile(filler(n), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for block := make([]byte, size); err == nil; {
			_, err = f.Write(block)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
}

func freeDisk(t *testing.T, n *proctest.Node) {
	t.Helper()
	must(t, os.Remove(filler(n)))
}

func filler(n *proctest.Node) string { return filepath.Join(filepath.Dir(n.DataDir), "filler") }

// eventually waits until a command is answered as wanted.
func eventually(t *testing.T, n *proctest.Node, want string, args ...string) {
	t.Helper()
	must(t, proctest.Until(within(t, patience), func() error {
		c, err := n.Dial()
		if err != nil {
			return err
		}
		defer c.Close()
		v, err := c.Do(args...)
		if err == nil && !strings.HasPrefix(v.Str, want) {
			err = fmt.Errorf("%v: %s says %q, not %s", args, n.ID, v.Str, want)
		}
		return err
	}))
}

// level waits until a node says of its disk that it is so.
func level(t *testing.T, n *proctest.Node, want string) {
	t.Helper()
	must(t, proctest.Until(within(t, patience), func() error {
		v, err := proctest.Ask(n.RESP, "INFO", "persistence")
		if err == nil && !strings.Contains(v.Str, "disk_level:"+want+"\r\n") {
			err = fmt.Errorf("%s: the disk is not %s: %q", n.ID, want, v.Str)
		}
		return err
	}))
}

// well waits until a node says that its disk has room, and has set some aside.
func well(t *testing.T, n *proctest.Node) {
	t.Helper()
	level(t, n, "ok")
	must(t, proctest.Until(within(t, patience), func() error {
		_, err := os.Stat(filepath.Join(n.DataDir, "reserve"))
		return err
	}))
}

// pyRelease is the script by which redis-py gives a lock back.
const pyRelease = `
        local token = redis.call('get', KEYS[1])
        if not token or token ~= ARGV[1] then
            return 0
        end
        redis.call('del', KEYS[1])
        return 1
    `

// TestFullDisks: with one disk full the cluster goes on, with all of them full it
// answers reads and takes what frees space, and it goes on by itself when there is
// room, whether the nodes were killed meanwhile or not.
func TestFullDisks(t *testing.T) {
	if !mountable(t) {
		return
	}
	for _, store := range []string{"bolt", "wal"} {
		t.Run(store, func(t *testing.T) { fullDisks(t, smallDisks(t, "--log-store", store)) })
	}
}

func fullDisks(t *testing.T, c *proctest.Cluster) {
	const region = "us-east-1"
	const keys = 200
	first := dial(t, c.Nodes()[0].RESP)
	for i := range keys {
		do(t, first, "SET", fmt.Sprintf("key-%d", i), fmt.Sprint(i))
	}
	for i := range 3 {
		do(t, first, "SET", fmt.Sprintf("lock-%d", i), "me", "PX", "3600000")
	}
	for _, n := range c.Nodes() {
		well(t, n)
	}

	// One disk, that of the leader.
	leader, err := c.Nodes()[0].Leader(within(t, patience), region, nil)
	must(t, err)
	fillDisk(t, leader)
	next, err := c.Others(leader)[0].Leader(within(t, patience), region, leader)
	must(t, err)
	for i, n := range c.Nodes() {
		conn := dial(t, n.RESP)
		for j := range 20 {
			do(t, conn, "SET", fmt.Sprintf("one-%d-%d", i, j), "v")
		}
	}
	level(t, leader, "low") // as it has given up its reserve
	freeDisk(t, leader)
	well(t, leader)
	settled(t, c)
	t.Logf("the lead went from %s to %s", leader.ID, next.ID)

	// All disks.
	for _, n := range c.Nodes() {
		fillDisk(t, n)
	}
	for _, n := range c.Nodes() {
		level(t, n, "low")
		eventually(t, n, "MISCONF", "SET", "refused", "v")
	}
	for i, n := range c.Nodes() {
		conn := dial(t, n.RESP)
		if v := do(t, conn, "GET", "key-7"); v.Str != "7" {
			t.Errorf("key-7 is %+v", v)
		}
		if v := do(t, conn, "DEL", fmt.Sprintf("one-%d-0", i)); v.Int != 1 {
			t.Errorf("DEL says %+v", v)
		}
		lock := fmt.Sprintf("lock-%d", i)
		if v := do(t, conn, "PEXPIRE", lock, "7200000"); v.Int != 1 {
			t.Errorf("a renewal says %+v", v)
		}
		if v := do(t, conn, "EVAL", pyRelease, "1", lock, "me"); v.Int != 1 {
			t.Errorf("a release says %+v", v)
		}
		replies, err := conn.Pipe([][]string{{"SET", "refused", "v"}, {"GET", "key-8"}, {"DEL", fmt.Sprintf("one-%d-1", i)}, {"INCR", "refused"}})
		must(t, err)
		if !replies[0].IsError() || replies[1].Str != "8" || replies[2].Int != 1 || !strings.HasPrefix(replies[3].Str, "MISCONF") {
			t.Errorf("a mixed pipeline says %+v", replies)
		}
	}

	// What was given up is taken as well: nothing may be written any more.
	for _, n := range c.Nodes() {
		fillDisk(t, n)
	}
	for _, n := range c.Nodes() {
		level(t, n, "full")
		eventually(t, n, "MISCONF", "DEL", "key-0")
		conn := dial(t, n.RESP)
		if v := do(t, conn, "GET", "key-0"); v.Str != "0" {
			t.Errorf("key-0 is %+v", v)
		}
	}
	must(t, c.Kill(c.Nodes()...))
	for _, n := range c.Nodes() {
		must(t, n.Start())
	}
	for _, n := range c.Nodes() {
		eventually(t, n, "LOADING phonond waits for room on the disk", "GET", "key-0")
	}
	freed := time.Now()
	for _, n := range c.Nodes() {
		freeDisk(t, n)
	}
	for _, n := range c.Nodes() {
		must(t, n.Ready(within(t, patience)))
	}
	for _, n := range c.Nodes() {
		eventually(t, n, "OK", "SET", "after", "v")
		t.Logf("%s takes writes %v after there was room", n.ID, time.Since(freed).Round(time.Millisecond))
	}
	conn := dial(t, c.Nodes()[0].RESP)
	for i := range keys {
		if v := do(t, conn, "GET", fmt.Sprintf("key-%d", i)); v.Str != fmt.Sprint(i) {
			t.Errorf("key-%d is %+v", i, v)
		}
	}
	for i := range c.Nodes() {
		for j := range 20 {
			key := fmt.Sprintf("one-%d-%d", i, j)
			if v := do(t, conn, "EXISTS", key); (v.Int == 1) != (j > 1) {
				t.Errorf("%s: EXISTS says %d", key, v.Int)
			}
		}
		if v := do(t, conn, "EXISTS", fmt.Sprintf("lock-%d", i)); v.Int != 0 {
			t.Errorf("lock-%d is held", i)
		}
	}
	if v := do(t, conn, "EXISTS", "refused"); v.Int != 0 {
		t.Error("what was refused was done")
	}
	settled(t, c)
	for _, n := range c.Nodes() {
		well(t, n)
		if strings.Contains(n.Log(), "fatal") {
			t.Errorf("%s ended itself", n.ID)
		}
	}
}
