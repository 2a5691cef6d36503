package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// value is a setting's place in a Config, as text: the form that flags and the
// environment have, and the scalars of the file.
type value interface {
	Set(string) error
	String() string // as Set would read it; secrets are hidden
	check() error   // what is wrong with the value, whoever set it
	kind() string   // for the manual
}

// scalar is a value that has no other form in the file.
type scalar[T any] struct {
	p      *T
	parse  func(string) (T, error)
	format func(T) string
	valid  func(T) error
	what   string
}

func (v scalar[T]) Set(s string) error {
	t, err := v.parse(s)
	if err == nil {
		*v.p = t
	}
	return err
}
func (v scalar[T]) String() string { return v.format(*v.p) }
func (v scalar[T]) check() error   { return v.valid(*v.p) }
func (v scalar[T]) kind() string   { return v.what }

func verbatim(s string) (string, error) { return s, nil }
func fine[T any](T) error               { return nil }

func text(p *string) value {
	return scalar[string]{p, verbatim, strings.Clone, fine[string], "text"}
}

// MaxName is the longest id of a node and name of a region or cluster. They
// become names of directories and parts of messages on the wire.
const MaxName = 64

func name(p *string) value {
	return scalar[string]{p, verbatim, strings.Clone, checkName, "name"}
}

func checkName(s string) error {
	ok := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-'
	}
	switch {
	case len(s) > MaxName:
		return fmt.Errorf("%.20q... has %d characters, at most %d are allowed", s, len(s), MaxName)
	case strings.HasPrefix(s, ".") || strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) >= 0:
		return fmt.Errorf("%q is not a name: use letters, digits, '.', '_' and '-', and begin with no '.'", s)
	}
	return nil
}

// address is what to bind; target is what others dial, with the port to be added.
func address(p *string) value {
	return scalar[string]{p, verbatim, strings.Clone, checkAddress, "host:port"}
}

func target(p *string) value {
	return scalar[string]{p, verbatim, strings.Clone, func(s string) error {
		if s == "" {
			return nil
		}
		return checkHost(s)
	}, "host or host:port"}
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: the port must be from 1 to 65535", s)
	}
	return nil
}

func checkHost(s string) error {
	addr := withPort(s, ClusterPort)
	if err := checkAddress(addr); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(addr); anyHost(host) {
		return fmt.Errorf("%q cannot be dialled: name one host", s)
	}
	return nil
}

func choice[T ~string](p *T, options ...T) value {
	var words []string
	for _, o := range options {
		words = append(words, string(o))
	}
	want := strings.Join(words, " or ")
	return scalar[T]{p,
		func(s string) (T, error) { return T(s), nil },
		func(t T) string { return string(t) },
		func(t T) error {
			if !slices.Contains(options, t) {
				return fmt.Errorf("%q is not %s", string(t), want)
			}
			return nil
		}, want}
}

func ranged[T int | time.Duration | Size](p *T, parse func(string) (T, error), format func(T) string, lo, hi T, what string) value {
	return scalar[T]{p, parse, format, func(t T) error {
		if t < lo || t > hi {
			return fmt.Errorf("%s is out of range: %s to %s", format(t), format(lo), format(hi))
		}
		return nil
	}, fmt.Sprintf("%s, %s to %s", what, format(lo), format(hi))}
}

func count(p *int, lo, hi int) value {
	parse := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		return n, nil
	}
	return ranged(p, parse, strconv.Itoa, lo, hi, "number")
}

func duration(p *time.Duration, lo, hi time.Duration) value {
	parse := func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration such as 500ms, 10s or 2m", s)
		}
		return d, nil
	}
	return ranged(p, parse, shortDuration, lo, hi, "duration")
}

// shortDuration writes 2m rather than 2m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func size(p *Size, lo, hi Size) value { return ranged(p, parseSize, Size.String, lo, hi, "size") }

// Size is a number of bytes, written as in redis.conf: 512, 64kb, 32mb, 1gb,
// powers of 1024.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  Size
}{{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}, {"", 1}}

func parseSize(s string) (Size, error) {
	lower := strings.ToLower(s)
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || Size(n) > (1<<62)/u.bytes {
			break
		}
		return Size(n) * u.bytes, nil
	}
	return 0, fmt.Errorf("%q is not a size such as 64kb, 32mb or 1gb", s)
}

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && u.bytes > 1 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// items is a list, written a,b,c as text.
type items struct {
	p      *[]string
	hidden bool
}

func list(p *[]string) value { return items{p, false} }

func secrets(p *Secrets) value { return items{(*[]string)(p), true} }

func (v items) Set(s string) error {
	*v.p = nil
	if s == "" {
		return nil
	}
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item == "" {
			return errors.New("has an empty item")
		}
		*v.p = append(*v.p, item)
	}
	return nil
}

func (v items) setYAML(n *yaml.Node) (err error) {
	*v.p, err = stringsOf(n)
	return err
}

func (v items) String() string {
	if v.hidden {
		return Secrets(*v.p).String()
	}
	return strings.Join(*v.p, ",")
}
func (v items) check() error { return nil }
func (v items) kind() string { return "list of texts" }
