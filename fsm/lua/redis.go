package lua

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"phonond/fsm/lua/lib"
	"phonond/fsm/lua/vm"
	"phonond/redisproto/resp"
)

// The version of Redis that scripts see.
const (
	redisVersion    = "7.0.15"
	redisVersionNum = 0x0007000f
)

// What all states share. Nothing of it can be changed by a script.
var (
	libraries   = sharedLibraries()
	globalsMeta = sharedMeta("__index", vm.NativeValue(noGlobal))
	stringsMeta = sharedMeta("__index", vm.TableValue(libraries["string"]))
)

func sharedLibraries() map[string]*vm.Table {
	all := map[string]*vm.Table{
		"bit":      lib.Bit(),
		"cjson":    lib.CJSON(),
		"cmsgpack": lib.CMsgpack(),
		"math":     lib.Math(),
		"redis":    redisLibrary(),
		"string":   lib.String(),
		"struct":   lib.Struct(),
		"table":    lib.Table(),
	}
	for _, t := range all {
		t.Share()
	}
	return all
}

func sharedMeta(name string, v vm.Value) *vm.Table {
	t := vm.NewShared()
	t.Define(name, v)
	t.Share()
	return t
}

// noGlobal refuses to read a global variable that there is not.
func noGlobal(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) != 2 {
		st.Errorf("Wrong number of arguments to luaProtectedTableError")
	}
	name, ok := args[1].ToText()
	if !ok {
		st.Errorf("Second argument to luaProtectedTableError must be a string or number")
	}
	st.Errorf("Script attempted to access nonexistent global variable '%s'", cString(name))
	return nil
}

// errorHandler makes any error the table that Redis makes of it.
func errorHandler(st *vm.State, args []vm.Value) []vm.Value {
	if len(args) > 0 && args[0].Table() != nil {
		return st.Return(args[0])
	}
	var v vm.Value
	if len(args) > 0 {
		v = args[0]
	}
	s, _ := st.ToString(v).ToText()
	t := st.NewTable(0, 1)
	st.SetField(t, errName, st.NewString("ERR "+s))
	return st.Return(vm.TableValue(t))
}

// redisLibrary returns the table redis.
func redisLibrary() *vm.Table {
	t := vm.NewShared()
	for name, n := range map[string]int{
		"LOG_DEBUG": 0, "LOG_VERBOSE": 1, "LOG_NOTICE": 2, "LOG_WARNING": 3,
		"REPL_NONE": 0, "REPL_AOF": replAOF, "REPL_SLAVE": replReplica, "REPL_REPLICA": replReplica,
		"REPL_ALL": replAOF | replReplica, "REDIS_VERSION_NUM": redisVersionNum,
	} {
		t.Define(name, vm.Int(n))
	}
	t.Define("REDIS_VERSION", vm.Const(redisVersion))
	for name, f := range map[string]func(r *run, args []vm.Value) []vm.Value{
		"call":               func(r *run, args []vm.Value) []vm.Value { return r.call(args, true) },
		"pcall":              func(r *run, args []vm.Value) []vm.Value { return r.call(args, false) },
		"acl_check_cmd":      (*run).aclCheckCmd,
		"breakpoint":         func(r *run, _ []vm.Value) []vm.Value { return r.state.Return(vm.Bool(false)) },
		"debug":              func(r *run, _ []vm.Value) []vm.Value { return r.state.Return() },
		"error_reply":        (*run).errorReply,
		"log":                (*run).log,
		"replicate_commands": func(r *run, _ []vm.Value) []vm.Value { return r.state.Return(vm.Bool(true)) },
		"set_repl":           (*run).setRepl,
		"setresp":            (*run).setResp,
		"sha1hex":            (*run).sha1hex,
		"status_reply":       (*run).statusReply,
	} {
		t.Define(name, vm.NativeValue(func(st *vm.State, args []vm.Value) []vm.Value {
			return f(st.Host.(*run), args)
		}))
	}
	return t
}

const (
	replAOF     = 1
	replReplica = 2
)

// raise raises an error as the library redis does: a table.
func (r *run) raise(text string) { r.state.Throw(vm.TableValue(r.errorTable(text))) }

// arguments makes arguments those of a command; fault is the text of an error if they
// are none.
func arguments(args []vm.Value) (command [][]byte, fault string) {
	if len(args) == 0 {
		return nil, "Please specify at least one argument for this redis lib call"
	}
	command = make([][]byte, len(args))
	for i, v := range args {
		if f, ok := v.Number(); ok {
			command[i] = []byte(vm.FormatG(f, 17))
		} else if s, ok := v.Text(); ok {
			command[i] = []byte(s)
		} else {
			return nil, "Lua redis lib command arguments must be strings or integers"
		}
	}
	return command, ""
}

// commandSteps is what a command costs beside its own work.
const commandSteps = 50

func (r *run) call(args []vm.Value, raise bool) []vm.Value {
	st := r.state
	size := 0
	for _, v := range args {
		if s, ok := v.Text(); ok {
			size += len(s)
		}
	}
	st.Charge(size)
	command, fault := arguments(args)
	if fault != "" {
		t := r.errorTable(fault)
		if raise {
			st.Throw(vm.TableValue(t))
		}
		return st.Return(vm.TableValue(t))
	}
	st.Spend(commandSteps)
	reply := r.host.Call(command)
	st.CheckTime()
	v := r.value(reply)
	if raise && reply.Kind == resp.Error {
		st.Throw(v)
	}
	return st.Return(v)
}

func (r *run) aclCheckCmd(args []vm.Value) []vm.Value {
	command, fault := arguments(args)
	if fault != "" {
		r.raise(fault)
	}
	allowed, known := r.host.Allowed(command)
	if !known {
		r.raise("Invalid command passed to redis.acl_check_cmd()")
	}
	return r.state.Return(vm.Bool(allowed))
}

// oneString returns the one argument of a function that takes a string.
func oneString(args []vm.Value) (s string, ok bool) {
	if len(args) != 1 {
		return "", false
	}
	return args[0].Text()
}

func (r *run) errorReply(args []vm.Value) []vm.Value {
	s, ok := oneString(args)
	switch {
	case !ok:
		s = "wrong number or type of arguments"
	case !strings.HasPrefix(s, "-"):
		s = "-" + s
	}
	return r.state.Return(vm.TableValue(r.errorTable(s)))
}

func (r *run) statusReply(args []vm.Value) []vm.Value {
	if _, ok := oneString(args); !ok {
		return r.state.Return(vm.TableValue(r.errorTable("wrong number or type of arguments")))
	}
	return r.state.Return(r.field(okName, args[0]))
}

func (r *run) log(args []vm.Value) []vm.Value {
	if len(args) < 2 {
		r.raise("redis.log() requires two arguments or more.")
	}
	f, ok := args[0].ToNumber()
	if !ok {
		r.raise("First argument must be a number (log level).")
	}
	level := int32(vm.ToInt64(f))
	if level < 0 || level > 3 {
		r.raise("Invalid debug level.")
	}
	var b strings.Builder
	for i, v := range args[1:] {
		if s, ok := v.ToText(); ok {
			if i > 0 {
				b.WriteByte(' ')
			}
			r.state.Charge(len(s))
			b.WriteString(s)
		}
	}
	r.host.Log(int(level), b.String())
	return r.state.Return()
}

// setRepl takes what Redis takes. Here effects are always replicated: a replica that
// lacked some would not be one.
func (r *run) setRepl(args []vm.Value) []vm.Value {
	if len(args) != 1 {
		r.raise("redis.set_repl() requires two arguments.")
	}
	f, _ := args[0].ToNumber()
	if vm.ToInt64(f)&^(replAOF|replReplica) != 0 {
		r.raise("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	return r.state.Return()
}

func (r *run) setResp(args []vm.Value) []vm.Value {
	if len(args) != 1 {
		r.raise("redis.setresp() requires one argument.")
	}
	f, _ := args[0].ToNumber()
	proto := int(vm.ToInt64(f))
	if proto != 2 && proto != 3 {
		r.raise("RESP version must be 2 or 3.")
	}
	r.proto = proto
	return r.state.Return()
}

func (r *run) sha1hex(args []vm.Value) []vm.Value {
	if len(args) != 1 {
		r.raise("wrong number of arguments")
	}
	s, _ := args[0].ToText()
	r.state.Spend(len(s) / 16)
	sum := sha1.Sum([]byte(s))
	return r.state.Return(r.state.NewString(hex.EncodeToString(sum[:])))
}
