package main

import "context"

var membersCommand = command{
	name: "members", summary: "the nodes, and who seems to be alive",
	run: func(ctx context.Context, a *app, _ []string) error {
		members, err := a.client.Admin().Members(ctx)
		if err != nil {
			return err
		}
		header := []string{"NODE", "REGION", "STATUS", "CLUSTER", "RESP", "GOSSIP", "VERSION"}
		return a.out.view(members, header, func() (rows [][]string) {
			for _, m := range members {
				rows = append(rows, []string{mark(m.ID, m.Self), m.Region, m.Status, m.ClusterAddr, m.RespAddr, m.GossipAddr, m.Version})
			}
			return rows
		})
	},
}

// mark adds a star: the node that answered, or a group's leader.
func mark(name string, yes bool) string {
	if yes {
		return name + "*"
	}
	return name
}
