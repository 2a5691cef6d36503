// Package glob matches names against the patterns of Redis: KEYS, SCAN, CONFIG
// GET and pattern subscriptions all use it. It is a leaf, knows nothing about
// keys or commands, and never looks at more than len(pattern)*(len(s)+1) bytes.
package glob

// Match reports whether the whole of s matches pattern, byte by byte:
//
//   - any number of bytes, none included
//     ?       one byte
//     [abc]   one of the bytes; [a-z] a range, whichever end comes first
//     [^abc]  one byte that is none of these
//     \x      the byte x itself, also within brackets
//
// A bracket that is not closed ends with the pattern, and a backslash at the
// end stands for itself. Bytes compare as unsigned numbers. The empty string is
// matched by the empty pattern alone, not by stars, as in Redis; see [All].
func Match(pattern, s string) bool {
	matches, _ := match(pattern, s)
	return matches
}

// All reports whether Redis takes a pattern to mean that nothing is left out, which
// includes the empty string.
func All(pattern string) bool { return pattern == "*" }

// match is Match that also tells how many bytes of the pattern it looked at, those
// looked at again included: what its time is in proportion to.
func match(pattern, s string) (matches bool, looks int) {
	// Every element but the star takes exactly one byte. So when something does
	// not fit, only the last star can help, by taking one byte more: a longer
	// match of an earlier star leaves the later one less to choose from.
	if s == "" {
		return pattern == "", 0
	}
	p, i := 0, 0
	star, taken := -1, 0
	for i < len(s) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				looks++
				p++
				if p == len(pattern) {
					return true, looks
				}
				star, taken = p, i
				continue
			}
			next, ok := one(pattern, p, s[i])
			looks += next - p
			if ok {
				p = next
				i++
				continue
			}
		}
		if star < 0 {
			return false, looks
		}
		taken++
		p, i = star, taken
	}
	for p < len(pattern) && pattern[p] == '*' {
		looks++
		p++
	}
	return p == len(pattern), looks
}

// one matches c against the element of pattern that starts at p, which is no
// star, and returns where the next element starts.
func one(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return class(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// class matches c against the bracket whose contents start at p.
func class(pattern string, p int, c byte) (next int, ok bool) {
	negated := p < len(pattern) && pattern[p] == '^'
	if negated {
		p++
	}
	found := false
	for p < len(pattern) && pattern[p] != ']' {
		rest := len(pattern) - p
		switch {
		case pattern[p] == '\\' && rest >= 2:
			found = found || pattern[p+1] == c
			p += 2
		case rest >= 3 && pattern[p+1] == '-':
			low, high := pattern[p], pattern[p+2]
			found = found || min(low, high) <= c && c <= max(low, high)
			p += 3
		default:
			found = found || pattern[p] == c
			p++
		}
	}
	return min(p+1, len(pattern)), found != negated
}
