package cluster

import (
	"context"
	"fmt"
	"math"
	"time"

	"phonond/cluster/group"
	"phonond/cluster/placement"
	"phonond/fsm"
	"phonond/redisproto"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// backend is the node as the port for clients sees it.
type backend struct{ n *Node }

func (b backend) Specs() []*command.Spec { return dataCommands.Specs() }

func (b backend) Do(ctx context.Context, calls []command.Call) []resp.Value {
	if r := b.n.router.Load(); r != nil {
		return b.n.doHeld(ctx, r, calls)
	}
	replies := make([]resp.Value, len(calls))
	for i := range replies {
		replies[i] = b.n.loading()
	}
	return replies
}

// loading is what clients are told before the node has its groups. They may try
// again: nothing is applied.
func (n *Node) loading() resp.Value {
	if s := n.disk.space(); s.Level == group.SpaceFull && !n.ports.Load() {
		return resp.Err(fmt.Sprintf("LOADING phonond waits for room on the disk of %s, which is full: %d bytes are free", n.cfg.Config.DataDir, s.Free))
	}
	return resp.Err("LOADING phonond is starting and has not found its cluster yet")
}

func (b backend) Watch(ctx context.Context, db int, keys [][]byte) ([]command.KeyVersion, resp.Value) {
	if r := b.n.router.Load(); r != nil {
		return r.Watch(ctx, db, keys)
	}
	return nil, b.n.loading()
}

func (b backend) Exec(ctx context.Context, watched []command.KeyVersion, calls []command.Call) resp.Value {
	if r := b.n.router.Load(); r != nil {
		for _, refusal := range b.n.held.Ready(ctx, calls) {
			if refusal.IsError() {
				return refusal
			}
		}
		return r.Exec(ctx, watched, calls)
	}
	return b.n.loading()
}

func (b backend) Timeout(call command.Call) (time.Duration, resp.Value) {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	ms, fault := fsm.BlockTimeout(call.Args)
	return time.Duration(min(ms, longest)) * time.Millisecond, fault
}

func (b backend) Wait(ctx context.Context, call command.Call) (resp.Value, bool) {
	if r := b.n.router.Load(); r != nil {
		if refusals := b.n.held.Ready(ctx, []command.Call{call}); refusals != nil {
			return refusals[0], true
		}
		return r.Wait(ctx, call)
	}
	return b.n.loading(), true
}

// Replicas counts on what Raft says of an answered write: a majority of its group has
// it.
func (b backend) Replicas() int {
	state := b.n.state.Load()
	if state == nil {
		return 0
	}
	fewest := math.MaxInt
	for _, g := range state.Groups {
		if g.Name != placement.System {
			fewest = min(fewest, len(g.Voters)/2)
		}
	}
	if fewest == math.MaxInt {
		return 0
	}
	return fewest
}

// Undo goes through the log like any write. If there is no leader for so long that it
// fails, what the client was to get is lost with it.
func (b backend) Undo(call command.Call, reply resp.Value) {
	args := dataCommands.Undo(call.Args, reply)
	r := b.n.router.Load()
	if args == nil || r == nil {
		return
	}
	undo := command.Call{Spec: &dataCommands.Lookup(args).Spec, DB: call.DB, Args: args}
	if reply := r.Do(r.Lingering(), []command.Call{undo})[0]; reply.IsError() {
		b.n.log.Warn("what a client that is gone was to get is lost", "command", call.Spec.Name, "error", reply.Str)
	}
}

func (b backend) Publish(ctx context.Context, messages []redisproto.Message) []int {
	return b.n.bus.publish(ctx, messages)
}

func (b backend) PubSub(ctx context.Context, question [][]byte) []resp.Value {
	return b.n.bus.ask(ctx, question)
}
