package lib

import (
	"strings"

	"phonond/fsm/lua/vm"
)

const (
	maxCaptures = 32
	// maxMatchDepth bounds the recursion of a match, which grows with the pattern.
	maxMatchDepth = 5000

	captureOpen     = -1
	capturePosition = -2
)

// matcher matches a pattern at places of a string, and spends a step on each try.
type matcher struct {
	st       *vm.State
	src, pat string
	level    int // captures, finished or not
	depth    int
	captures [maxCaptures]struct{ start, size int }
}

// match returns where a match that begins at s ends, -1 if there is none.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.st.Errorf("pattern too complex")
	}
	defer func() { m.depth-- }()
	for {
		m.st.Spend(1)
		if p == len(m.pat) {
			return s
		}
		switch c := m.pat[p]; {
		case c == '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, capturePosition)
			}
			return m.open(s, p+1, captureOpen)
		case c == ')':
			return m.close(s, p+1)
		case c == '$' && p+1 == len(m.pat):
			if s == len(m.src) {
				return s
			}
			return -1
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'b':
			if s = m.balance(s, p+2); s < 0 {
				return -1
			}
			p += 4
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] == 'f':
			p += 2
			if p >= len(m.pat) || m.pat[p] != '[' {
				m.st.Errorf("missing '[' after '%%f' in pattern")
			}
			end := m.classEnd(p)
			if m.set(m.at(s-1), p, end-1) || !m.set(m.at(s), p, end-1) {
				return -1
			}
			p = end
			continue
		case c == '%' && p+1 < len(m.pat) && m.pat[p+1] >= '0' && m.pat[p+1] <= '9':
			if s = m.backReference(s, m.pat[p+1]); s < 0 {
				return -1
			}
			p += 2
			continue
		}
		end := m.classEnd(p)
		one := s < len(m.src) && m.single(m.src[s], p, end)
		var suffix byte
		if end < len(m.pat) {
			suffix = m.pat[end]
		}
		switch suffix {
		case '?':
			if one {
				if r := m.match(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '*':
			return m.maxExpand(s, p, end)
		case '+':
			if !one {
				return -1
			}
			return m.maxExpand(s+1, p, end)
		case '-':
			return m.minExpand(s, p, end)
		default:
			if !one {
				return -1
			}
			s++
			p = end
		}
	}
}

// at is the byte at a place, and zero before and behind the string.
func (m *matcher) at(s int) byte {
	if s < 0 || s >= len(m.src) {
		return 0
	}
	return m.src[s]
}

func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			m.st.Errorf("malformed pattern (ends with '%%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; first || p >= len(m.pat) || m.pat[p] != ']'; first = false {
			if p >= len(m.pat) {
				m.st.Errorf("malformed pattern (missing ']')")
			}
			m.st.Spend(1)
			c := m.pat[p]
			p++
			if c == '%' && p < len(m.pat) {
				p++
			}
		}
		return p + 1
	}
	return p
}

func (m *matcher) single(c byte, p, end int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.set(c, p, end-1)
	}
	return m.pat[p] == c
}

// set reports whether c is in the set that begins at p and whose bracket closes at end.
func (m *matcher) set(c byte, p, end int) bool {
	found := true
	if m.pat[p+1] == '^' {
		found = false
		p++
	}
	for p++; p < end; p++ {
		m.st.Spend(1)
		switch {
		case m.pat[p] == '%':
			p++
			if inClass(c, m.pat[p]) {
				return found
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return found
			}
			p += 2
		case m.pat[p] == c:
			return found
		}
	}
	return !found
}

func inClass(c, class byte) bool {
	var in bool
	switch lower(class) {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 32 || c == 127
	case 'd':
		in = isDigit(c)
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > 32 && c < 127 && !isAlpha(c) && !isDigit(c)
	case 's':
		in = strings.IndexByte(spaces, c) >= 0
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	return in != (class >= 'A' && class <= 'Z')
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (m *matcher) maxExpand(s, p, end int) int {
	i := 0
	for s+i < len(m.src) && m.single(m.src[s+i], p, end) {
		m.st.Spend(1)
		i++
	}
	for ; i >= 0; i-- {
		if r := m.match(s+i, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

func (m *matcher) minExpand(s, p, end int) int {
	for {
		if r := m.match(s, end+1); r >= 0 {
			return r
		}
		if s >= len(m.src) || !m.single(m.src[s], p, end) {
			return -1
		}
		s++
	}
}

func (m *matcher) open(s, p, what int) int {
	if m.level >= maxCaptures {
		m.st.Errorf("too many captures")
	}
	m.captures[m.level].start, m.captures[m.level].size = s, what
	m.level++
	r := m.match(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	l := m.level - 1
	for ; l >= 0 && m.captures[l].size != captureOpen; l-- {
	}
	if l < 0 {
		m.st.Errorf("invalid pattern capture")
	}
	m.captures[l].size = s - m.captures[l].start
	r := m.match(s, p)
	if r < 0 {
		m.captures[l].size = captureOpen
	}
	return r
}

func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.st.Errorf("unbalanced pattern")
	}
	if m.at(s) != m.pat[p] || s >= len(m.src) {
		return -1
	}
	opening, closing, open := m.pat[p], m.pat[p+1], 1
	for s++; s < len(m.src); s++ {
		m.st.Spend(1)
		switch m.src[s] {
		case closing:
			if open--; open == 0 {
				return s + 1
			}
		case opening:
			open++
		}
	}
	return -1
}

func (m *matcher) backReference(s int, digit byte) int {
	l := int(digit) - '1'
	if l < 0 || l >= m.level || m.captures[l].size == captureOpen {
		m.st.Errorf("invalid capture index")
	}
	c := m.captures[l]
	size := max(c.size, 0)
	m.st.Spend(size / 16)
	if len(m.src)-s >= size && m.src[c.start:c.start+size] == m.src[s:s+size] {
		return s + size
	}
	return -1
}

// capture returns capture i of a match from start to end; the whole match if there are
// no captures.
func (m *matcher) capture(i, start, end int) vm.Value {
	if i >= m.level {
		if i != 0 {
			m.st.Errorf("invalid capture index")
		}
		return substring(m.st, m.src, start, end)
	}
	c := m.captures[i]
	switch c.size {
	case captureOpen:
		m.st.Errorf("unfinished capture")
	case capturePosition:
		return vm.Int(c.start + 1)
	}
	return substring(m.st, m.src, c.start, c.start+c.size)
}

// all returns the captures of a match, the whole match if there are none and that is
// wanted.
func (m *matcher) all(start, end int, whole bool) []vm.Value {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	vs := make([]vm.Value, n)
	for i := range vs {
		vs[i] = m.capture(i, start, end)
		m.st.Hold(vs[i])
	}
	return vs
}

const specials = "^$*+?.([%-"

func findOrMatch(st *vm.State, args []vm.Value, find bool) []vm.Value {
	s, p := text(st, args, 1), text(st, args, 2)
	init := optInteger(st, args, 3, 1)
	if init < 0 {
		init += int64(len(s)) + 1
	}
	start := int(min(max(init-1, 0), int64(len(s))))
	if find && (arg(args, 4).Truth() || !strings.ContainsAny(p, specials)) {
		return plainFind(st, s, p, start)
	}
	anchor := strings.HasPrefix(p, "^")
	m := matcher{st: st, src: s, pat: strings.TrimPrefix(p, "^")}
	for {
		m.level = 0
		if end := m.match(start, 0); end >= 0 {
			if find {
				return st.ReturnAll(append([]vm.Value{vm.Int(start + 1), vm.Int(end)}, m.all(0, 0, false)...))
			}
			return st.ReturnAll(m.all(start, end, true))
		}
		if start++; anchor || start > len(s) {
			return st.Return(vm.Nil)
		}
	}
}

func plainFind(st *vm.State, s, p string, start int) []vm.Value {
	st.Spend((len(s) - start + len(p)) / 16)
	i := strings.Index(s[start:], p)
	if i < 0 {
		return st.Return(vm.Nil)
	}
	return st.Return(vm.Int(start+i+1), vm.Int(start+i+len(p)))
}

func gmatch(st *vm.State, args []vm.Value) []vm.Value {
	s, p := text(st, args, 1), text(st, args, 2)
	at := 0
	return st.Return(st.NativeClosure(func(st *vm.State, _ []vm.Value) []vm.Value {
		m := matcher{st: st, src: s, pat: p}
		for ; at <= len(s); at++ {
			m.level = 0
			if end := m.match(at, 0); end >= 0 {
				start := at
				if at = end; end == start {
					at++
				}
				return st.ReturnAll(m.all(start, end, true))
			}
		}
		return st.Return()
	}, args[0], args[1]))
}

func gsub(st *vm.State, args []vm.Value) []vm.Value {
	s, p := text(st, args, 1), text(st, args, 2)
	limit := optCint(st, args, 4, len(s)+1)
	repl := arg(args, 3)
	switch repl.Type() {
	case "number", "string", "table", "function":
	default:
		st.ArgError(3, "string/function/table expected")
	}
	anchor := strings.HasPrefix(p, "^")
	m := matcher{st: st, src: s, pat: strings.TrimPrefix(p, "^")}
	b := buffer{st: st}
	at, n := 0, 0
	for n < limit {
		m.level = 0
		end := m.match(at, 0)
		if end >= 0 {
			n++
			held := st.Mark()
			m.replace(&b, repl, at, end)
			st.Release(held)
		}
		switch {
		case end > at:
			at = end
		case at < len(s):
			b.addByte(s[at])
			at++
		default:
			at++
		}
		if anchor || at > len(s) {
			break
		}
	}
	if at < len(s) {
		b.add(s[at:])
	}
	return st.Return(b.value(), vm.Int(n))
}

// replace adds what stands for a match.
func (m *matcher) replace(b *buffer, repl vm.Value, start, end int) {
	var v vm.Value
	switch repl.Type() {
	case "function":
		if rets := m.st.Call(repl, m.all(start, end, true)...); len(rets) > 0 {
			v = rets[0]
		}
	case "table":
		v = m.st.Index(repl, m.capture(0, start, end))
	default:
		template, _ := repl.ToText()
		m.fill(b, template, start, end)
		return
	}
	if !v.Truth() {
		b.add(m.src[start:end])
		return
	}
	s, ok := v.ToText()
	if !ok {
		m.st.Errorf("invalid replacement value (a %s)", v.Type())
	}
	b.add(s)
}

// fill adds a template with captures in it.
func (m *matcher) fill(b *buffer, template string, start, end int) {
	for i := 0; i < len(template); i++ {
		c := template[i]
		if c != '%' {
			b.addByte(c)
			continue
		}
		i++
		switch {
		case i >= len(template):
			b.addByte(0) // what the reference reads behind the end
		case !isDigit(template[i]):
			b.addByte(template[i])
		case template[i] == '0':
			b.add(m.src[start:end])
		default:
			s, _ := m.capture(int(template[i]-'1'), start, end).ToText()
			b.add(s)
		}
	}
	m.st.Spend(len(template) / 8)
}
