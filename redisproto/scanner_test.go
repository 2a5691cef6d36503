package redisproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tidwall/redcon"
)

// smallLimits let short inputs reach every limit.
var smallLimits = limits{bulk: 64, args: 20, query: 256, inline: 100}

// feeder gives a scanner its input in pieces, and redcon what the scanner says.
type feeder struct {
	s      *scanner
	pieces [][]byte
	err    error
}

func (f *feeder) Read(p []byte) (int, error) {
	for !f.s.more() {
		if f.err = f.s.scan(); f.err != nil {
			return 0, f.err
		}
		if f.s.more() {
			break
		}
		for len(f.pieces) > 0 && len(f.pieces[0]) == 0 {
			f.pieces = f.pieces[1:]
		}
		if len(f.pieces) == 0 {
			return 0, io.EOF
		}
		n := copy(f.s.room(), f.pieces[0])
		f.pieces[0] = f.pieces[0][n:]
		f.s.grew(n)
	}
	return f.s.take(p), nil
}

// commands returns what redcon makes of the input, one string a command.
func commands(lim limits, auth bool, pieces ...[]byte) (list []string, err error) {
	parsed, err := parse(lim, auth, pieces...)
	for _, args := range parsed {
		list = append(list, fmt.Sprintf("%q", args))
	}
	return list, err
}

func parse(lim limits, auth bool, pieces ...[]byte) (list [][]string, err error) {
	f := &feeder{s: &scanner{limits: lim, authenticated: auth}, pieces: pieces}
	rd := redcon.NewReader(f)
	for {
		cmd, err := rd.ReadCommand()
		switch {
		case err == nil:
			var args []string
			for _, a := range cmd.Args {
				args = append(args, string(a))
			}
			list = append(list, args)
		case err == io.EOF:
			return list, nil
		case err == f.err:
			return list, err
		default:
			return list, fmt.Errorf("redcon refused what the scanner passed: %w", err)
		}
	}
}

// reference reads the whole input in the plainest way.
func reference(lim limits, auth bool, in []byte) (list []string, err error) {
	for len(in) > 0 {
		if in[0] != '*' {
			if in[0] == tlsHandshake {
				return list, errForeign
			}
			line, rest, ok := bytes.Cut(in, []byte("\n"))
			if len(line) > lim.inline {
				return list, protocolError("too big inline request")
			}
			if !ok {
				return list, nil
			}
			words, ok := splitWords(bytes.TrimSuffix(line, []byte("\r")))
			switch {
			case !ok:
				return list, protocolError("unbalanced quotes in request")
			case len(words) > 0 && foreign(words):
				return list, errForeign
			case len(words) > 0:
				list = append(list, fmt.Sprintf("%q", words))
			}
			in = rest
			continue
		}
		n, rest, err := referenceCount(in, "too big mbulk count string", "invalid multibulk length")
		if err != nil || rest == nil {
			return list, err
		}
		if n > int64(lim.args) {
			return list, protocolError("invalid multibulk length")
		}
		if n > maxUnauthArgs && !auth {
			return list, protocolError("unauthenticated multibulk length")
		}
		var args [][]byte
		for range n {
			lead := byte(0)
			if len(rest) > 0 {
				lead = rest[0]
			}
			size, after, err := referenceCount(rest, "too big bulk count string", "invalid bulk length")
			if lead != '$' && (after != nil || err == protocolError("invalid bulk length")) {
				return list, protocolError("expected '$', got '" + printable(lead) + "'")
			}
			if err != nil || after == nil {
				return list, err
			}
			if size < 0 || size > int64(lim.bulk) {
				return list, protocolError("invalid bulk length")
			}
			if size > maxUnauthBulk && !auth {
				return list, protocolError("unauthenticated bulk length")
			}
			if len(in)-len(after)+int(size)+2 > lim.query {
				return list, protocolError("too big query")
			}
			if len(after) < int(size)+2 {
				return list, nil
			}
			if string(after[size:size+2]) != "\r\n" {
				return list, protocolError("invalid bulk length")
			}
			args = append(args, after[:size])
			rest = after[size+2:]
		}
		if len(args) > 0 {
			list = append(list, fmt.Sprintf("%q", args))
		}
		in = rest
	}
	return list, nil
}

func referenceCount(in []byte, tooBig, invalid string) (n int64, rest []byte, err error) {
	i := bytes.IndexByte(in, '\r')
	if i > maxCountLine || i < 0 && len(in) > maxCountLine {
		return 0, nil, protocolError(tooBig)
	}
	if i < 0 || i+1 == len(in) {
		return 0, nil, nil
	}
	if in[i+1] != '\n' || i == 0 {
		return 0, nil, protocolError(invalid)
	}
	var ok bool
	if n, ok = integer(in[1:i]); !ok {
		return 0, nil, protocolError(invalid)
	}
	return n, in[i+2:], nil
}

// split cuts in at places that depend on seed only.
func split(in []byte, seed uint64) [][]byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var pieces [][]byte
	for len(in) > 0 {
		n := min(1+rnd.IntN(1+rnd.IntN(40)), len(in))
		pieces = append(pieces, in[:n:n])
		in = in[n:]
	}
	return pieces
}

func check(t *testing.T, lim limits, auth bool, in []byte, seed uint64) {
	t.Helper()
	want, wantErr := reference(lim, auth, in)
	for _, pieces := range [][][]byte{{bytes.Clone(in)}, split(bytes.Clone(in), seed)} {
		got, err := commands(lim, auth, pieces...)
		if strings.Join(got, " ") != strings.Join(want, " ") || !errors.Is(err, wantErr) {
			t.Fatalf("%q in %d pieces:\n got %s, %v\nwant %s, %v", in, len(pieces), got, err, want, wantErr)
		}
	}
}

// FuzzScanner holds the scanner to the plain parser, however the bytes are cut,
// and redcon to what the scanner passes.
func FuzzScanner(f *testing.F) {
	for _, in := range scannerInputs {
		f.Add([]byte(in), uint64(1), true)
		f.Add([]byte(in), uint64(2), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, auth bool) {
		check(t, smallLimits, auth, in, seed)
		check(t, testLimits, auth, in, seed)
	})
}

var scannerInputs = []string{
	cmd("PING"), cmd("SET", "k", "") + cmd("GET", "k"), "PING\r\n", "ping a b\n" + cmd("GET", "x") + "\r\n\r\n" + cmd("A") + "b\n",
	"*0\r\n" + cmd("A") + "*0\r\n*-7\r\n\r\n" + cmd("B") + "*-1\r\n", "   \t \r\n" + cmd("A"),
	"*1\r\n$9223372036854775807\r\nabc\r\n", "*9223372036854775807\r\n$", "*9223372036854775808\r\n", "*-9223372036854775808\r\n",
	"*1\r\n$-1\r\n", "*1\r\n:1\r\n", "*01\r\n", "*+1\r\n", "*\r\n", "*1\r\n$\r\n", "*1\r\n\r\n", "*1\n$1\nA\n", "*1\r\r\n$1\r\nA\r\n",
	"*1\r\n$1\r\nAB\r\n", "*1\r\n$1\r\nA\rB", "*21\r\n", "*11\r\n", "*1\r\n$65\r\n", cmd("A", strings.Repeat("x", 64), strings.Repeat("y", 64), strings.Repeat("z", 64), strings.Repeat("w", 64)),
	`set "a\x41\n\q" 'it\'s' x"y z"` + "\r\n", `a "b`, "a \"b\n", "a 'b'c\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.0\r\n",
	"\x16\x03\x01\x02\x00\x01", cmd("A") + "\x16\x03", strings.Repeat("a", 101), strings.Repeat("a", 100) + "\n", strings.Repeat("b ", 40) + "\n",
	cmd("A") + "a b\r\n\r\nc\n" + cmd("B"), "\x00\n", "*1\r\n$0\r\n\r\n",
}

func TestScannerAgreesWithThePlainParser(t *testing.T) {
	for i, in := range scannerInputs {
		for seed := range uint64(20) {
			check(t, smallLimits, i%2 == 0, []byte(in), seed)
			check(t, testLimits, i%2 == 1, []byte(in), seed)
		}
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for seed := range uint64(2000) { // inputs joined at random, often after a cut
		var in []byte
		for range 1 + rnd.IntN(5) {
			part := scannerInputs[rnd.IntN(len(scannerInputs))]
			if rnd.IntN(8) == 0 {
				part = part[:rnd.IntN(len(part))]
			}
			in = append(in, part...)
		}
		check(t, smallLimits, rnd.IntN(2) == 0, in, seed)
	}
}

func TestScannerLongLines(t *testing.T) {
	digits := strings.Repeat("1", 70000)
	for _, in := range []string{"*" + digits, "*1\r\n$" + digits, digits, "*" + digits + "\r\n", digits + "\n", cmd("A") + digits} {
		check(t, testLimits, true, []byte(in), 3)
	}
}

// A command of many pieces costs one look at each byte: a megabyte in pieces of
// 700 bytes took redcon alone more than a second.
func TestScannerLooksAtEachByteOnce(t *testing.T) {
	in := []byte(cmd("SET", "k", strings.Repeat("x", 8<<20)) + cmd(strings.Fields(strings.Repeat("MSET key value ", 70000))...))
	var pieces [][]byte
	for len(in) > 0 {
		n := min(100, len(in))
		pieces = append(pieces, in[:n:n])
		in = in[n:]
	}
	got, err := commands(testLimits, true, pieces...)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d commands, %v", len(got), err)
	}
}

// redcon calls itself once for every read without a command, so a client that
// sends blank lines for long enough could exhaust the stack.
func TestScannerNeverPassesBlankLinesAlone(t *testing.T) {
	s := &scanner{limits: testLimits}
	feed := func(text string) {
		s.grew(copy(s.room(), text))
		if err := s.scan(); err != nil {
			t.Fatal(err)
		}
	}
	for range 100000 {
		feed("\r\n*0\r\n  \n")
		if s.more() {
			t.Fatal("passed on blank lines")
		}
	}
	if len(s.buf) > maxIdleBuffer {
		t.Fatalf("%d bytes of buffer for blank lines", len(s.buf))
	}
	feed(cmd("PING"))
	p := make([]byte, 100)
	if got := string(p[:s.take(p)]); got != cmd("PING") {
		t.Fatalf("got %q", got)
	}
}

func TestScannerGivesMemoryBack(t *testing.T) {
	s := &scanner{limits: testLimits, authenticated: true}
	in := []byte(cmd("SET", "k", strings.Repeat("x", 5<<20)))
	for len(in) > 0 {
		n := copy(s.room(), in)
		s.grew(n)
		in = in[n:]
		if err := s.scan(); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 1<<20)
	for s.more() {
		s.take(p)
	}
	s.room()
	if len(s.buf) > maxIdleBuffer {
		t.Fatalf("%d bytes kept", len(s.buf))
	}
}

// The buffer that redcon used for a big command is given back before the next
// one comes.
func TestWireMakesRedconGiveMemoryBack(t *testing.T) {
	srv, addr := start(t, DefaultConfig(), newMemory())
	p := dial(t, addr)
	p.ask(cmd("PING"), "+PONG\r\n")
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := used()
	p.ask(cmd("COUNT", strings.Repeat("x", 15<<20)), ":2\r\n")
	eventually(t, "the memory", func() bool { return used() < before+2<<20 })
	p.ask(cmd("COUNT", "a")+"count\r\n", ":2\r\n:1\r\n")
	p.ask(cmd("COUNT", strings.Repeat("x", 1<<20))+cmd("COUNT", strings.Repeat("x", 1<<20)), ":2\r\n:2\r\n")
	p.ask("count\r\n", ":1\r\n")
	if n := srv.Stats().ProtocolErrors.Load(); n != 0 {
		t.Fatalf("%d protocol errors", n)
	}
}

// TestSeedCorpus keeps a readable corpus beside the built-in seeds.
func TestSeedCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/scanner/*.resp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(10) {
			check(t, smallLimits, true, in, seed)
			check(t, testLimits, false, in, seed)
		}
	}
}
