package proctest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ErrUsage is returned by a program whose arguments are wrong.
var ErrUsage = errors.New("wrong arguments, see -help")

// Main is the main function of a program that tries servers out: it runs it with the
// arguments of the command line until it returns or is interrupted, and exits with 1
// after an error, with 2 after [ErrUsage].
func Main(name string, run func(ctx context.Context, args []string) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if errors.Is(err, ErrUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}
