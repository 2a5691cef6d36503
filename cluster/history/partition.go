package history

import (
	"slices"
	"strings"

	"phonond/fsm"
	"phonond/redisproto/command"
)

// partition is keys that some operation names together, mostly one, and all that
// was asked about them.
type partition struct {
	keys []string
	ops  []*Op
}

// reader knows the commands of the machine.
type reader struct{ table *fsm.Table }

// keys returns the keys that a command names, none for one that has none or is not
// known.
func (r reader) keys(args []string) []string {
	call := callOf(args)
	cmd := r.table.Lookup(call.Args)
	if cmd == nil || !cmd.ArityOK(len(args)) {
		return nil
	}
	found, ok := cmd.Keys(nil, call.Args)
	if !ok {
		return nil
	}
	keys := make([]string, len(found))
	for i, k := range found {
		keys[i] = string(k)
	}
	return keys
}

// keysOf returns the keys of all commands of an operation.
func (r reader) keysOf(op *Op) (keys []string) {
	for _, args := range op.commands() {
		keys = append(keys, r.keys(args)...)
	}
	return keys
}

// readOnly reports whether an operation changes nothing whatever the state.
func (r reader) readOnly(op *Op) bool {
	return !slices.ContainsFunc(op.commands(), func(args []string) bool { return !r.has(args, command.ReadOnly) })
}

// has reports whether a command of the machine has a flag.
func (r reader) has(args []string, flag command.Flags) bool {
	cmd := r.table.Lookup(callOf(args).Args)
	return cmd != nil && cmd.Has(flag)
}

// harmless are commands that touch no key or only prepare: they are counted, and
// not judged.
var harmless = wordSet("ping echo script info hello auth select client time dbsize command config watch")

// partitions parts the history into what can be judged separately, in the order of
// first calls. What cannot be judged at all is left over.
func (r reader) partitions(ops []Op) (parts []*partition, left []*Op) {
	sets := union{}
	first := make([]string, len(ops))
	for i := range ops {
		keys := r.keysOf(&ops[i])
		if len(keys) == 0 {
			if len(ops[i].Args) == 0 || !harmless[strings.ToLower(ops[i].Args[0])] {
				left = append(left, &ops[i])
			}
			continue
		}
		first[i] = keys[0]
		for _, k := range keys {
			sets.join(keys[0], k)
		}
	}
	byRoot := map[string]*partition{}
	for i := range ops {
		if first[i] == "" {
			continue
		}
		root := sets.root(first[i])
		p := byRoot[root]
		if p == nil {
			p = &partition{}
			byRoot[root] = p
			parts = append(parts, p)
		}
		p.ops = append(p.ops, &ops[i])
	}
	for k := range sets {
		p := byRoot[sets.root(k)]
		p.keys = append(p.keys, k)
	}
	for _, p := range parts {
		slices.Sort(p.keys)
		slices.SortStableFunc(p.ops, func(a, b *Op) int { return int(a.Call - b.Call) })
	}
	return parts, left
}

// union is disjoint sets of keys: each key's parent, itself at the root.
type union map[string]string

func (u union) root(k string) string {
	parent, ok := u[k]
	if !ok || parent == k {
		u[k] = k
		return k
	}
	u[k] = u.root(parent)
	return u[k]
}

func (u union) join(a, b string) { u[u.root(b)] = u.root(a) }

// isLock reports whether the keys are locks.
func (p *partition) isLock() bool {
	return slices.ContainsFunc(p.ops, func(op *Op) bool { return isLock(op.Args) })
}

// foreign returns an operation that the partition's model knows nothing of, nil if
// there is none.
func (p *partition) foreign(lock bool) *Op {
	for _, op := range p.ops {
		for _, args := range op.commands() {
			ok := isJudged(args)
			if lock {
				_, ok = parseLock(args)
			}
			if !ok {
				return op
			}
		}
	}
	return nil
}

// isJudged reports whether values can be asked about a command.
func isJudged(args []string) bool {
	name := strings.ToLower(args[0])
	if name == "set" {
		return !slices.ContainsFunc(args[min(3, len(args)):], hasTTL)
	}
	return judged[name] || findScript(args) != nil
}

// hasTTL reports whether an option of SET is about a time to live.
func hasTTL(option string) bool {
	switch strings.ToUpper(option) {
	case "EX", "PX", "EXAT", "PXAT", "KEEPTTL":
		return true
	}
	return false
}

// relevant returns the operations that say something: what was refused was not
// done, and a read without a reply tells nothing.
func (r reader) relevant(ops []*Op) []*Op {
	var kept []*Op
	for _, op := range ops {
		if op.Outcome == Answered || op.Outcome == Unknown && !r.readOnly(op) {
			kept = append(kept, op)
		}
	}
	return kept
}

// FinalReads returns a command for every key in the history that reads all of it.
// Once all faults are healed the caller has each answered through every node, and
// records that too: without it nothing would say what the last operations left.
func FinalReads(ops []Op) [][]string {
	r := reader{fsm.DataCommands()}
	var reads [][]string
	seen := map[string]int{} // the key's place in reads, from 1
	for i := range ops {
		for _, args := range ops[i].commands() {
			for _, k := range r.keys(args) {
				if seen[k] == 0 {
					reads = append(reads, []string{"GET", k})
					seen[k] = len(reads)
				}
				if c, ok := contents[r.kind(args)]; ok {
					read := slices.Clone(c.read)
					read[1] = k
					reads[seen[k]-1] = read
				}
			}
		}
	}
	return reads
}

// kind returns the type of value that a command is about, as TYPE prints it, ""
// for those that are about strings or anything.
func (r reader) kind(args []string) string {
	switch cmd := r.table.Lookup(callOf(args).Args); cmd.Group {
	case "hash", "list", "set":
		return cmd.Group
	case "sorted-set":
		return "zset"
	}
	return ""
}
