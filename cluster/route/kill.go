package route

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"phonond/redisproto/resp"
)

// queryKill is the query that asks a node to end the scripts that run there for long.
// The answer is empty if there are none.
const queryKill = "kill-scripts"

// killTimeout is how long other nodes are waited for.
const killTimeout = 2 * time.Second

// killScripts does SCRIPT KILL: it ends the scripts that run for long, on whatever node.
// None of what they did is kept.
func (r *Router) killScripts(ctx context.Context) resp.Value {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	var killed atomic.Bool
	killed.Store(r.killHere())
	asked := map[string]bool{r.cfg.Node: true}
	var answers sync.WaitGroup
	for _, region := range r.cfg.Regions() {
		for _, node := range r.cfg.Replicas(region) {
			if asked[node] {
				continue
			}
			asked[node] = true
			answers.Go(func() {
				if out, err := r.Query(ctx, node, queryKill, nil); err == nil && len(out) > 0 {
					killed.Store(true)
				}
			})
		}
	}
	answers.Wait()
	if !killed.Load() {
		return resp.ErrNotBusy
	}
	return resp.OK
}

// killHere ends those of this node's groups, and reports whether there were any.
func (r *Router) killHere() (any bool) {
	for _, g := range r.cfg.Groups {
		any = g.KillScripts() > 0 || any
	}
	return any
}
