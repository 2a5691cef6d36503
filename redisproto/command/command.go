// Package command says what a Redis command is, apart from what it does: its
// name, how many arguments it takes, where its keys are, what it may touch. One
// [Spec] is the only place where that is written down; arity errors, routing,
// COMMAND, access rules and the documentation are read from it. It is a leaf.
package command

// Flags are the properties of a command, named as in COMMAND INFO.
type Flags uint32

const (
	Write     Flags = 1 << iota // may change the data set
	ReadOnly                    // reads the data set and changes nothing
	DenyOOM                     // may grow the data set: refused when memory is full
	Admin                       // for operators
	Fast                        // constant or logarithmic time
	NoScript                    // not callable from scripts
	NoAuth                      // allowed before AUTH
	Loading                     // allowed while the node is starting
	Stale                       // allowed while the group has no leader
	Local                       // answered by the node that got it, without a group
	Internal                    // proposed by nodes; no client may send it
	Clock                       // its reply depends on the time
	Blocking                    // may wait for keys to come to be
	Native                      // takes what names a session, or is told who sent it
	KeepAlive                   // its argument is a session that is still used
	Tail                        // waits for more to read
	Script                      // runs a script: what it does is known only when it has run
)

// Scatter says what becomes of a command whose keys live in several groups.
type Scatter byte

const (
	// OneGroup refuses such a command with CROSSSLOT.
	OneGroup Scatter = iota
	// SplitKeys sends each group its own keys and joins the replies.
	SplitKeys
	// AllGroups sends the whole command to every region group.
	AllGroups
)

// Spec declares a command.
type Spec struct {
	Name     string // lower case; a subcommand is "client|list"
	Arity    int    // arguments with the name; -n means at least n
	Flags    Flags
	FirstKey int // position of the first key, 0 for none
	LastKey  int // position of the last key; -1 is the last argument
	KeyStep  int // distance between keys
	// NumKeys is the position of the argument that counts the keys which follow
	// it, as in EVAL, or 0. A FirstKey before it is a key as well.
	NumKeys int
	// MoreKeys, which may be nil, returns the keys that options name, such as the
	// destination of SORT.
	MoreKeys    func(args [][]byte) [][]byte
	Scatter     Scatter
	Group       string // "string", "generic", "connection", ... as in COMMAND DOCS
	Since       string // the Redis version that brought it, or "" for our own
	Syntax      string // arguments after the name, in the notation of redis.io
	Summary     string // one sentence
	Subcommands []*Spec
}

// Has reports whether all of the given flags are set.
func (s *Spec) Has(f Flags) bool { return s.Flags&f == f }

// ArityOK reports whether n arguments, the name counted, may be right.
func (s *Spec) ArityOK(n int) bool {
	if s.Arity >= 0 {
		return n == s.Arity
	}
	return n >= -s.Arity
}

// Keys appends the keys among args (args[0] is the command's name) to dst. ok
// is false when the arguments cannot be read as the spec says, such as a key
// count that is no number; the command itself then answers with the right
// error.
func (s *Spec) Keys(dst [][]byte, args [][]byte) (keys [][]byte, ok bool) {
	if s.NumKeys > 0 {
		if s.NumKeys >= len(args) {
			return dst, false
		}
		n, ok := smallInt(args[s.NumKeys])
		if !ok || n > len(args)-s.NumKeys-1 {
			return dst, false
		}
		if s.FirstKey > 0 && s.FirstKey < s.NumKeys { // where the result goes, as in ZUNIONSTORE
			dst = append(dst, args[s.FirstKey])
		}
		return append(dst, args[s.NumKeys+1:s.NumKeys+1+n]...), true
	}
	if s.FirstKey == 0 {
		return dst, true
	}
	last := s.LastKey
	if last < 0 {
		last += len(args)
	}
	for i := s.FirstKey; i <= last && i < len(args); i += max(s.KeyStep, 1) {
		dst = append(dst, args[i])
	}
	if s.MoreKeys != nil && s.ArityOK(len(args)) {
		dst = append(dst, s.MoreKeys(args)...)
	}
	return dst, true
}

// smallInt reads a non-negative decimal of at most six digits.
func smallInt(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 6 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Call is one command as a client sent it: parsed, found in the table, with the
// database that the connection had selected.
type Call struct {
	Spec *Spec
	DB   int
	Args [][]byte // Args[0] is the name as it was sent
}

// KeyVersion is a key with the version that it had when it was read: it changes with
// every change of the key, and is 0 while there is none.
type KeyVersion struct {
	DB      int
	Key     []byte
	Version uint64
}
