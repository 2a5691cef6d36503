// Command phononctl is the operator's view of a phonond cluster and hand on it. It
// speaks the Redis protocol like any client; redis-cli can do the same with the
// PHONON.* commands. A subcommand is a file here and a row in commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"phonond/client"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the cluster could not be asked, refused, or is not well
	exitUsage  = 2
)

// A command is one verb.
type command struct {
	name    string
	args    string // for the usage line
	summary string
	least   int  // the least number of arguments
	max     int  // the most
	lasting bool // it may take longer than --timeout
	run     func(ctx context.Context, a *app, args []string) error
}

func commands() []command {
	return []command{
		membersCommand, regionsCommand, groupsCommand, statusCommand,
		lockCommand, locksCommand, sessionsCommand, refsCommand,
		digestCommand, transferLeaderCommand, versionCommand,
	}
}

// app is what a command works with.
type app struct {
	client *client.Client // connects when it is first used
	out    printer
	o      *options
	child  []string // what stands behind --
}

func main() { os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr)) }

// Run runs phononctl and returns its exit code.
func Run(args []string, stdout, stderr io.Writer) int {
	fs, opts := newFlags()
	args, child := cutChild(args)
	words, err := parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp) || err == nil && len(words) > 0 && words[0] == "help":
		usage(stdout, fs)
		return exitOK
	case err == nil && len(words) == 0:
		usage(stderr, fs)
		return exitUsage
	}
	var cmd command
	if err == nil {
		cmd, err = find(words[0], words[1:])
		if err == nil && child != nil && cmd.name != "lock" {
			err = errors.New("only lock runs a command: what stands behind --?")
		}
	}
	var cfg client.Config
	if err == nil {
		cfg, err = opts.client()
	}
	if err == nil && opts.output != "table" && opts.output != "json" {
		err = fmt.Errorf("-o %s: the output is table or json", opts.output)
	}
	if err != nil {
		fmt.Fprintf(stderr, "phononctl: %v\nRun \"phononctl help\" for the commands and flags.\n", err)
		return exitUsage
	}

	logging.Disable() // go-redis writes to standard error what is reported below
	c, err := client.New(cfg)
	if err != nil {
		fmt.Fprintf(stderr, "phononctl: %v\n", err)
		return exitUsage
	}
	defer c.Close()
	ctx := context.Background()
	if !cmd.lasting {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.timeout)
		defer cancel()
	}
	if err := cmd.run(ctx, &app{c, printer{stdout, opts.output == "json"}, opts, child}, words[1:]); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			if code.text != "" {
				fmt.Fprintf(stderr, "phononctl: %s: %v\n", cmd.name, err)
			}
			return code.code
		}
		fmt.Fprintf(stderr, "phononctl: %s: %v\n", cmd.name, err)
		if hint := advice(err); hint != "" {
			fmt.Fprintln(stderr, hint)
		}
		return exitFailed
	}
	return exitOK
}

// cutChild cuts off the command line behind --.
func cutChild(args []string) (own, child []string) {
	i := slices.Index(args, "--")
	if i < 0 || i == len(args)-1 {
		return args, nil
	}
	return args[:i], args[i+1:]
}

// find returns the command of a name, if it takes so many arguments.
func find(name string, args []string) (command, error) {
	for _, c := range commands() {
		switch {
		case c.name != name:
		case len(args) < c.least || len(args) > c.max:
			return c, fmt.Errorf("usage: phononctl %s", strings.TrimSpace(c.name+" "+c.args))
		default:
			return c, nil
		}
	}
	return command{}, fmt.Errorf("there is no command %q", name)
}

// advice says what to do about an error.
func advice(err error) string {
	var dial *client.DialError
	switch {
	case errors.As(err, &dial) && strings.Contains(err.Error(), ": DENIED "):
		return "The node serves only its own machine until it has a password: run phononctl there, or set resp.password."
	case errors.As(err, &dial):
		return "Is phonond running there? Name other nodes with --addr HOST:PORT,HOST:PORT; does the port speak TLS, use --tls."
	case redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS"):
		return "Give the password in PHONONCTL_PASSWORD, or with --password."
	case redis.HasErrorPrefix(err, "NOPERM"):
		return "Use a user who may run administrative commands: --user."
	case redis.HasErrorPrefix(err, "unknown command"): // go-redis takes "ERR " off
		return "The server at this address is no phonond, or of an older version."
	case errors.Is(err, client.ErrUnknownOutcome):
		return "It may have been done or not: look at \"phononctl groups\" before you try again."
	case errors.Is(err, client.ErrNotApplied):
		return "Nothing was done: try again."
	}
	return ""
}

func usage(w io.Writer, fs *flag.FlagSet) {
	var b strings.Builder
	b.WriteString("Usage: phononctl [flags] COMMAND\n\nCommands:\n")
	p := printer{&b, false}
	var rows [][]string
	for _, c := range commands() {
		rows = append(rows, []string{"  " + strings.TrimSpace(c.name+" "+c.args), c.summary})
	}
	p.table(nil, append(rows, []string{"  help", "this text"})) // a builder takes everything
	b.WriteString("\nFlags:\n")
	fs.SetOutput(&b)
	fs.PrintDefaults()
	fmt.Fprint(w, b.String())
}

// defaultTimeout is longer than a node keeps a command while a group elects.
const defaultTimeout = 20 * time.Second
