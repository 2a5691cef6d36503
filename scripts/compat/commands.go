package main

import (
	"context"
	"fmt"
	"slices"

	"phonond/redisproto/resp"
	"phonond/scripts/compat/differ"
)

// playCommands compares what COMMAND INFO says of each command that both have, and of
// each subcommand.
func playCommands(ctx context.Context, l *lab, _ options, r *report) error {
	for _, srv := range l.others {
		list, err := srv.ctl.must("COMMAND", "LIST")
		if err != nil {
			return err
		}
		names, compared := texts(list), 0
		slices.Sort(names)
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			args := []string{"COMMAND", "INFO", name}
			want, err := l.redis.ctl.must(args...)
			if err != nil {
				return err
			}
			if want.Elems[0].Kind != resp.Array {
				continue // Redis has none
			}
			got, err := srv.ctl.must(args...)
			if err != nil {
				return err
			}
			compared++
			d := difference{name: "command|info", want: want, got: got}
			switch d.allowed = differ.Find(d.name, differ.Case{Args: args, Want: want, Got: got}); {
			case same(want, got):
			case d.allowed != nil:
				r.excuse(d)
			default:
				r.fail(fmt.Sprintf("commands, %s: %q:\nwant %s\ngot  %s", srv.name, args, shown(want), shown(got)))
			}
		}
		fmt.Printf("commands: %s: %d are like Redis's\n", srv.name, compared)
	}
	return nil
}
