package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

const commandUsage = `Usage: phonond config check --config FILE

Reads a node's configuration as "phonond server" would, from the file, PHONOND_
variables and flags, and says what is wrong with it. It starts nothing.
`

// Command runs "phonond config" with the arguments after it, and returns the exit
// code: 0 when the configuration is good, 1 when it is not, 2 for wrong usage.
func Command(args, environ []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || args[0] != "check" {
		fmt.Fprint(stderr, commandUsage)
		return 2
	}
	c, err := Load(args[1:], environ)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, commandUsage, "\nFlags:\n")
		Usage(stdout) // a writer that fails has nobody to be told
		return 0
	}
	if err == nil {
		err = c.checkFiles()
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	for _, w := range c.Warnings() {
		fmt.Fprintln(stderr, "warning:", w)
	}
	fmt.Fprintln(stdout, "OK")
	return 0
}

// checkFiles loads the certificates, to see whether they would do.
func (c *Config) checkFiles() error {
	var problems Problems
	if _, err := c.ClusterTLS(); err != nil {
		problems = append(problems, Problem{Text: err.Error()})
	}
	if _, err := c.RESPTLS(); err != nil {
		problems = append(problems, Problem{Text: err.Error()})
	}
	return problems.errOrNil()
}
