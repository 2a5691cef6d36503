package main

import (
	"errors"
	"os"
	"runtime/pprof"
	"strings"
)

// cutHidden takes --NAME FILE out of the arguments: flags that are no settings of
// a node and not listed by --help, such as --cpuprofile, for those who look for
// where the time goes.
func cutHidden(args []string, name string) (rest []string, file string) {
	for i := 0; i < len(args); i++ {
		flag, value, inOne := strings.Cut(args[i], "=")
		switch {
		case flag != "--"+name && flag != "-"+name:
			rest = append(rest, args[i])
		case inOne:
			file = value
		case i+1 < len(args):
			i++
			file = args[i]
		}
	}
	return rest, file
}

// profile writes a CPU profile to file until stop is called. An empty name means
// none.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
