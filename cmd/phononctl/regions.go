package main

import (
	"context"
	"strconv"
)

var regionsCommand = command{
	name: "regions", summary: "the regions, their slots and leaders",
	run: func(ctx context.Context, a *app, _ []string) error {
		regions, err := a.client.Admin().Regions(ctx)
		if err != nil {
			return err
		}
		header := []string{"REGION", "GOAL", "EPOCH", "SLOTS", "LEADER", "NODES"}
		return a.out.view(regions, header, func() (rows [][]string) {
			for _, r := range regions {
				rows = append(rows, []string{r.Name, r.Goal, strconv.FormatUint(r.Epoch, 10), r.Slots, r.Leader, strconv.Itoa(r.Nodes)})
			}
			return rows
		})
	},
}
