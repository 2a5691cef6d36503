// Package lua runs the scripts of EVAL as Redis 7.0 does, with bounds that no
// script can pass: on its steps, on memory, on time. What a script may do to the
// state machine is what a [Host] does for it. The language is in the package vm, the
// libraries that know nothing of Redis are in lib.
package lua

import (
	"context"
	"sync"
	"time"

	"phonond/fsm/lua/lib"
	"phonond/fsm/lua/vm"
	"phonond/redisproto/resp"
)

// Host is what a script may ask of the server.
type Host interface {
	// Call runs one command for redis.call and redis.pcall and returns its reply;
	// args[0] is the name. Errors have the texts that Redis has for commands from
	// scripts.
	Call(args [][]byte) resp.Value
	// Allowed is redis.acl_check_cmd: whether the script's user may run the command,
	// and whether there is such a command.
	Allowed(args [][]byte) (allowed, known bool)
	// Log is redis.log, with a level from 0 (debug) to 3 (warning).
	Log(level int, message string)
}

// Limits bound what one script can take. Zero fields get the defaults.
type Limits struct {
	Steps  int64         // evaluated nodes of the program; 50 million, a second or two
	Memory int           // bytes in use at once; 32 MiB
	Time   time.Duration // of the wall clock, with the commands that it calls; 5 s
	Source int           // bytes of a script's text; 1 MiB
	Cached int           // bytes of the texts of scripts that are kept compiled; 8 MiB
}

// DefaultLimits are limits that no reasonable script meets, and under which none can
// do harm.
var DefaultLimits = Limits{
	Steps:  50_000_000,
	Memory: 32 << 20,
	Time:   5 * time.Second,
	Source: 1 << 20,
	Cached: 8 << 20,
}

func (l Limits) withDefaults() Limits {
	if l.Steps <= 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.Memory <= 0 {
		l.Memory = DefaultLimits.Memory
	}
	if l.Time <= 0 {
		l.Time = DefaultLimits.Time
	}
	if l.Source <= 0 {
		l.Source = DefaultLimits.Source
	}
	if l.Cached <= 0 {
		l.Cached = DefaultLimits.Cached
	}
	return l
}

// Engine runs scripts, any number of them at once. It keeps compiled scripts and
// prepared states.
type Engine struct {
	limits  Limits
	runs    sync.Pool // of *run
	scripts cache

	mu   sync.Mutex
	rand lib.Rand48 // where math.random goes on in the next script
}

// New returns an engine with limits for each script.
func New(limits Limits) *Engine {
	e := &Engine{limits: limits.withDefaults()}
	e.runs.New = func() any { return newRun() }
	e.scripts.limit = e.limits.Cached
	e.rand = lib.Rand48Start
	return e
}

// run is a prepared state and what belongs to the script that runs on it.
type run struct {
	state    *vm.State
	settings lib.Settings
	host     Host
	proto    int // the version of RESP in which commands reply to the script
}

func (r *run) Settings() *lib.Settings { return &r.settings }

func newRun() *run {
	r := &run{state: vm.NewState()}
	g := r.state.Globals
	lib.Base(g)
	for name, t := range libraries {
		g.Define(name, vm.TableValue(t))
	}
	g.Define("__redis__err__handler", vm.NativeValue(errorHandler))
	g.Define("_G", vm.TableValue(g))
	g.SetMeta(globalsMeta)
	g.Lock()
	r.state.Strings = stringsMeta
	return r
}

var (
	keysName = vm.Const("KEYS")
	argvName = vm.Const("ARGV")
)

// Run runs a script that may be in the cache under its SHA1. When ctx ends, so does
// the script, with the cause as its error; nothing that it does can prevent that. A panic
// of the host passes through.
func (e *Engine) Run(ctx context.Context, host Host, sha, text string, keys, argv [][]byte) resp.Value {
	s := e.script(sha, text)
	if s.fault.IsError() {
		return s.fault
	}
	r := e.runs.Get().(*run)
	st := r.state
	r.host, r.proto = host, 2
	r.settings.Reset()
	e.mu.Lock()
	r.settings.Rand = e.rand
	e.mu.Unlock()
	st.Host = r
	st.Begin(ctx, vm.Limits{Steps: e.limits.Steps, Memory: e.limits.Memory, Time: e.limits.Time})
	var reply resp.Value
	err := st.Protect(func() {
		st.SetField(st.Globals, keysName, r.strings(keys))
		st.SetField(st.Globals, argvName, r.strings(argv))
		var result vm.Value
		if rets := st.Execute(s.program); len(rets) > 0 {
			result = rets[0]
		}
		reply = r.reply(result, 0)
	})
	if err != nil {
		reply = r.failure(sha, err)
	}
	e.mu.Lock()
	e.rand = r.settings.Rand
	e.mu.Unlock()
	st.SetField(st.Globals, keysName, vm.Nil)
	st.SetField(st.Globals, argvName, vm.Nil)
	st.Reset()
	r.host = nil
	e.runs.Put(r)
	return reply
}

func (r *run) strings(args [][]byte) vm.Value {
	t := r.state.NewTable(len(args), 0)
	for i, a := range args {
		r.state.SetInt(t, i+1, r.state.NewString(string(a)))
	}
	return vm.TableValue(t)
}
