package redisproto

import (
	"bytes"
	"errors"
)

const (
	// minBuffer is what a quiet connection keeps for reading.
	minBuffer = 4 << 10
	// maxIdleBuffer is how far that grows for a busy one. What a larger command
	// needed beyond it is given back after the command.
	maxIdleBuffer = 64 << 10
	// maxCountLine is how long the line with a count or a length may be before
	// its end must have come. No number in it is longer than maxDigits.
	maxCountLine = 64 << 10
	// maxDigits is the length of the longest 64-bit number.
	maxDigits = 20
	// maxUnauthArgs and maxUnauthBulk bound a command before AUTH, to the
	// numbers of Redis: strangers get little memory.
	maxUnauthArgs = 10
	maxUnauthBulk = 16 << 10
)

// errForeign is returned for bytes that are no attempt at the Redis protocol: a
// browser that was made to post to this port, or TLS on the plain port. Nobody
// reads a reply to them.
var errForeign = errors.New("redisproto: the peer speaks another protocol")

// protocolError is returned for bytes after which the stream cannot be
// understood. It is the text after "-ERR Protocol error: ".
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// errTooBigQuery is returned for a command that is longer than its limit.
const errTooBigQuery = protocolError("too big query")

// limits bound what one command may be.
type limits struct {
	bulk   int // bytes of an argument
	args   int // arguments of a command
	query  int // bytes of a command, protocol included
	inline int // bytes of a command that is a line
}

// scanner finds the commands in the bytes of one connection. It hands out whole
// commands only, in forms that redcon reads without complaint; the bytes of a
// pipeline stay where the network put them. It looks at each byte once, however
// the bytes are cut into reads.
//
// buf[next:whole] are the commands found and not handed out, buf[pos:end] the
// bytes not looked at. Commands sent as lines are rewritten, into lines.
type scanner struct {
	commands uint64 // complete ones that have come

	limits
	buf                    []byte
	next, whole, pos, end  int
	lines                  []byte
	start                  int // of the command that pos is in
	args                   int // arguments that this command still lacks
	size                   int // of the argument at pos, -1 before its length line
	seen                   int // bytes of the line at pos known to hold no line end
	largest                int // bytes of the largest command handed out since asked
	authenticated, growing bool
}

// more reports whether there is something to hand out.
func (s *scanner) more() bool { return s.next < s.whole || len(s.lines) > 0 }

// take moves commands, or a part of one that is complete in the buffer, to p.
func (s *scanner) take(p []byte) int {
	if len(s.lines) > 0 {
		n := copy(p, s.lines)
		if s.lines = s.lines[n:]; len(s.lines) == 0 {
			s.lines = nil
		}
		return n
	}
	n := copy(p, s.buf[s.next:s.whole])
	s.next += n
	return n
}

// drop forgets everything that has not been handed out.
func (s *scanner) drop() {
	s.lines = nil
	s.next, s.whole, s.pos, s.end, s.args = 0, 0, 0, 0, 0
}

// room returns where to read more bytes to; grew tells how many came. It is
// called when there is nothing to hand out.
func (s *scanner) room() []byte {
	if s.next == s.end {
		s.next, s.whole, s.pos, s.end = 0, 0, 0, 0
		switch {
		case s.buf == nil || len(s.buf) > maxIdleBuffer:
			s.buf = make([]byte, minBuffer)
		case s.growing && len(s.buf) < maxIdleBuffer:
			s.buf = make([]byte, 2*len(s.buf))
		}
		s.growing = false
	}
	if s.end == len(s.buf) {
		to := s.buf
		if s.next < len(s.buf)/2 || len(s.buf) < maxIdleBuffer {
			to = make([]byte, 2*len(s.buf))
		}
		copy(to, s.buf[s.next:s.end])
		s.buf = to
		s.start -= s.next
		s.pos -= s.next
		s.end -= s.next
		s.next, s.whole = 0, 0
	}
	return s.buf[s.end:]
}

func (s *scanner) grew(n int) {
	s.end += n
	s.growing = s.end == len(s.buf)
}

// scan looks at the bytes that have come. It returns an error only when there
// is nothing to hand out: what precedes the bad bytes is answered first, and
// may change what is allowed, as AUTH does.
func (s *scanner) scan() error {
	for s.pos < s.end {
		var on bool
		var err error
		switch {
		case s.args > 0 && s.size >= 0:
			on, err = s.bulk()
		case s.args > 0:
			on, err = s.length()
		case s.buf[s.pos] == '*':
			if len(s.lines) > 0 {
				return nil
			}
			on, err = s.header()
		default:
			on, err = s.line()
		}
		if err != nil && s.more() {
			return nil
		}
		if err != nil || !on {
			return err
		}
	}
	return nil
}

// countLine finds the line at pos that carries a number after its first byte.
// It returns the position after the line, or 0 when it has not come.
func (s *scanner) countLine(tooBig string) (digits []byte, after int, err error) {
	i := bytes.IndexByte(s.buf[s.pos+s.seen:s.end], '\r')
	if i < 0 {
		if s.seen = s.end - s.pos; s.seen > maxCountLine {
			return nil, 0, protocolError(tooBig)
		}
		return nil, 0, nil
	}
	i += s.pos + s.seen
	if i-s.pos > maxCountLine {
		return nil, 0, protocolError(tooBig)
	}
	if i+1 >= s.end {
		s.seen = i - s.pos
		return nil, 0, nil
	}
	// Redis does not look at the byte after the carriage return. Here it is
	// part of the line: a stream that is out of step ends sooner.
	if s.buf[i+1] != '\n' || i == s.pos {
		return nil, i + 2, nil
	}
	return s.buf[s.pos+1 : i], i + 2, nil
}

// header reads the line that starts a command.
func (s *scanner) header() (on bool, err error) {
	digits, after, err := s.countLine("too big mbulk count string")
	if err != nil || after == 0 {
		return false, err
	}
	n, ok := number(digits)
	switch {
	case !ok || n > int64(s.limits.args):
		return false, protocolError("invalid multibulk length")
	case n > maxUnauthArgs && !s.authenticated:
		return false, protocolError("unauthenticated multibulk length")
	case n <= 0: // nothing to do and no reply, says Redis
		s.blank(after)
		return true, nil
	}
	s.start = s.pos
	if s.next == s.whole {
		s.next, s.whole = s.pos, s.pos
	}
	s.args, s.size = int(n), -1
	s.pos, s.seen = after, 0
	return true, nil
}

// length reads the line before an argument.
func (s *scanner) length() (on bool, err error) {
	lead := s.buf[s.pos]
	digits, after, err := s.countLine("too big bulk count string")
	if err != nil || after == 0 {
		return false, err
	}
	if lead != '$' {
		return false, protocolError("expected '$', got '" + printable(lead) + "'")
	}
	n, ok := number(digits)
	switch {
	case !ok || n < 0 || n > int64(s.limits.bulk):
		return false, protocolError("invalid bulk length")
	case n > maxUnauthBulk && !s.authenticated:
		return false, protocolError("unauthenticated bulk length")
	case after-s.start+int(n)+2 > s.limits.query:
		return false, errTooBigQuery
	}
	s.size = int(n)
	s.pos, s.seen = after, 0
	return true, nil
}

// bulk passes over an argument and the line end after it.
func (s *scanner) bulk() (on bool, err error) {
	after := s.pos + s.size + 2
	if after > s.end {
		return false, nil
	}
	if s.buf[after-2] != '\r' || s.buf[after-1] != '\n' {
		return false, protocolError("invalid bulk length")
	}
	s.size = -1
	s.pos = after
	if s.args--; s.args == 0 {
		s.commands++
		s.largest = max(s.largest, after-s.start)
		s.whole = after
	}
	return true, nil
}

// line reads a command that a person typed: words on a line.
func (s *scanner) line() (on bool, err error) {
	if s.buf[s.pos] == tlsHandshake {
		return false, errForeign
	}
	i := bytes.IndexByte(s.buf[s.pos+s.seen:s.end], '\n')
	if i < 0 {
		if s.seen = s.end - s.pos; s.seen > s.limits.inline {
			return false, protocolError("too big inline request")
		}
		return false, nil
	}
	i += s.seen
	if i > s.limits.inline {
		return false, protocolError("too big inline request")
	}
	text := s.buf[s.pos : s.pos+i]
	after := s.pos + i + 1
	words, ok := splitWords(bytes.TrimSuffix(text, []byte("\r")))
	switch {
	case !ok:
		return false, protocolError("unbalanced quotes in request")
	case len(words) == 0:
		s.blank(after)
		return true, nil
	case foreign(words):
		return false, errForeign
	case s.next < s.whole:
		return false, nil // first what is in the buffer, then this
	}
	s.commands++
	s.lines = appendCommand(s.lines, words)
	s.largest = max(s.largest, len(s.lines))
	s.next, s.whole, s.pos, s.seen = after, after, after, 0
	return true, nil
}

// blank passes over a line that stands for no command. Between commands it is
// overwritten with empty lines, which redcon ignores too. Before the first one
// it is left out: redcon goes one level deeper into itself for every read that
// brings no command, and would not come back.
func (s *scanner) blank(after int) {
	if s.next < s.whole {
		for i := s.pos; i < after; i++ {
			s.buf[i] = '\n'
		}
	} else {
		s.next, s.whole = after, after
	}
	s.pos, s.seen = after, 0
}

// number reads a decimal as Redis does: no plus, no leading zeros, no spaces.
func number(b []byte) (int64, bool) {
	if len(b) == 1 && b[0] >= '0' && b[0] <= '9' {
		return int64(b[0] - '0'), true
	}
	if len(b) == 0 || len(b) > maxDigits {
		return 0, false
	}
	if len(b) > 18 {
		return integer(b) // may be out of range
	}
	negative := b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || b[0] == '0' {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// printable returns c as an error reply can carry it.
func printable(c byte) string {
	if c == '\r' || c == '\n' {
		c = ' '
	}
	return string([]byte{c})
}
