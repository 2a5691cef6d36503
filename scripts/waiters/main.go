//go:build unix

// Command waiters has ten thousand clients stand in line for one lock, through four nodes in
// two regions, kills some of them, and lets the lock go round. It prints how fast, in which
// order, and what memory it took, and fails if anybody is passed over or a dead client gets
// the lock. "make waiters" runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"phonond/cluster/proctest"
)

func main() { proctest.Main("waiters", run) }

func run(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("waiters", flag.ContinueOnError)
	waiters := fs.Int("waiters", 10_000, "`clients` that wait")
	killed := fs.Int("killed", 2_000, "`clients` of them that die while they wait")
	patience := fs.Duration("patience", 15*time.Minute, "how long all of it may `take`")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := proctest.AllowFiles(uint64(*waiters + 1000)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	dir, err := os.MkdirTemp("", "phonond-waiters-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := proctest.Build(ctx, dir)
	if err != nil {
		return err
	}
	c, err := proctest.New(proctest.Options{
		Program: program, Dir: dir, Regions: []proctest.Region{{Name: "east", Nodes: 2}, {Name: "west", Nodes: 2}},
		Flags: []string{fmt.Sprintf("--resp-max-clients=%d", *waiters+100)},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, c.Logs())
	}
	r, err := proctest.Line{Waiters: *waiters, Killed: *killed, Settle: true}.Run(ctx, c, func(s string) { fmt.Println(s) })
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.Logs())
	}
	fmt.Printf("%d grants in %v, %.0f a second, %.2f log entries each; %d out of order, %d ghosts\n",
		r.Granted, r.Took.Round(time.Millisecond), float64(r.Granted)/r.Took.Seconds(), float64(r.Entries)/float64(r.Granted), r.OutOfOrder, r.Ghosts)
	var ids []string
	for id := range r.Before {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		b, m, a := r.Before[id], r.Most[id], r.After[id]
		fmt.Printf("%s: MiB in use (resident): %d (%d) before, %d (%d) with all who wait, %d (%d) after\n",
			id, b.Used>>20, b.Resident>>20, m.Used>>20, m.Resident>>20, a.Used>>20, a.Resident>>20)
	}
	if r.OutOfOrder+r.Ghosts > 0 {
		return fmt.Errorf("%d were passed over, %d ghosts", r.OutOfOrder, r.Ghosts)
	}
	return nil
}
