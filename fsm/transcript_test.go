package fsm

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"phonond/cluster/proctest"
	"phonond/redisproto/resp"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// A transcript is lines that start with "> ", commands as typed into redis-cli,
// each followed by the reply as redis-cli prints it to a terminal. "~> " marks a
// reply whose elements come in any order, "~~> " one of which pairs do: they
// are printed in order. "3> " and so on is the same in RESP3. "!> " is a reply
// of the machine that Redis words otherwise, "$> " a command that a real server
// does not play. A line that starts with "#" is a comment.
type step struct {
	comment string
	mark    string
	command string
	reply   string
}

func (s *step) has(mark string) bool { return strings.Contains(s.mark, mark) }

func (s *step) proto() int {
	if s.has("3") {
		return 3
	}
	return 2
}

// shown returns a reply as the transcript has it.
func (s *step) shown(v resp.Value) string {
	switch {
	case s.has("~~"):
		v = sorted(v, 2)
	case s.has("~"):
		v = sorted(v, 1)
	}
	return cliText(v, "")
}

func readTranscript(t testing.TB, path string) []step {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for line := range strings.Lines(string(b)) {
		mark, command, found := strings.Cut(line, "> ")
		switch last := len(steps) - 1; {
		case found && strings.Trim(mark, "~3!$") == "":
			steps = append(steps, step{mark: mark, command: strings.TrimSuffix(command, "\n")})
		case strings.HasPrefix(line, "#") || line == "\n" && (last < 0 || steps[last].comment != "" || steps[last].reply != ""):
			steps = append(steps, step{comment: line})
		default:
			steps[last].reply += line
		}
	}
	return steps
}

func TestTranscriptsOnMachine(t *testing.T) {
	for _, path := range transcripts(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := newRig(t)
			r.checked = true
			playTranscript(t, path, *update, func(s *step, args []string) resp.Value {
				return onWire(t, r.do(args...), s.proto())
			})
		})
	}
}

func TestTranscriptsOnRedis(t *testing.T) {
	addr := proctest.RunRedis(t)
	for _, path := range transcripts(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			conns := map[int]redisConn{2: connect(t, addr, 2), 3: connect(t, addr, 3)}
			conns[2].must(t, "FLUSHALL")
			conns[2].must(t, "SCRIPT", "FLUSH")
			playTranscript(t, path, false, func(s *step, args []string) resp.Value {
				if s.has("$") {
					return resp.Value{}
				}
				return conns[s.proto()].atOnce(t, args...)
			})
		})
	}
}

func transcripts(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no transcripts in testdata", err)
	}
	return paths
}

// playTranscript compares what do answers with the file, or rewrites the file.
func playTranscript(t *testing.T, path string, rewrite bool, do func(s *step, args []string) resp.Value) {
	t.Helper()
	var out strings.Builder
	for _, s := range readTranscript(t, path) {
		if s.comment != "" {
			out.WriteString(s.comment)
			continue
		}
		args, err := splitArgs(s.command)
		if err != nil {
			t.Fatalf("%s: %q: %v", path, s.command, err)
		}
		v := do(&s, args)
		if v.Kind == resp.None {
			continue // not played
		}
		got := s.shown(v)
		want := s.reply
		if s.has("!") && v.IsError() {
			got, want = firstWord(got), firstWord(want) // as on either side
		}
		if !rewrite && got != want {
			t.Errorf("%s> %s\ngot  %swant %s", s.mark, s.command, got, want)
		}
		fmt.Fprintf(&out, "%s> %s\n%s", s.mark, s.command, s.shown(v))
	}
	if rewrite {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func firstWord(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(2, len(words))], " ")
}

// sorted returns v with its elements, in groups of so many, in order.
func sorted(v resp.Value, group int) resp.Value {
	switch v.Kind {
	case resp.Array, resp.Set, resp.Map:
	default:
		return v
	}
	groups := slices.Collect(slices.Chunk(v.Elems, group))
	slices.SortFunc(groups, func(a, b []resp.Value) int {
		return strings.Compare(cliText(resp.List(a...), ""), cliText(resp.List(b...), ""))
	})
	v.Elems = slices.Concat(groups...)
	return v
}

// cliText prints a reply as redis-cli does.
func cliText(v resp.Value, indent string) string {
	switch v.Kind {
	case resp.Simple:
		return v.Str + "\n"
	case resp.Error:
		return "(error) " + v.Str + "\n"
	case resp.Integer:
		return "(integer) " + strconv.FormatInt(v.Int, 10) + "\n"
	case resp.Double:
		return "(double) " + v.Str + "\n"
	case resp.Bulk, resp.Verbatim:
		return quoteArg(v.Str) + "\n"
	case resp.Nil, resp.NilArray:
		return "(nil)\n"
	case resp.Bool:
		return map[int64]string{0: "(false)\n", 1: "(true)\n"}[v.Int]
	}
	if len(v.Elems) == 0 {
		return map[resp.Kind]string{resp.Array: "(empty array)\n", resp.Map: "(empty hash)\n", resp.Set: "(empty set)\n"}[v.Kind]
	}
	lead, n := ") ", len(v.Elems)
	switch v.Kind {
	case resp.Map:
		lead, n = "# ", len(v.Elems)/2
	case resp.Set:
		lead = "~ "
	}
	width := len(strconv.Itoa(n))
	nested := indent + strings.Repeat(" ", width+2)
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(indent)
		}
		fmt.Fprintf(&b, "%*d%s", width, i+1, lead)
		if v.Kind == resp.Map {
			b.WriteString(strings.TrimSuffix(cliText(v.Elems[2*i], nested), "\n") + " => " + cliText(v.Elems[2*i+1], nested))
		} else {
			b.WriteString(cliText(v.Elems[i], nested))
		}
	}
	return b.String()
}

// quoteArg quotes a string as redis-cli does.
func quoteArg(s string) string {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\a':
			b = append(b, `\a`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		default:
			b = fmt.Appendf(b, `\x%02x`, c)
		}
	}
	return string(append(b, '"'))
}

// splitArgs reads a command line: words, and strings in double quotes with the
// escapes of [quoteArg].
func splitArgs(line string) ([]string, error) {
	var args []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			args, line = append(args, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		arg, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		args, line = append(args, arg), line[len(quoted):]
	}
	return args, nil
}
