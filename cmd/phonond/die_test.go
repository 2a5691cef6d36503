package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The processes that tests start of this program: one that dies, with its data
// directory, and one that ends its connections.
const (
	dieIn      = "PHONOND_TEST_DIE_IN"
	hangUpHere = "PHONOND_TEST_HANG_UP"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(dieIn); dir != "" {
		die(slog.New(slog.NewTextHandler(os.Stderr, nil)), dir, errors.New("the disk does not answer"))
	}
	if os.Getenv(hangUpHere) != "" {
		if err := hangUpAndTry(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("said after all")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(env, value string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+value)
	return cmd
}

func TestDieKeepsTheReason(t *testing.T) {
	dir := t.TempDir()
	cmd := child(dieIn, dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the process ends with %v", err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "fatal.txt"))
	for _, text := range []string{string(kept), stderr.String()} {
		if !strings.Contains(text, "the disk does not answer") {
			t.Errorf("the reason is not in %q (%v)", text, err)
		}
	}
}

// TestDieDoesNotWaitForTheDisk: neither the file nor the log takes a byte.
func TestDieDoesNotWaitForTheDisk(t *testing.T) {
	for name, hang := range map[string]func(t *testing.T, dir string, cmd *exec.Cmd){
		"data directory": func(t *testing.T, dir string, cmd *exec.Cmd) {
			// To open a pipe that nobody reads hangs.
			if err := syscall.Mkfifo(filepath.Join(dir, "fatal.txt"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"log": func(t *testing.T, dir string, cmd *exec.Cmd) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
			w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for block := make([]byte, 4<<10); err == nil; { // until it is full
				_, err = w.Write(block)
			}
			cmd.Stderr = w
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := child(dieIn, dir)
			hang(t, dir, cmd)
			ended := make(chan error, 1)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
				if code := cmd.ProcessState.ExitCode(); code != 1 {
					t.Errorf("the process ends with code %d", code)
				}
			case <-time.After(30 * time.Second):
				cmd.Process.Kill()
				t.Errorf("the process does not end: %v", <-ended)
			}
		})
	}
}

// TestHangUpEndsConnections, and leaves what the log goes to alone.
func TestHangUpEndsConnections(t *testing.T) {
	out, err := child(hangUpHere, "yes").CombinedOutput()
	if err != nil || string(out) != "said after all\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// hangUpAndTry ends all connections and returns an error if one is there.
func hangUpAndTry() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	hangUp()
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("a connection is still there: %v", err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		return errors.New("the process still takes connections")
	}
	return nil
}
