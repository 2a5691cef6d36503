package fsm

import (
	"crypto/sha1"
	"encoding/hex"

	"phonond/redisproto/command"
	"phonond/redisproto/resp"
)

var scriptCommands = group("scripting",
	write("eval", -3, 0, evalCmd, "script numkeys [key [key ...]] [arg [arg ...]]", "Runs a Lua script, and makes it known to EVALSHA.").
		numKeys(2).flags(command.NoScript|command.Script).since("2.6.0").refuse(evalRefuse).grows(evalGrows),
	write("evalsha", -3, 0, evalshaCmd, "sha1 numkeys [key [key ...]] [arg [arg ...]]", "Runs a Lua script that is known by its SHA1.").
		numKeys(2).flags(command.NoScript|command.Script).since("2.6.0").refuse(evalshaRefuse).grows(evalshaGrows),
	write("eval_ro", -3, 0, evaluatedCmd, "script numkeys [key [key ...]] [arg [arg ...]]", "Runs a Lua script that changes nothing.").
		numKeys(2).flags(command.NoScript|command.Script).since("7.0.0"),
	write("evalsha_ro", -3, 0, evaluatedCmd, "sha1 numkeys [key [key ...]] [arg [arg ...]]", "Runs a Lua script that is known by its SHA1 and changes nothing.").
		numKeys(2).flags(command.NoScript|command.Script).since("7.0.0"),
	container("script", "The scripts that EVALSHA knows.",
		write("script|load", 3, 0, scriptLoadCmd, "script", "Makes a script known to EVALSHA; its SHA1.").
			flags(command.NoScript).scatter(command.AllGroups).since("2.6.0").refuse(scriptLoadRefuse),
		read("script|exists", -3, 0, scriptExistsCmd, "sha1 [sha1 ...]", "Which scripts EVALSHA knows.").
			flags(command.NoScript).scatter(command.AllGroups).since("2.6.0"),
		write("script|flush", -2, 0, scriptFlushCmd, "[ASYNC|SYNC]", "Makes EVALSHA forget all scripts.").
			flags(command.NoScript).scatter(command.AllGroups).since("2.6.0"),
		read("script|kill", 2, 0, scriptKillCmd, "", "Ends the scripts that run for long, without any effect.").
			flags(command.NoScript).scatter(command.AllGroups).since("2.6.0"),
	).since("2.6.0"),
)

// Evaluated reports whether a call runs a script. Its effects, and not the call, go
// into the log: the leader finds them out. The well-known [lockScripts] are commands
// like others.
func Evaluated(c command.Call) bool {
	if c.Spec == nil || !c.Spec.Has(command.Script) {
		return false
	}
	switch c.Spec.Name {
	case "eval":
		return lockScripts[shaOf(c.Args[1])] == nil
	case "evalsha":
		return lockScripts[string(appendLower(nil, c.Args[1]))] == nil
	}
	return true
}

// evaluatedCmd stands for scripts that have to be evaluated, which in the log they
// are not.
func evaluatedCmd(*Tx, [][]byte) resp.Value { return resp.ErrInternal }

// Script returns the text of a script that EVALSHA knows. The caller holds off Apply.
func (m *Machine) Script(sha []byte) (text string, ok bool) {
	return m.scripts.get(appendLower(nil, sha))
}

// ScriptArgs parts the arguments of a call of EVAL and its like: the script or its
// SHA1 is args[1].
func ScriptArgs(args [][]byte) (keys, argv [][]byte, fault resp.Value) { return scriptArgs(args) }

// sha1Hex is the length of a SHA1 in hexadecimal.
const sha1Hex = 2 * sha1.Size

func shaOf(text []byte) string {
	sum := sha1.Sum(text)
	return hex.EncodeToString(sum[:])
}

// hasScript reports whether EVALSHA knows the script.
func (v *View) hasScript(sha string) bool {
	if v.tx != nil {
		for _, s := range v.tx.scripts {
			if s.sha == sha {
				return true
			}
		}
		if v.tx.scriptsFlushed {
			return false
		}
	}
	return v.m.scripts.bySHA.has([]byte(sha))
}

func evalCmd(t *Tx, args [][]byte) resp.Value {
	keys, argv, fault := scriptArgs(args)
	if fault.IsError() {
		return fault
	}
	sha := shaOf(args[1])
	s := lockScripts[sha]
	if s == nil {
		return evaluatedCmd(t, args)
	}
	t.loadScript(sha, args[1])
	return s.run(t, keys, argv)
}

// evalRefuse answers like [evalshaRefuse] once the script is known.
func evalRefuse(v *View, args [][]byte) (reply resp.Value, ok bool) {
	sha := shaOf(args[1])
	if lockScripts[sha] == nil || !v.hasScript(sha) {
		return reply, false
	}
	return refuseScript(v, sha, args)
}

func evalshaCmd(t *Tx, args [][]byte) resp.Value {
	s, keys, argv, fault := t.evalsha(args)
	if fault.IsError() {
		return fault
	}
	return s.run(t, keys, argv)
}

// evalsha finds the script that EVALSHA asks for.
func (v *View) evalsha(args [][]byte) (s *lockScript, keys, argv [][]byte, fault resp.Value) {
	if len(args[1]) != sha1Hex {
		return nil, nil, nil, resp.ErrNoScript
	}
	if keys, argv, fault = scriptArgs(args); fault.IsError() {
		return nil, nil, nil, fault
	}
	sha := string(appendLower(nil, args[1]))
	if s = lockScripts[sha]; s == nil || !v.hasScript(sha) {
		return nil, nil, nil, resp.ErrNoScript
	}
	return s, keys, argv, fault
}

// evalshaRefuse answers an EVALSHA that fails, or whose script would change
// nothing: a lock that is held, a token that does not match.
func evalshaRefuse(v *View, args [][]byte) (resp.Value, bool) {
	if _, _, _, fault := v.evalsha(args); fault.IsError() {
		return fault, true
	}
	return refuseScript(v, string(appendLower(nil, args[1])), args)
}

func refuseScript(v *View, sha string, args [][]byte) (reply resp.Value, ok bool) {
	keys, argv, fault := scriptArgs(args)
	if fault.IsError() {
		return fault, true
	}
	return lockScripts[sha].refuse(v, keys, argv)
}

// scriptArgs reads the number of keys and parts the keys from the arguments.
func scriptArgs(args [][]byte) (keys, argv [][]byte, fault resp.Value) {
	n, ok := parseInt(args[2])
	switch rest := args[3:]; {
	case !ok:
		return nil, nil, resp.ErrNotInteger
	case n > int64(len(rest)):
		return nil, nil, resp.Err("ERR Number of keys can't be greater than number of args")
	case n < 0:
		return nil, nil, resp.Err("ERR Number of keys can't be negative")
	default:
		return rest[:n], rest[n:], fault
	}
}

func scriptLoadCmd(t *Tx, args [][]byte) resp.Value {
	sha := shaOf(args[2])
	t.loadScript(sha, args[2])
	return resp.Str(sha)
}

// scriptLoadRefuse answers the loading of a script that is known.
func scriptLoadRefuse(v *View, args [][]byte) (resp.Value, bool) {
	sha := shaOf(args[2])
	return resp.Str(sha), v.hasScript(sha)
}

func scriptExistsCmd(v *View, args [][]byte) resp.Value {
	elems := make([]resp.Value, len(args)-2)
	for i, sha := range args[2:] {
		elems[i] = resp.Flag(v.hasScript(string(appendLower(nil, sha))))
	}
	return resp.List(elems...)
}

func scriptFlushCmd(t *Tx, args [][]byte) resp.Value {
	if !validFlush(args[2:]) {
		return resp.Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
	}
	t.flushScripts()
	return resp.OK
}

// scriptKillCmd is SCRIPT KILL where no script runs, as none does in the log: whoever runs
// them ends them.
func scriptKillCmd(*View, [][]byte) resp.Value { return resp.ErrNotBusy }
