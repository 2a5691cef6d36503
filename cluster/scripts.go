package cluster

import (
	"context"
	"log/slog"

	"phonond/cluster/group"
	"phonond/fsm/lua"
	"phonond/redisproto"
	"phonond/redisproto/resp"
)

// scripts runs the scripts of all groups on this node.
type scripts struct {
	*lua.Engine
	log *slog.Logger
}

func newScripts(log *slog.Logger) scripts { return scripts{lua.New(lua.Limits{}), log} }

func (s scripts) Flags(text string) group.ScriptFlags {
	f, _ := s.Engine.Flags(text)
	return group.ScriptFlags{Declared: f.Shebang, NoWrites: f.NoWrites, AllowOOM: f.AllowOOM}
}

func (s scripts) Run(ctx context.Context, call func([][]byte) resp.Value, sha, text string, keys, argv [][]byte) resp.Value {
	return s.Engine.Run(ctx, scriptHost{call, s.log}, sha, text, keys, argv)
}

// scriptHost is what one script may ask of the node.
type scriptHost struct {
	call func([][]byte) resp.Value
	log  *slog.Logger
}

func (h scriptHost) Call(args [][]byte) resp.Value { return h.call(args) }

// Allowed knows one user, who may do everything.
func (h scriptHost) Allowed(args [][]byte) (allowed, known bool) {
	known = dataCommands.Lookup(args) != nil
	return known, known
}

// scriptLevels are those of redis.log.
var scriptLevels = [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}

func (h scriptHost) Log(level int, message string) {
	h.log.Log(context.Background(), scriptLevels[min(max(level, 0), len(scriptLevels)-1)], "a script says", "message", message)
}

// publishScripts sends what scripts published to the subscribers of all nodes.
func (n *Node) publishScripts(messages []group.Message) {
	sent := make([]redisproto.Message, len(messages))
	for i, m := range messages {
		sent[i] = redisproto.Message(m)
	}
	n.bus.spread(sent)
}

// owns reports whether a key lives in a group.
func (n *Node) owns(group string) func(key []byte) bool {
	return func(key []byte) bool {
		t := n.table.Load()
		return t != nil && t.Region(key) == group
	}
}
