package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrProtocol is returned when bytes are not a reply in RESP2 or RESP3.
var ErrProtocol = errors.New("resp: not a reply")

// maxRead bounds the length of a string and the number of elements that Read
// believes.
const maxRead = 512 << 20

// Read reads one reply as a client does. A nil array of RESP2 becomes
// [NilArray], the one null of RESP3 becomes [Nil].
func Read(r *bufio.Reader) (Value, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return Value{}, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return Value{}, fmt.Errorf("%w: line %q", ErrProtocol, line)
	}
	lead, rest := line[0], line[1:len(line)-2]
	switch lead {
	case '+':
		return Value{Kind: Simple, Str: rest}, nil
	case '-':
		return Value{Kind: Error, Str: rest}, nil
	case ',':
		return Value{Kind: Double, Str: rest}, nil
	case '(':
		return Value{Kind: BigNumber, Str: rest}, nil
	case '_':
		return Null, nil
	case '#':
		return Value{Kind: Bool, Int: Flag(rest == "t").Int}, nil
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || lead != ':' && (n < -1 || n > maxRead) {
		return Value{}, fmt.Errorf("%w: line %q", ErrProtocol, line)
	}
	switch lead {
	case ':':
		return Int64(n), nil
	case '$':
		if n < 0 {
			return Null, nil
		}
		s, err := readString(r, n)
		return Str(s), err
	case '=':
		s, err := readString(r, n)
		if err == nil && len(s) < 4 {
			err = fmt.Errorf("%w: verbatim string %q", ErrProtocol, s)
		}
		if err != nil {
			return Value{}, err
		}
		return Value{Kind: Verbatim, Str: s[4:]}, nil
	case '*':
		if n < 0 {
			return NullArray, nil
		}
		return readElems(r, Array, n)
	case '%':
		return readElems(r, Map, 2*n)
	case '~':
		return readElems(r, Set, n)
	case '>':
		return readElems(r, Push, n)
	}
	return Value{}, fmt.Errorf("%w: line %q", ErrProtocol, line)
}

func readString(r *bufio.Reader, n int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, n+2))
	if err == nil && int64(len(b)) < n+2 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

func readElems(r *bufio.Reader, k Kind, n int64) (Value, error) {
	v := Value{Kind: k}
	for range n {
		e, err := Read(r)
		if err != nil {
			return Value{}, err
		}
		v.Elems = append(v.Elems, e)
	}
	return v, nil
}

// AppendCommand appends a command as a client sends it.
func AppendCommand(b []byte, args ...string) []byte {
	return Strs(args...).Append(b, 2)
}
