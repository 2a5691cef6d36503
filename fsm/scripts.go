package fsm

import "github.com/tidwall/btree"

// The bounds of the scripts that EVALSHA knows: beyond them the oldest are forgotten.
const (
	maxScripts     = 10_000
	maxScriptBytes = 32 << 20
)

// scripts are the texts that EVALSHA knows.
type scripts struct {
	bySHA *dict[savedScript]
	order btree.Map[uint64, string] // their SHA1s, in the order in which they came
	next  uint64
}

type savedScript struct {
	text string
	seq  uint64
}

func newScripts(h hasher) *scripts { return &scripts{bySHA: newDict(h, scriptWeight)} }

// clone returns a copy in O(1) that may be read while s goes on changing.
func (s *scripts) clone() *scripts {
	return &scripts{bySHA: s.bySHA.clone(), order: *s.order.Copy(), next: s.next}
}

func (s *scripts) len() int { return s.order.Len() }

func (s *scripts) get(sha []byte) (text string, ok bool) {
	if n := s.bySHA.get(sha); n != nil {
		return n.val.text, true
	}
	return "", false
}

// add makes a script known, and reports whether it was not. The oldest others are
// forgotten if there are too many.
func (s *scripts) add(sha, text string) bool {
	if s.bySHA.has([]byte(sha)) {
		return false
	}
	s.bySHA.set(sha, savedScript{text, s.next})
	s.order.Set(s.next, sha)
	s.next++
	for s.len() > 1 && (s.len() > maxScripts || s.bySHA.bytes > maxScriptBytes) {
		_, oldest, _ := s.order.PopMin()
		s.bySHA.delete([]byte(oldest))
	}
	return true
}

// each calls f for all scripts, the oldest first, until it returns false.
func (s *scripts) each(f func(sha, text string) bool) {
	s.order.Scan(func(_ uint64, sha string) bool {
		text, _ := s.get([]byte(sha))
		return f(sha, text)
	})
}
