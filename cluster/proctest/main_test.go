package proctest_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"phonond/cluster/proctest"
)

// program is the server that all tests run, built once.
var program string

// TestMain builds the program. PHONOND_BUILDFLAGS, such as -race, are given to
// go build.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "phonond-proctest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if program, err = proctest.Build(ctx, dir, strings.Fields(os.Getenv("PHONOND_BUILDFLAGS"))...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
