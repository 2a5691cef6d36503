package glob

import (
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"*", "", true},
		{"**", "", true},
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
	pattern := strings.Repeat("a*", 1000) + "b"
	s := strings.Repeat("a", 10000)
	start := time.Now()
	if Match(pattern, s) {
		t.Fatal("matched")
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Fatalf("took %v for 20 million steps", d)
	}
}

// recursive says the same as [Match] in the plainest way: it tries every
// length for every star.
func recursive(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		for n := 0; n <= len(s); n++ {
			if recursive(pattern[1:], s[n:]) {
				return true
			}
		}
		return false
	}
	if s == "" {
		return false
	}
	rest, set := "", ""
	negated := false
	switch {
	case pattern[0] == '?':
		return recursive(pattern[1:], s[1:])
	case pattern[0] == '\\' && len(pattern) > 1:
		rest, set = pattern[2:], pattern[1:2]
	case pattern[0] == '[':
		rest = pattern[1:]
		if strings.HasPrefix(rest, "^") {
			negated = true
			rest = rest[1:]
		}
		for rest != "" && rest[0] != ']' {
			switch {
			case rest[0] == '\\' && len(rest) >= 2:
				set += rest[1:2]
				rest = rest[2:]
			case len(rest) >= 3 && rest[1] == '-':
				for c := range 256 {
					b := byte(c)
					if rest[0] <= b && b <= rest[2] || rest[2] <= b && b <= rest[0] {
						set += string([]byte{b})
					}
				}
				rest = rest[3:]
			default:
				set += rest[:1]
				rest = rest[1:]
			}
		}
		rest = strings.TrimPrefix(rest, "]")
	default:
		rest, set = pattern[1:], pattern[:1]
	}
	in := strings.IndexByte(set, s[0]) >= 0
	return in != negated && recursive(rest, s[1:])
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"a*b*c", "aXbXc"}, {"[^a-z]?", "A1"}, {`\[x`, "[x"}, {"[a-", "a"}, {"**a?*", "bba1"}, {"[", "["},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if strings.Count(pattern, "*") > 4 || len(s) > 40 {
			return // the recursive matcher would take for ever
		}
		if got, want := Match(pattern, s), recursive(pattern, s); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("user:*:name", "user:1234567:name")
	}
}
