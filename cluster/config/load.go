package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxFile is the longest configuration file, in bytes.
const maxFile = 1 << 20

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key   string // the setting; empty where it is about none
	Where string // the line, flag or variable; empty where it is about none
	Text  string // what is wrong and what to do
}

// String puts the parts together.
func (p Problem) String() string {
	var b strings.Builder
	for _, s := range []string{p.Where, p.Key} {
		if s != "" {
			b.WriteString(s + ": ")
		}
	}
	return b.String() + p.Text
}

// Problems is returned when a configuration cannot be used. It holds everything
// that was found, not the first only.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// errOrNil is nil, not an empty list, when nothing is wrong.
func (ps Problems) errOrNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Load reads and validates the configuration of a node. A flag in args goes before
// a PHONOND_ variable in environ (as from os.Environ), that before the file named
// by --config or PHONOND_CONFIG, and that before the default. It returns
// flag.ErrHelp when help is asked for (see [Usage]), else [Problems].
//
// Variables that name no setting are not refused: Kubernetes sets
// PHONOND_SERVICE_HOST and more of the kind for a service named phonond. Those it
// would not set are in [Config.Warnings].
func Load(args, environ []string) (*Config, error) {
	l := loader{c: Default(), settings: map[string]Setting{}}
	for _, s := range l.c.settings() {
		l.settings[s.Key] = s
	}
	flags, path, err := l.flags(args)
	if err != nil {
		return nil, err
	}
	env, envPath := l.environment(environ)
	if path == "" {
		path = envPath
	}
	if path != "" {
		data, err := readFile(path, maxFile)
		if err != nil {
			return nil, Problems{{Where: "--config", Text: err.Error()}}
		}
		l.file(path, data)
	}
	for _, given := range slices.Concat(env, flags) {
		l.keep(given.key, given.where, l.settings[given.key].value.Set(given.text))
	}
	l.problems = append(l.problems, l.c.readSecrets()...)
	if found := (Problems)(nil); errors.As(l.c.Validate(), &found) {
		for _, p := range found {
			// What could not be read has its default now: that is not worth a second line.
			if !slices.ContainsFunc(l.problems, func(q Problem) bool { return q.Key == p.Key }) {
				l.problems = append(l.problems, p)
			}
		}
	}
	return l.c, l.problems.errOrNil()
}

type loader struct {
	c        *Config
	settings map[string]Setting
	problems Problems
}

// given is a setting's text from a flag or variable.
type given struct{ key, where, text string }

// keep notes what is wrong with a setting, if anything is. A mistake in the file
// stays one when a flag overrules it.
func (l *loader) keep(key, where string, err error) {
	if err != nil {
		l.problems = append(l.problems, Problem{Key: key, Where: where, Text: err.Error()})
	}
}

// flags reads the command line. It applies nothing, as the file comes first.
func (l *loader) flags(args []string) (found []given, path string, err error) {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&path, "config", "", "")
	for key, s := range l.settings {
		fs.Func(s.Flag(), "", func(text string) error {
			found = append(found, given{key, "--" + s.Flag(), text})
			return nil
		})
	}
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, "", err
	case err != nil:
		return nil, "", Problems{{Where: "command line", Text: err.Error()}}
	case fs.NArg() > 0:
		return nil, "", Problems{{Where: "command line", Text: fmt.Sprintf("%q is not a flag: write --NAME VALUE", fs.Arg(0))}}
	}
	return found, path, nil
}

// environment reads the variables.
func (l *loader) environment(environ []string) (found []given, path string) {
	keys := map[string]string{}
	for key, s := range l.settings {
		keys[s.Env()] = key
	}
	for _, e := range environ {
		variable, text, _ := strings.Cut(e, "=")
		key, known := keys[variable]
		switch {
		case known:
			found = append(found, given{key, variable, text})
		case variable == envPrefix+"CONFIG":
			path = text
		case strings.HasPrefix(variable, envPrefix) && !fromKubernetes(variable):
			l.c.unknown = append(l.c.unknown, variable)
		}
	}
	return found, path
}

// fromKubernetes reports whether a variable is one that Kubernetes sets for a
// service: NAME_SERVICE_HOST, NAME_SERVICE_PORT..., NAME_PORT, NAME_PORT_....
// No setting of ours has such a name.
func fromKubernetes(variable string) bool {
	return strings.Contains(variable, "_SERVICE_HOST") || strings.Contains(variable, "_SERVICE_PORT") ||
		strings.HasSuffix(variable, "_PORT") || strings.Contains(variable, "_PORT_")
}

// Usage writes the list of flags.
func Usage(w io.Writer) error {
	var b strings.Builder
	b.WriteString("  --config FILE\n\tThe configuration file; PHONOND_CONFIG.\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "  --%s (%s", s.Flag(), s.Kind())
		if s.Default != "" {
			fmt.Fprintf(&b, "; default %s", s.Default)
		}
		fmt.Fprintf(&b, ")\n\t%s\n", s.Help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
