package group

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"phonond/fsm"
	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

// Scripts runs scripts. It is safe for concurrent use.
type Scripts interface {
	// Compile returns what is wrong with a script's text, no reply at all if nothing is.
	Compile(sha, text string) resp.Value
	// Flags returns what a script says of itself.
	Flags(text string) ScriptFlags
	// Run runs a script, and ends it when ctx ends, with the cause as its error. call does one command for it.
	Run(ctx context.Context, call func(args [][]byte) resp.Value, sha, text string, keys, argv [][]byte) resp.Value
}

// ScriptFlags are what a script says of itself in its first line.
type ScriptFlags struct {
	Declared bool // it has such a line
	NoWrites bool // it changes nothing
	AllowOOM bool // it may run, and change things, when there is no memory left
}

// Message is what a script publishes.
type Message struct {
	Shard            bool
	Channel, Payload string
}

// trial tries the calls of one request out on a fork of the state, to find out what
// they read, what they change and what they answer.
type trial struct {
	g       *Group
	ctx     context.Context
	fork    *fsm.Machine
	changes uint64 // of the fork when the trial began

	reads    []command.KeyVersion
	seen     map[dbKey]struct{} // the keys in reads
	everyKey bool               // what was read is more than some keys
	clock    bool               // and depends on the time
	effects  []command.Call
	messages []Message
	size     int  // of effects, in bytes
	killed   bool // a script was ended by SCRIPT KILL
}

// The bounds of what a request with scripts may bring into the log.
const (
	maxEffects      = 16 << 20 // bytes of all changes
	maxScriptReply  = 16 << 20 // and of all replies, which are remembered
	effectOverhead  = 16       // of an argument
	scriptReplyText = "ERR the replies of this request's scripts are longer than 16 MiB"
)

// run tries all calls and returns their replies. Those behind a script that was killed
// are not tried: they have no reply, or the same if all are one.
func (t *trial) run(calls []command.Call, asOne bool) []resp.Value {
	replies := make([]resp.Value, len(calls))
	room := int64(maxScriptReply)
	for i, c := range calls {
		if t.killed {
			if asOne {
				replies[i] = replies[i-1]
			}
			continue
		}
		cmd := t.g.cfg.Machine.Table.Lookup(c.Args)
		c.Spec = &cmd.Spec
		if fsm.Evaluated(c) {
			replies[i] = t.script(c)
		} else {
			replies[i] = t.call(c)
		}
		if room -= replies[i].Size(); room < 0 {
			replies[i] = resp.Err(scriptReplyText)
		}
	}
	return replies
}

// call tries a call that is not of a script.
func (t *trial) call(c command.Call) resp.Value {
	t.note(c)
	before := t.fork.Changes()
	reply := t.fork.Try(c)
	if c.Spec.Has(command.Write) && !reply.IsError() && (t.fork.Changes() != before || c.Spec.Group == "scripting") {
		if effect, ok := t.effectOf(c, reply); ok {
			t.effects = append(t.effects, effect)
			t.size += sizeOf(effect.Args)
		}
	}
	return reply
}

// note takes note of what a call will read: the keys that it names, or more.
func (t *trial) note(c command.Call) {
	t.clock = t.clock || c.Spec.Has(command.Clock)
	switch c.Spec.Name {
	case "dbsize", "keys", "scan", "randomkey", "flushdb", "flushall", "swapdb", "move", "copy":
		t.everyKey = true
	case "sort", "sort_ro":
		t.everyKey = t.everyKey || len(fsm.SortPatterns(c.Args)) > 0
	}
	if t.everyKey {
		return // keys may be others from here on, and none will have changed before
	}
	var buf [8][]byte
	keys, _ := c.Spec.Keys(buf[:0], c.Args)
	for _, key := range keys {
		k := dbKey{c.DB, string(key)}
		if _, ok := t.seen[k]; ok {
			continue
		}
		if t.seen == nil {
			t.seen = map[dbKey]struct{}{}
		}
		t.seen[k] = struct{}{}
		t.reads = append(t.reads, command.KeyVersion{DB: c.DB, Key: []byte(k.key), Version: t.fork.Version(c.DB, key)})
	}
}

func sizeOf(args [][]byte) (n int) {
	for _, a := range args {
		n += len(a) + effectOverhead
	}
	return n
}

// effectOf returns the call that does to any replica what c did to the fork, however
// much later.
func (t *trial) effectOf(c command.Call, reply resp.Value) (effect command.Call, ok bool) {
	switch c.Spec.Name {
	case "spop": // what is drawn differs from one try to the next
		members := reply.Elems
		if reply.Kind == resp.Bulk {
			members = []resp.Value{reply}
		}
		args := [][]byte{[]byte("SETPOP"), c.Args[1]}
		for _, m := range members {
			args = append(args, []byte(m.Str))
		}
		spec := &t.g.cfg.Machine.Table.Lookup(args).Spec
		return command.Call{Spec: spec, DB: c.DB, Args: args}, len(members) > 0
	case "expire", "pexpire", "expireat", "pexpireat":
		c.Args = c.Args[:3] // the condition was true
	}
	return c, true
}

// request makes the request that has the effects.
func (t *trial) request(of *fsm.Request, replies []resp.Value) []byte {
	r := fsm.Request{
		Kind: fsm.Effects, Origin: of.Origin, Seq: of.Seq, Acked: of.Acked,
		Reads: append(t.reads, of.Reads...), Calls: t.effects, Replies: replies,
	}
	if t.everyKey {
		r.Changes = t.changes
	}
	return r.Append(nil)
}

// script runs the script of a call of EVAL or its like.
func (t *trial) script(c command.Call) resp.Value {
	bySHA := strings.HasPrefix(c.Spec.Name, "evalsha")
	if bySHA && len(c.Args[1]) != 2*sha1.Size {
		return resp.ErrNoScript
	}
	keys, argv, fault := fsm.ScriptArgs(c.Args)
	if fault.IsError() {
		return fault
	}
	sha, text := strings.ToLower(string(c.Args[1])), string(c.Args[1])
	known := true
	if bySHA {
		text, known = t.fork.Script(c.Args[1])
		if !known {
			return resp.ErrNoScript
		}
	} else {
		sum := sha1.Sum(c.Args[1])
		sha = hex.EncodeToString(sum[:])
		_, known = t.fork.Script([]byte(sha))
	}
	if fault := t.g.cfg.Scripts.Compile(sha, text); fault.IsError() {
		return fault
	}
	if !known {
		t.call(t.loadOf(c.Args[1]))
	}
	flags := t.g.cfg.Scripts.Flags(text)
	only := strings.HasSuffix(c.Spec.Name, "_ro")
	if only && flags.Declared && !flags.NoWrites {
		return errScriptWrites
	}
	s := &scriptCalls{
		trial: t, db: c.DB, readOnly: only || flags.NoWrites,
		noMemory: !flags.AllowOOM && t.g.cfg.MemoryFull(),
	}
	if s.noMemory && flags.Declared && !s.readOnly {
		return resp.ErrNoMemory
	}
	effects, messages, size := len(t.effects), len(t.messages), t.size
	reply := t.g.cfg.Scripts.Run(t.ctx, s.call, sha, text, keys, argv)
	if t.killed = errors.Is(context.Cause(t.ctx), errKilled); t.killed {
		t.effects, t.messages, t.size = t.effects[:effects], t.messages[:messages], size
	}
	return reply
}

// loadOf returns the call that makes a script known, as EVAL does.
func (t *trial) loadOf(text []byte) command.Call {
	args := [][]byte{[]byte("SCRIPT"), []byte("LOAD"), text}
	return command.Call{Spec: &t.g.cfg.Machine.Table.Lookup(args).Spec, Args: args}
}

// The errors of commands in scripts.
var (
	errScriptUnknown   = resp.Err("ERR Unknown Redis command called from script")
	errScriptArity     = resp.Err("ERR Wrong number of args calling Redis command from script")
	errScriptForbidden = resp.Err("ERR This Redis command is not allowed from script")
	errScriptReadOnly  = resp.Err("ERR Write commands are not allowed from read-only scripts.")
	errScriptEffects   = resp.Err("ERR the changes of this script are larger than 16 MiB")
	errScriptWrites    = resp.Err("ERR Can not execute a script with write flag using *_ro command.")
	errScriptForeign   = resp.Err("ERR Script attempted to access a non local key in a cluster node")
)

// scriptCalls does the commands of one script.
type scriptCalls struct {
	*trial
	db       int
	readOnly bool
	noMemory bool // commands that may take more are refused
	// wrote says that it has written: Redis stops no script in its middle, for then a
	// part of what it does would be done.
	wrote bool
}

func (s *scriptCalls) call(args [][]byte) resp.Value {
	if local := s.local(args); local.Kind != resp.None {
		return local
	}
	cmd := s.g.cfg.Machine.Table.Lookup(args)
	switch {
	case cmd == nil:
		return errScriptUnknown
	case cmd.Has(command.Internal):
		return errScriptUnknown
	case !cmd.ArityOK(len(args)):
		return errScriptArity
	case cmd.Has(command.NoScript):
		return errScriptForbidden
	case cmd.Has(command.Write) && s.readOnly:
		return errScriptReadOnly
	case cmd.Has(command.DenyOOM) && s.noMemory && !s.wrote:
		return resp.ErrNoMemory
	case cmd.Has(command.Write) && s.size+sizeOf(args) > maxEffects:
		return errScriptEffects
	}
	c := command.Call{Spec: &cmd.Spec, DB: s.db, Args: args}
	keys, _ := cmd.Keys(nil, args)
	if strings.HasPrefix(cmd.Name, "sort") {
		keys = append(keys, fsm.SortPatterns(args)...)
	}
	if slices.ContainsFunc(keys, func(key []byte) bool { return !s.g.owns(key) }) {
		return errScriptForeign
	}
	if cmd.Has(command.DenyOOM) && !s.wrote {
		if why := s.g.refusal(s.g.cfg.Space()); why != nil {
			return resp.Err("MISCONF " + why.Error())
		}
	}
	s.wrote = s.wrote || cmd.Has(command.Write)
	return s.trial.call(c)
}

// owns reports whether a key lives in this group.
func (g *Group) owns(key []byte) bool { return g.cfg.Owns == nil || g.cfg.Owns(key) }
