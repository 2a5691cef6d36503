// Command compat compares phonond with a real redis-server 7.0: replies, their kinds
// and their order, in RESP2 and in RESP3. It plays recorded conversations, the
// transcripts of fsm, a table of cases, and random commands that a seed decides, with
// several connections at once where that matters, to one redis-server, to a phonond of
// one node, and to two regions of two nodes through a node of the second. What may
// differ is what package differ lists. It ends with code 1 if anything else does, and
// then prints the few commands that show it. "make compat" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"phonond/cluster/proctest"
)

// options are what the command line says.
type options struct {
	n       int    // random commands
	seed    uint64 // of all sessions
	session int    // only this one; -1 for all
	only    string // a kind of session, or "cts", "recorded", "transcripts"
	addrs   []string
	vectors string
	cts     string
	script  string // directory of transcripts
	self    bool
	most    int            // differences that are shown
	without *regexp.Regexp // names of commands that are not drawn
}

var (
	errDiffers = errors.New("replies differ")
)

func main() { proctest.Main("compat", run) }

func parseFlags(args []string) (o options, err error) {
	fs := flag.NewFlagSet("compat", flag.ContinueOnError)
	fs.IntVar(&o.n, "n", 500_000, "how many random commands are played")
	fs.Uint64Var(&o.seed, "seed", 1, "decides all random commands")
	fs.IntVar(&o.session, "session", -1, "play only this `session` of the seed, and nothing else")
	fs.StringVar(&o.only, "only", "", "play only this `kind`: cts, recorded, transcripts, crossslot, commands, "+kindNames())
	fs.StringVar(&o.vectors, "vectors", os.Getenv("PHONOND_VECTORS"), "`directory` with phonon-*.jsonl and cts.json")
	fs.StringVar(&o.cts, "cts", "", "`file` with the table of cases; default cts.json in -vectors")
	fs.StringVar(&o.script, "transcripts", "fsm/testdata", "`directory` with transcripts")
	fs.BoolVar(&o.self, "self", false, "compare redis-server with another one: to check this program")
	fs.IntVar(&o.most, "most", 20, "how many kinds of differences are shown")
	without := fs.String("without", "^$", "`pattern` of the names of commands that are left out of what is drawn")
	addrs := fs.String("addr", "", "compare servers at these `addresses`, by commas, instead of starting phonond; all they hold is deleted")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if o.without, err = regexp.Compile(*without); err != nil {
		return o, fmt.Errorf("%w: -without: %w", proctest.ErrUsage, err)
	}
	if *addrs != "" {
		o.addrs = strings.Split(*addrs, ",")
	}
	if o.cts == "" && o.vectors != "" {
		o.cts = filepath.Join(o.vectors, "cts.json")
	}
	if fs.NArg() > 0 || o.n < 0 || o.most < 1 {
		return o, proctest.ErrUsage
	}
	return o, nil
}

func kindNames() string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

func run(ctx context.Context, args []string) error {
	o, err := parseFlags(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "phonond-compat-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := open(ctx, o, dir)
	if l != nil {
		defer l.close()
	}
	if err != nil {
		return err
	}
	r := &report{most: o.most, seen: map[string]int{}, excused: map[string]int{}}
	for _, part := range []struct {
		name string
		run  func(ctx context.Context, l *lab, o options, r *report) error
	}{
		{"cts", playCases}, {"recorded", playRecorded}, {"transcripts", playTranscripts}, {"crossslot", playCrossSlot}, {"commands", playCommands}, {"", playRandom},
	} {
		if o.session >= 0 && part.name != "" || o.only != "" && o.only != part.name && (part.name != "" || !isKind(o.only)) {
			continue
		}
		if err := part.run(ctx, l, o, r); err != nil {
			return err
		}
	}
	return r.finish()
}

func isKind(name string) bool {
	for _, k := range kinds {
		if k.name == name {
			return true
		}
	}
	return false
}
