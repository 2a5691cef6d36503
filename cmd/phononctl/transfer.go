package main

import (
	"cmp"
	"context"
)

var transferLeaderCommand = command{
	name: "transfer-leader", args: "GROUP [NODE]", least: 1, max: 2, summary: "make another voter the leader of a group",
	run: func(ctx context.Context, a *app, args []string) error {
		result := struct {
			Group  string `json:"group"`
			Node   string `json:"node"`
			Result string `json:"result"`
		}{Group: args[0], Result: "accepted"}
		if len(args) > 1 {
			result.Node = args[1]
		}
		if err := a.client.Admin().TransferLeader(ctx, result.Group, result.Node); err != nil {
			return err
		}
		return a.out.view(result, nil, func() [][]string {
			to := cmp.Or(result.Node, "the voter that the cluster prefers")
			return [][]string{{"The leadership of " + result.Group + " goes to " + to + "; \"phononctl groups\" shows when it is there."}}
		})
	},
}
