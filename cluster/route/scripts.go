package route

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"slices"
	"time"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// The bounds of what is remembered and waited for so that every group knows a
// script.
const (
	maxScripts = 1024
	// scriptWait is how long a script waits to be known everywhere, and scriptPause
	// for how long that is not tried again if a group cannot be reached: the group
	// that is to run it may be well.
	scriptWait  = time.Second
	scriptPause = 10 * time.Second
)

// scriptText returns the text of a script that a call brings, nil if it brings none.
func scriptText(c *command.Call) []byte {
	switch c.Spec.Name {
	case "eval", "eval_ro":
		return c.Args[1]
	case "script|load":
		return c.Args[2]
	}
	return nil
}

func shaOf(text []byte) string {
	sum := sha1.Sum(text)
	return hex.EncodeToString(sum[:])
}

// compile returns what is wrong with a script, so that no group is told of one that
// cannot run.
func (r *Router) compile(text []byte) resp.Value {
	if r.cfg.Compile == nil {
		return resp.Value{}
	}
	return r.cfg.Compile(shaOf(text), string(text))
}

// scriptLoaded reports whether there is nothing to be done for EVALSHA to know a script
// in all groups.
func (r *Router) scriptLoaded(text []byte) bool {
	if len(r.cfg.Regions()) == 1 || time.Now().UnixMilli() < r.scriptsAfter.Load() {
		return true
	}
	known := r.scripts.Load()
	return known != nil && (*known)[shaOf(text)]
}

// loadScript makes a script that is about to be run known to every group, as
// EVAL makes it known to the one server that Redis is: a later EVALSHA may have
// a key of another group.
func (r *Router) loadScript(ctx context.Context, text []byte) {
	args := [][]byte{[]byte("SCRIPT"), []byte("LOAD"), text}
	load := r.cfg.Commands.Lookup(args)
	ctx, cancel := context.WithTimeout(ctx, scriptWait)
	defer cancel()
	replies, err := r.all(ctx, command.Call{Spec: &load.Spec, Args: args})
	if err != nil {
		r.scriptsAfter.Store(time.Now().Add(scriptPause).UnixMilli())
		return
	}
	if slices.ContainsFunc(replies, resp.Value.IsError) {
		return // EVAL itself says what is wrong
	}
	known := r.scripts.Load()
	next := map[string]bool{shaOf(text): true}
	if known != nil && len(*known) < maxScripts {
		for k := range *known {
			next[k] = true
		}
	}
	r.scripts.Store(&next)
}
