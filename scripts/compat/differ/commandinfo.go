package differ

import (
	"slices"
	"strings"

	"phonond/redisproto/resp"
)

// The parts of what COMMAND INFO says of a command.
const (
	infoName, infoFlags        = 0, 2
	infoTips, infoKeys, infoOf = 7, 8, 9
	infoParts                  = 10
)

// needsLeader are the commands that Redis answers while it loads or follows nobody,
// and phonond only with a leader.
var needsLeader = []string{"time", "eval", "eval_ro", "evalsha", "evalsha_ro", "script|load"}

// sameInfo reports whether replies to COMMAND INFO are equal but for what is listed.
func sameInfo(c Case) bool { return equal(plainInfo(c.Want), plainInfo(c.Got)) }

// plainInfo returns a reply without what is listed.
func plainInfo(v resp.Value) resp.Value {
	var all []resp.Value
	for _, e := range v.Elems {
		if len(e.Elems) != infoParts {
			all = append(all, e)
			continue
		}
		parts := slices.Clone(e.Elems)
		name := parts[infoName].Str
		parts[infoTips] = resp.Value{}
		if slices.Contains(needsLeader, name) {
			parts[infoFlags] = without(parts[infoFlags], func(f resp.Value) bool { return f.Str == "loading" || f.Str == "stale" })
		}
		var specs []resp.Value
		for _, spec := range parts[infoKeys].Elems {
			if len(spec.Elems) > 1 && spec.Elems[0].Str == "notes" {
				spec.Elems = spec.Elems[2:]
			}
			specs = append(specs, spec)
		}
		parts[infoKeys] = resp.List(specs...)
		parts[infoOf] = plainInfo(without(parts[infoOf], func(sub resp.Value) bool {
			return name == "cluster" || later[sub.Elems[infoName].Str]
		}))
		parts[infoOf].Elems = slices.SortedFunc(slices.Values(parts[infoOf].Elems), func(a, b resp.Value) int {
			return strings.Compare(a.Elems[infoName].Str, b.Elems[infoName].Str)
		})
		all = append(all, resp.List(parts...))
	}
	return resp.List(all...)
}

// later are the subcommands that came after Redis 7.0.
var later = map[string]bool{"client|no-touch": true, "client|setinfo": true}

func without(v resp.Value, drop func(resp.Value) bool) resp.Value {
	v.Elems = slices.DeleteFunc(slices.Clone(v.Elems), drop)
	return v
}
