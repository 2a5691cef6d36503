//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"phonond/client"
	"phonond/cluster/proctest"
)

// TestTotalsAreTheInputs: eight workers, of which two are killed half-way and started
// again.
func TestTotalsAreTheInputs(t *testing.T) {
	const workers, lines, users = 8, 24_000, 60
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	server, err := proctest.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "worker")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := proctest.New(proctest.Options{Program: server, Dir: dir, Regions: []proctest.Region{{Name: "east", Nodes: 2}, {Name: "west", Nodes: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	input, want := filepath.Join(dir, "events"), map[string]int64{}
	f, err := os.Create(input)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for range lines {
		user, amount := fmt.Sprint("user.", rand.IntN(users)), rand.Int64N(1000)
		want[user] += amount
		fmt.Fprintln(w, user, amount)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out := filepath.Join(dir, "totals")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}

	var addrs []string
	for _, n := range c.Nodes() {
		addrs = append(addrs, n.RESP)
	}
	start := func(part int) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, "--addrs", strings.Join(append(addrs[part%4:], addrs[:part%4]...), ","), "--input", input, "--out", out,
			"--part", fmt.Sprint(part), "--parts", fmt.Sprint(workers), "--ttl", "2s")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	cl, err := client.New(client.Config{Addrs: addrs})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	// far waits until a worker has come to a batch.
	far := func(part, batch int) {
		t.Helper()
		if err := proctest.Until(ctx, func() error {
			n, err := cl.Redis().Get(ctx, fmt.Sprintf("worker:%d/%d", part, workers)).Int()
			if err == nil && n < batch {
				err = fmt.Errorf("part %d has come to %d", part, n)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var running []*exec.Cmd
	for part := range workers {
		running = append(running, start(part))
	}
	for i, part := range []int{2, 5} {
		far(part, 8*(i+1))
		running[part].Process.Kill()
		running[part].Wait()
		running[part] = start(part)
	}
	for part, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("worker %d: %v", part, err)
		}
	}
	for user, amount := range want {
		text, err := os.ReadFile(filepath.Join(out, user+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var got total
		if err := json.Unmarshal(text, &got); err != nil || got.Amount != amount {
			t.Errorf("%s: %d in %d batches, want %d; %v", user, got.Amount, len(got.Batches), amount, err)
		}
	}
}
