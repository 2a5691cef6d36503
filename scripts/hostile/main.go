//go:build unix

// Command hostile lays siege to a node: ten thousand connections that say nothing, a
// thousand clients that ask for much and never read, and a gigabyte of garbage, and
// scripts without end, one
// after the other and all that stays together. It prints how long another client's
// commands took meanwhile, and how much memory the node had. It fails if that client
// was not served, or the memory went beyond a limit. "make hostile" runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"phonond/cluster/proctest"
)

func main() { proctest.Main("hostile", run) }

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("hostile", flag.ContinueOnError)
	idle := fs.Int("idle", 10_000, "`connections` that say nothing")
	mute := fs.Int("mute", 1_000, "`clients` that never read")
	garbage := fs.Int64("garbage", 1024, "`MiB` of garbage")
	scripts := fs.Int("scripts", 16, "`scripts` that do not end, or take all memory")
	limit := fs.Int64("limit", 1536, "`MiB` of memory that the node may have")
	patience := fs.Duration("patience", 10*time.Minute, "how long all of it may `take`")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := proctest.AllowFiles(uint64(*idle + *mute + 1000)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "phonond-hostile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := proctest.Build(ctx, dir)
	if err != nil {
		return err
	}
	c, err := proctest.New(proctest.Options{
		Program: program, Dir: dir, Regions: []proctest.Region{{Name: "a", Nodes: 1}},
		Flags: []string{fmt.Sprintf("--resp-max-clients=%d", *idle+*mute+100)},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, c.Logs())
	}
	beyond := false
	err = proctest.Siege{Idle: *idle, Mute: *mute, Garbage: *garbage << 20, Scripts: *scripts}.Run(ctx, c.Nodes()[0], func(p proctest.Phase) {
		fmt.Println(p)
		beyond = beyond || p.Resident > *limit<<20
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w\n%s", err, c.Logs())
	case beyond:
		return fmt.Errorf("the node had more than %d MiB of memory", *limit)
	}
	return nil
}
