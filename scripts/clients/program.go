package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// program runs a program that is given the nodes' addresses, and prints "ok" and
// what it has checked, line by line. It ends with a code above 0 at the first
// check that fails, and says why.
func program(interpreter, path string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		cmd := exec.CommandContext(ctx, interpreter, append([]string{filepath.Join(r.programs, path)}, r.nodes...)...)
		cmd.WaitDelay = time.Second // of what it has started and left behind
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		passed := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if check, ok := strings.CutPrefix(line, "ok "); ok {
				r.ok(check)
				passed++
			} else {
				fmt.Println(line)
			}
		}
		if err := cmd.Wait(); err != nil {
			return errors.Join(err, ctx.Err())
		}
		if passed == 0 {
			return fmt.Errorf("%s has checked nothing", path)
		}
		return nil
	}
}
