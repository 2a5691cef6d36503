// Command phonond is the server: one node of a cluster, or a whole cluster in
// one process to try things on.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"phonond/cluster/config"
)

// version is set by the linker.
var version = "dev"

const usage = `Usage: phonond COMMAND [flags]

  server --config FILE    run one node of a cluster
  dev                     run a whole cluster in this process, on loopback
  config check            say what is wrong with a configuration
  version                 print the version

"phonond COMMAND --help" lists the flags.
`

func main() {
	// The second signal ends the process as if nothing had been asked for.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run runs a command until it is done or ctx is, and returns the exit code: 0 for
// done, 1 for failed, 2 for wrong usage.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	command := "help"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "server":
		return runServer(ctx, args, environ, stdout, stderr)
	case "dev":
		return runDev(ctx, args, stdout, stderr)
	case "config":
		return config.Command(args, environ, stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, "phonond", version)
		return 0
	case "help", "--help", "-h":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "phonond: unknown command %q\n\n%s", command, usage)
	return 2
}
