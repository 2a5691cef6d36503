// Package differ is the one list of what phonond answers otherwise than Redis 7.0,
// and why. scripts/compat lets pass what is on it and nothing else, and
// docs/commands.md shows it. It is a leaf.
package differ

import "phonond/redisproto/resp"

// Case is one command and its two replies.
type Case struct {
	Args      []string
	Want, Got resp.Value // Redis's, phonond's
	// Absent says that the client watches a key that was not there.
	Absent bool
}

// Difference is one way in which replies differ.
type Difference struct {
	Commands []string // names, as in the tables of commands: "client|list"
	What     string   // what is otherwise: a sentence for the docs
	Why      string   // the reason: a sentence for the docs
	// Is reports whether a reply of one of the commands is this difference, and no
	// other.
	Is func(c Case) bool
}

// Find returns the difference that a case of the named command is, or nil.
func Find(name string, c Case) *Difference {
	for i := range Table {
		d := &Table[i]
		for _, n := range d.Commands {
			if n == name && d.Is(c) {
				return d
			}
		}
	}
	return nil
}
