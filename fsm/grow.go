package fsm

import "phonond/redisproto/command"

// Grows reports whether a call may make the state larger, as far as that can be told
// from the state as it is. It errs on the side of yes: SET counts although it may
// replace a longer value. Unlike memory in Redis, what is short is the disk of a
// leader, which refuses such calls then; the lock scripts count by what they would
// do now, so that a lock that is held can be kept and given back. The caller holds
// off Apply.
func (m *Machine) Grows(c command.Call) (grows bool) {
	cmd := m.cfg.Table.Lookup(c.Args)
	switch {
	case cmd == nil || !cmd.ArityOK(len(c.Args)):
		return false // it will be refused for what it is
	case cmd.Has(command.DenyOOM):
		return true
	case cmd.Grows == nil:
		return false
	}
	defer func() {
		if p := recover(); p != nil {
			m.onPanic(cmd.Name, p)
			grows = true
		}
	}()
	return cmd.Grows(&View{m: m, db: c.DB}, c.Args)
}

// evalGrows and evalshaGrows report whether a script would make a key. That EVAL
// makes its script known counts for nothing: there are few, of a few hundred bytes.
func evalGrows(v *View, args [][]byte) bool { return scriptGrows(v, shaOf(args[1]), args) }

func evalshaGrows(v *View, args [][]byte) bool {
	return scriptGrows(v, string(appendLower(nil, args[1])), args)
}

func scriptGrows(v *View, sha string, args [][]byte) bool {
	s := lockScripts[sha]
	keys, argv, fault := scriptArgs(args)
	if s == nil || fault.IsError() {
		return false
	}
	r := &scriptRun{View: v, script: s, keys: keys, argv: argv}
	reply := s.f(r)
	return r.grows && !reply.IsError()
}
