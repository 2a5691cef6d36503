package glob

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", false},
		{"**", "", false},
		{"*", "anything", true},
		{"?", "a", true},
		{"?", "", false},
		{"?", "ab", false},
		{"h?llo", "hallo", true},
		{"h*llo", "heeeello", true},
		{"h*llo", "hllo", true},
		{"h[ae]llo", "hallo", true},
		{"h[ae]llo", "hillo", false},
		{"h[^e]llo", "hallo", true},
		{"h[^e]llo", "hello", false},
		{"h[a-b]llo", "hbllo", true},
		{"h[b-a]llo", "hallo", true},
		{"h[a-b]llo", "hcllo", false},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`\`, `\`, true},
		{`[\]]`, "]", true},
		{`[\]]`, `\`, false},
		{"[", "[", false},
		{"[", "a", false},
		{"[^", "a", true},
		{"[abc", "b", true},
		{"[abc", "d", false},
		{"[a-]", "a", true}, // the range from ']' to 'a', never closed
		{"[a-]", "-", false},
		{"[]", "]", false},
		{"[]a", "a", false},
		{"[^]x", "zx", true},
		{"[-a]", "-", true},
		{"[\x01-\xff]", "\x80", true},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "a1b2b3", false},
		{"*abc", "ababc", true},
		{"*a?c*", "xxabcxx", true},
		{"user:*:name", "user:1:name", true},
		{"user:*:name", "user:1:names", false},
		{"A", "a", false},
		{"a*", "a", true},
		{"a***", "a", true},
		{"\xff*\x00", "\xffab\x00", true},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

func TestMatchTakesNoExponentialTime(t *testing.T) {
	for _, tt := range []struct{ pattern, s string }{
		{strings.Repeat("a*", 1000) + "b", strings.Repeat("a", 10000)},
		{strings.Repeat("*[^b]", 1000) + "b", strings.Repeat("a", 10000)},
		{"*" + strings.Repeat("a", 5000) + "b", strings.Repeat("a", 10000)},
		{"*a[" + strings.Repeat("a", 5000) + "]b", strings.Repeat("a", 10000)},
	} {
		ok, looks := match(tt.pattern, tt.s)
		if most := len(tt.pattern) * (len(tt.s) + 1); ok || looks > most {
			t.Errorf("%.20q: matches %v after %d looks, at most %d are allowed", tt.pattern, ok, looks, most)
		}
	}
}

// element is what stands for one byte in a pattern, or a star.
type element struct {
	star bool
	set  [256]bool // the bytes that it stands for
}

// elements reads a pattern in the plainest way.
func elements(pattern string) (list []element) {
	for pattern != "" {
		var e element
		c := pattern[0]
		pattern = pattern[1:]
		switch {
		case c == '*':
			e.star = true
		case c == '?':
			for i := range e.set {
				e.set[i] = true
			}
		case c == '\\' && pattern != "":
			e.set[pattern[0]] = true
			pattern = pattern[1:]
		case c == '[':
			pattern = e.bracket(pattern)
		default:
			e.set[c] = true
		}
		list = append(list, e)
	}
	return list
}

// bracket reads what follows a bracket and returns what follows its end.
func (e *element) bracket(pattern string) string {
	pattern, negated := strings.CutPrefix(pattern, "^")
	for pattern != "" && pattern[0] != ']' {
		n := 1
		switch {
		case pattern[0] == '\\' && len(pattern) >= 2:
			e.set[pattern[1]] = true
			n = 2
		case len(pattern) >= 3 && pattern[1] == '-':
			for c := int(min(pattern[0], pattern[2])); c <= int(max(pattern[0], pattern[2])); c++ {
				e.set[c] = true
			}
			n = 3
		default:
			e.set[pattern[0]] = true
		}
		pattern = pattern[n:]
	}
	for c := range e.set {
		e.set[c] = e.set[c] != negated
	}
	return strings.TrimPrefix(pattern, "]")
}

// reference says the same as [Match] by the table of which elements can match which
// beginnings of s: row by row, for every element, every length.
func reference(pattern, s string) bool {
	if s == "" {
		return pattern == ""
	}
	can := make([]bool, len(s)+1) // match the first so many bytes of s
	can[0] = true
	for _, e := range elements(pattern) {
		next := make([]bool, len(s)+1)
		for n := range next {
			if e.star {
				next[n] = can[n] || n > 0 && next[n-1]
			} else {
				next[n] = n > 0 && can[n-1] && e.set[s[n-1]]
			}
		}
		can = next
	}
	return can[len(s)]
}

// FuzzMatch: Match says what the plain matcher says, and looks at no more bytes than
// it promises.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"a*b*c", "aXbXc"}, {"[^a-z]?", "A1"}, {`\[x`, "[x"}, {"[a-", "a"}, {"**a?*", "bba1"}, {"[", "["},
		{"*a*b*c*d*e", "aabbccddeaabbccddf"}, {`[^\\]-a]*`, "]]"}, {"[z-\x80]", "\x7f"}, {`\`, `\`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		got, looks := match(pattern, s)
		if want := reference(pattern, s); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
		if most := len(pattern) * (len(s) + 1); looks > most {
			t.Fatalf("Match(%q, %q) looks at %d bytes, more than %d", pattern, s, looks, most)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("user:*:name", "user:1234567:name")
	}
}
