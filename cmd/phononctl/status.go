package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// errUnhealthy is returned when the node that answered says that it or its
// cluster is not well.
var errUnhealthy = errors.New("the cluster is not healthy")

var statusCommand = command{
	name: "status", summary: "one node's view of itself and the cluster; fails if that is not healthy",
	run: func(ctx context.Context, a *app, _ []string) error {
		s, err := a.client.Admin().Status(ctx)
		if err != nil {
			return err
		}
		err = a.out.view(s, nil, func() [][]string {
			rows := [][]string{
				{"node", s.Node + " in " + s.Region},
				{"version", s.Version},
				{"uptime", (time.Duration(s.UptimeSeconds) * time.Second).String()},
				{"cluster", fmt.Sprintf("%s (%s)", s.Cluster, s.ClusterID)},
				{"size", fmt.Sprintf("%d nodes, %d regions, %d groups", s.Nodes, s.Regions, s.Groups)},
				{"survival goal", s.Goal},
				{"healthy", strconv.FormatBool(s.Healthy)},
			}
			for _, w := range s.Warnings {
				rows = append(rows, []string{"warning", w})
			}
			return rows
		})
		if err == nil && !s.Healthy {
			err = errUnhealthy
		}
		return err
	},
}
