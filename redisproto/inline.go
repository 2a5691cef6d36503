package redisproto

import (
	"bytes"
	"strconv"
)

// tlsHandshake is the first byte of a TLS connection.
const tlsHandshake = 0x16

// foreign reports whether a line is the start of an HTTP request. A browser
// can be made to send one with commands in its body, so the connection has to
// end before the body is read. POST and Host: are those that Redis knows; a
// request line tells itself by its last word.
func foreign(words [][]byte) bool {
	return bytes.EqualFold(words[0], []byte("POST")) ||
		bytes.EqualFold(words[0], []byte("Host:")) ||
		len(words) == 3 && bytes.HasPrefix(words[2], []byte("HTTP/1."))
}

// splitWords cuts a line as Redis does: words between blanks, where a part
// within double quotes knows \n \r \t \b \a \xhh and a part within single
// quotes only \'. A closing quote must end the word. ok is false otherwise.
// Unquoted words share memory with line.
func splitWords(line []byte) (words [][]byte, ok bool) {
	for {
		for len(line) > 0 && blankByte(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return words, true
		}
		i := 0
		for i < len(line) && !endsWord(line[i]) && line[i] != '"' && line[i] != '\'' {
			i++
		}
		if i == len(line) || endsWord(line[i]) {
			words = append(words, line[:i:i])
			line = line[i:]
			continue
		}
		word := append([]byte{}, line[:i]...)
		for i < len(line) && !endsWord(line[i]) {
			quote := line[i]
			i++
			if quote != '"' && quote != '\'' {
				word = append(word, quote)
				continue
			}
			n := 0
			if word, n = appendQuoted(word, line[i:], quote); n == 0 {
				return nil, false
			}
			if i += n; i < len(line) && !blankByte(line[i]) {
				return nil, false
			}
		}
		words = append(words, word)
		line = line[i:]
	}
}

// appendQuoted appends what stands before the closing quote, and returns how
// much of text that took, the quote counted; 0 when there is no closing quote.
func appendQuoted(word, text []byte, quote byte) ([]byte, int) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote:
			return word, i + 1
		case c != '\\' || i+1 == len(text):
		case quote == '\'':
			if text[i+1] == '\'' {
				i++
				c = '\''
			}
		default:
			i++
			if text[i] == 'x' && i+2 < len(text) && hexDigit(text[i+1]) >= 0 && hexDigit(text[i+2]) >= 0 {
				c = byte(hexDigit(text[i+1])<<4 | hexDigit(text[i+2]))
				i += 2
				break
			}
			c = escaped(text[i])
		}
		word = append(word, c)
	}
	return word, 0
}

func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// blankByte reports whether c may stand between words.
func blankByte(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// endsWord reports whether c ends a word: Redis lets vertical tabs and form
// feeds be part of one.
func endsWord(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// appendCommand appends a command in the form in which programs send it.
func appendCommand(b []byte, args [][]byte) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	for _, a := range args {
		b = append(b, "\r\n$"...)
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, '\r', '\n')
		b = append(b, a...)
	}
	return append(b, '\r', '\n')
}
