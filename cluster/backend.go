package cluster

import (
	"context"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// backend is the node as the port for clients sees it.
type backend struct{ n *Node }

func (b backend) Specs() []*command.Spec { return dataCommands.Specs() }

func (b backend) Do(ctx context.Context, calls []command.Call) []resp.Value {
	if r := b.n.router.Load(); r != nil {
		return r.Do(ctx, calls)
	}
	replies := make([]resp.Value, len(calls))
	for i := range replies {
		replies[i] = errLoading
	}
	return replies
}

// errLoading is what clients are told before the node has its groups. They may
// try again: nothing is applied.
var errLoading = resp.Err("LOADING phonond is starting and has not found its cluster yet")
