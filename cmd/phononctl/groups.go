package main

import (
	"context"
	"strconv"

	"phonond/client"
)

var groupsCommand = command{
	name: "groups", summary: "the groups and their replicas; a star marks the leader",
	run: func(ctx context.Context, a *app, _ []string) error {
		groups, err := a.client.Admin().Groups(ctx)
		if err != nil {
			return err
		}
		header := []string{"GROUP", "HOME", "TERM", "NODE", "REGION", "SUFFRAGE", "STATE", "APPLIED", "LAG", "CONTACT"}
		return a.out.view(groups, header, func() (rows [][]string) {
			for _, g := range groups {
				term := strconv.FormatUint(g.Term, 10)
				if len(g.Replicas) == 0 {
					rows = append(rows, []string{g.Group, g.HomeRegion, term, "", "", "", "", "", "", ""})
				}
				for _, r := range g.Replicas {
					rows = append(rows, append([]string{g.Group, g.HomeRegion, term}, replicaCells(r, r.Node == g.Leader)...))
				}
			}
			return rows
		})
	},
}

func replicaCells(r client.Replica, leads bool) []string {
	lag, contact := "", ""
	if r.Lag >= 0 {
		lag = strconv.FormatInt(r.Lag, 10)
	}
	if r.LastContact >= 0 && !leads {
		contact = strconv.FormatInt(r.LastContact, 10) + "ms"
	}
	return []string{mark(r.Node, leads), r.Region, r.Suffrage, r.State, strconv.FormatUint(r.Applied, 10), lag, contact}
}
