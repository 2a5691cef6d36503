package lua

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScriptsAgainstRedis runs each line of the files in testdata here and on a real
// server.
func TestScriptsAgainstRedis(t *testing.T) {
	server, host := redisAndHost(t, "2")
	e := New(Limits{})
	files, err := filepath.Glob("testdata/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, e, server, host, strings.Split(string(text), "\n"))
		})
	}
}

// TestScriptsOfManyLinesAgainstRedis has what does not fit into a line: positions of errors,
// first lines with flags.
func TestScriptsOfManyLinesAgainstRedis(t *testing.T) {
	server, host := redisAndHost(t, "2")
	compare(t, New(Limits{}), server, host, []string{
		"local a\nreturn a.b",
		"local a\nlocal b =\n  a +\n  1",
		"local function f()\n  error('x')\nend\n\nf()",
		"local function f()\n  error('x', 2)\nend\n\nf()",
		"local t = {\n  1,\n  nosuch,\n}",
		"return redis.call(\n'incr'\n, {})",
		"if true then\n  x(",
		"if true then\n\n",
		"for i = 1, 2 do\n  local x = nil + i\nend",
		"return 'a\\\nb'",
		"-- comment\n--[[ long\ncomment ]] return nosuch",
		"return [[\nfirst\r\nsecond\n\rthird]]",
		"local s = 'x'\ns\n:nosuch()",
		"f\n(1)",
		"#!lua\nreturn nosuch",
		"#!lua flags=no-writes\nreturn 1",
		"#!lua flags=\nreturn 1",
		"#!lua flags=no-writes,allow-oom,allow-stale,no-cluster\nreturn 1",
		"#!lua flags=nosuch\nreturn 1",
		"#!lua flags=no-writes,\nreturn 1",
		"#!lua name=x\nreturn 1",
		"#!python\nreturn 1",
		"#!lua",
		"# comment\nreturn 1",
		"return 1 \x00 2",
		"\x00",
		"return 1 \x01",
		"return \x7f",
		"return 1 \xff",
	})
}
