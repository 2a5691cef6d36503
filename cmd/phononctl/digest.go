package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"phonond/client"
)

// errDiverged is returned when replicas that must be equal are not.
var errDiverged = errors.New("replicas differ")

var digestCommand = command{
	name: "digest", args: "[GROUP]", max: 1, summary: "the checksums of the replicas; fails if two differ at the same index",
	run: func(ctx context.Context, a *app, args []string) error {
		group := ""
		if len(args) > 0 {
			group = args[0]
		}
		digests, err := a.client.Admin().Digest(ctx, group)
		if err != nil {
			return err
		}
		header := []string{"GROUP", "NODE", "INDEX", "DIGEST"}
		err = a.out.view(digests, header, func() (rows [][]string) {
			for _, d := range digests {
				rows = append(rows, []string{d.Group, d.Node, strconv.FormatUint(d.Index, 10), d.Digest})
			}
			return rows
		})
		return errors.Join(err, compare(digests))
	},
}

// compare finds replicas of a group with different states after the same entry.
func compare(digests []client.Digest) error {
	type point struct {
		group string
		index uint64
	}
	first := map[point]client.Digest{}
	var found []error
	for _, d := range digests {
		at := point{d.Group, d.Index}
		f, seen := first[at]
		switch {
		case !seen:
			first[at] = d
		case f.Digest != d.Digest:
			found = append(found, fmt.Errorf("%w: group %s at index %d: %s has %s, %s has %s; stop the one that is in the minority and give it a new disk and id",
				errDiverged, d.Group, d.Index, f.Node, f.Digest, d.Node, d.Digest))
		}
	}
	return errors.Join(found...)
}
