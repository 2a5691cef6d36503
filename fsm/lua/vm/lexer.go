package vm

import (
	"fmt"
	"strings"
)

type tokenKind int

const (
	tokenEOF tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenWord   // a reserved word
	tokenSymbol // an operator or punctuation
)

type token struct {
	kind tokenKind
	text string // name, word, symbol; the contents of a string
	raw  string // as it was written, for errors
	num  float64
	line int
}

var reserved = func() map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields("and break do else elseif end false for function if in local nil not or repeat return then true until while") {
		words[w] = true
	}
	return words
}()

// SyntaxError is what [Compile] returns for a text that is no program.
type SyntaxError struct{ Message string }

func (e *SyntaxError) Error() string { return e.Message }

type lexer struct {
	chunk string // as errors call it
	src   string
	at    int
	line  int
}

// fail raises a syntax error near a token.
func (l *lexer) fail(near, format string, args ...any) {
	msg := fmt.Sprintf("%s:%d: %s", l.chunk, l.line, fmt.Sprintf(format, args...))
	if near != "" {
		msg += " near '" + near + "'"
	}
	panic(&SyntaxError{msg})
}

func (l *lexer) peek(ahead int) byte {
	if l.at+ahead < len(l.src) {
		return l.src[l.at+ahead]
	}
	return 0
}

// newline passes over a line's end, of one or two characters.
func (l *lexer) newline() {
	c := l.src[l.at]
	l.at++
	if l.at < len(l.src) && (l.src[l.at] == '\n' || l.src[l.at] == '\r') && l.src[l.at] != c {
		l.at++
	}
	l.line++
}

func (l *lexer) next() token {
	for l.at < len(l.src) {
		c := l.src[l.at]
		switch {
		case c == '\n' || c == '\r':
			l.newline()
		case c == ' ' || c == '\t' || c == '\v' || c == '\f':
			l.at++
		case c == '-' && l.peek(1) == '-':
			l.comment()
		case c == '[' && (l.peek(1) == '[' || l.peek(1) == '='):
			level := l.longLevel()
			if level < 0 {
				l.fail(l.src[l.at:l.at+1+l.equals()], "invalid long string delimiter")
			}
			start, line := l.at, l.line
			text := l.long(level, "string", line)
			return token{tokenString, text, l.src[start:l.at], 0, l.line}
		case c == '"' || c == '\'':
			start := l.at
			text := l.quoted(c)
			return token{tokenString, text, l.src[start:l.at], 0, l.line}
		case isDigit(c) || c == '.' && isDigit(l.peek(1)):
			return l.numeral()
		case isAlpha(c) || c == '_':
			start := l.at
			for l.at < len(l.src) && (isAlnum(l.src[l.at]) || l.src[l.at] == '_') {
				l.at++
			}
			word := l.src[start:l.at]
			if reserved[word] {
				return token{tokenWord, word, word, 0, l.line}
			}
			return token{tokenName, word, word, 0, l.line}
		default:
			return l.symbol()
		}
	}
	return token{tokenEOF, "<eof>", "<eof>", 0, l.line}
}

func (l *lexer) symbol() token {
	n := 1
	rest := l.src[l.at:]
	for _, s := range [...]string{"...", "..", "==", "~=", "<=", ">="} {
		if strings.HasPrefix(rest, s) {
			n = len(s)
			break
		}
	}
	l.at += n
	text := rest[:n]
	raw := text
	switch c := text[0]; {
	case c == 0:
		raw = "" // to Lua 5.1 it is the number that stands for no token
	case n == 1 && (c < ' ' || c == 127):
		raw = fmt.Sprintf("char(%d)", c)
	}
	return token{tokenSymbol, text, raw, 0, l.line}
}

func (l *lexer) comment() {
	l.at += 2
	if l.peek(0) == '[' {
		if level := l.longLevel(); level >= 0 {
			l.long(level, "comment", l.line)
			return
		}
	}
	for l.at < len(l.src) && l.src[l.at] != '\n' && l.src[l.at] != '\r' {
		l.at++
	}
}

// equals counts the signs after a bracket.
func (l *lexer) equals() int {
	n := 0
	for l.peek(1+n) == '=' {
		n++
	}
	return n
}

// longLevel is the level of a long bracket that begins here, -1 if none does.
func (l *lexer) longLevel() int {
	if n := l.equals(); l.peek(1+n) == '[' {
		return n
	}
	return -1
}

func (l *lexer) long(level int, what string, line int) string {
	l.at += level + 2
	if c := l.peek(0); l.at < len(l.src) && (c == '\n' || c == '\r') {
		l.newline()
	}
	closing := "]" + strings.Repeat("=", level) + "]"
	var b strings.Builder
	for l.at < len(l.src) {
		switch c := l.src[l.at]; {
		case c == '\n' || c == '\r':
			l.newline()
			b.WriteByte('\n')
		case c == ']' && strings.HasPrefix(l.src[l.at:], closing):
			l.at += len(closing)
			return b.String()
		case c == '[' && level == 0 && what == "string" && l.peek(1) == '[':
			l.fail("[["[:1], "nesting of [[...]] is deprecated")
		default:
			b.WriteByte(c)
			l.at++
		}
	}
	l.fail("<eof>", "unfinished long %s", what)
	return ""
}

func (l *lexer) quoted(quote byte) string {
	l.at++
	var b strings.Builder
	for {
		if l.at >= len(l.src) {
			l.fail("<eof>", "unfinished string")
		}
		switch c := l.src[l.at]; c {
		case quote:
			l.at++
			return b.String()
		case '\n', '\r':
			l.fail(string(quote)+b.String(), "unfinished string")
		case '\\':
			l.at++
			l.escape(&b, quote)
		default:
			b.WriteByte(c)
			l.at++
		}
	}
}

func (l *lexer) escape(b *strings.Builder, quote byte) {
	if l.at >= len(l.src) {
		return // the loop says that the string is unfinished
	}
	c := l.src[l.at]
	if i := strings.IndexByte("abfnrtv", c); i >= 0 {
		b.WriteByte("\a\b\f\n\r\t\v"[i])
		l.at++
		return
	}
	switch {
	case c == '\n' || c == '\r':
		l.newline()
		b.WriteByte('\n')
	case isDigit(c):
		n := 0
		for i := 0; i < 3 && isDigit(l.peek(0)); i++ {
			n = 10*n + int(l.src[l.at]-'0')
			l.at++
		}
		if n > 255 {
			l.fail(string(quote)+b.String(), "escape sequence too large")
		}
		b.WriteByte(byte(n))
	default:
		b.WriteByte(c)
		l.at++
	}
}

func (l *lexer) numeral() token {
	start := l.at
	for isDigit(l.peek(0)) || l.peek(0) == '.' {
		l.at++
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		l.at++
		if c := l.peek(0); c == '+' || c == '-' {
			l.at++
		}
	}
	for isAlnum(l.peek(0)) || l.peek(0) == '_' {
		l.at++
	}
	text := l.src[start:l.at]
	f, ok := ParseNumber(text)
	if !ok {
		l.fail(text, "malformed number")
	}
	return token{tokenNumber, text, text, f, l.line}
}
